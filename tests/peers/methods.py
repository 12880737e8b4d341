#!/usr/bin/env python3
"""limn's raw maps against pytorch-grad-cam's and captum's, on VGG16 and ResNet-50 with the same seeded weights.

usage: methods.py LIMN [--networks vgg16 resnet50] [--layers NAME ...] [--methods NAME ...] [--images 3]      (see tests/peers/run)
exits with 1 if a map is more than 1e-4 from the peer's (max |limn - peer| / max |peer|) and no difference that is known explains it

A difference is explained in one of two ways.
* The peer computes something else. Then the formula that limn's documentation states is computed here in double, as for all methods, and
  limn must be within 1e-4 of that.
* Far below the scores some ReLU or pool falls to the other side by rounding alone, in the peer as well. Then limn must be no farther than
  three times as far from the formula in double as that formula itself moves, at most of five times, where each convolution's output is
  shaken by as much as float32 rounds it. Images are drawn so that no ReLU above the upper layers stands that near to zero: there it is no excuse.

Methods that try hundreds of images do so for the first one only; two of them, Score-CAM and occlusion, in float32. SmoothGrad and RISE draw random numbers: not compared.
"""
import argparse, copy, os, pathlib, subprocess, sys, tempfile, warnings
os.environ["TQDM_DISABLE"] = "1"
import numpy as np, torch
from PIL import Image
import captum.attr as C, pytorch_grad_cam as P
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
import networks

warnings.filterwarnings("ignore")
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
TARGET, LIMIT = 8, 1e-4
LAYERS = {"vgg16": ["features_29", "features_15"], "resnet50": ["layer4_2", "layer4_2_conv2"]}
CALM = {"vgg16": "features_29", "resnet50": "layer4_2_conv2"}   # no ReLU above it is within 1e-5 of its deviation of zero
ROUNDING = 4e-7                                            # of a convolution's float32 output, of its deviation; the last activations are then
                                                           # as far from their values in double as limn's are: 1.2e-6 and 1.4e-6
numpy = lambda t: t.detach().numpy()

# ---- the peers: (images, h, w) of a network, a layer and images -------------------------------------------------------------------

def pgc(name):
    class Kept(getattr(P, name)):                          # pytorch-grad-cam shows its map only after ReLU and min-max
        def get_cam_image(self, *a, **k):
            self.raw = super().get_cam_image(*a, **k)
            return self.raw
        def aggregate_multi_layers(self, maps):
            if name == "FullGrad":
                self.raw = np.sum(maps, axis=1)
            return super().aggregate_multi_layers(maps)
    def run(net, layer, x):
        with Kept(net, [networks.module(net, layer)] if name != "FullGrad" else []) as cam:
            cam(x, [ClassifierOutputTarget(TARGET)] * len(x))
            return np.array(cam.raw)
    return run

def half_pixel_masks(net, layer, x):
    """pytorch-grad-cam's Score-CAM, but for the way in which it enlarges its masks."""
    original = torch.nn.UpsamplingBilinear2d
    torch.nn.UpsamplingBilinear2d = lambda size: torch.nn.Upsample(size, mode="bilinear", align_corners=False)
    try:
        return pgc("ScoreCAM")(net, layer, x)
    finally:
        torch.nn.UpsamplingBilinear2d = original

def times_score(net, layer, x):
    """pytorch-grad-cam's Ablation-CAM, but for its division by the score."""
    with torch.no_grad():
        return pgc("AblationCAM")(net, layer, x) * numpy(net(x))[:, TARGET, None, None]

def channel_sum(make):
    return lambda net, layer, x: numpy(make(net, layer, x)).sum(1)

captum_guided_grad_cam = lambda mode: channel_sum(lambda net, layer, x: C.GuidedGradCam(net, networks.module(net, layer)).attribute(
    x, TARGET, interpolate_mode=mode))
captum_occlusion = lambda net, layer, x: numpy(C.Occlusion(net).attribute(x, (3, 32, 32), (3, 16, 16), 0, TARGET, perturbations_per_eval=8))[:, 0]

