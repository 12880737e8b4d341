#!/usr/bin/env python3
"""The pictures other libraries draw against `limn explain --compat NAME`, pixel by pixel.

usage: compat.py LIMN [--data ../shared/data] [--work build/peers] [--photos 12] [--compat NAME ...] [--networks NAME ...]
       (see tests/peers/run: it runs this twice, as torch and TensorFlow live in environments of their own; torch first, it makes the networks)
exits with 1 if a picture is more than a level of 255 from the library's and rounding of the raw map does not explain it
columns: raw map: largest relative difference; levels: largest difference of the pictures, of 255; pixels: how many differ at all, and by more
         than one level; unexplained: how many of those no rounding explains; formula: levels between the library and the formula below

Each library is the truth as it is installed. Beside it stands its way from the raw map to the pixels as a formula in plain NumPy, to
implement it by: functions named after the library, below. They give the library's own bytes, which is checked here, too:

library           versions, files and lines that were read                             what it does, in order
pytorch-grad-cam  1.5.7: base_cam.py:170-181, utils/image.py:33-64 and 161-176         ReLU; min-max with 1e-7; cv2 bilinear to the size of
                  (OpenCV 5.0.0)                                                       the network's input; min-max again; OpenCV's jet at
                                                                                       step int(255 m); half photo, half heat, in 0..1;
                                                                                       DIVIDED BY ITS LARGEST NUMBER; int(255 x)
captum            0.9.0: attr/_utils/attribution.py:469 (interpolate: nearest),        nearest; positive part; divided by the value at which
                  attr/_utils/visualization.py:168-224, 293-310 (matplotlib 3.11.2)    the sorted cumulative sum has 98 %; cut at 1; Greens
                                                                                       at step int(256 m), alpha .5, over the mean of the
                                                                                       photo's channels, STRETCHED to its own min..max
tf-keras-vis      0.8.7: gradcam.py:113-128, utils/__init__.py:73-86, README           ReLU; scipy's zoom: corner on corner; min-max with 1e-7;
                  (SciPy 1.17.1, matplotlib 3.11.2)                                    matplotlib's jet, not OpenCV's, alpha .5, over the photo
keras-io          examples/vision/grad_cam.py (Keras 3.15.1, Pillow 12.0.0)            ReLU, / max; jet at step int(255 m) at the MAP's size;
                                                                                       stretched; Pillow's bicubic, of the colours; .4 of it
                                                                                       and the whole photo; STRETCHED min..max
zhou              github zhoubolei/CAM, pytorch_CAM.py (OpenCV 5.0.0)                  CAM, no ReLU; min-max; int(255 m); cv2 bilinear of bytes
                                                                                       to 256x256, and from there to the photo; .3 heat + .5
                                                                                       photo, rounded as imwrite does (half to even)
article           limn's --style article, by OpenCV                                    ReLU; / max; cv2 bilinear; heat 0 where m < .2;
                                                                                       .5 heat + photo, cut at 255, int(x)

Read on the way, and kept as it is:
* scipy's zoom leaves the last row and column BLACK for some sizes (14 to 384, 28 to 384, 12 to 300, 16 to 227; not 7 or 14 to 224): the last
  coordinate, computed as (H-1) * ((h-1)/(H-1)), is then a little larger than h-1, which is outside.
* Pillow 13 resizes rows first where that pays (h > H and h - H > 2 (w - W): most portraits), up to 12 columns came first. Bytes between the
  passes are rounded, so the network's input differs by a level here and there, and the raw map by 1.5 %. limn does as up to 12, which the
  environments hold; enlarging is the same in both.
* captum refuses a map that is nowhere positive (an assertion); keras-io and zhou divide 0 by 0.
"""
import argparse, importlib.util, os, pathlib, subprocess, sys, tempfile, warnings
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
import cv2, matplotlib, numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

cv2.setNumThreads(1)
warnings.filterwarnings("ignore")
f32 = np.float32

# ---- resizing ----------------------------------------------------------------------------------------------------------------

def half_pixel(n, N, dtype):
    """Of each of N: both neighbours among n, and the share of the second. Rows beyond the outer centres mix a neighbour with itself."""
    f = ((np.arange(N) + 0.5) * (n / N) - 0.5).astype(dtype)
    low = np.floor(f).astype(int)
    return np.clip(low, 0, n - 1), np.clip(low + 1, 0, n - 1), (f - low).astype(f32)

