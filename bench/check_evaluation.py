#!/usr/bin/env python3
"""Are the numbers of `limn evaluate` right? Computes some again from the maps of `limn explain`, with NumPy, OpenCV and scikit-learn.

usage: bench/check_evaluation.py --data DIR [--model FILE|NAME] [--method grad-cam] [--limn build/release/limn]
       (needs numpy, opencv-python-headless, pillow, scikit-learn; DIR holds images/NAME.jpg and trimaps/NAME.png, as the Oxford-IIIT
       Pet data set: 1 = animal, 2 = background, 3 = border)
"""
import argparse, json, pathlib, subprocess, sys, tempfile
import cv2
import numpy as np
from PIL import Image
from sklearn.metrics import average_precision_score

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("--data", required=True)
p.add_argument("--model", default="paws")
p.add_argument("--method", default="grad-cam")
p.add_argument("--limn", default="build/release/limn")
a = p.parse_args()

data = pathlib.Path(a.data)
thresholds = np.arange(100) / 100


def enlarged(raw, height, width):
    heat = np.maximum(raw, 0)
    heat = cv2.resize(heat / max(heat.max(), 1e-30), (width, height), interpolation=cv2.INTER_LINEAR)
    return heat / max(heat.max(), 1e-30)


def box_at(heat, threshold):
    levels = (heat.astype(np.float64) * 255).astype(np.uint8)
    _, white = cv2.threshold(levels, int(threshold * levels.max()), 255, cv2.THRESH_BINARY)
    found = cv2.findContours(white, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[-2]
    if not found:
        return 0, 0, 0, 0
    x, y, w, h = cv2.boundingRect(max(found, key=cv2.contourArea))
    return x, y, min(x + w, heat.shape[1] - 1), min(y + h, heat.shape[0] - 1)


def overlap(a, b):
    area = lambda r: max(0, r[2] - r[0] + 1) * max(0, r[3] - r[1] + 1)
    common = area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))
    return common / (area(a) + area(b) - common)


def run(*arguments):
    answer = subprocess.run([a.limn, *map(str, arguments)], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return json.loads(answer)


photos = sorted(f for f in (data / "images").iterdir() if (data / "trimaps" / (f.stem + ".png")).exists())
pointing, energy, precision, right = [], [], [], []
object_pixels, other_pixels = np.zeros(101), np.zeros(101)
common = ["--model", a.model, "--method", a.method, "--json", "--out"]
with tempfile.TemporaryDirectory() as maps, tempfile.TemporaryDirectory() as out:
    explained = run("explain", *photos, "--save", "npy", *common, maps)["images"]
    evaluated = run("evaluate", data / "images", "--masks", data / "trimaps", *common, out)["methods"][0]["numbers"]
    for photo, found in zip(photos, explained):
        raw = np.load(found["maps"][0]["files"][0])
        trimap = np.array(Image.open(data / "trimaps" / (photo.stem + ".png")))
        animal, certain = trimap == 1, trimap != 3
        heat, square = enlarged(raw, *trimap.shape), enlarged(raw, 224, 224)
        pointing.append(animal.flat[heat.argmax()])
        energy.append(heat[animal].sum() / heat[certain].sum())
        precision.append(average_precision_score(animal[certain], heat[certain]))
        y, x = np.nonzero(animal)
        h, w = trimap.shape
        box = [int(v) for v in (x.min() * 224 / w, y.min() * 224 / h, x.max() * 224 / w, y.max() * 224 / h)]
        right.append([overlap(box_at(square, t), box) >= 0.5 for t in thresholds])
        small = cv2.resize(trimap, (224, 224), interpolation=cv2.INTER_NEAREST)
        edges = np.append(thresholds, [1.0, 2.0])
        object_pixels += np.histogram(square[small == 1], bins=edges)[0]
        other_pixels += np.histogram(square[small == 2], bins=edges)[0]

true, false = object_pixels[::-1].cumsum(), other_pixels[::-1].cumsum()
expected = {
    "pointing": np.mean(pointing), "energy": np.mean(energy), "ap": np.mean(precision), "maxboxacc": np.mean(right, axis=0).max(),
    "pxap": (true / np.maximum(1, true + false) * np.diff(true / true[-1], prepend=0)).sum(),
}
worst = 0
for name, value in expected.items():
    limn = evaluated[name]["value"]
    worst = max(worst, abs(limn - 100 * value))
    print(f"{name:10s} limn {limn:8.4f}   again {100 * value:8.4f}")
sys.exit(int(worst > 0.01))  # points; only bin edges of pxap round differently
