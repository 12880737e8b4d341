#!/usr/bin/env python3
"""Every network of keras.applications, saved by real Keras as .h5 and run by limn: the same numbers.

usage: applications.py LIMN [--results FILE] [NAME...]        (see tests/keras/run; default: all, build/applications.jsonl)
exits with 1 if an output differs by more than 1e-4 of its largest value, or if a network says too little to compare

Each network is built without published weights, for a small image of odd sides, and gets seeded weights that keep it alive: kernels
that keep the variance (He et al. 2015), and moving averages taken from a batch, then moved a little, so that no layer dies, explodes or
does nothing. Compared are three outputs: the softmax, the logits, and the last feature map. A finished network is a line of FILE
and is not run again; the file of weights is deleted after use.
"""
import argparse, json, os, subprocess, sys, tempfile, time

LIMIT = 1e-4

# name: height, width. 97x79 where nothing is said.
SIZES = {"InceptionV3": (107, 97), "InceptionResNetV2": (107, 97), "Xception": (97, 81), "VGG16": (97, 79), "VGG19": (97, 79)}
NAMES = """VGG16 VGG19 ResNet50 ResNet101 ResNet152 ResNet50V2 ResNet101V2 ResNet152V2 InceptionV3 InceptionResNetV2 Xception
    MobileNet MobileNetV2 MobileNetV3Small MobileNetV3Large DenseNet121 DenseNet169 DenseNet201 NASNetMobile NASNetLarge
    EfficientNetB0 EfficientNetB1 EfficientNetB2 EfficientNetB3 EfficientNetB4 EfficientNetB5 EfficientNetB6 EfficientNetB7
    EfficientNetV2B0 EfficientNetV2B1 EfficientNetV2B2 EfficientNetV2B3 EfficientNetV2S EfficientNetV2M EfficientNetV2L
    ConvNeXtTiny ConvNeXtSmall ConvNeXtBase ConvNeXtLarge ConvNeXtXLarge""".split()

