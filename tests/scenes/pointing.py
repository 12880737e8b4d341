#!/usr/bin/env python3
"""Does Grad-CAM point at what a word, an answer or a decision is about? The pointing game on scenes that training did not see.

usage: pointing.py MODELS [--scenes N] [--only NAME] [--limn LIMN]      MODELS: the folder with captioner.h5, answers.h5, player.h5

A map points at the place of its peak, enlarged to the picture (half-pixel bilinear). A hit lies on the object's own pixels, or at most two
pixels away: half a cell of the map, and of the picture's side as much as the 15 pixels of Zhang et al. 2016 ("Top-down neural attention by
excitation backprop"). Next to it: what a point drawn at random, the picture's centre and a random one of its objects would reach (with the
same two pixels), and how many of the words, answers and decisions are right. Maps are Keras's; with --limn the command's, which must not
differ from them by more than 1e-4 of their largest value (else the exit status is 1).
"""
import argparse, json, os, subprocess, sys, tempfile
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras, numpy as np, tensorflow as tf
from PIL import Image
import samples, scenes

layer = "places"
tolerance = 2  # pixels

def grad_cam(model, inputs, target):
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
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, n - 1)
        share = (at - low).reshape((-1, 1) if axis == 0 else (1, -1))
        cam = cam.take(low, axis) * (1 - share) + cam.take(high, axis) * share
    return cam

