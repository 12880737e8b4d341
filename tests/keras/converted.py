#!/usr/bin/env python3
"""Files that `limn convert` writes, opened by real Keras: the same outputs as `limn run` gives for the original.

usage: converted.py LIMN FILE... [--config FILE] [--lambda TEXT]     (see tests/keras/run)   both forms, .h5 and .keras
       exits with 1 unless every output is within 1e-4 of its maximum
"""
import argparse, os, pathlib, subprocess, sys, tempfile
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras, numpy as np

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("limn"); p.add_argument("files", nargs="+"); p.add_argument("--config"); p.add_argument("--lambda", dest="stated")
a = p.parse_args()
options = (["--config", a.config] if a.config else []) + (["--lambda", a.stated] if a.stated else [])
good = 0
for file in a.files:
    told = []
    for form in ("h5", "keras"):
        try:
            with tempfile.TemporaryDirectory() as folder:
                out = pathlib.Path(folder)
                call = lambda *words: subprocess.run([a.limn, *map(str, words)], check=True, capture_output=True, text=True)
                call("convert", file, out / f"m.{form}", *options)
                model = keras.models.load_model(out / f"m.{form}", compile=False)
                rng, inputs, given = np.random.default_rng(3), [], []
                for i, tensor in enumerate(model.inputs):
                    shape = [2] + [s or 32 for s in tensor.shape[1:]]
                    # names of words are small whole numbers
                    words = "int" in str(tensor.dtype) or len(shape) == 2 and any(isinstance(l, keras.layers.Embedding) for l in model.layers)
                    x = rng.integers(0, 3, shape).astype("float32") if words else rng.uniform(0, 1, shape).astype("float32")
                    formats = {getattr(l, "data_format", None) for l in model._flatten_layers() if "2D" in type(l).__name__} - {None}
                    first = len(shape) == 4 and formats == {"channels_first"}
                    np.save(out / f"x{i}.npy", x.transpose(0, 2, 3, 1) if first else x)       # limn takes NHWC
                    inputs.append(x); given += ["--input", out / f"x{i}.npy"]
                expected = model(inputs if len(inputs) > 1 else inputs[0])
                expected = expected if isinstance(expected, (list, tuple)) else [expected]
                call("run", file, *given, "--out", out, *options)
                error = max(float(np.abs(np.load(out / f"output{i}.npy") - np.asarray(e)).max() / max(np.abs(np.asarray(e)).max(), 1e-30)) for i, e in enumerate(expected))
                good += error <= 1e-4
                told.append(f".{form} {error:.1e}")
        except subprocess.CalledProcessError as e:
            told.append(f".{form} limn: {e.stderr.strip().splitlines()[-1][:160]}")
        except Exception as e:
            told.append(f".{form} {type(e).__name__}: {str(e).splitlines()[0][:160]}")
    print(f"{pathlib.Path(file).name:60s} {'   '.join(told)}", flush=True)
print(f"{good} of {2 * len(a.files)}")
sys.exit(int(good < 2 * len(a.files)))