def cv_floats(m, W, H):
    mix = lambda a, b, t: (a + t.astype(float) * (b - a)).astype(f32)      # a fused multiply-add: rounded once
    a, b, t = half_pixel(m.shape[1], W, float)
    m = mix(m[:, a], m[:, b], t)
    a, b, t = half_pixel(m.shape[0], H, float)
    return mix(m[a], m[b], t[:, None])

def cv_bytes(m, W, H):
    weights = lambda t: (np.rint((1 - t) * f32(2048)).astype(int), np.rint(t * f32(2048)).astype(int))
    a, b, t = half_pixel(m.shape[1], W, f32)
    wa, wb = weights(t)
    m = (m[:, a].astype(int) * wa + m[:, b] * wb) >> 4
    a, b, t = half_pixel(m.shape[0], H, f32)
    wa, wb = weights(t[:, None])
    return ((m[a] * wa >> 16) + (m[b] * wb >> 16) + 2 >> 2).astype(np.uint8)

def corner_on_corner(m, W, H):
    def along(n, N):
        f = np.arange(N) * ((n - 1) / (N - 1))
        low = np.minimum(np.floor(f).astype(int), n - 1)
        return low, np.minimum(low + 1, n - 1), f - np.floor(f), f <= n - 1
    a, b, u, rows = along(m.shape[0], H)
    c, d, v, columns = along(m.shape[1], W)
    m, u = m.astype(float), u[:, None]
    m = m[a][:, c] * (1 - u) * (1 - v) + m[a][:, d] * (1 - u) * v + m[b][:, c] * u * (1 - v) + m[b][:, d] * u * v
    return (m * rows[:, None] * columns).astype(f32)

def nearest(m, W, H):
    along = lambda n, N: np.minimum(np.floor(np.arange(N, dtype=f32) * (f32(n) / f32(N))).astype(int), n - 1)
    return m[along(m.shape[0], H)][:, along(m.shape[1], W)]

def pillow_bicubic(image, W, H):
    """Of enlarging: columns first, bytes between; a = -1/2; weights in 1/2^22."""
    def cubic(x):
        x = abs(x)
        return (1.5 * x - 2.5) * x * x + 1 if x < 1 else -0.5 * (((x - 5) * x + 8) * x - 4) if x < 2 else 0
    def along(rows, N):                                                   # the first axis
        out, scale = np.empty((N, *rows.shape[1:]), np.uint8), len(rows) / N
        wide = max(scale, 1)
        for i in range(N):
            centre = (i + 0.5) * scale
            first, end = max(0, int(centre - 2 * wide + 0.5)), min(len(rows), int(centre + 2 * wide + 0.5))
            w = [cubic((j - centre + 0.5) / wide) for j in range(first, end)]
            w = [v / sum(w) for v in w]
            w = [int(v * 2**22 + (0.5 if v >= 0 else -0.5)) for v in w]
            out[i] = np.clip(np.tensordot(w, rows[first:end].astype(int), 1) + 2**21 >> 22, 0, 255)
        return out
    return along(along(image.swapaxes(0, 1), W).swapaxes(0, 1), H)

# ---- colours -----------------------------------------------------------------------------------------------------------------

def colours(name):
    """matplotlib's 256 as bytes: cut, not rounded, where they are drawn."""
    return (matplotlib.colormaps[name](np.arange(256))[:, :3] * 255).astype(np.uint8)

CV_JET = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_JET)[:, 0, ::-1]

nudge = f32(0)                                                            # see compare()

def steps(m, count):                                                      # matplotlib counts to 256, OpenCV's users to 255
    return np.clip(((m + nudge) * m.dtype.type(count)).astype(int), 0, 255)

