"""Networks of torchvision's layouts with seeded weights, and the same as whole-model Keras HDF5 files, written by hand: no TensorFlow.

A torch module `layer4.2.conv2` is the Keras layer `layer4_2_conv2`; each block of a ResNet is one more, the ReLU at its end. Convolution
and activation are layers of their own, so that both sides can look at the same tensors.
"""
import json
import h5py, numpy as np, torch, torchvision
from torch import nn


class Small(nn.Module):
    """Two convolutions, global average pooling, one linear layer: plain CAM applies."""
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(4), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
                                      nn.MaxPool2d(4), nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU())
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        return self.fc(self.features(x).mean((2, 3)))


class File:
    """A functional model in the format of Keras 2."""
    def __init__(self, path, size):
        self.path, self.layers, self.weights = path, [], []
        self.add("InputLayer", "input", None, batch_input_shape=[None, size, size, 3], dtype="float32", sparse=False)

    def add(self, kind, name, inputs, weights=(), **config):
        inputs = [inputs] if isinstance(inputs, str) else inputs or []
        self.layers.append({"class_name": kind, "name": name, "config": {"name": name, **config},
                            "inbound_nodes": [[[i, 0, 0, {}] for i in inputs]] if inputs else []})
        self.weights.append((name, weights))
        return name

    def module(self, name, m, x, **config):
        """What a torch module is in Keras: strided or wide convolutions get their border from a layer of its own."""
        array = lambda t: t.detach().numpy().astype("f")
        if isinstance(m, nn.Conv2d):
            (size, _), (stride, _), (border, _) = m.kernel_size, m.stride, m.padding
            if border and (stride > 1 or size != 2 * border + 1):
                x, border = self.add("ZeroPadding2D", name + "_pad", x, padding=[[border, border]] * 2), 0
            bias = [("bias", array(m.bias))] if m.bias is not None else []
            return self.add("Conv2D", name, x, [("kernel", array(m.weight).transpose(2, 3, 1, 0))] + bias, filters=m.out_channels,
                            kernel_size=[size] * 2, strides=[stride] * 2, padding="same" if border else "valid", activation="linear",
                            use_bias=bool(bias))
        if isinstance(m, nn.BatchNorm2d):
            return self.add("BatchNormalization", name, x, [("gamma", array(m.weight)), ("beta", array(m.bias)),
                            ("moving_mean", array(m.running_mean)), ("moving_variance", array(m.running_var))], axis=[3], epsilon=m.eps)
        if isinstance(m, nn.ReLU):
            return self.add("Activation", name, x, activation="relu")
        if isinstance(m, nn.ZeroPad2d):
            return self.add("ZeroPadding2D", name, x, padding=[[m.padding[0]] * 2] * 2)
        if isinstance(m, nn.MaxPool2d):
            return self.add("MaxPooling2D", name, x, pool_size=[m.kernel_size] * 2, strides=[m.stride] * 2, padding="valid")
        if isinstance(m, nn.Linear):
            kernel = config.pop("kernel", array(m.weight).T)
            return self.add("Dense", name, x, [("kernel", kernel), ("bias", array(m.bias))], units=m.out_features, activation="linear", **config)
        raise ValueError(f"{name}: {type(m).__name__}")

    def scores(self, m, name, x):
        x = self.module(name, m, x)
        self.layers[-1]["config"]["activation"] = "softmax"
        config = {"name": "network", "layers": self.layers, "input_layers": [["input", 0, 0]], "output_layers": [[x, 0, 0]]}
        with h5py.File(self.path, "w") as f:
            f.attrs["keras_version"], f.attrs["backend"] = b"2.15.0", b"tensorflow"
            f.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": config}).encode()
            root = f.create_group("model_weights")
            root.attrs["keras_version"], root.attrs["backend"] = b"2.15.0", b"tensorflow"
            root.attrs["layer_names"] = [name.encode() for name, _ in self.weights]
            for name, weights in self.weights:
                group = root.create_group(name)
                group.attrs["weight_names"] = np.array([f"{name}/{w}:0".encode() for w, _ in weights], "S")
                for w, values in weights:
                    group.create_dataset(f"{name}/{w}:0", data=values)