# ---- what limn says it computes ------------------------------------------------------------------------------------------------------

def tensors(net, layer, x):
    """Activations of a layer and the gradients of the score with respect to them."""
    kept = []
    handle = networks.module(net, layer).register_forward_hook(lambda m, i, o: kept.append(o))
    scores = net(x)[:, TARGET].sum()
    handle.remove()
    return numpy(kept[0]), numpy(torch.autograd.grad(scores, kept[0])[0])

def of_tensors(formula):
    return lambda net, layer, x: formula(*tensors(net, layer, x))

over = lambda a: a.sum((2, 3), keepdims=True)

def grad_cam_plus_plus(A, g):
    """The authors' code, without e^score."""
    alpha = np.where(g > 0, 1 / np.where(g > 0, 2 + g * over(A), 1), 0)
    total = over(alpha)
    return (over(alpha / np.where(total != 0, total, 1) * g) * A).sum(1)

def first_component(x):
    maps = []
    for one in x:
        m = one.reshape(len(one), -1).T
        u, s, _ = np.linalg.svd(m, full_matrices=False)
        component = u[:, 0] * s[0]
        maps.append((component * np.sign(component @ m.sum(1))).reshape(one.shape[1:]))
    return np.array(maps)

def scores_with(net, layer, x, altered, count, batch=16):
    """Scores where a layer's output A of one image is altered(A, i) for i of count."""
    scores = []
    for first in range(0, count, batch):
        numbers = range(first, min(count, first + batch))
        handle = networks.module(net, layer).register_forward_hook(lambda m, i, A: torch.stack([altered(A[0], j) for j in numbers]))
        with torch.no_grad():
            scores += net(x).tolist()
        handle.remove()
    return np.array(scores)[:, TARGET]

def ablation_cam(net, layer, x):
    A, _ = tensors(net, layer, x)
    def without(A, i):
        A = A.clone()
        A[i] = 0
        return A
    w = numpy(net(x))[:, TARGET] - scores_with(net, layer, x, without, A.shape[1])
    return (w[None, :, None, None] * A).sum(1)