def images(np, rng, count, height, width):
    """Coarse noise under fine noise, 0 to 255: no two places look the same, and neither do two images."""
    coarse = rng.uniform(40, 215, (count, height // 8 + 1, width // 8 + 1, 3)).repeat(8, 1).repeat(8, 2)[:, :height, :width]
    return (coarse + rng.uniform(-40, 40, coarse.shape)).astype("float32")

def is_branch(layer):
    """Is its output added to what passed it by unchanged? Such a branch counts for a tenth, all of them together for as much. Were each to
    count in full, a rounding would grow from block to block: ResNet152 in float32 would differ by 4e-4 from itself in double."""
    def sums_behind(operation):
        for node in operation._outbound_nodes:
            kind = type(node.operation).__name__
            if kind in ("Add", "CustomScaleLayer"):
                yield node
            elif kind in ("Dropout", "Activation"):
                yield from sums_behind(node.operation)
    return any(not getattr(t._keras_history.operation, "weights", None) and type(t._keras_history.operation).__name__ != "Dropout"
               for node in sums_behind(layer) for t in node.input_tensors)

def bring_to_life(keras, np, model, rng, batch):
    for layer in model._flatten_layers(include_self=False, recursive=True):
        for w in layer._trainable_variables + layer._non_trainable_variables:
            noise = rng.standard_normal(w.shape).astype("float32")
            kind = type(layer).__name__
            share = 0.1 if is_branch(layer) else 1.0
            if w.name.endswith("kernel"):
                fan = np.prod(w.shape[:2]) if kind == "DepthwiseConv2D" or w.name == "depthwise_kernel" else np.prod(w.shape[:-1])
                value = share * noise * np.sqrt(2 / fan)
            elif kind == "LayerScale":
                value = 0.3 * np.exp(0.2 * noise)
            elif w.name == "gamma":
                value = share * np.exp(0.1 * noise)
            elif w.name in ("bias", "beta"):
                value = share * 0.1 * noise
            elif kind == "Normalization":
                value = {"mean": 0.5 + 0.05 * noise, "variance": 0.07 * np.exp(0.2 * noise), "count": 1}[w.name]
            else:
                continue                                                     # moving averages: below
            w.assign(value)
        if type(layer) is keras.layers.Normalization:
            layer.finalize_state()                                           # takes over mean and variance
    norms = [l for l in model._flatten_layers() if isinstance(l, keras.layers.BatchNormalization)]
    if norms:
        for l in norms:
            l.momentum = 0.0                                                 # one batch sets the averages
        model(batch, training=True)
        for l in norms:
            l.momentum = 0.99
            variance = np.asarray(l.moving_variance)
            l.moving_mean.assign_add(0.1 * np.sqrt(variance) * rng.standard_normal(variance.shape).astype("float32"))
            l.moving_variance.assign(variance * np.exp(0.1 * rng.standard_normal(variance.shape)) + 1e-3)
    logits = np.asarray(model(batch)[1])                                     # so that the softmax is neither flat nor full
    for w in [l for l in model.layers if l.weights][-1].weights:
        w.assign(w / logits.std())

def one(limn, name):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras, numpy as np
    height, width = SIZES.get(name, (97, 79))
    rng = np.random.default_rng(sum(map(ord, name)))
    base = getattr(keras.applications, name)(weights=None, input_shape=(height, width, 3), classifier_activation=None)
    maps = [l.output for l in base.layers if not isinstance(l.output, list) and len(l.output.shape) == 4 and l.output.shape[1] > 1]
    model = keras.Model(base.input, [keras.layers.Softmax(name="softmax")(base.output), base.output, maps[-1]], name=name.lower())
    preprocessed = any(isinstance(l, (keras.layers.Rescaling, keras.layers.Normalization)) for l in model.layers)
    pictures = images(np, rng, 6, height, width)
    if not preprocessed:
        pictures = pictures / 127.5 - 1
    bring_to_life(keras, np, model, rng, pictures[2:])
    x = pictures[:2]
    expected = [np.asarray(y) for y in model(x, training=False)]
    row = dict(name=name, size=f"{height}x{width}", layers=len(base.layers), parameters=int(base.count_params()))
    with tempfile.TemporaryDirectory() as folder:
        model.save(os.path.join(folder, "model.h5"))
        np.save(os.path.join(folder, "x.npy"), x)
        start = time.time()
        said = subprocess.run([limn, "run", os.path.join(folder, "model.h5"), "--input", os.path.join(folder, "x.npy"), "--out", folder],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        row["seconds"] = round(time.time() - start, 2)
        if said.returncode:
            return row | dict(ok=False, why=said.stdout.strip())
        found = [np.load(os.path.join(folder, f"output{i}.npy")) for i in range(3)]
    row["errors"] = [float(np.abs(f - e).max() / np.abs(e).max()) for f, e in zip(found, expected)]
    probability, logits, feature = expected
    row["largest"], row["apart"] = float(probability.max()), float(np.abs(logits[0] - logits[1]).max() / np.abs(logits).max())
    row["alive"] = float(np.mean(np.abs(feature) > 1e-3 * np.abs(feature).max()))
    # one class must not have it all, the two images must differ, and a good part of the last map must not be zero
    row["speaks"] = row["largest"] < 0.99 and row["apart"] > 0.02 and row["alive"] > 0.1 and bool(np.isfinite(logits).all())
    return row | dict(ok=bool(row["speaks"] and max(row["errors"]) <= LIMIT))

def show(row):
    if "errors" not in row:
        return f"| {row['name']} | {row['size']} | {row['layers']} | {row['parameters']:,} | {row['why']} | | | |"
    errors = " | ".join(f"{e:.1e}" for e in row["errors"])
    note = "" if row["ok"] else " **differs**" if row["speaks"] else " **says too little**"
    return f"| {row['name']} | {row['size']} | {row['layers']} | {row['parameters']:,} | {errors} | {row['seconds']:.1f}{note} |"

def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("limn")
    parser.add_argument("names", nargs="*", default=[])
    parser.add_argument("--results", default="build/applications.jsonl")
    parser.add_argument("--one", action="store_true", help="run the named one here and print its line (used by itself)")
    options = parser.parse_args()
    if options.one:
        print("RESULT " + json.dumps(one(options.limn, options.names[0])))
        return
    names, done = options.names or NAMES, {}
    if os.path.exists(options.results):
        with open(options.results) as file:
            done = {row["name"]: row for row in map(json.loads, file) if row["ok"]}
    print("| network | image | layers | parameters | softmax | logits | feature map | seconds |\n|---|---|---|---|---|---|---|---|")
    for name in names:
        if name not in done:                                                 # a process of its own: its memory goes with it
            said = subprocess.run([sys.executable, __file__, options.limn, name, "--one"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            lines = [l for l in said.stdout.splitlines() if l.startswith("RESULT ")]
            why = (said.stderr.strip().splitlines() or ["ended"])[-1]
            done[name] = json.loads(lines[0][7:]) if lines else dict(name=name, size="", layers=0, parameters=0, ok=False, why=why)
            with open(options.results, "a") as file:
                file.write(json.dumps(done[name]) + "\n")
        print(show(done[name]), flush=True)
    good = sum(done[name]["ok"] for name in names)
    print(f"\n{good} of {len(names)}: every output within {LIMIT:g} of its largest value")
    sys.exit(0 if good == len(names) else 1)

main()
