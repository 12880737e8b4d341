#!/usr/bin/env python3
"""Do the maps point at the animal? The pointing game (Zhang et al. 2016) on photos with foreground masks.

usage: bench/pointing.py --data DIR [--model FILE|NAME] [--method cam,grad-cam] [--limn build/release/limn]
       (needs numpy and pillow; DIR holds images/NAME.jpg and trimaps/NAME.png, as the Oxford-IIIT Pet data set: 1 = animal)
       A photo is a hit if the cell with the largest value, enlarged to the photo, has its peak on the animal. Beside it: the
       share of the photo that is animal (what a random point would hit) and the photo's centre.
"""
import argparse, json, os, pathlib, subprocess, tempfile
import numpy as np
from PIL import Image

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("--data", required=True)
p.add_argument("--model", default="paws")
p.add_argument("--method", default="cam,grad-cam")
p.add_argument("--limn", default="build/release/limn")
a = p.parse_args()

photos = sorted(f for f in pathlib.Path(a.data, "images").iterdir() if pathlib.Path(a.data, "trimaps", f.stem + ".png").exists())
hits, random, centre, right = {m: [] for m in a.method.split(",")}, [], [], []
with tempfile.TemporaryDirectory() as out:
    command = [a.limn, "explain", *map(str, photos), "--model", a.model, "--method", a.method, "--save", "npy", "--json", "--out", out]
    answer = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)
    for photo, found in zip(photos, answer["images"]):
        animal = np.array(Image.open(pathlib.Path(a.data, "trimaps", photo.stem + ".png"))) == 1
        h, w = animal.shape
        random.append(animal.mean())
        centre.append(animal[h // 2, w // 2])
        for m in found["maps"]:
            raw = np.load(m["files"][0])
            # the peak of the enlarged map lies at the centre of its largest cell
            i, j = np.unravel_index(raw.argmax(), raw.shape)
            hits[m["method"]].append(animal[int((i + 0.5) * h / raw.shape[0]), int((j + 0.5) * w / raw.shape[1])])
        label = found["predictions"][0]["label"]
        right.append(label == ("dog" if photo.stem[0].islower() else "cat"))   # the data set writes cats with a capital

print(f"{len(photos)} photos, model {a.model}; as cat or dog it knows {np.mean(right):.1%}")
for method, list_ in hits.items():
    print(f"pointing {method:10s} {np.mean(list_):6.1%}")
print(f"a random point      {np.mean(random):6.1%}\nthe centre          {np.mean(centre):6.1%}")
