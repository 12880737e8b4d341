#!/usr/bin/env python3
"""Does memory stay flat, are files closed? `limn explain` over many photos, watched from outside.

usage: bench/visits.py --photos DIR [--visits 20000] [--limn build/release/limn] [-- MORE OPTIONS OF EXPLAIN]
       reads resident memory and open files of the process from /proc every second; prints them at each tenth of the way
"""
import argparse, os, pathlib, shutil, subprocess, tempfile, time

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("--photos", required=True)
p.add_argument("--visits", type=int, default=20000)
p.add_argument("--limn", default="build/release/limn")
p.add_argument("more", nargs="*")
a = p.parse_args()

files = sorted(str(f.resolve()) for f in pathlib.Path(a.photos).rglob("*") if f.suffix.lower() in (".jpg", ".jpeg", ".png"))
with tempfile.TemporaryDirectory() as folder:
    # links of their own, a folder for each round: the command line stays short
    for i in range(a.visits):
        round_ = pathlib.Path(folder, "photos", f"{i // len(files):03d}")
        round_.mkdir(parents=True, exist_ok=True)
        os.symlink(files[i % len(files)], round_ / pathlib.Path(files[i % len(files)]).name)
    out = pathlib.Path(folder, "out")
    start = time.time()
    limn = subprocess.Popen([a.limn, "explain", f"{folder}/photos", "--out", out, *a.more], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    samples = []
    while limn.poll() is None:
        try:
            status = pathlib.Path(f"/proc/{limn.pid}/status").read_text()
            resident = int(status.split("VmRSS:")[1].split()[0]) / 1024
            open_files = len(os.listdir(f"/proc/{limn.pid}/fd"))
            written = sum(1 for f in os.scandir(out) if f.name.endswith(".json")) if out.exists() else 0
            samples.append((written, resident, open_files))
        except (FileNotFoundError, IndexError, ProcessLookupError):
            pass
        time.sleep(1)
    message = limn.stderr.read().strip().splitlines()[-1:]
    print(f"{a.visits} visits of {len(files)} photos in {time.time() - start:.0f} s, exit {limn.returncode}: {' '.join(message)}")
    print("  visits  resident MB  open files")
    for tenth in range(1, 11):
        reached = [s for s in samples if s[0] >= tenth / 10 * a.visits] or samples[-1:]
        print(f"{reached[0][0]:8d} {reached[0][1]:12.1f} {reached[0][2]:11d}")
