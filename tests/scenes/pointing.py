#!/usr/bin/env python3
"""Does Grad-CAM point at what a word, an answer or a decision is about? The pointing game on scenes that training did not see.

usage: pointing.py MODELS [--scenes N] [--limn LIMN]      MODELS: the folder with captioner.h5, answers.h5, player.h5

A map points at the place of its peak, enlarged to the picture (half-pixel bilinear); a hit lies on the object's own pixels. Next to it:
what a point drawn at random and the picture's centre would reach, and how many of the words, answers and decisions are right. Maps are
Keras's; with --limn the command's, which must not differ from them by more than 1e-4 of their largest value (else the exit status is 1).
"""
import argparse, json, os, subprocess, sys, tempfile
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras, numpy as np, tensorflow as tf
from PIL import Image
import samples, scenes, train

def grad_cam(model, layer, inputs, target):
    """target: of an output (N,...), one number for each scene. The signed maps (N,h,w), and the outputs."""
    probe = keras.Model(model.inputs, [model.get_layer(layer).output, model.output])
    with tf.GradientTape() as tape:
        maps, output = probe(inputs)
        number = target(output)
    slopes = tape.gradient(number, maps)
    return tf.reduce_sum(maps * tf.reduce_mean(slopes, (1, 2), keepdims=True), -1).numpy(), output.numpy()

def enlarged(cam, side=scenes.side):
    """Half-pixel bilinear; what lies beyond the outermost samples is as they are."""
    for axis in (0, 1):
        n = cam.shape[axis]
        at = np.clip((np.arange(side) + 0.5) * n / side - 0.5, 0, n - 1)
        low = np.floor(at).astype(int); high = np.minimum(low + 1, n - 1)
        share = (at - low).reshape((-1, 1) if axis == 0 else (1, -1))
        cam = cam.take(low, axis) * (1 - share) + cam.take(high, axis) * share
    return cam

