#!/usr/bin/env python3
"""VGG16 and VGG19 written by `limn init`, opened by real Keras: the same outputs, and maps that agree with TensorFlow's.

usage: vgg16.py LIMN            (see tests/keras/run)      exits with 1 if a difference is larger than it says
"""
import os, subprocess, sys, tempfile
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras, numpy as np, tensorflow as tf

limn, failures = sys.argv[1], 0

def call(*arguments):
    subprocess.run([limn, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

def report(what, found, expected, limit):
    global failures
    error = float(np.abs(found - expected).max() / np.abs(expected).max())
    failures += not error <= limit
    print(f"{what:60s} relative difference {error:.2e}  (limit {limit:.0e})", flush=True)

with tempfile.TemporaryDirectory() as folder:
    path = lambda name: os.path.join(folder, name)
    rng = np.random.default_rng(3)

    call("init", "vgg16", "--seed", 7, "-o", path("vgg16.h5"))
    model = keras.applications.VGG16(weights=path("vgg16.h5"))
    x = rng.uniform(-2, 2, (2, 224, 224, 3)).astype("float32")   # small: He weights keep the size, and a softmax of 100s is all 0 and 1
    np.save(path("x.npy"), x)
    layers = [l.name for l in model.layers if "conv" in l.name]
    call("run", path("vgg16.h5"), "--input", path("x.npy"), "--out", path("all"), "--target", "0:281", *[a for l in layers for a in ("--layer", l)])
    expected = model(x).numpy()
    report("VGG16 224x224, output", np.load(path("all/output0.npy")), expected, 1e-4)

    # Grad-CAM at every convolution by TensorFlow, of the softmax output as `limn run` explains it. Far below the target a
    # ReLU or a pool may fall the other way by rounding alone, so TensorFlow in double is the truth for both.
    def maps(dtype):
        keras.config.set_dtype_policy(dtype)
        twin = keras.applications.VGG16(weights=path("vgg16.h5"))
        keras.config.set_dtype_policy("float32")
        watched = []
        with tf.GradientTape() as tape:
            values = tf.constant(x.astype(dtype))
            for layer in twin.layers[1:]:
                values = layer(values)
                if layer.name in layers:
                    tape.watch(values)
                    watched.append(values)
            target = values[:, 281]
        return {n: tf.reduce_sum(tf.reduce_mean(g, (1, 2), keepdims=True) * a, -1).numpy() for n, a, g in zip(layers, watched, tape.gradient(target, watched))}
    truth, float32 = maps("float64"), maps("float32")
    for name in layers:
        own = np.abs(float32[name] - truth[name]).max() / np.abs(truth[name]).max()
        report(f"Grad-CAM at {name} (TensorFlow's own error {own:.1e})", np.load(path(f"all/{name}.gradcam.npy")), truth[name], max(1e-4, 3 * own))

    # one backward for thirteen layers against thirteen of their own
    same = True
    for name in layers:
        call("run", path("vgg16.h5"), "--input", path("x.npy"), "--out", path("one"), "--target", "0:281", "--layer", name)
        same &= open(path(f"all/{name}.gradcam.npy"), "rb").read() == open(path(f"one/{name}.gradcam.npy"), "rb").read()
    print("Grad-CAM at 13 layers in one backward, the same bytes as 13 separate ones:", "yes" if same else "NO")
    failures += not same
    os.remove(path("vgg16.h5"))

    call("init", "vgg16", "--no-top", "--seed", 8, "-o", path("notop.h5"))
    model = keras.applications.VGG16(weights=path("notop.h5"), include_top=False, input_shape=(None, None, 3))
    x = rng.uniform(-110, 140, (1, 375, 500, 3)).astype("float32")
    np.save(path("x.npy"), x)
    call("run", path("notop.h5"), "--input", path("x.npy"), "--out", path("notop"))
    report("VGG16 without top, 375x500", np.load(path("notop/output0.npy")), model(x).numpy(), 1e-4)

    call("init", "vgg19", "--no-top", "--seed", 9, "-o", path("vgg19.h5"))
    model = keras.applications.VGG19(weights=path("vgg19.h5"), include_top=False)
    call("run", path("vgg19.h5"), "--input", path("x.npy"), "--out", path("vgg19"))
    report("VGG19 without top, 375x500", np.load(path("vgg19/output0.npy")), model(x).numpy(), 1e-4)
sys.exit(int(failures > 0))