class Limn:
    """The command's maps of one picture, in the order of its targets."""
    def __init__(self, command, models):
        self.command, self.models, self.folder, self.worst = command, models, tempfile.TemporaryDirectory(), 0
        samples.write_vocabularies(self.folder.name)
    def path(self, file): return os.path.join(self.folder.name, file)
    def __call__(self, picture, name, *options):
        Image.fromarray(picture.astype("uint8")).save(self.path("scene.png"))
        options = [self.path(o) if o.endswith(".txt") else o for o in options]
        model = os.path.join(self.models, name + ".h5")
        told = subprocess.run([self.command, "explain", self.path("scene.png"), "--model", model, "--layer", layer, "--save", "npy",
                               "--out", self.path("out"), "--json", *options],
                              check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        return [np.load(cam["files"][0]) for cam in json.loads(told)["images"][0]["maps"]]
    def checked(self, found, expected):
        self.worst = max(self.worst, abs(found - expected).max() / max(abs(expected).max(), 1e-30))
        return found

def widened(mask):
    """By all pixels that are at most `tolerance` away."""
    padded, reach = np.pad(mask, tolerance), range(-tolerance, tolerance + 1)
    shifts = [(y, x) for y in reach for x in reach if y * y + x * x <= tolerance**2]
    return np.any([np.roll(padded, shift, (0, 1)) for shift in shifts], axis=0)[tolerance:-tolerance, tolerance:-tolerance]

class Score:
    def __init__(self, what):
        self.what = what
        self.columns = {name: [] for name in ("points at it", "at its own pixels", "chance", "centre", "any object", "right")}
    def add(self, cam, mask, objects, right):
        """mask: of what is to be hit; a random one of the objects is hit wholly or not at all."""
        peak = np.unravel_index(enlarged(np.maximum(cam, 0)).argmax(), mask.shape)
        wide, points = widened(mask), cam.max() > 0
        inside = np.mean([(o["mask"] & mask).any() for o in objects])
        values = points and wide[peak], points and mask[peak], wide.mean(), wide[scenes.side // 2, scenes.side // 2], inside, right
        for column, value in zip(self.columns.values(), values): column.append(value)
    def tell(self):
        hits = self.columns["points at it"]
        if not hits: return
        error = 100 * np.sqrt(np.mean(hits) * (1 - np.mean(hits)) / len(hits))
        told = "  ".join(f"{name} {100 * np.mean(values):5.1f} %" for name, values in self.columns.items())
        print(f"{self.what:36s}{told}  ({len(hits)} maps, +- {error:.1f})", flush=True)

def captions(model, count, rng, limn):
    """log p of each word after those before it."""
    drawn = [scenes.scene(rng) for _ in range(count)]
    told = [scenes.caption(objects) for _, objects in drawn]
    pictures = np.array([picture for picture, _ in drawn], "float32")
    said = np.array([scenes.tokens(["<start>", *words], scenes.caption_words, scenes.caption_length) for words, _ in told])
    score = {"colour": Score("captioner: colours"), "shape": Score("captioner: shapes")}
    if limn: by_limn = [limn(picture, "captioner", "--words", " ".join(words), "--vocabulary", "captions.txt")
                        for (picture, _), (words, _) in zip(drawn, told)]
    for step in range(scenes.caption_length):
        those = [i for i, (words, about) in enumerate(told) if step < len(words) and about[step] is not None]
        if not those: continue
        tokens = np.array([scenes.caption_words.index(told[i][0][step]) for i in those])
        log_p = lambda output: tf.math.log(tf.gather(output[:, step], tokens, axis=1, batch_dims=1))
        maps, output = grad_cam(model, [pictures[those], said[those]], log_p)
        for i, cam, token, row in zip(those, maps, tokens, output[:, step]):
            if limn: cam = limn.checked(by_limn[i][step], cam)
            objects = drawn[i][1]
            kind = "colour" if scenes.caption_words[token] in scenes.colours else "shape"
            score[kind].add(cam, objects[told[i][1][step]]["mask"], objects, row.argmax() == token)
    for one in score.values(): one.tell()

def answers(model, count, rng, limn):
    """log p of the right answer, where it is about an object."""
    drawn, score = [], {kind: Score(f"answers: {kind}") for kind in ("what colour", "what shape", "is there")}
    while len(drawn) < count:
        picture, objects = scenes.scene(rng)
        words, answer, about = scenes.question(rng, objects)
        if about: drawn.append((picture, objects, words, answer, about["mask"]))
    pictures = np.array([picture for picture, *_ in drawn], "float32")
    asked = np.array([scenes.tokens(words, scenes.question_words, scenes.question_length) for _, _, words, _, _ in drawn])
    right = np.array([scenes.answers.index(answer) for *_, answer, _ in drawn])
    log_p = lambda output: tf.math.log(tf.gather(output, right, axis=1, batch_dims=1))
    maps, output = grad_cam(model, [pictures, asked], log_p)
    for (picture, objects, words, answer, mask), cam, row in zip(drawn, maps, output):
        if limn: cam = limn.checked(limn(picture, "answers", "--question", " ".join(words), "--vocabulary", "questions.txt",
                                         "--target", f"log({answer})")[0], cam)
        score[" ".join(words[:2])].add(cam, mask, objects, scenes.answers[row.argmax()] == answer)
    for one in score.values(): one.tell()

def decisions(model, count, rng, limn):
    """How much the value of the chosen action is above the mean of the other two."""
    drawn = [scenes.game(rng, held_out=True) for _ in range(count)]
    pictures = [np.array([picture for picture, _, _ in drawn], "float32")]
    chosen = model.predict(pictures, verbose=0).argmax(-1)
    above = lambda output: 1.5 * tf.gather(output, chosen, axis=1, batch_dims=1) - 0.5 * tf.reduce_sum(output, 1)
    maps, _ = grad_cam(model, pictures, above)
    either, each = Score("player: ball or paddle"), [Score("  of these, the ball"), Score("  of these, the paddle")]
    for (picture, objects, values), cam, action in zip(drawn, maps, chosen):
        others = [f"0.5*{a}" for a in scenes.actions if a != scenes.actions[action]]
        if limn: cam = limn.checked(limn(picture, "player", "--target", " - ".join([scenes.actions[action], *others]))[0], cam)
        right = values[action] > values.max() - 1e-9
        either.add(cam, objects[0]["mask"] | objects[1]["mask"], objects, right)
        for one, o in zip(each, objects): one.add(cam, o["mask"], objects, right)
    for one in (either, *each): one.tell()

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("models")
    parser.add_argument("--scenes", type=int, default=1000)
    parser.add_argument("--only")
    parser.add_argument("--limn")
    arguments = parser.parse_args()
    limn = Limn(arguments.limn, arguments.models) if arguments.limn else None
    for name, play in (("captioner", captions), ("answers", answers), ("player", decisions)):
        if arguments.only not in (None, name): continue
        model = keras.models.load_model(os.path.join(arguments.models, name + ".h5"), compile=False)
        play(model, arguments.scenes, np.random.default_rng([2, len(name)]), limn)
    if limn:
        print(f"limn's maps differ from Keras's by at most {limn.worst:.1e} of their largest value (limit 1e-4)")
        sys.exit(int(limn.worst > 1e-4))
