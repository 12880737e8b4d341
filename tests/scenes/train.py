#!/usr/bin/env python3
"""Trains the captioner, the network that answers questions and the one that plays, on scenes drawn as it goes.

usage: train.py FOLDER [captioner | answers | player ...] [--steps N] [--round R] [--quiet S]      writes FOLDER/NAME.h5 (float16 numbers, as float32)

A round goes through N batches that no other round sees, its rate of learning down to almost nothing. A first round starts from nothing,
but `answers` with the captioner's eyes; later ones go on from FOLDER/NAME.h5. --quiet: how much each number costs that the last layer
with places gives. Of each channel only the largest counts for the network; the cost silences the others, which Grad-CAM would show.
"""
import argparse, os
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import h5py, keras, numpy as np, tensorflow as tf
from keras import layers as L
import scenes

tf.config.threading.set_intra_op_parallelism_threads(2)
tf.config.threading.set_inter_op_parallelism_threads(1)
batch = 64

def conv(x, filters, size, name, **more):
    return L.Conv2D(filters, size, padding="same", activation="relu", name=name, **more)(x)

def encoder():
    """64x64 pixels -> 16x16 places of 48 numbers. What a place is told comes from around it and, through 8x8, from the whole picture."""
    image = keras.Input((scenes.side, scenes.side, 3), name="image")
    x = L.Rescaling(1 / 127.5, -1, name="scale")(image)
    x = L.MaxPooling2D(name="pool1")(conv(x, 12, 3, "conv1"))
    x = L.MaxPooling2D(name="pool2")(conv(x, 20, 3, "conv2"))
    near = conv(conv(x, 32, 3, "near1"), 32, 3, "near2")
    x = L.MaxPooling2D(name="pool3")(near)
    x = conv(x, 48, 3, "far1"); x = conv(x, 48, 3, "far2", dilation_rate=2)
    far = L.UpSampling2D(name="enlarge")(x)
    return image, conv(L.Concatenate(name="near_and_far")([near, far]), 48, 1, "places")

eye_layers = ["conv1", "conv2", "near1", "near2", "far1", "far2", "places"]

def captioner():
    """What the picture holds in all, and the words so far, meet at each step: the next word."""
    image, places = encoder()
    words = keras.Input((scenes.caption_length,), name="words", dtype="int32")
    seen = L.Dense(96, activation="relu", name="seen")(L.GlobalMaxPooling2D(name="all_places")(places))
    said = L.Embedding(len(scenes.caption_words), 16, mask_zero=True, name="word")(words)
    said = L.LSTM(48, return_sequences=True, name="said")(said)
    both = L.Concatenate(name="seen_and_said")([L.RepeatVector(scenes.caption_length, name="at_each_step")(seen), said])
    both = L.Dense(96, activation="relu", name="thought")(both)
    return keras.Model([image, words], L.Dense(len(scenes.caption_words), activation="softmax", name="next_word")(both), name="captioner")

def answering():
    """The question says which of a place's numbers count: there they are multiplied, and the largest of all places answers."""
    image, places = encoder()
    question = keras.Input((scenes.question_length,), name="question", dtype="int32")
    asked = L.GRU(48, name="asked")(L.Embedding(len(scenes.question_words), 16, mask_zero=True, name="word")(question))
    asked = L.Reshape((1, 1, 48), name="for_each_place")(L.Dense(48, activation="sigmoid", name="counts")(asked))
    x = conv(L.Multiply(name="asked_of_places")([places, asked]), 64, 1, "findings")
    x = L.GlobalMaxPooling2D(name="all_places")(x)
    return keras.Model([image, question], L.Dense(len(scenes.answers), activation="softmax", name="answer")(x), name="answers")

def player():
    """Where the ball is and where the paddle: the whole picture at 4x4, through dense layers, is told to each of 16x16 places."""
    image = keras.Input((scenes.side, scenes.side, 3), name="image")
    x = L.Rescaling(1 / 127.5, -1, name="scale")(image)
    x = L.MaxPooling2D(name="pool1")(conv(x, 12, 3, "conv1"))
    near = L.MaxPooling2D(name="pool2")(conv(x, 24, 3, "near"))
    x = L.MaxPooling2D(name="pool3")(conv(near, 24, 3, "far1"))
    x = L.Flatten(name="all")(L.MaxPooling2D(name="pool4")(conv(x, 24, 3, "far2")))
    x = L.Dense(4 * 4 * 16, activation="relu", name="far4")(L.Dense(128, activation="relu", name="far3")(x))
    far = L.UpSampling2D(4, name="enlarge")(L.Reshape((4, 4, 16), name="sectors")(x))
    places = conv(L.Concatenate(name="near_and_far")([near, far]), 32, 3, "places")
    x = L.GlobalMaxPooling2D(name="all_places")(places)
    return keras.Model(image, L.Dense(len(scenes.actions), name="value")(x), name="player")

