#!/usr/bin/env python3
"""Networks and convolutions on a GPU: limn, and torch if it is installed, checked against each other first, then timed in turns.

usage: bench/gpu.py WORK [--limn build/release/limn] [--kernels build/release/bench_kernels] [--batches 1 64] [--precisions f32 tf32 bf16]
                    [--rounds 5] [--repeat 30] [--out report.json]
needs: numpy; for torch's side torch and h5py

The networks are limn's own seeded ones (`limn init`), read by torch from the same file. A run is what a new photo costs: the image is
copied to the GPU, the scores or the map come back. torch runs channels-last, by itself and, at batch 1, as a CUDA graph.
"""
import argparse, json, pathlib, statistics, subprocess, sys, time
import numpy as np

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("work")
p.add_argument("--limn", default="build/release/limn")
p.add_argument("--kernels", default="build/release/bench_kernels")
p.add_argument("--batches", nargs="+", type=int, default=[1, 64])
p.add_argument("--precisions", nargs="+", default=["f32", "tf32", "bf16"])
p.add_argument("--rounds", type=int, default=5)
p.add_argument("--repeat", type=int, default=30)
p.add_argument("--out", default="gpu.json")
p.add_argument("--device", default="cuda", help="anything but cuda only tries this script out, without torch")
a = p.parse_args()
work = pathlib.Path(a.work)
work.mkdir(parents=True, exist_ok=True)
try:
    if a.device != "cuda":
        raise ImportError("only limn is run")
    import torch, torchvision, h5py
    torch.backends.cudnn.benchmark = True
    have_torch = torch.cuda.is_available()
    why = "torch sees no GPU"
except ImportError as e:
    have_torch, why = False, str(e)
report = {"networks": [], "kernels": [], "torch": torch.__version__ if have_torch else None}
allowed = {"f32": 1e-4, "tf32": 1e-2, "bf16": 6e-2, "fp16": 1e-2}    # relative to the largest number

def limn(network, precision, batch, what, *more):
    out = work / "limn.npy"
    command = [a.limn, "bench", work / f"{network}.h5", "--device", a.device, "--input", work / f"x{batch}.npy", "--what", what,
               "--repeat", str(a.repeat), "--json", "--output", out, *more] + (["--precision", precision] if a.device == "cuda" else [])
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {done.stderr}")
    return json.loads(done.stdout), np.load(out)

# ---- torch: VGG16 from limn's file --------------------------------------------------------------------------------------------

def torch_vgg16(precision):
    from torch_vgg16 import vgg16
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)
    return vgg16(work / "vgg16.h5").to("cuda", dtype).to(memory_format=torch.channels_last), dtype

def torch_forward(model, image):
    def step():
        with torch.inference_mode():
            return torch.softmax(model(image).float(), 1)
    return step

def torch_gradcam(model, image):
    def step():
        with torch.no_grad():
            activation = model.features[:30](image)
        activation = activation.detach().requires_grad_(True)
        score = model.classifier(torch.flatten(model.features[30](activation), 1))[:, 281].sum()
        gradient, = torch.autograd.grad(score, activation)
        return (gradient.float().mean((2, 3), keepdim=True) * activation.detach().float()).sum(1)
    return step

def torch_runs(kind, precision, x):
    """name -> function that runs it once for a new photo and returns the result on the host"""
    model, dtype = torch_vgg16(precision)
    host = torch.tensor(np.ascontiguousarray(x.transpose(0, 3, 1, 2))).to(memory_format=torch.channels_last).pin_memory()
    arrived = torch.empty_like(host, device="cuda")        # float32: as a photo comes, whatever the network computes in
    image = arrived.to(dtype)
    step = (torch_forward if kind == "forward" else torch_gradcam)(model, image)
    def bring():
        arrived.copy_(host, non_blocking=True)
        image.copy_(arrived)
    def eager():
        bring()
        return step().cpu().numpy()
    runs = {"torch": eager}
    if len(x) == 1:
        try:
            side = torch.cuda.Stream()
            with torch.cuda.stream(side):
                for _ in range(3):
                    step()
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                result = step()
            def replay():
                bring()
                graph.replay()
                return result.cpu().numpy()
            runs["torch, CUDA graph"] = replay
        except RuntimeError as e:
            print(f"  torch cannot capture {kind}: {str(e).splitlines()[0]}")
    return runs

def timed(run):
    run(), run()
    ms = []
    for _ in range(a.repeat):
        start = time.perf_counter()
        run()
        ms.append((time.perf_counter() - start) * 1e3)
    return ms

# ---- networks -------------------------------------------------------------------------------------------------------------------

for network in ("vgg16", "squeezenet"):
    if not (work / f"{network}.h5").exists():
        subprocess.run([a.limn, "init", network, "--seed", "1", "-o", work / f"{network}.h5"], check=True, capture_output=True)
