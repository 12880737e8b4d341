#!/usr/bin/env python3
"""Whole networks in limn and its peers, interleaved in one run, on the same threads: milliseconds and ratios.

usage: bench/peers.py WORK [--networks vgg16 squeezenet mobilenet25 mobilenet resnet50] [--peers limn onnxruntime openvino ncnn torch]
                      [--threads 2] [--rounds 3] [--repeat 5] [--batch 1] [--limn build/release/limn] [--markdown]
       WORK keeps the networks: layouts of keras.applications with seeded He-normal weights, as Keras .h5 (limn), ONNX, and ncnn.
needs: python -m venv V; V/bin/pip install keras torch torchvision grad-cam onnx onnxruntime openvino ncnn pnnx h5py

Every peer gets the same seeded images and its scores are compared with ONNX Runtime's first: one that answers something else is not
timed. VGG16 is also explained: Grad-CAM of one class at block5_conv3, by limn, by hand in torch, and by the package pytorch-grad-cam.
"""
import argparse, json, os, pathlib, re, statistics, subprocess, sys, time
os.environ["KERAS_BACKEND"] = "torch"

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("work")
p.add_argument("--networks", nargs="+", default=["vgg16", "squeezenet", "mobilenet25", "mobilenet", "resnet50"])
p.add_argument("--peers", nargs="+", default=["limn", "onnxruntime", "openvino", "ncnn", "torch"])
p.add_argument("--threads", type=int, default=2)
p.add_argument("--rounds", type=int, default=3)
p.add_argument("--repeat", type=int, default=5, help="runs in each round; the first of a round is not counted")
p.add_argument("--batch", type=int, default=1)
p.add_argument("--limn", default="build/release/limn")
p.add_argument("--markdown", action="store_true", help="print the table as it stands in the README")
a = p.parse_args()
os.environ["OMP_NUM_THREADS"] = str(a.threads)
os.environ.setdefault("OMP_WAIT_POLICY", "passive")        # of torch and ncnn: who has finished must not spin while others are timed
import numpy as np

# ---- the networks, as Keras builds them -------------------------------------------------------------------------------------

def squeezenet(keras):
    L = keras.layers
    def conv(filters, size, stride, padding, x, name):
        return L.Conv2D(filters, size, strides=stride, padding=padding, activation="relu", name=name)(x)
    x = image = keras.Input((227, 227, 3))
    x = L.MaxPooling2D(3, 2)(conv(64, 3, 2, "valid", x, "conv1"))
    for number, squeeze, expand in (2, 16, 64), (3, 16, 64), (4, 32, 128), (5, 32, 128), (6, 48, 192), (7, 48, 192), (8, 64, 256), (9, 64, 256):
        s = conv(squeeze, 1, 1, "valid", x, f"fire{number}_squeeze")
        x = L.Concatenate()([conv(expand, 1, 1, "valid", s, f"fire{number}_1x1"), conv(expand, 3, 1, "same", s, f"fire{number}_3x3")])
        if number in (3, 5):
            x = L.MaxPooling2D(3, 2)(x)
    return keras.Model(image, L.Activation("softmax")(L.GlobalAveragePooling2D()(conv(1000, 1, 1, "valid", x, "conv10"))))

def build(name):
    import keras
    A = keras.applications
    model = {"vgg16": lambda: A.VGG16(weights=None), "squeezenet": lambda: squeezenet(keras), "resnet50": lambda: A.ResNet50(weights=None),
             "mobilenet": lambda: A.MobileNet(weights=None), "mobilenet25": lambda: A.MobileNet(weights=None, alpha=0.25)}[name]()
    rng = np.random.default_rng(7)
    for layer in model.layers:
        new = []
        for w in layer.weights:
            shape = tuple(w.shape)
            if "kernel" in w.name:
                inputs = np.prod(shape[:2]) if "depthwise" in w.name else np.prod(shape[:-1])
                new.append(rng.standard_normal(shape, "f") * np.float32(np.sqrt(2 / inputs)))
            elif w.name in ("gamma", "moving_variance"):   # ResNet's branches small, or its sums would fill the softmax
                new.append(rng.uniform(0.8, 1.2, shape).astype("f") * np.float32(0.1 if layer.name.endswith("_3_bn") and w.name == "gamma" else 1))
            else:
                new.append(rng.standard_normal(shape, "f") * np.float32(0.05))
        layer.set_weights(new)
    return model

