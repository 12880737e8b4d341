#!/usr/bin/env python3
"""Photos a second in training, limn against Keras on TensorFlow: one run, the same photos, the same number of threads.

usage: bench/training.py --data DIR [--photos N] [--threads T] [--rounds R] [--paws FILE] [--limn LIMN] [--only-keras]
       (any Python with keras, tensorflow and pillow; DIR holds train/CLASS/*.jpg, two classes)
       R rounds (default 3) in turns, limn then Keras; medians. A head on a frozen VGG16 without top (seeded random weights: the time
       is the same), 224x224: an epoch that computes the base's features, and one on features that are kept. With --paws (a Keras
       file or the JSON of its configuration): an epoch of that network from scratch. Batch 32, Adam, no augmentation, photos decoded.
"""
import argparse, csv, json, logging, os, pathlib, re, shutil, statistics, subprocess, sys, tempfile, time

# ---- limn's command lines: {limn} {data} {weights} {paws} {size} {threads} {out} are filled in -----------------------------

LIMN_HEAD = """{limn} train {data} --base {weights} --head gap --size 224x224 --preprocess caffe --augment none --epochs 3
               --batch 32 --optimizer adam --lr 0.001 --schedule constant --threads {threads} --log none --show 0 --out {out}"""
LIMN_PAWS = """{limn} train {data} --arch {paws} --size {size} --augment none --epochs 2 --warmup 0
               --batch 32 --optimizer adam --lr 0.001 --schedule constant --threads {threads} --log none --show 0 --out {out}"""

def limn_result(folder, stderr):
    """Photos/s of an epoch (median of all but the first, which warms up), and of the base's features (None without a base)."""
    with pathlib.Path(folder, "history.csv").open() as file:
        rates = [float(row["images_per_second"]) for row in csv.DictReader(file)]
    features = re.search(r"features of the training photos: \d+, ([\d.e+]+) photos/s", stderr)
    return statistics.median(rates[1:] or rates), features and float(features[1])

# ----------------------------------------------------------------------------------------------------------------------------

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("--data", required=True, help="folder with train/CLASS/*.jpg")
p.add_argument("--photos", type=int, default=256, help="how many, evenly of both classes")
p.add_argument("--threads", type=int, default=2)
p.add_argument("--rounds", type=int, default=3)
p.add_argument("--batch", type=int, default=32, help="of Keras; limn's is in its command lines")
p.add_argument("--paws", help="the small network: a Keras .h5 or .keras file, or its configuration as .json")
p.add_argument("--paws-size", default="128x128", help="where its configuration leaves the size open")
p.add_argument("--limn", default="build/release/limn")
p.add_argument("--only-keras", action="store_true")
p.add_argument("--only-paws", action="store_true", help="without VGG16, which takes minutes")
a = p.parse_args()
if a.only_paws and not a.paws:
    p.error("--only-paws needs --paws")

# TensorFlow reads these before it starts; oneDNN would else take every core.
for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
    os.environ[name] = str(a.threads)
os.environ["TF_NUM_INTEROP_THREADS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = ""
if hasattr(os, "sched_setaffinity"):                       # and no helper thread of either may use more; subprocesses inherit it
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:a.threads])
import keras, numpy as np, tensorflow as tf
from PIL import Image
tf.config.threading.set_intra_op_parallelism_threads(a.threads)
tf.config.threading.set_inter_op_parallelism_threads(1)
keras.utils.set_random_seed(1)
logging.getLogger("absl").setLevel(logging.ERROR)          # that .h5 is a legacy format