def recipro_cam(net, layer, x):
    (_, K, h, w), soft = tensors(net, layer, x)[0].shape, torch.tensor([0.25, 0.5, 0.25])
    def around(A, i):
        shown = torch.zeros(h + 2, w + 2)
        if i < h * w:
            shown[i // w:i // w + 3, i % w:i % w + 3] = soft[:, None] * soft
        return A * shown[1:-1, 1:-1]
    scores = scores_with(net, layer, x, around, h * w + 1)
    return (scores[:-1] - scores[-1]).reshape(1, h, w)

def score_cam(net, layer, x):
    A, scores = tensors(net, layer, x)[0], []
    masks = torch.nn.functional.interpolate(torch.tensor(A), x.shape[2:], mode="bilinear", align_corners=False)[0]
    low, high = masks.amin((1, 2), True), masks.amax((1, 2), True)
    masks = (masks - low) / torch.where(high > low, high - low, 1)
    with torch.no_grad():
        for first in range(0, len(masks), 16):
            scores += net(x * masks[first:first + 16, None])[:, TARGET].tolist()
    scores = np.where(numpy(high > low).ravel(), scores, -np.inf)
    w = np.exp(scores - scores.max())
    return (w[None, :, None, None] / w.sum() * A).sum(1)

def psi(t, size):
    t = t.abs()
    t = t - t.amin((1, 2, 3), True)
    return torch.nn.functional.interpolate(t / t.amax((1, 2, 3), True), size, mode="bilinear", align_corners=False).sum(1)

def full_grad(net, layer, x):
    kept = []
    def keep(m, i, o):
        bias = m.bias if isinstance(m, torch.nn.Conv2d) else m.bias - m.running_mean * m.weight / (m.running_var + m.eps).sqrt()
        kept.append((bias, o))
    handles = [m.register_forward_hook(keep) for m in net.modules()
               if isinstance(m, (torch.nn.Conv2d, torch.nn.BatchNorm2d)) and m.bias is not None]
    x = x.clone().requires_grad_()
    gradients = torch.autograd.grad(net(x)[:, TARGET].sum(), [x] + [o for _, o in kept])
    for h in handles:
        h.remove()
    maps = psi(x * gradients[0], x.shape[2:])
    for (bias, _), g in zip(kept, gradients[1:]):
        maps = maps + psi(bias[:, None, None] * g, x.shape[2:])
    return numpy(maps)

def by_rule(guided):
    class Rule(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            context.save_for_backward(x)
            return x.clamp(min=0)
        @staticmethod
        def backward(context, g):
            return g.clamp(min=0) * (context.saved_tensors[0] > 0 if guided else 1)
    def run(net, layer, x):
        net = copy.deepcopy(net)
        for m in net.modules():
            if isinstance(m, torch.nn.ReLU):
                m.forward = Rule.apply
        x = x.clone().requires_grad_()
        return numpy(torch.autograd.grad(net(x)[:, TARGET].sum(), x)[0]).sum(1)
    return run

def guided_grad_cam(net, layer, x):
    A, g = tensors(net, layer, x)
    cam = torch.tensor(np.maximum((g.mean((2, 3), keepdims=True) * A).sum(1, keepdims=True), 0))
    return by_rule(True)(net, layer, x) * numpy(torch.nn.functional.interpolate(cam, x.shape[2:], mode="bilinear", align_corners=False))[:, 0]

def cam(net, layer, x):
    return np.einsum("k,nkhw->nhw", numpy(net.fc.weight)[TARGET], tensors(net, layer, x)[0])

# ---- the table: method, peer, why the peer may differ. Of no peer: only the formula is compared. ---------------------------------------

AT_LAYER = [
    ("grad-cam", "pytorch-grad-cam", pgc("GradCAM"), ""),
    ("grad-cam", "captum", lambda net, layer, x: numpy(C.LayerGradCam(net, networks.module(net, layer)).attribute(x, TARGET))[:, 0], ""),
    ("hirescam", "pytorch-grad-cam", pgc("HiResCAM"), ""),
    ("hirescam", "captum", channel_sum(lambda net, layer, x: C.LayerGradientXActivation(net, networks.module(net, layer)).attribute(x, TARGET)), ""),
    ("xgrad-cam", "pytorch-grad-cam", pgc("XGradCAM"), ""),
    ("layercam", "pytorch-grad-cam", pgc("LayerCAM"), ""),
    ("grad-cam++", "pytorch-grad-cam", pgc("GradCAMPlusPlus"),
     "theirs: eq. 19 with + 1e-6 in the denominator, alpha not normalised; here the authors' code"),
    ("eigen-cam", "pytorch-grad-cam", pgc("EigenCAM"), "theirs: every channel is centred first, any sign; here as in the paper"),
    ("eigengrad-cam", "pytorch-grad-cam", pgc("EigenGradCAM"), "theirs: every channel is centred first, any sign"),
    ("score-cam", "pytorch-grad-cam", pgc("ScoreCAM"), "theirs: masks enlarged corner on corner, dead channels share in the softmax"),
    ("score-cam", "the same, half-pixel", half_pixel_masks, "theirs: dead channels share in the softmax (a factor), and + 1e-8"),
    ("ablation-cam", "pytorch-grad-cam", times_score,
     "theirs: small differences of float32 scores; a layer with negative numbers gets min - 1e7, lower for each trial of a batch, not 0"),
    ("recipro-cam", "", None, ""),
    ("cam", "", None, ""),
    ("guided-grad-cam", "captum, nearest", captum_guided_grad_cam("nearest"), "theirs, by default: nearest"),
    ("guided-grad-cam", "captum, bilinear", captum_guided_grad_cam("bilinear"), ""),
]
AT_INPUT = [
    ("saliency", "captum", lambda net, layer, x: numpy(C.Saliency(net).attribute(x, TARGET)).max(1), ""),
    ("gradient-x-input", "captum", channel_sum(lambda net, layer, x: C.InputXGradient(net).attribute(x, TARGET)), ""),
    ("integrated-gradients", "captum",
     channel_sum(lambda net, layer, x: C.IntegratedGradients(net).attribute(x, target=TARGET, internal_batch_size=10)), ""),
    ("guided-backprop", "captum", channel_sum(lambda net, layer, x: C.GuidedBackprop(net).attribute(x, TARGET)), ""),
    ("deconvnet", "captum", channel_sum(lambda net, layer, x: C.Deconvolution(net).attribute(x, TARGET)), ""),
    ("fullgrad", "pytorch-grad-cam", pgc("FullGrad"), "theirs: each channel from 0 to 1, not each layer"),
    ("occlusion", "captum", captum_occlusion, ""),
]
FORMULAS = {"grad-cam": of_tensors(lambda A, g: (g.mean((2, 3), keepdims=True) * A).sum(1)), "hirescam": of_tensors(lambda A, g: (g * A).sum(1)),
            "xgrad-cam": of_tensors(lambda A, g: (over(g * A) / (over(A) + 1e-7) * A).sum(1)),
            "layercam": of_tensors(lambda A, g: (np.maximum(g, 0) * A).sum(1)), "grad-cam++": of_tensors(grad_cam_plus_plus),
            "eigen-cam": of_tensors(lambda A, g: first_component(A)), "eigengrad-cam": of_tensors(lambda A, g: first_component(g * A)),
            "score-cam": score_cam, "ablation-cam": ablation_cam, "recipro-cam": recipro_cam, "cam": cam, "guided-grad-cam": guided_grad_cam,
            "guided-backprop": by_rule(True), "deconvnet": by_rule(False), "fullgrad": full_grad}
SLOW = {"score-cam", "occlusion"}                           # in float32
ONE_IMAGE = SLOW | {"ablation-cam", "recipro-cam", "integrated-gradients"}
ANY_SIGN = {"eigen-cam", "eigengrad-cam"}

def distance(maps, truth, any_sign=False):
    one = lambda a, b: np.abs(a - b).max() / np.abs(b).max()
    return max(min(one(a, b), one(-a, b)) if any_sign else one(a, b) for a, b in zip(maps, truth))

def shaken(net, seed):
    """In double, with noise where float32 would round."""
    net, random = copy.deepcopy(net).double(), torch.Generator().manual_seed(seed)
    for m in net.modules():
        if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear)):
            m.register_forward_hook(lambda m, i, o: o + ROUNDING * o.std() * torch.randn(o.shape, generator=random, dtype=o.dtype))
    return net