# ---- the same network as ONNX -----------------------------------------------------------------------------------------------

def to_onnx(model, path):
    import onnx
    from onnx import helper as H, numpy_helper, TensorProto as T
    nodes, initial, names, borders = [], [], {}, {}        # borders: zeros around a value, for the layer that reads it
    def constant(name, array):
        initial.append(numpy_helper.from_array(np.ascontiguousarray(array, "f"), name))
        return name
    def node(kind, inputs, output, **attributes):
        nodes.append(H.make_node(kind, inputs, [output], **attributes))
        return output
    def same_pads(layer, size):                            # TensorFlow's: an odd remainder goes behind
        pads = []
        for n, k, s in zip(layer.input.shape[1:3], size, layer.strides):
            pads.append(max(0, (-(-n // s) - 1) * s + k - n))
        return [pads[0] // 2, pads[1] // 2, pads[0] - pads[0] // 2, pads[1] - pads[1] // 2]
    for layer in model.layers:
        kind, out = type(layer).__name__, re.sub(r"\W", "_", layer.name)
        if kind == "InputLayer":
            names[layer.output.name] = "x"
            continue
        inputs = [names[t.name] for t in (layer.input if isinstance(layer.input, list) else [layer.input])]
        w = layer.get_weights()
        activation = getattr(getattr(layer, "activation", None), "__name__", "linear")
        if kind in ("Conv2D", "DepthwiseConv2D"):
            kernel = w[0].transpose(3, 2, 0, 1) if kind == "Conv2D" else w[0].transpose(2, 3, 0, 1)
            pads = same_pads(layer, layer.kernel_size) if layer.padding == "same" else borders.get(layer.input.name, [0] * 4)
            y = node("Conv", inputs + [constant(out + "_w", kernel)] + ([constant(out + "_b", w[1])] if layer.use_bias else []), out,
                     kernel_shape=layer.kernel_size, strides=layer.strides, pads=pads, group=1 if kind == "Conv2D" else w[0].shape[2])
        elif kind == "BatchNormalization":
            gamma, beta, mean, variance = w
            y = node("BatchNormalization", inputs + [constant(f"{out}_{i}", v) for i, v in enumerate((gamma, beta, mean, variance))], out,
                     epsilon=layer.epsilon)
        elif kind == "ReLU":
            y = (node("Relu", inputs, out) if layer.max_value is None else
                 node("Clip", inputs + [constant(out + "_low", np.float32(0)), constant(out + "_high", np.float32(layer.max_value))], out))
        elif kind == "ZeroPadding2D":
            (top, bottom), (left, right) = layer.padding
            borders[layer.output.name] = [top, left, bottom, right]
            y = inputs[0]
        elif kind == "MaxPooling2D":
            y = node("MaxPool", inputs, out, kernel_shape=layer.pool_size, strides=layer.strides,
                     pads=borders.get(layer.input.name, [0] * 4))   # zeros never win after a ReLU, as here
        elif kind == "GlobalAveragePooling2D":
            y = node("GlobalAveragePool", inputs, out)
            if not layer.keepdims:
                y = node("Flatten", [y], out + "_flat")
        elif kind == "Flatten":
            y = node("Flatten", [node("Transpose", inputs, out + "_nhwc", perm=[0, 2, 3, 1])], out)
        elif kind == "Dense":
            y = node("Gemm", inputs + [constant(out + "_w", w[0]), constant(out + "_b", w[1])], out)
        elif kind == "Add":
            y = node("Add", inputs, out)
        elif kind == "Concatenate":
            y = node("Concat", inputs, out, axis=1)
        elif kind == "Reshape":                            # MobileNet's (1,1,1000) -> (1000)
            y = node("Flatten", inputs, out)
        elif kind == "Dropout":
            y = inputs[0]
        elif kind == "Activation":
            y = inputs[0]
        else:
            sys.exit(f"layer {layer.name}: {kind} is not known here")
        if activation == "relu":
            y = node("Relu", [y], out + "_relu")
        elif activation == "softmax":
            y = node("Softmax", [y], out + "_softmax")
        names[layer.output.name] = y
    height, width = model.input_shape[1:3]
    graph = H.make_graph(nodes, "network", [H.make_tensor_value_info("x", T.FLOAT, [a.batch, 3, height, width])],
                         [H.make_tensor_value_info(names[model.output.name], T.FLOAT, None)], initial)
    onnx.save(H.make_model(graph, opset_imports=[H.make_opsetid("", 17)], ir_version=8), path)

def prepare(name):
    folder = pathlib.Path(a.work, name)
    onnx_file = folder / f"batch{a.batch}.onnx"
    if not onnx_file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        model = build(name)
        model.save(folder / "model.h5")
        to_onnx(model, onnx_file)
        height, width = model.input_shape[1:3]
        x = np.random.default_rng(3).uniform(-1.1, 1.4, (a.batch, height, width, 3)).astype("f")
        np.save(folder / f"x{a.batch}.npy", x)
    return folder

# ---- the peers: each gives a function that runs it once, and returns the scores ----------------------------------------------

def onnxruntime(folder, x):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads = a.threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0" if a.threads == 1 else "1")
    session = ort.InferenceSession(str(folder / f"batch{a.batch}.onnx"), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": x})[0]

def openvino(folder, x):
    import openvino as ov
    core = ov.Core()
    compiled = core.compile_model(core.read_model(folder / f"batch{a.batch}.onnx"), "CPU",
                                  {"INFERENCE_NUM_THREADS": a.threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()
    return lambda: next(iter(request.infer([x]).values()))

def ncnn(folder, x):
    import ncnn as N
    if a.batch != 1:
        return None                                        # it has no batches
    if not (folder / "batch1.ncnn.param").exists():
        subprocess.run([str(pathlib.Path(sys.executable).parent / "pnnx"), "batch1.onnx", f"inputshape=[1,3,{x.shape[2]},{x.shape[3]}]", "fp16=0"],
                       cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    net = N.Net()
    net.opt.num_threads = a.threads
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = net.opt.use_bf16_storage = False
    net.load_param(str(folder / "batch1.ncnn.param"))
    net.load_model(str(folder / "batch1.ncnn.bin"))
    def run():
        extractor = net.create_extractor()
        extractor.input("in0", N.Mat(x[0]))
        return np.array(extractor.extract("out0")[1]).reshape(1, -1)
    return run

def torch_vgg16(folder):
    import torch
    from torch_vgg16 import vgg16
    torch.set_num_threads(a.threads)
    return vgg16(folder / "model.h5")

def torch(folder, x):
    import torch as t
    if folder.name != "vgg16":
        return None
    model, image = torch_vgg16(folder), t.tensor(x).to(memory_format=t.channels_last)
    def run():
        with t.inference_mode():
            return t.softmax(model(image), 1).numpy()
    return run

def explained(folder, x):
    """Grad-CAM of class 281 at block5_conv3, without limn: (name, run)"""
    import torch as t
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    model, image = torch_vgg16(folder), t.tensor(x).to(memory_format=t.channels_last)
    def by_hand():
        with t.no_grad():
            activation = model.features[:30](image)
        activation.requires_grad_(True)
        score = model.classifier(t.flatten(model.features[30](activation), 1))[:, 281].sum()
        gradient, = t.autograd.grad(score, activation)
        t.relu((gradient.mean((2, 3), keepdim=True) * activation).sum(1))
    cam = GradCAM(model=model, target_layers=[model.features[28]])
    return [("torch by hand", by_hand), ("pytorch-grad-cam", lambda: cam(input_tensor=image, targets=[ClassifierOutputTarget(281)] * a.batch))]

def limn(folder, *what):
    """Milliseconds of some runs, and the first result."""
    out = folder / "limn.npy"
    done = subprocess.run([a.limn, "bench", folder / "model.h5", "--input", folder / f"x{a.batch}.npy", "--threads", str(a.threads), "--repeat",
                           str(a.repeat), "--json", "--output", out, *what], check=True, capture_output=True, text=True,
                          env={k: v for k, v in os.environ.items() if not k.startswith("OMP_")})
    report = json.loads(done.stdout)
    return report["ms"], np.load(out), report

# ---- rounds in turns ----------------------------------------------------------------------------------------------------------

def timed(run):
    run()
    ms = []
    for _ in range(a.repeat):
        start = time.perf_counter()
        run()
        ms.append((time.perf_counter() - start) * 1e3)
    return ms

def table(title, times, per=1):
    mine = statistics.median(times["limn"]) if "limn" in times else None
    rows = []
    for name, ms in sorted(times.items(), key=lambda item: statistics.median(item[1])):
        median = statistics.median(ms)
        rows.append((name, min(ms) / per, median / per, mine / median if mine else float("nan")))
    print(f"\n{title}")
    if a.markdown:
        print("| | least ms | median ms | limn takes |\n|---|---|---|---|")
    for name, least, median, ratio in rows:
        print(f"| {name} | {least:.1f} | {median:.1f} | {ratio:.2f} x its time |" if a.markdown else
              f"  {name:18s} least {least:8.2f} ms   median {median:8.2f} ms   limn takes {ratio:5.2f} x its time")
    sys.stdout.flush()

for name in a.networks:
    folder = prepare(name)
    image = np.load(folder / f"x{a.batch}.npy")
    x = np.ascontiguousarray(image.transpose(0, 3, 1, 2))
    runs, truth = {}, None
    for peer in ["onnxruntime"] + [q for q in a.peers if q not in ("limn", "onnxruntime")]:
        run = globals()[peer](folder, x)
        if run is None:
            continue
        y = run()
        truth = y if truth is None else truth
        error = float(np.abs(y.reshape(truth.shape) - truth).max() / np.abs(truth).max())
        if not error < 1e-3:
            print(f"{name}: {peer} answers something else (relative error {error:.1e}): left out")
        elif peer in a.peers:
            runs[peer] = run
    times, reports = {}, {}
    def add_limn(key, *what):
        ms, y, reports[key] = limn(folder, *what)
        times.setdefault(key, []).extend(ms)
        return y
    if "limn" in a.peers:
        y = add_limn("limn")
        error = float(np.abs(y - truth).max() / np.abs(truth).max())
        print(f"{name}: limn's scores differ from ONNX Runtime's by {error:.1e} of the largest")
        if not error < 1e-3:
            sys.exit(1)
        times.clear()
    for _ in range(a.rounds):
        for peer, run in runs.items():
            times.setdefault(peer, []).extend(timed(run))
        if "limn" in a.peers:
            add_limn("limn")
    table(f"{name}, {a.batch} x {image.shape[1]}x{image.shape[2]}, {a.threads} threads, ms an image", times, a.batch)

    if name == "vgg16" and "torch" in a.peers and "limn" in a.peers:
        forward, times = statistics.median(times["limn"]), {}
        others = explained(folder, x)
        for _ in range(a.rounds):
            for peer, run in others:
                times.setdefault(peer, []).extend(timed(run))
            add_limn("limn", "--what", "gradcam", "--layer", "block5_conv3", "--target", "281")
            add_limn("limn, five classes", "--what", "gradcam", "--layer", "block5_conv3", "--target", "top:5")
        table(f"{name}: Grad-CAM at block5_conv3", times, a.batch)
        for key in ("limn", "limn, five classes"):
            print(f"  {key}: {statistics.median(times[key]) / forward:.2f} x limn's forward pass; peak memory {reports[key]['peak_mb']:.0f} MB")
