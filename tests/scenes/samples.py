#!/usr/bin/env python3
"""A few scenes with their truth, and the vocabularies: what tests and the documentation show.

usage: samples.py FOLDER      writes FOLDER/{captions,questions}.txt and FOLDER/{scene,game}N.png with .json
"""
import json, os, sys
import numpy as np
from PIL import Image
import scenes

def box(mask):
    rows, columns = np.nonzero(mask)
    return [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]  # left, top, right, bottom

def write(path, picture, truth):
    Image.fromarray(picture).save(path + ".png", optimize=True)
    with open(path + ".json", "w") as file: json.dump(truth, file, indent=1); file.write("\n")

def write_vocabularies(folder):
    os.makedirs(folder, exist_ok=True)
    for name, words in (("captions", scenes.caption_words), ("questions", scenes.question_words)):
        with open(os.path.join(folder, name + ".txt"), "w") as file: file.write("".join(word + "\n" for word in words))

def main(folder):
    write_vocabularies(folder)
    rng = np.random.default_rng(3)
    for i in range(4):
        picture, objects = scenes.scene(rng)
        asked = {}
        while len(asked) < 3:
            words, answer, about = scenes.question(rng, objects)
            asked[" ".join(words)] = {"answer": answer, "box": box(about["mask"]) if about else None}
        truth = [{"colour": o["colour"], "shape": o["shape"], "box": box(o["mask"])} for o in objects]
        caption = " ".join(scenes.caption(objects)[0])
        write(os.path.join(folder, f"scene{i + 1}"), picture, {"caption": caption, "objects": truth, "questions": asked})
    for i in range(3):
        picture, objects, values = scenes.game(rng, held_out=True)
        truth = [{"name": o["name"], "box": box(o["mask"])} for o in objects]
        write(os.path.join(folder, f"game{i + 1}"), picture, {"objects": truth, "values": dict(zip(scenes.actions, np.round(values, 4)))})

if __name__ == "__main__": main(sys.argv[1])