def nearest_to_zero(net, layer, x):
    """Of the inputs of all ReLUs above a layer, in their deviation."""
    found, above, handles = [], [], []
    for m in net.modules():
        if isinstance(m, torch.nn.ReLU):
            handles.append(m.register_forward_hook(lambda m, i, o: found.append(float(i[0].abs().min() / i[0].std())) if above else None))
    handles.append(networks.module(net, layer).register_forward_hook(lambda m, i, o: above.append(1)))
    with torch.no_grad():
        net(x)
    for h in handles:
        h.remove()
    return min(found)

def images(net, layer, folder, count):
    """Noise of several sizes: edges, spots and slopes, like photos. Their files, and what the network sees."""
    torch.manual_seed(5)
    files, seen, precise = [], [], copy.deepcopy(net).double()
    while len(files) < count:
        layers = [torch.nn.functional.interpolate(torch.randn(1, 3, n, n), (224, 224), mode="bicubic") for n in (5, 14, 56, 224)]
        picture = np.clip(numpy(128 + 28 * sum(layers))[0].transpose(1, 2, 0), 0, 255).astype(np.uint8)
        x = networks.preprocessed(picture)
        if nearest_to_zero(precise, layer, x.double()) > 1e-5:
            files.append(folder / f"{len(files)}.png")
            Image.fromarray(picture).save(files[-1])
            seen.append(x)
    return files, torch.cat(seen)

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("limn")
    p.add_argument("--work", type=pathlib.Path, default="build/peers", help="keeps the networks")
    p.add_argument("--networks", nargs="+", default=list(LAYERS), choices=LAYERS)
    p.add_argument("--layers", nargs="+", default=[*sum(LAYERS.values(), []), "input"])
    p.add_argument("--methods", nargs="+", default=list(dict.fromkeys(m for m, *_ in AT_LAYER + AT_INPUT)))
    p.add_argument("--images", type=int, default=3)
    a = p.parse_args()
    a.work.mkdir(parents=True, exist_ok=True)
    failures = 0
    print(f"{'network':9s} {'layer':15s} {'method':21s} {'peer':21s} {'limn-peer':>9s} {'limn-formula':>12s} {'peer-formula':>12s} {'shaken':>8s}")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name in a.networks:
            net = getattr(networks, name)(a.work / f"{name}.h5")
            files, x = images(net, CALM[name], folder, a.images)
            rows = [(layer, *row) for layer in LAYERS[name] for row in AT_LAYER] + [("input", *row) for row in AT_INPUT]
            failures += sum(compare(a, folder, files, name, net, x, row) for row in rows if row[0] in a.layers and row[1] in a.methods)
    sys.exit(int(failures > 0))