class Limn:
    """The command's maps of one picture, in the order of its targets."""
    def __init__(self, command, models):
        self.command, self.models, self.folder, self.worst = command, models, tempfile.TemporaryDirectory(), 0
        samples.write_vocabularies(self.folder.name)
    def __call__(self, picture, name, layer, *options):
        path = lambda file: os.path.join(self.folder.name, file)
        Image.fromarray(picture.astype("uint8")).save(path("scene.png"))
        options = [path(o) if o.endswith(".txt") else o for o in options]
        told = subprocess.run([self.command, "explain", path("scene.png"), "--model", os.path.join(self.models, name + ".h5"), "--layer", layer, "--save", "npy",
                               "--out", path("out"), "--json", *options], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        return [np.load(cam["files"][0]) for cam in json.loads(told)["images"][0]["maps"]]
    def checked(self, found, expected):
        self.worst = max(self.worst, abs(found - expected).max() / max(abs(expected).max(), 1e-30))
        return found

class Score:
    def __init__(self, what): self.what, self.hits, self.chance, self.centre, self.right = what, [], [], [], []
    def add(self, cam, mask, right):
        peak = np.unravel_index(enlarged(np.maximum(cam, 0)).argmax(), mask.shape)
        self.hits.append(cam.max() > 0 and mask[peak]); self.right.append(right)
        self.chance.append(mask.mean()); self.centre.append(mask[scenes.side // 2, scenes.side // 2])
    def tell(self):
        if not self.hits: return
        n, error = len(self.hits), 100 * np.sqrt(np.mean(self.hits) * (1 - np.mean(self.hits)) / len(self.hits))
        told = {name: 100 * np.mean(values) for name, values in (("points at it", self.hits), ("chance", self.chance), ("centre", self.centre), ("right", self.right))}
        print(f"{self.what:44s}" + "  ".join(f"{name} {value:5.1f} %" for name, value in told.items()) + f"  ({n} maps, +- {error:.1f})", flush=True)

def log_probability(token, step=None):
    def f(output):
        row = output[:, step] if step is not None else output
        return tf.math.log(tf.gather(row, token, axis=1, batch_dims=1) + 1e-30)
    return f

def captions(model, count, layer, rng, limn):
    drawn = [scenes.scene(rng) for _ in range(count)]
    told = [scenes.caption(objects) for _, objects in drawn]
    pictures = np.array([picture for picture, _ in drawn], "float32")
    said = np.array([scenes.tokens(["<start>", *words], scenes.caption_words, scenes.caption_length) for words, _ in told])
    score = {"colour": Score(f"captioner at {layer}: colours"), "shape": Score(f"captioner at {layer}: shapes")}
    by_limn = [limn(drawn[i][0], "captioner", layer, "--words", " ".join(words), "--vocabulary", "captions.txt") for i, (words, _) in enumerate(told)] if limn else []
    for step in range(scenes.caption_length - 1):
        those = [i for i, (words, about) in enumerate(told) if step < len(words) and about[step] is not None]
        if not those: continue
        tokens = np.array([scenes.caption_words.index(told[i][0][step]) for i in those])
        maps, output = grad_cam(model, layer, [pictures[those], said[those]], log_probability(tokens, step))
        for i, cam, token, row in zip(those, maps, tokens, output[:, step]):
            if limn: cam = limn.checked(by_limn[i][step], cam)
            kind = "colour" if scenes.caption_words[token] in scenes.colours else "shape"
            score[kind].add(cam, drawn[i][1][told[i][1][step]]["mask"], row.argmax() == token)
    for one in score.values(): one.tell()

def answers(model, count, layer, rng, limn):
    drawn, score = [], {kind: Score(f"answers at {layer}: {kind}") for kind in ("what colour", "what shape", "is there")}
    while len(drawn) < count:
        picture, objects = scenes.scene(rng)
        words, answer, about = scenes.question(rng, objects)
        if about: drawn.append((picture, words, scenes.answers.index(answer), about["mask"]))
    pictures, asked = np.array([d[0] for d in drawn], "float32"), np.array([scenes.tokens(d[1], scenes.question_words, scenes.question_length) for d in drawn])
    right = np.array([d[2] for d in drawn])
    maps, output = grad_cam(model, layer, [pictures, asked], log_probability(right))
    for (picture, words, answer, mask), cam, row in zip(drawn, maps, output):
        if limn: cam = limn.checked(limn(picture, "answers", layer, "--question", " ".join(words), "--vocabulary", "questions.txt", "--target", f"log({scenes.answers[answer]})")[0], cam)
        score[" ".join(words[:2])].add(cam, mask, row.argmax() == answer)
    for one in score.values(): one.tell()

def decisions(model, count, layer, rng, limn):
    """Of the value of the chosen action, and of how much it is above the mean of the other two."""
    drawn = [scenes.game(rng, held_out=True) for _ in range(count)]
    pictures = np.array([d[0] for d in drawn], "float32")
    chosen = model(pictures).numpy().argmax(-1)
    for what, own, all_three in (("value", 1, 0), ("value above the others'", 1.5, -0.5)):
        maps, _ = grad_cam(model, layer, pictures, lambda output: own * tf.gather(output, chosen, axis=1, batch_dims=1) + all_three * tf.reduce_sum(output, 1))
        either, each = Score(f"player at {layer}: {what}"), [Score(f"  of these, the {name}") for name in ("ball", "paddle")]
        for (picture, objects, values), cam, action in zip(drawn, maps, chosen):
            target = scenes.actions[action] if not all_three else " - ".join([scenes.actions[action]] + [f"0.5*{a}" for a in scenes.actions if a != scenes.actions[action]])
            if limn: cam = limn.checked(limn(picture, "player", layer, "--target", target)[0], cam)
            right = values[action] > values.max() - 1e-9
            either.add(cam, objects[0]["mask"] | objects[1]["mask"], right)
            for one, o in zip(each, objects): one.add(cam, o["mask"], right)
        for one in (either, *each): one.tell()

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("models"); parser.add_argument("--scenes", type=int, default=1000); parser.add_argument("--limn"); parser.add_argument("--only")
    arguments = parser.parse_args()
    limn = Limn(arguments.limn, arguments.models) if arguments.limn else None
    for name, play, layer in (("captioner", captions, "places"), ("answers", answers, "places"), ("answers", answers, "findings"), ("player", decisions, "places")):
        if arguments.only not in (None, name): continue
        model = train.tasks[name][0]()  # Keras 3 writes masks as layers (NotEqual) that it does not read back from .h5
        model.load_weights(os.path.join(arguments.models, name + ".h5"))
        play(model, arguments.scenes, layer, np.random.default_rng([2, len(name)]), limn)
    if limn:
        print(f"limn's maps differ from Keras's by at most {limn.worst:.1e} of their largest value (limit 1e-4)")
        sys.exit(limn.worst > 1e-4)
