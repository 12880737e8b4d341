#!/usr/bin/env python3
"""Draws bench_kernels' JSON as a roofline: each algorithm on each shape as a point under what the machine can do at most.

usage: build/release/bench_kernels --benchmark_format=json > kernels.json; bench/roofline.py kernels.json > roofline.svg
"""
import html, json, math, sys

if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
    sys.exit(__doc__)
report = json.load(open(sys.argv[1]))
context = report["context"]
peak, bandwidth = float(context["peak GFLOP/s"]), float(context["peak GB/s"])
points = [b for b in report["benchmarks"] if not b.get("error_occurred")]
if not points:
    sys.exit(f"{sys.argv[1]}: holds no measurements")
width, height, left, bottom = 860, 480, 70, 60
xs = [p["flop/byte"] for p in points]
x0, x1 = math.floor(math.log10(min(xs + [peak / bandwidth])) * 2) / 2, math.ceil(math.log10(max(xs)) * 2) / 2
y0, y1 = math.floor(math.log10(min(p["done GFLOP/s"] for p in points)) * 2) / 2, math.ceil(math.log10(peak) * 4) / 4
X = lambda v: left + (math.log10(v) - x0) / (x1 - x0) * (width - left - 20)
Y = lambda v: height - bottom - (math.log10(v) - y0) / (y1 - y0) * (height - bottom - 50)
colours = {"winograd F(4,3)": "#2a78d6", "winograd F(2,3)": "#1f9e89", "implicit gemm": "#e07b39", "depthwise": "#9b5bc0",
           "pointwise": "#c9346b", "joined taps": "#8a6d1d"}
out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif" font-size="12">',
       "<style>text{fill:#333}.grid{stroke:#8884}.roof{stroke:#888;stroke-width:2;fill:none}"
       "@media(prefers-color-scheme:dark){text{fill:#ddd}}</style>",
       f'<text x="{left}" y="20" font-size="14">{html.escape(context["limn"])}: {peak:.0f} GFLOP/s, {bandwidth:.1f} GB/s at most</text>']
def ticks(low, high):
    return [m * 10 ** e for e in range(math.floor(low), math.ceil(high) + 1) for m in (1, 2, 5) if low <= math.log10(m * 10 ** e) <= high]
for v in ticks(x0, x1):
    out.append(f'<line class="grid" x1="{X(v):.1f}" x2="{X(v):.1f}" y1="{Y(10**y0):.1f}" y2="{Y(10**y1):.1f}"/><text x="{X(v):.1f}" y="{height-bottom+18}" text-anchor="middle">{v:g}</text>')
for v in ticks(y0, y1):
    out.append(f'<line class="grid" x1="{X(10**x0):.1f}" x2="{X(10**x1):.1f}" y1="{Y(v):.1f}" y2="{Y(v):.1f}"/><text x="{left-8}" y="{Y(v)+4:.1f}" text-anchor="end">{v:g}</text>')
corner, start = peak / bandwidth, max(10 ** x0, 10 ** y0 / bandwidth)
out.append(f'<path class="roof" d="M{X(start):.1f} {Y(start*bandwidth):.1f} L{X(corner):.1f} {Y(peak):.1f} L{X(10**x1):.1f} {Y(peak):.1f}"/>')
for p in points:
    shape, algorithm = p["name"].removesuffix("/real_time").rsplit("/", 1)
    out.append(f'<circle cx="{X(p["flop/byte"]):.1f}" cy="{Y(p["done GFLOP/s"]):.1f}" r="4.5" fill="{colours.get(algorithm, "#888")}" fill-opacity=".8">'
               f'<title>{html.escape(shape)} {html.escape(algorithm)}: {p["real_time"]:.2f} ms, {p["done GFLOP/s"]:.0f} GFLOP/s done, {p["GFLOP/s"]:.0f} by definition</title></circle>')
x = left
for name, colour in colours.items():
    if any(p["name"].endswith((name, name + "/real_time")) for p in points):
        out.append(f'<circle cx="{x+5}" cy="36" r="4.5" fill="{colour}"/><text x="{x+14}" y="40">{name}</text>')
        x += 30 + 7 * len(name)
out.append(f'<text x="{(left+width)/2}" y="{height-12}" text-anchor="middle">operations for each byte of weights and values</text>'
           f'<text transform="translate(18 {height/2}) rotate(-90)" text-anchor="middle">GFLOP/s done</text></svg>')
print("\n".join(out))