def limn(a, folder, files, name, layer, method):
    """Its maps, or what it says."""
    out = pathlib.Path(tempfile.mkdtemp(dir=folder))
    call = [a.limn, "explain", *files, "--model", a.work / f"{name}.h5", "--preprocess", "torch", "--method", method, "--layer", layer,
            "--target", TARGET, "--save", "npy", "--out", out, "--device", "cpu", "--threads", 1]
    done = subprocess.run(list(map(str, call)), capture_output=True, text=True)
    if done.returncode:
        return done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.returncode}"
    return [np.load(next(out.glob(f"{f.stem}.{method}.*.npy"))) for f in files]

known = {}                                                 # limn's maps and the formula's; a method may have two peers

def compare(a, folder, files, name, net, x, row):
    layer, method, peer_name, peer, note = row
    if method == "cam" and layer != "layer4_2" or method == "recipro-cam" and layer == "features_15":
        return 0                                           # it does not apply; 3137 runs in double would take an hour
    at = LAYERS[name][0] if layer == "input" else layer
    if method in ONE_IMAGE:
        x, files = x[:1], files[:1]
    precise, free = method not in SLOW, method in ANY_SIGN
    formula = FORMULAS.get(method, peer)
    key = name, layer, method
    if key not in known:
        exactly = formula(copy.deepcopy(net).double(), at, x.double()) if precise else formula(net, at, x)
        known[key] = limn(a, folder, files, name, at, method), exactly
    maps, truth = known[key]
    theirs = peer(net, at, x) if peer else truth
    title = f"{name:9s} {layer:15s} {method:21s} {peer_name:21s}"
    own = distance(theirs, truth, free)
    if isinstance(maps, str):
        print(f"{title} {'':9s} {'':12s} {own:12.1e} {'':8s}  MISSING: {maps:.70s}", flush=True)
        return 1
    found, off, moved = distance(maps, theirs, free), distance(maps, truth), None
    if off > LIMIT and precise:
        moved = max(distance(formula(shaken(net, seed), at, x.double()), truth) for seed in range(1 if method in ONE_IMAGE else 5))
    if max(found, off) <= LIMIT:
        verdict = "ok"
    elif off <= LIMIT:                                     # of the peer's float32, or of its formula
        verdict = "ok, " + (note or "the peer's rounding")
    elif moved and off <= 3 * moved:
        verdict = "ok, rounding" + ("; " + note if note else "")
    else:
        verdict = "DIFFERS"
    print(f"{title} {found:9.1e} {off:12.1e} {own:12.1e} {f'{moved:.1e}' if moved else '':>8s}  {verdict}", flush=True)
    return verdict == "DIFFERS"

if __name__ == "__main__":
    main()