def half_over(photo, heat):
    """matplotlib's imshow(photo), imshow(heat, alpha=.5): Agg's blending of bytes, alpha 127."""
    return ((32512 * heat.astype(int) + 32895 * photo.astype(int)) // 65407).astype(np.uint8)

# ---- each library's way from the raw map (h,w) to the picture on the photo (H,W,3) ----------------------------------------------

def min_max(m, eps):
    m = m - m.min()
    return m / (f32(eps) + m.max())

def pytorch_grad_cam(raw, photo):
    H, W, _ = photo.shape
    m = min_max(cv_floats(min_max(np.maximum(raw, 0), 1e-7), W, H), 1e-7)
    mixed = f32(0.5) * (CV_JET[steps(m, 255)].astype(f32) / f32(255)) + f32(0.5) * (photo.astype(f32) / f32(255))
    return (f32(255) * (mixed / mixed.max())).astype(np.uint8)

def captum(raw, photo):
    H, W, _ = photo.shape
    m = np.maximum(nearest(raw, W, H), 0)
    values = np.sort(m, None)
    sums = np.cumsum(values)                                              # in float32, one after the other
    m = np.minimum(m / values[np.argmax(sums >= sums[-1] * f32(0.01) * f32(98))], 1)
    grey = photo.mean(2)                                                  # in float64
    grey = (grey - grey.min()) / (grey.max() - grey.min())
    return half_over(colours("gray")[np.minimum((grey * 256).astype(int), 255)], colours("Greens")[steps(m, 256)])

def tf_keras_vis(raw, photo):
    H, W, _ = photo.shape
    return half_over(photo, colours("jet")[steps(min_max(corner_on_corner(np.maximum(raw, 0), W, H), 1e-7), 256)])

def stretched(x):
    x = x.astype(f32) - f32(x.min())
    return (x / x.max() * f32(255)).astype(np.uint8)

def keras_io(raw, photo):
    H, W, _ = photo.shape
    jet = matplotlib.colormaps["jet"](np.arange(256))[:, :3]              # not yet bytes
    heat = pillow_bicubic(stretched(jet[steps(np.maximum(raw, 0) / raw.max(), 255)]), W, H)
    return stretched(heat.astype(f32) * f32(0.4) + photo.astype(f32))

def zhou(raw, photo):
    H, W, _ = photo.shape
    m = steps(min_max(raw, 0), 255).astype(np.uint8)
    heat = CV_JET[cv_bytes(cv_bytes(m, 256, 256), W, H)]
    return np.rint(heat * 0.3 + photo * 0.5).astype(np.uint8)             # at most 204

def article(raw, photo):
    H, W, _ = photo.shape
    m = np.maximum(raw, 0)
    m = cv_floats(m / m.max(), W, H)
    heat = CV_JET[steps(m, 255)] * (m + nudge >= f32(0.2))[..., None]
    return np.minimum(heat * 0.5 + photo, 255).astype(np.uint8)

# ---- the libraries: (raw map, picture) of a network, a photo and what the network sees of it ------------------------------------

def canvas(photo):
    """Axes as large as the photo, a pixel for a pixel, and a function that reads what was drawn."""
    figure = Figure(figsize=(photo.shape[1], photo.shape[0]), dpi=1)
    axes, page = figure.add_axes([0, 0, 1, 1]), FigureCanvasAgg(figure)
    def read():
        axes.axis("off")
        page.draw()
        return np.asarray(page.buffer_rgba())[..., :3].copy()
    return figure, axes, read

def by_pytorch_grad_cam(net, layer, target, seen, photo):
    import networks
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.image import show_cam_on_image
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    class Kept(GradCAM):
        def get_cam_image(self, *a):
            self.raw = super().get_cam_image(*a)
            return self.raw
    with Kept(net, [networks.module(net, layer)]) as cam:
        mask = cam(networks.preprocessed(seen), [ClassifierOutputTarget(target)])[0]
        return cam.raw[0], show_cam_on_image(np.float32(photo) / 255, mask, use_rgb=True)

def by_captum(net, layer, target, seen, photo):
    import networks
    from captum.attr import LayerAttribution, LayerGradCam, visualization
    raw = LayerGradCam(net, networks.module(net, layer)).attribute(networks.preprocessed(seen), target).detach()
    figure, axes, read = canvas(photo)
    visualization.visualize_image_attr(LayerAttribution.interpolate(raw, photo.shape[:2])[0].permute(1, 2, 0).numpy(), photo,
                                       "blended_heat_map", "positive", (figure, axes), use_pyplot=False)
    return raw[0, 0].numpy(), read()

def by_zhou(net, layer, target, seen, photo):
    import networks, torch
    features = []
    handle = networks.module(net, layer).register_forward_hook(lambda m, i, o: features.append(o.data.numpy()))
    with torch.no_grad():
        net(networks.preprocessed(seen))
    handle.remove()
    weight_softmax = np.squeeze(list(net.parameters())[-2].data.numpy())
    _, nc, h, w = features[0].shape
    raw = cam = weight_softmax[target].dot(features[0].reshape((nc, h * w))).reshape(h, w)
    cam = cam - np.min(cam)
    cam = cv2.resize(np.uint8(255 * (cam / np.max(cam))), (256, 256))
    heatmap = cv2.applyColorMap(cv2.resize(cam, (photo.shape[1], photo.shape[0])), cv2.COLORMAP_JET)
    with tempfile.NamedTemporaryFile(suffix=".bmp") as file:               # without the original's JPEG
        cv2.imwrite(file.name, heatmap * 0.3 + photo[..., ::-1] * 0.5)
        return raw, cv2.imread(file.name)[..., ::-1]

def by_article(net, layer, target, seen, photo):
    raw, _ = by_captum(net, layer, target, seen, photo)
    cam = np.maximum(raw, 0)
    cam = cv2.resize(cam / np.max(cam), (photo.shape[1], photo.shape[0]))
    heatmap = cv2.applyColorMap(np.uint8(255 * cam), cv2.COLORMAP_JET)[..., ::-1].copy()
    heatmap[cam < 0.2] = 0
    return raw, np.clip(heatmap * 0.5 + photo, 0, 255).astype(np.uint8)

def keras_input(seen):
    return (np.float32(seen) / 255 - f32([0.485, 0.456, 0.406]))[None] / f32([0.229, 0.224, 0.225])

def by_tf_keras_vis(model, layer, target, seen, photo):
    from matplotlib import cm
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
    from tf_keras_vis.utils.scores import CategoricalScore
    gradcam, at = Gradcam(model, ReplaceToLinear()), dict(penultimate_layer=layer, seek_penultimate_conv_layer=False)
    raw = gradcam(CategoricalScore(target), keras_input(seen), activation_modifier=None, expand_cam=False, normalize_cam=False, **at)[0]
    cam = gradcam(CategoricalScore(target), keras_input(seen), **at)
    _, axes, read = canvas(photo)
    axes.imshow(photo)
    axes.imshow(np.uint8(cm.jet(cam[0])[..., :3] * 255), cmap="jet", alpha=0.5)
    return np.array(raw), read()

def by_keras_io(model, layer, target, seen, photo):
    import keras, tensorflow as tf
    model.layers[-1].activation = None
    grad_model = keras.models.Model(model.inputs, [model.get_layer(layer).output, model.outputs[0]])
    with tf.GradientTape() as tape:
        last_conv_layer_output, preds = grad_model(keras_input(seen))
        class_channel = preds[:, target]
    pooled_grads = tf.reduce_mean(tape.gradient(class_channel, last_conv_layer_output), axis=(0, 1, 2))
    raw = tf.squeeze(last_conv_layer_output[0] @ pooled_grads[..., tf.newaxis])
    heatmap = (tf.maximum(raw, 0) / tf.math.reduce_max(raw)).numpy()
    img = keras.utils.img_to_array(photo)
    jet_heatmap = matplotlib.colormaps["jet"](np.arange(256))[:, :3][np.uint8(255 * heatmap)]
    jet_heatmap = keras.utils.array_to_img(jet_heatmap).resize((img.shape[1], img.shape[0]))
    superimposed_img = keras.utils.img_to_array(jet_heatmap) * 0.4 + img
    return raw.numpy(), np.asarray(keras.utils.array_to_img(superimposed_img))

# name: formula, library, what must be there, does the picture have the photo's own size, how the photo gets the network's size, limn's method
COMPAT = {"pytorch-grad-cam": (pytorch_grad_cam, by_pytorch_grad_cam, "pytorch_grad_cam", False, None, "grad-cam"),
          "captum": (captum, by_captum, "captum", False, None, "grad-cam"),
          "zhou": (zhou, by_zhou, "torch", True, "bilinear", "cam"),
          "article": (article, by_article, "captum", True, "nearest", "grad-cam"),
          "tf-keras-vis": (tf_keras_vis, by_tf_keras_vis, "tf_keras_vis", False, None, "grad-cam"),
          "keras-io": (keras_io, by_keras_io, "keras", True, "nearest", "grad-cam")}
NETWORKS = {"small": ("features_8", 7), "resnet50": ("layer4_2", 8), "vgg16": ("features_29", 8)}   # targets whose maps have both signs

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("limn")
    p.add_argument("--data", type=pathlib.Path, default="../shared/data")
    p.add_argument("--work", type=pathlib.Path, default="build/peers", help="keeps the networks")
    p.add_argument("--photos", type=int, default=12)
    p.add_argument("--compat", nargs="+", default=[n for n, c in COMPAT.items() if importlib.util.find_spec(c[2])], choices=COMPAT)
    p.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    a = p.parse_args()
    a.work.mkdir(parents=True, exist_ok=True)
    spread = lambda files, n: files[::max(1, len(files) // n)][:n]
    half = a.photos // 2
    paths = spread(sorted(a.data.glob("pets/images/*.jpg")), half) + spread(sorted(a.data.glob("photos/*.*[gG]")), a.photos - half)
    if not paths:
        sys.exit(f"{a.data}: no photos there")
    failures = 0
    print(f"{'network':9s} {'compat':17s} {'photos':17s} {'raw map':>8s} {'levels':>6s} {'pixels':>9s} {'by > 1':>9s} {'unexplained':>11s} formula")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for net_name in a.networks:
            file, (layer, target) = a.work / f"{net_name}.h5", NETWORKS[net_name]
            if importlib.util.find_spec("torch"):
                import networks, torch
                torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
                net = getattr(networks, net_name)(file)
            else:
                import keras
                net = None                                                # loaded anew: keras-io changes it
            for name in a.compat:
                formula, library, _, own_size, resize, method = COMPAT[name]
                if method == "cam" and net_name == "vgg16":
                    continue                                              # CAM does not apply
                for native in [False, True] if own_size else [False]:
                    model, cases = net or keras.models.load_model(file, compile=False), []
                    for i, path in enumerate(paths):
                        photo = Image.open(path).convert("RGB")
                        photo = photo if native else photo.resize((224, 224))
                        photo.save(folder / f"{i}.png")
                        seen = photo.resize((224, 224), Image.Resampling[(resize or "nearest").upper()])
                        raw, picture = library(model, layer, target, np.asarray(seen), np.asarray(photo))
                        cases.append((np.asarray(photo), raw, picture))
                    failures += compare(a, folder, net_name, name, file, layer, target, native, cases)
    sys.exit(int(failures > 0))

def compare(a, folder, net_name, name, file, layer, target, native, cases):
    global nudge
    formula, _, _, _, resize, method = COMPAT[name]
    out = folder / "out"
    call = [a.limn, "explain", *(folder / f"{i}.png" for i in range(len(cases))), "--model", file, "--preprocess", "torch", "--resize",
            resize or "nearest", "--method", method, "--layer", layer, "--target", target, "--compat", name, "--save", "png,npy", "--out", out]
    done = subprocess.run(list(map(str, call)), capture_output=True, text=True)
    title = f"{net_name:9s} {name:17s} {'of their own size' if native else '224x224':17s}"
    away = lambda x, y: np.abs(x.astype(int) - y.astype(int)).max(2)
    of_formula = max(away(formula(raw, photo), picture).max() for photo, raw, picture in cases)
    if done.returncode:
        why = (done.stderr.strip() or "no word").splitlines()[-1]
        print(f"{title} {'':8s} {'':6s} {'':9s} {'':9s} {'':11s} {of_formula:7d}   MISSING: {why:.60s}", flush=True)
        return 1
    relative, levels, unexplained = 0, [], 0
    for i, (photo, raw, picture) in enumerate(cases):
        mine, = out.glob(f"{i}.{method}.{layer}.*.png")
        painted, my_raw = np.asarray(Image.open(mine).convert("RGB")), np.load(mine.with_suffix(".npy"))
        if painted.shape != picture.shape:
            print(f"{title} WRONG SIZE: {painted.shape}, not {picture.shape}", flush=True)
            return 1
        error = float(np.abs(my_raw - raw).max() / np.abs(raw).max())
        relative = max(relative, error)
        levels.append(away(painted, picture).ravel())
        # Raw maps that agree but for rounding fall, here and there, to the two sides of a colour step. Such a pixel has a colour
        # that the library itself gives to a map as far away as that.
        near = []
        for nudge in f32(4 * error + 4e-7) * f32([-1, 0, 1]):
            near.append(formula(raw, photo).astype(int))
        nudge = f32(0)
        unexplained += int(((painted < np.min(near, 0) - 1) | (painted > np.max(near, 0) + 1)).any(2).sum())
    levels = np.concatenate(levels)
    fine = levels.max() <= 1 or (unexplained == 0 and relative <= 1e-4)
    verdict = "NOT THE LIBRARY'S" if not fine else "ok" if levels.max() <= 1 else "ok: sides of a colour step"
    print(f"{title} {relative:8.1e} {levels.max():6d} {100 * np.mean(levels > 0):8.3f}% {100 * np.mean(levels > 1):8.3f}% {unexplained:11d} "
          f"{of_formula:7d}   {verdict}", flush=True)
    return not fine

if __name__ == "__main__":
    main()