def seeded(net, seed):
    """He-normal kernels, and nothing at zero or one: activations keep their size, every bias counts."""
    torch.manual_seed(seed)
    for name, m in net.named_modules():
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            nn.init.normal_(m.weight, 0, (2 / m.weight[0].numel()) ** 0.5)
            if m.bias is not None:
                nn.init.normal_(m.bias, 0, 0.1)
        elif isinstance(m, nn.BatchNorm2d):
            branch = 0.3 if name.endswith("bn3") else 1.0  # of a ResNet, whose sums would grow
            nn.init.uniform_(m.weight, 0.8 * branch, 1.2 * branch)
            nn.init.normal_(m.bias, 0, 0.1)
            nn.init.normal_(m.running_mean, 0, 0.1)
            nn.init.uniform_(m.running_var, 0.8, 1.2)
        elif isinstance(m, nn.ReLU):
            m.inplace = False                              # else pytorch-grad-cam, at a convolution, takes what the ReLU made of its output
    return net.eval()


def small(path):
    net, f, x = seeded(Small(), 1), File(path, 224), "input"
    for i, m in enumerate(net.features):
        x = f.module(f"features_{i}", m, x)
    f.scores(net.fc, "fc", f.add("GlobalAveragePooling2D", "pool", x))
    return net


def vgg16(path):
    net, f, x = seeded(torchvision.models.vgg16(), 2), File(path, 224), "input"
    for i, m in enumerate(net.features):
        x = f.module(f"features_{i}", m, x)
    x = f.add("Flatten", "flatten", x)                     # rows, columns, channels there; channels first in torch
    first = net.classifier[0].weight.detach().numpy().reshape(4096, 512, 7, 7).transpose(2, 3, 1, 0).reshape(-1, 4096)
    x = f.module("classifier_0", net.classifier[0], x, kernel=np.ascontiguousarray(first))
    x = f.module("classifier_1", net.classifier[1], x)
    x = f.module("classifier_3", net.classifier[3], x)
    x = f.module("classifier_4", net.classifier[4], x)
    f.scores(net.classifier[6], "classifier_6", x)
    return net


def resnet50(path):
    net, f, x = seeded(torchvision.models.resnet50(), 3), File(path, 224), "input"
    # torchvision pads with -inf. After a ReLU zeros are as good, but for a Deconvnet, which walks back through zeros, too.
    net.maxpool = nn.Sequential(nn.ZeroPad2d(1), nn.MaxPool2d(3, 2))
    for name in "conv1", "bn1", "relu", "maxpool_0", "maxpool_1":
        x = f.module(name, module(net, name), x)
    for stage in range(1, 5):
        for i, block in enumerate(getattr(net, f"layer{stage}")):
            name, shortcut = f"layer{stage}_{i}", x
            for j in 1, 2:
                for kind in f"conv{j}", f"bn{j}":
                    x = f.module(f"{name}_{kind}", getattr(block, kind), x)
                x = f.module(f"{name}_relu{j}", block.relu, x)
            for j, kind in enumerate(("conv3", "bn3")):    # in turns: Keras lists layers by their distance from the end
                x = f.module(f"{name}_{kind}", getattr(block, kind), x)
                if block.downsample:
                    shortcut = f.module(f"{name}_downsample_{j}", block.downsample[j], shortcut)
            x = f.module(name, block.relu, f.add("Add", name + "_add", [x, shortcut]))
    f.scores(net.fc, "fc", f.add("GlobalAveragePooling2D", "avgpool", x))
    return net


def module(net, layer):
    return net.get_submodule(layer.replace("_", "."))


def preprocessed(rgb):
    """(H,W,3) bytes as torchvision's networks take them: (1,3,H,W)."""
    x = (np.float32(rgb) / 255 - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
    return torch.tensor(x.transpose(2, 0, 1)[None])
