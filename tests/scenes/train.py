#!/usr/bin/env python3
"""Trains the captioner, the network that answers questions and the one that plays.

usage: train.py FOLDER [captioner | answers | player ...] [--scenes N]      writes FOLDER/NAME.h5, float16 numbers

All three see alike and end alike: what each place shows is averaged over the picture, and an output is a weighted sum of these averages;
the words say which of them count. So Grad-CAM at "places" is what each place adds to the output, and no place shows what adds nothing.
"""
import argparse, os
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import h5py, keras, numpy as np, tensorflow as tf
from keras import layers as L
import scenes

tf.config.threading.set_intra_op_parallelism_threads(2)
tf.config.threading.set_inter_op_parallelism_threads(1)
batch = 64
channels = 64  # of each place

def conv(x, filters, size, name, activation="relu", **more):
    x = L.Conv2D(filters, size, padding="same", use_bias=False, name=name, **more)(x)
    return L.Activation(activation, name=name + "_on")(L.BatchNormalization(name=name + "_norm")(x))

def average(near, x):
    """Of 16x16 places; what is near a place counts as much as the rest of the picture, far, lets it."""
    x = conv(x, 32, 3, "far", strides=2)
    for reach in (1, 2, 4):  # together all of the 8x8
        x = conv(x, 32, 3, f"far{reach}", dilation_rate=reach)
    lets = L.UpSampling2D(name="lets_each")(conv(x, channels, 1, "lets", "sigmoid"))
    seen = L.GlobalAveragePooling2D(name="average")(L.Multiply(name="places")([near, lets]))
    return L.Rescaling(16, name="seen")(seen)  # about as many places as an object covers

def eyes():
    image = keras.Input((scenes.side, scenes.side, 3), name="image")
    x = L.Rescaling(1 / 255, name="light")(image)
    x = conv(x, 16, 3, "conv1", strides=2)
    x = conv(x, 32, 3, "conv2", strides=2)
    x = conv(x, 32, 3, "conv3")
    return image, average(conv(x, channels, 3, "near"), x)

def eyes_of(model):
    return keras.Model(model.inputs[0], model.get_layer("seen").output)

def captioner():
    """The next word at each step, of what is seen and the words so far."""
    image, seen = eyes()
    words = keras.Input((scenes.caption_length,), name="words", dtype="int32")
    said = L.Embedding(len(scenes.caption_words), 16, name="word")(words)
    said = L.LSTM(48, return_sequences=True, name="said")(said)
    counts = L.Dense(channels, activation="sigmoid", name="counts")(said)
    seen = L.RepeatVector(scenes.caption_length, name="at_each_step")(seen)
    both = L.Concatenate(name="seen_and_said")([L.Multiply(name="wanted")([seen, counts]), said])
    return keras.Model([image, words], L.Dense(len(scenes.caption_words), activation="softmax", name="next_word")(both), name="captioner")

def answering():
    """The answer, of what is seen and the question."""
    image, seen = eyes()
    question = keras.Input((scenes.question_length,), name="question", dtype="int32")
    asked = L.GRU(48, name="asked")(L.Embedding(len(scenes.question_words), 16, name="word")(question))
    counts = L.Dense(channels, activation="sigmoid", name="counts")(asked)
    both = L.Concatenate(name="seen_and_asked")([L.Multiply(name="wanted")([seen, counts]), asked])
    return keras.Model([image, question], L.Dense(len(scenes.answers), activation="softmax", name="answer")(both), name="answers")

def player():
    """The value of each action. Near are a place's own 4x4 pixels, without a bias: where all is black, there is nothing to say."""
    image = keras.Input((scenes.side, scenes.side, 3), name="image")
    light = L.Rescaling(1 / 255, name="light")(image)
    near = L.Conv2D(channels, scenes.cell, strides=scenes.cell, use_bias=False, activation="relu", name="near")(light)
    return keras.Model(image, L.Dense(len(scenes.actions), name="value")(average(near, near)), name="player")

def captions(rng, count):
    drawn = [scenes.scene(rng) for _ in range(count)]
    told = [scenes.caption(objects)[0] for _, objects in drawn]
    tokens = lambda sentences: np.array([scenes.tokens(s, scenes.caption_words, scenes.caption_length) for s in sentences])
    return ({"image": np.array([picture for picture, _ in drawn]), "words": tokens(["<start>", *words] for words in told)},
            np.eye(len(scenes.caption_words))[tokens([*words, "<end>"] for words in told)])

def questions(rng, count, of_each=3):
    drawn = [scenes.scene(rng) for _ in range(count)]
    asked = [scenes.question(rng, objects) for _, objects in drawn for _ in range(of_each)]
    tokens = [scenes.tokens(words, scenes.question_words, scenes.question_length) for words, _, _ in asked]
    pictures = np.array([picture for picture, _ in drawn]).repeat(of_each, axis=0)
    right = [scenes.answers.index(answer) for _, answer, _ in asked]
    return {"image": pictures, "question": np.array(tokens)}, np.eye(len(scenes.answers))[right]

def games(rng, count):
    moments = [scenes.game(rng, held_out=False) for _ in range(count)]
    return np.array([picture for picture, _, _ in moments]), np.array([values for _, _, values in moments], "float32")

# Smoothed labels keep the probabilities from 1, where the gradient of log p is little but rounding.
words_loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
tasks = {"captioner": (captioner, captions, words_loss, 4, scenes.caption_words),
         "answers": (answering, questions, words_loss, 4, scenes.answers),
         "player": (player, games, keras.losses.MeanSquaredError(), 8, scenes.actions)}

def save(model, labels, path):
    """As Keras does, but with float16 numbers and the new, smaller form of HDF5's groups; limn finds in it what the outputs mean."""
    whole = path.replace(".h5", ".float32.h5")
    model.save(whole, include_optimizer=False)
    with h5py.File(whole) as source, h5py.File(path, "w", libver="latest") as target:
        def copy(name, item):
            weights = isinstance(item, h5py.Dataset)
            to = target.create_dataset(name, data=item[()].astype("float16")) if weights else target.require_group(name)
            to.attrs.update(item.attrs)
        target.attrs.update(source.attrs)
        source.visititems(copy)
        target.attrs["preprocess"] = "raw"
        target.attrs["labels"] = [label.encode() for label in labels]
    os.remove(whole)

def train(name, count, folder):
    build, make, loss, epochs, labels = tasks[name]
    keras.utils.set_random_seed(1)
    model, path = build(), os.path.join(folder, name + ".h5")
    if name == "answers":  # begins with the captioner's eyes
        seeing = keras.models.load_model(os.path.join(folder, "captioner.h5"), compile=False)
        eyes_of(model).set_weights(eyes_of(seeing).get_weights())
    inputs, right = make(np.random.default_rng(1), count)
    rate = keras.optimizers.schedules.CosineDecay(3e-3, epochs * -(-len(right) // batch), alpha=0.01)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy" if loss is words_loss else "mae"])
    model.fit(inputs, right, batch_size=batch, epochs=epochs, verbose=2)
    save(model, labels, path)
    print(name, model.count_params(), "parameters", os.path.getsize(path), "bytes", flush=True)

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("names", nargs="*", default=[])
    parser.add_argument("--scenes", type=int, default=20000)
    arguments = parser.parse_args()
    for name in arguments.names or tasks: train(name, arguments.scenes, arguments.folder)
