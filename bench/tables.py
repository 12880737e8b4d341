#!/usr/bin/env python3
"""docs/evaluation.md's tables: all methods and metrics on photos with masks, three networks. A run that was stopped goes on where it was.

usage: bench/tables.py --data DIR [--out build/tables] [--limn build/release/limn] [--only RUN...] [--print]
       RUN: paws, mobilenet, squeezenet, each also with -rise, -slow, -slow-more or -slow-rise
       DIR holds pets/ (images, trimaps) and models/; --print: only the tables of what is there
"""
import argparse, csv, pathlib, subprocess

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("--data", type=pathlib.Path, required=True)
p.add_argument("--out", type=pathlib.Path, default="build/tables")
p.add_argument("--limn", default="build/release/limn")
p.add_argument("--print", action="store_true", dest="only_print")
p.add_argument("--only", nargs="*")
a = p.parse_args()

methods = ("grad-cam cam hirescam grad-cam++ xgrad-cam layercam eigen-cam eigengrad-cam score-cam ablation-cam recipro-cam guided-grad-cam saliency "
           "gradient-x-input guided-backprop deconvnet smoothgrad integrated-gradients fullgrad occlusion").split()
quick = ("grad-cam cam hirescam grad-cam++ layercam eigen-cam recipro-cam ablation-cam guided-grad-cam saliency gradient-x-input guided-backprop "
         "integrated-gradients fullgrad").split()
more = [method for method in methods if method not in quick]
slow = "insertion deletion road sensitivity sanity-rank sanity-ssim".split()            # many maps and runs a photo: 24 photos
metrics = "pointing energy ap pxap iou-15 iou-20 maxboxacc maxboxacc-v2 drop increase".split()
animals = ["--target", "best:151-268,281-285"]      # ImageNet's dogs and cats
networks = {"paws": ["--model", "paws"],
            "mobilenet": ["--model", a.data / "models/mobilenet_v1_0.25_224.h5", *animals],
            "squeezenet": ["--model", a.data / "models/squeezenet11_full.h5", *animals]}

def rate(name, model, chosen, columns, *more):
    """The rows of one run's results.csv, the methods before the baselines; none if it has not ended."""
    out = a.out / name
    if not a.only_print and (not a.only or name in a.only):
        a.out.mkdir(parents=True, exist_ok=True)
        with open(a.out / f"{name}.txt", "w") as text:
            subprocess.run([a.limn, "evaluate", a.data / "pets/images", "--masks", a.data / "pets/trimaps", *model, "--method", ",".join(chosen),
                            "--metrics", ",".join(columns), "--out", out, *more], check=True, stdout=text)
    return list(csv.DictReader(open(out / "results.csv"))) if (out / "results.csv").exists() else []

def show(title, rows, columns, digits):
    if not rows:
        return
    photos = max(int(rows[0][f"{m} photos"]) for m in columns)
    print(f"\n{title}, {photos} photos\n\n| | " + " | ".join(columns) + " |\n|---|" + "---|" * len(columns))
    for row in rows:
        numbers = [f"{float(row[m]):.{digits}f}" if row[m] else "" for m in columns]
        print(f"| {'*' + row['method'] + '*' if row['baseline'] == 'yes' else row['method']} | " + " | ".join(numbers) + " |")

def together(*runs):
    """The methods of several runs in our order, then the first run's baselines."""
    rows = [row for run in runs for row in run if row["baseline"] == "no"]
    return sorted(rows, key=lambda row: (methods + ["rise"]).index(row["method"])) + [row for row in runs[0] if row["baseline"] == "yes"]

rise = ["--samples", "500"]     # a quarter of its usual masks
for name, model in networks.items():
    show(name, together(rate(name, model, methods, metrics), rate(f"{name}-rise", model, ["rise"], metrics, *rise)), metrics, 1)
few = ["--limit", "24"]
for name, model in networks.items():
    runs = [rate(f"{name}-slow{part}", model, chosen, slow, *few, *options)
            for part, chosen, options in (("", quick, []), ("-more", more, []), ("-rise", ["rise"], rise))]
    show(f"{name}, slow metrics", together(*runs), slow, 3)