def captions(rng):
    pictures, said, next_words = [], [], []
    for _ in range(batch):
        picture, objects = scenes.scene(rng)
        words, _ = scenes.caption(objects)
        pictures.append(picture)
        said.append(scenes.tokens(["<start>", *words], scenes.caption_words, scenes.caption_length))
        next_words.append(scenes.tokens([*words, "<end>"], scenes.caption_words, scenes.caption_length))
    next_words = np.array(next_words)
    return {"image": np.array(pictures, "float32"), "words": np.array(said)}, next_words, (next_words > 0).astype("float32")

def questions(rng):
    pictures, asked, right = [], [], []
    for _ in range(batch):
        picture, objects = scenes.scene(rng)
        words, answer, _ = scenes.question(rng, objects)
        pictures.append(picture); right.append(scenes.answers.index(answer))
        asked.append(scenes.tokens(words, scenes.question_words, scenes.question_length))
    return {"image": np.array(pictures, "float32"), "question": np.array(asked)}, np.array(right)

def games(rng):
    moments = [scenes.game(rng, held_out=False) for _ in range(batch)]
    return np.array([m[0] for m in moments], "float32"), np.array([m[2] for m in moments], "float32")

class Batches(keras.utils.PyDataset):
    """As many of `make` as are wanted, each from its own seed."""
    def __init__(self, make, steps, round): super().__init__(); self.make, self.steps, self.round = make, steps, round
    def __len__(self): return self.steps
    def __getitem__(self, i): return self.make(np.random.default_rng([self.round, i]))

tasks = {"captioner": (captioner, captions, "sparse_categorical_crossentropy"), "answers": (answering, questions, "sparse_categorical_crossentropy"),
         "player": (player, games, "mse")}

def train(name, steps, round, quiet, folder):
    build, make, loss = tasks[name]
    keras.utils.set_random_seed(1)
    model, path = build(), os.path.join(folder, name + ".h5")
    if round > 1: model.load_weights(path)
    elif name == "answers":  # it sees with the captioner's eyes to begin with: what remains to be learned is to answer
        eyes = captioner(); eyes.load_weights(os.path.join(folder, "captioner.h5"))
        for part in eye_layers: model.get_layer(part).set_weights(eyes.get_layer(part).get_weights())
    rate = keras.optimizers.schedules.CosineDecay(2e-3 if round == 1 else 1e-3, steps, alpha=0.02)
    model.compile(keras.optimizers.Adam(rate), loss, weighted_metrics=[] if loss == "mse" else ["accuracy"])
    if quiet: model.get_layer("findings" if name == "answers" else "places").activity_regularizer = keras.regularizers.L1(quiet)
    told = keras.callbacks.LambdaCallback(on_train_batch_end=lambda i, logs: i % 100 or print(name, i, logs, flush=True))
    model.fit(Batches(make, steps, round), verbose=0, callbacks=[told])
    model.set_weights([w.astype("float16").astype("float32") for w in model.get_weights()])
    if quiet: model.get_layer("findings" if name == "answers" else "places").activity_regularizer = None
    model.save(path, include_optimizer=False)
    with h5py.File(path, "a") as file:
        file.attrs["preprocess"] = "raw"
        labels = {"captioner": scenes.caption_words, "answers": scenes.answers, "player": scenes.actions}[name]
        file.attrs["labels"] = [label.encode() for label in labels]
    print(name, model.count_params(), "parameters", os.path.getsize(path), "bytes", flush=True)
    return model

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder"); parser.add_argument("names", nargs="*", default=[]); parser.add_argument("--steps", type=int, default=2000); parser.add_argument("--round", type=int, default=1); parser.add_argument("--quiet", type=float, default=0)
    arguments = parser.parse_args()
    for name in arguments.names or tasks: train(name, arguments.steps, arguments.round, arguments.quiet, arguments.folder)
