"""torchvision's VGG16 with the weights of a Keras HDF5 file."""
import numpy as np

def vgg16(path):
    import h5py, torch, torchvision
    model = torchvision.models.vgg16(weights=None).eval()
    layers = [l for l in list(model.features) + list(model.classifier) if hasattr(l, "weight")]
    with h5py.File(path) as f:
        root = f["model_weights"] if "model_weights" in f else f
        names = [n for n in root.attrs["layer_names"] if len(root[n].attrs["weight_names"])]
        for layer, name in zip(layers, names, strict=True):
            kernel, bias = (root[name][w][()] for w in root[name].attrs["weight_names"])
            if kernel.ndim == 4:
                kernel = kernel.transpose(3, 2, 0, 1)
            else:                                          # the first dense layer reads (h,w,c) in Keras, (c,h,w) in torch
                kernel = (kernel.reshape(7, 7, 512, 4096).transpose(2, 0, 1, 3).reshape(25088, 4096) if len(kernel) == 25088 else kernel).T
            layer.weight.data, layer.bias.data = torch.tensor(np.ascontiguousarray(kernel)), torch.tensor(bias)
    return model.to(memory_format=torch.channels_last)
