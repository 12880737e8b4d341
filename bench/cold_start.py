#!/usr/bin/env python3
"""From nothing to a picture: `limn explain` of one photo by VGG16, from process start to PNG, the weights in the page cache.

usage: bench/cold_start.py [LIMN] [--rounds N] [--threads T]      (LIMN: default build/release/limn)
Prints the median and the least time, and the largest peak memory (which counts the mapped weights).
"""
import argparse, os, subprocess, sys, tempfile, time

p = argparse.ArgumentParser()
p.add_argument("limn", nargs="?", default="build/release/limn")
p.add_argument("--rounds", type=int, default=7)
p.add_argument("--threads", type=int, default=2)
a = p.parse_args()

with tempfile.TemporaryDirectory() as folder:
    weights = os.path.join(folder, "vgg16.h5")
    subprocess.run([a.limn, "init", "vgg16", "-o", weights], check=True, stdout=subprocess.DEVNULL)
    command = [a.limn, "explain", "docs/photos/chelsea.png", "--model", weights, "--threads", str(a.threads), "--out", folder]
    seconds, megabytes = [], []
    for i in range(a.rounds + 1):
        picture = os.path.join(folder, "chelsea.grad-cam.block5_conv3.png")
        if os.path.exists(picture):
            os.remove(picture)
        start = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        end = time.perf_counter()
        if status or not os.path.exists(picture):
            sys.exit("limn explain failed")
        if i:                                              # the first round warms the page cache
            seconds.append(end - start)
            megabytes.append(usage.ru_maxrss / 1024)
    print(f"VGG16, photo to PNG, {a.threads} threads: median {sorted(seconds)[len(seconds) // 2]:.2f} s, least {min(seconds):.2f} s, "
          f"peak memory {max(megabytes):.0f} MB ({os.path.getsize(weights) / 1e6:.0f} MB of it the mapped file)")