def choose_photos():
    folder = pathlib.Path(a.data, "train")
    classes = sorted(d for d in folder.iterdir() if d.is_dir())
    if len(classes) != 2:
        sys.exit(f"{folder}: {len(classes)} class folders; this compares a head of one sigmoid")
    chosen, spare = [], []                                 # spare: one more of each class, for limn to validate on
    for label, d in enumerate(classes):
        files = sorted(f for f in d.iterdir() if f.suffix.lower() in (".jpg", ".jpeg", ".png"))[:max(1, a.photos // 2) + 1]
        if len(files) < 2:
            sys.exit(f"{d}: too few photos")
        chosen += [(f, label) for f in files[:-1]]
        spare.append((files[-1], label))
    return [chosen[i] for i in np.random.default_rng(1).permutation(len(chosen))], spare

photos, validation_photos = choose_photos()
labels = np.array([label for _, label in photos], "float32")[:, None]

def decoded(height, width):
    x = np.empty((len(photos), height, width, 3), "uint8")
    for i, (f, _) in enumerate(photos):
        x[i] = np.asarray(Image.open(f).convert("RGB").resize((width, height), Image.BILINEAR))
    return x

def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start

def head_model(channels):
    model = keras.Sequential([keras.Input((7, 7, channels)), keras.layers.GlobalAveragePooling2D(),
                              keras.layers.Dense(1, activation="sigmoid")])
    model.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy", metrics=["accuracy"])
    return model

def fit(model, x, y):
    model.fit(x, y, batch_size=a.batch, epochs=1, shuffle=True, verbose=0)

def epoch_seconds(model, x, y, epochs):
    """Median of all but the first, which makes fit's own preparations: as limn_result does."""
    marks = []
    mark = keras.callbacks.LambdaCallback(on_epoch_begin=lambda *_: marks.append(-time.perf_counter()),
                                          on_epoch_end=lambda *_: marks.append(time.perf_counter()))
    model.fit(x, y, batch_size=a.batch, epochs=epochs, shuffle=True, verbose=0, callbacks=[mark])
    return statistics.median([begin + end for begin, end in zip(marks[::2], marks[1::2])][1:])

# ---- the head on frozen VGG16 ----------------------------------------------------------------------------------------------

class KerasHead:
    """First epoch: model.predict of the base, then fit; later epochs: fit on the kept features."""
    def __init__(self):
        self.x = keras.applications.vgg16.preprocess_input(decoded(224, 224).astype("float32"))   # decoded and prepared: not counted
        self.base = keras.applications.VGG16(weights=None, include_top=False, input_shape=(224, 224, 3))
        self.base.trainable = False
        self.head = head_model(512)
        warm = self.x[:a.batch]                            # traces both functions
        fit(self.head, self.base.predict(warm, batch_size=a.batch, verbose=0), labels[:len(warm)])
        # a last, smaller batch is another trace
        if rest := len(photos) % a.batch:
            fit(self.head, self.base.predict(self.x[:rest], batch_size=a.batch, verbose=0), labels[:rest])

    def round(self):
        kept = {}
        base = seconds(lambda: kept.update(x=self.base.predict(self.x, batch_size=a.batch, verbose=0)))
        head = epoch_seconds(self.head, kept["x"], labels, 6)
        return {"head, with the base": len(photos) / (base + head), "head, features kept": len(photos) / head}

# ---- a small network from scratch -------------------------------------------------------------------------------------------

def paws_config():
    """Its configuration without weights; inputs of an open size get --paws-size."""
    if a.paws.endswith(".json"):
        text = pathlib.Path(a.paws).read_text()
    elif a.paws.endswith(".keras"):
        text = keras.models.load_model(a.paws, compile=False).to_json()
    else:
        import h5py
        with h5py.File(a.paws) as file:
            text = file.attrs["model_config"]
    config = json.loads(text)
    size = [int(v) for v in a.paws_size.split("x")]
    for layer in config["config"]["layers"]:
        if layer["class_name"] == "InputLayer":
            c = layer["config"]
            shape = c.get("batch_shape") or c.get("batch_input_shape")
            shape[1:3] = [given or wanted for given, wanted in zip(shape[1:3], size)]
            return json.dumps(config), tuple(shape[1:3])
    sys.exit(f"{a.paws}: no InputLayer in its configuration")

class KerasPaws:
    def __init__(self, config, size):
        config = json.loads(config)
        kind = keras.Sequential if config["class_name"] == "Sequential" else keras.Model
        self.model = kind.from_config(config["config"])    # fresh weights of Keras's initialisers
        self.model.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy", metrics=["accuracy"])
        self.x = decoded(*size).astype("float32")
        fit(self.model, self.x[:a.batch], labels[:a.batch])
        if rest := len(photos) % a.batch:
            fit(self.model, self.x[:rest], labels[:rest])

    def round(self):
        return {"paws from scratch": len(photos) / epoch_seconds(self.model, self.x, labels, 2)}

# ---- limn ------------------------------------------------------------------------------------------------------------------

def limn_folder(folder):
    """The same photos, as links. limn validates after each epoch, outside its photos/s."""
    for part, some in ("train", photos), ("val", validation_photos):
        for f, _ in some:
            target = pathlib.Path(folder, part, f.parent.name)
            target.mkdir(parents=True, exist_ok=True)
            (target / f.name).symlink_to(f.resolve())

def limn_train(command, **fields):
    with tempfile.TemporaryDirectory() as out:
        words = [w.format(limn=a.limn, threads=a.threads, out=os.path.join(out, "run"), **fields) for w in command.split()]
        child = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if child.returncode:
            sys.exit(" ".join(words) + "\n" + child.stderr[-2000:])
        return limn_result(os.path.join(out, "run"), child.stderr)

def limn_head(folder, weights):
    rate, features = limn_train(LIMN_HEAD, data=folder, weights=weights)
    return {"head, with the base": 1 / (1 / features + 1 / rate), "head, features kept": rate}

def limn_paws(folder, paws, size):
    return {"paws from scratch": limn_train(LIMN_PAWS, data=folder, paws=paws, size=size)[0]}

# ---- rounds in turns -------------------------------------------------------------------------------------------------------

with tempfile.TemporaryDirectory() as folder:
    sides = []                                             # (who, what runs a round)
    if not a.only_keras:
        if not shutil.which(a.limn):
            sys.exit(f"{a.limn}: not there; build it, or give --limn or --only-keras")
        data = os.path.join(folder, "photos")
        limn_folder(data)
    if not a.only_paws:
        keras_head = KerasHead()
        if not a.only_keras:
            weights = os.path.join(folder, "vgg16-notop.h5")
            keras_head.base.save(weights)
            sides.append(("limn", lambda: limn_head(data, weights)))
        sides.append(("keras", keras_head.round))
    if a.paws:
        config, size = paws_config()
        if not a.only_keras:
            paws = os.path.join(folder, "paws.json")
            pathlib.Path(paws).write_text(config)
            sides.append(("limn", lambda: limn_paws(data, paws, "{}x{}".format(*size))))
        sides.append(("keras", KerasPaws(config, size).round))
    rates = {}
    for r in range(a.rounds):
        for who, work in sides:
            for case, rate in work().items():
                rates.setdefault(case, {}).setdefault(who, []).append(rate)
        print(f"round {r + 1} of {a.rounds} done", file=sys.stderr, flush=True)

print(f"{len(photos)} photos, batch {a.batch}, {a.threads} threads, medians of {a.rounds} rounds (least to most); "
      f"Keras {keras.__version__}, TensorFlow {tf.__version__}")
print(f"{'photos/s':22s} {'limn':>26s} {'Keras':>26s}   limn/Keras")
result = {"photos": len(photos), "batch": a.batch, "threads": a.threads, "rounds": a.rounds, "keras": keras.__version__,
          "tensorflow": tf.__version__, "cases": {}}
for case, by in rates.items():
    middle = {who: statistics.median(v) for who, v in by.items()}
    cell = lambda who: f"{middle[who]:.1f} ({min(by[who]):.1f} to {max(by[who]):.1f})" if who in middle else "-"
    ratio = middle["limn"] / middle["keras"] if "limn" in middle else None
    print(f"{case:22s} {cell('limn'):>26s} {cell('keras'):>26s}   {f'{ratio:.2f}' if ratio else '-'}")
    result["cases"][case] = {**middle, "ratio": ratio}
print(json.dumps(result))