kinds = {"forward": [], "gradcam": ["--layer", "block5_conv3", "--target", "281"], "explain": ["--layer", "block5_conv3", "--target", "281"]}
print(f"VGG16, 224x224; medians of {a.rounds} rounds of {a.repeat} runs in turns; ms for a batch, copies included")
for batch in a.batches:
    x = np.random.default_rng(3).uniform(-1.1, 1.4, (batch, 224, 224, 3)).astype("f")   # scores of order one: no saturated softmax
    np.save(work / f"x{batch}.npy", x)
    for precision in a.precisions:
        for kind, more in kinds.items():
            if kind == "explain" and batch > 1:
                continue
            runs = torch_runs(kind, precision, x) if have_torch and kind != "explain" else {}
            first, y = limn("vgg16", precision, batch, kind, *more)
            errors = {}
            for name, run in list(runs.items()):
                truth = run()
                if kind == "gradcam":
                    truth = truth[0]
                errors[name] = float(np.abs(y - truth).max() / np.abs(truth).max())
                if not errors[name] <= allowed[precision] * (10 if kind == "gradcam" else 1):
                    print(f"  {precision} {kind}: {name} answers something else (relative error {errors[name]:.1e}): left out")
                    del runs[name]
            times, gpu = {}, []
            for _ in range(a.rounds):
                for name, run in runs.items():
                    times.setdefault(name, []).extend(timed(run))
                found, _ = limn("vgg16", precision, batch, kind, *more)
                times.setdefault("limn", []).extend(found["ms"])
                gpu += found.get("gpu_ms", [])
            median = {name: statistics.median(ms) for name, ms in times.items()}
            row = {"network": "vgg16", "batch": batch, "precision": precision, "what": kind, "device": first["device"],
                   "recorded": first["recorded"], "median_ms": median, "plan_ms": first["plan_ms"], "relative_difference": errors}
            if gpu:
                row["gpu_ms"] = statistics.median(gpu)
            report["networks"].append(row)
            line = "  ".join(f"{name} {ms:.3f}" for name, ms in sorted(median.items(), key=lambda item: item[1]))
            shown = "" if not gpu else (f"   (limn: the recorded launch takes the GPU {row['gpu_ms']:.3f} ms; copies there and back, the launch and "
                                        f"reading the results {median['limn'] - row['gpu_ms']:.3f} ms)")
            print(f"  batch {batch:3d}  {precision:5s} {kind:8s} {line}{shown}", flush=True)

# ---- kernels --------------------------------------------------------------------------------------------------------------------

def torch_conv(name, batch, precision):
    """Microseconds of relu(conv + bias) forward in torch, twenty in a CUDA graph."""
    _, size, k, taps, *rest = name.replace("/", ":", 1).split(":")
    h, w, c = map(int, size.split("x"))
    r, s = map(int, taps.split("x"))
    stride = next((int(q) for q in rest if q.isdigit()), 1)
    groups = c if "depthwise" in rest else 1
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)
    conv = torch.nn.Conv2d(c, int(k), (r, s), stride, (r // 2, s // 2), groups=groups).to("cuda", dtype).to(memory_format=torch.channels_last)
    x = torch.randn(batch, c, h, w, device="cuda", dtype=dtype).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        for _ in range(3):
            torch.relu_(conv(x))
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(20):
                torch.relu_(conv(x))
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        us = []
        for _ in range(20):
            start.record()
            graph.replay()
            end.record()
            end.synchronize()
            us.append(start.elapsed_time(end) * 1000 / 20)
    return statistics.median(us)

if pathlib.Path(a.kernels).exists():
    for precision in a.precisions:
        more = ["--device", "cuda", "--precision", precision] if a.device == "cuda" else []
        done = subprocess.run([a.kernels, "--networks", "vgg16,resnet50,mobilenet", "--batch", "1", *more, "--benchmark_format=json",
                               "--benchmark_min_time=0.05"], capture_output=True, text=True)
        if done.returncode:
            print(f"kernels, {precision}: {done.stderr.strip()}")
            continue
        print(f"\nconvolutions, batch 1, {precision}: microseconds, limn (cuDNN's engine) and torch")
        for b in json.loads(done.stdout)["benchmarks"]:
            name, direction = b["name"].removesuffix("/manual_time").removesuffix("/real_time").rsplit("/", 1)
            row = {"shape": name, "direction": direction, "precision": precision, "us": b.get("us", b.get("real_time", 0) * 1000), "engine": b.get("label"),
                   "error": b.get("error_message") or b.get("error")}
            if have_torch and direction == "forward":
                row["torch_us"] = torch_conv(name, 1, precision)
            report["kernels"].append(row)
            print(f"  {name:40s} {direction:10s} {row['us']:8.1f}" + (f"  torch {row['torch_us']:8.1f}" if "torch_us" in row else "")
                  + f"  {row['engine'] or row['error']}", flush=True)
if not have_torch:
    print(f"\nwithout torch: {why}")
json.dump(report, open(a.out, "w"), indent=1)
