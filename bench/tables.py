#!/usr/bin/env python3
"""docs/evaluation.md's tables: all methods and metrics on photos with masks, three networks. A run that was stopped goes on where it was.

usage: bench/tables.py --data DIR [--out build/tables] [--limn build/release/limn] [--print]
       DIR holds pets/ (images, trimaps) and models/; --print: only the tables of what is there
"""
import argparse, csv, pathlib, subprocess

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("--data", type=pathlib.Path, required=True)
p.add_argument("--out", type=pathlib.Path, default="build/tables")
p.add_argument("--limn", default="build/release/limn")
p.add_argument("--print", action="store_true", dest="only_print")
a = p.parse_args()

methods = ("grad-cam cam hirescam grad-cam++ xgrad-cam layercam eigen-cam eigengrad-cam score-cam ablation-cam recipro-cam guided-grad-cam saliency "
           "gradient-x-input guided-backprop deconvnet smoothgrad integrated-gradients fullgrad occlusion").split()
metrics = "pointing energy ap pxap iou-15 iou-20 maxboxacc maxboxacc-v2 drop increase".split()
animals = ["--target", "best:151-268,281-285"]      # ImageNet's dogs and cats
networks = {"paws": ["--model", "paws"],
            "mobilenet": ["--model", a.data / "models/mobilenet_v1_0.25_224.h5", *animals],
            "squeezenet": ["--model", a.data / "models/squeezenet11_full.h5", *animals]}

def rate(name, model, chosen, *more):
    out = a.out / name
    if not a.only_print:
        a.out.mkdir(parents=True, exist_ok=True)
        with open(a.out / f"{name}.txt", "w") as text:
            subprocess.run([a.limn, "evaluate", a.data / "pets/images", "--masks", a.data / "pets/trimaps", *model, "--method", ",".join(chosen),
                            "--metrics", ",".join(metrics), "--out", out, *more], check=True, stdout=text)
    return list(csv.DictReader(open(out / "results.csv"))) if (out / "results.csv").exists() else []

for name, model in networks.items():
    rows = rate(name, model, methods)
    masks = rate(f"{name}-rise", model, ["rise"], "--samples", "500")     # a quarter of its usual masks
    if not rows:
        continue
    at = next(i for i, row in enumerate(rows) if row["baseline"] == "yes")
    rows[at:at] = [row for row in masks if row["baseline"] == "no"]
    print(f"\n{name}, {rows[0]['drop photos']} photos\n\n| | " + " | ".join(metrics) + " |\n|---|" + "---|" * len(metrics))
    for row in rows:
        numbers = [f"{float(row[m]):.1f}" if row[m] else "" for m in metrics]
        print(f"| {'*' + row['method'] + '*' if row['baseline'] == 'yes' else row['method']} | " + " | ".join(numbers) + " |")
