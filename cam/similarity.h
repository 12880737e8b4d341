// How like another image: the cosine of two embeddings as the number to be explained. What makes this photo similar to that one?
#pragma once

#include "cam/explain.h"

namespace limn {

// What a classifier's last linear layer reads; the scores before their softmax or sigmoid where there is none.
int embedding_node(const Model& model);

// score = <e, other> / (|e| |other|) of the embedding e of each image; other: the other image, preprocessed, (1,h,w,c).
OwnScore similarity_to(const Backend& backend, const Model& model, const Tensor& other, const std::string& its_name);

}  // namespace limn
