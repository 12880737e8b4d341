#!/usr/bin/env python3
"""Files that limn writes, opened by real Keras: the same outputs; and the published layout trained a little by both.

usage: saved_models.py LIMN            (see tests/keras/run)      exits with 1 if a difference is larger than it says
"""
import json, os, subprocess, sys, tempfile
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import h5py, keras, numpy as np
from PIL import Image

limn, failures = sys.argv[1], 0
rng = np.random.default_rng(5)

def call(*arguments):
    return subprocess.run([limn, *map(str, arguments)], check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True).stdout

def compare(what, model_file, shape, largest=255, limit=2e-5):
    """With seeded noise up to `largest`: a sigmoid that is full, 0 or 1, would compare nothing and counts as a failure."""
    global failures
    x = rng.uniform(0, largest, shape).astype("float32")
    with tempfile.TemporaryDirectory() as out:
        np.save(os.path.join(out, "x.npy"), x)
        call("run", model_file, "--input", os.path.join(out, "x.npy"), "--out", out)
        found = np.load(os.path.join(out, "output0.npy"))
    expected = keras.models.load_model(model_file, compile=False)(x).numpy()
    error = float((np.abs(found - expected) / np.minimum(expected, 1 - expected)).max())
    failures += not (error <= limit and np.all(expected > 1e-4) and np.all(expected < 1 - 1e-4))
    print(f"{what:60s} {expected.ravel()}  relative difference {error:.2e}  (limit {limit:.0e})", flush=True)

def photos(folder):
    for name, colour in (("grey", 128), ("red", 190)):
        os.makedirs(os.path.join(folder, name))
        for i in range(10):
            pixels = rng.uniform(-60, 60, (40, 48, 3)) + (colour, 128, 128)
            Image.fromarray(pixels.clip(0, 255).astype("uint8")).save(os.path.join(folder, name, f"{i}.png"))

with tempfile.TemporaryDirectory() as folder:
    path = lambda name: os.path.join(folder, name)
    photos(path("photos"))
    call("init", "vgg16", "--no-top", "-o", path("vgg16.h5"))
    call("init", "squeezenet", "--no-top", "-o", path("squeezenet.h5"))
    for head in ("gap", "gap-dense64", "flatten-dense16"):
        call("train", path("photos"), "--base", path("vgg16.h5"), "--head", head, "--size", "48x64", "--epochs", 2, "--log", "none", "--out", path(head))
        compare(f"VGG16 with head {head}", path(head + "/best.h5"), (2, 48, 64, 3), 0.1)
    call("train", path("photos"), "--base", path("squeezenet.h5"), "--size", "64x64", "--epochs", 2, "--log", "none", "--out", path("squeeze"))
    compare("SqueezeNet (names with '/') with a head", path("squeeze/best.h5"), (2, 64, 80, 3), 0.1)
    for store in ("float32", "float16"):
        call("train", path("photos"), "--arch", "paws", "--size", "64x64", "--epochs", 1, "--batch", 8, "--store", store, "--log", "none", "--out", path(store))
        compare(f"paws from scratch, stored as {store}", path(store + "/best.h5"), (2, 64, 48, 3))
    with h5py.File(path("float16/best.h5")) as file:
        kept = {k: file.attrs[k] for k in ("labels", "preprocess", "size", "resize")}
        print("attributes:", {k: [str(s) for s in v] if k == "labels" else str(v) for k, v in kept.items()})
    json.loads(call("inspect", path("float16/best.h5"), "--keras-config"))
    bundled = os.path.join(os.path.dirname(__file__), "..", "..", "weights", "models", "paws.h5")
    compare("the bundled paws.h5", bundled, (2, 128, 128, 3))
sys.exit(1 if failures else 0)
