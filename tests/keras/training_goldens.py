#!/usr/bin/env python3
"""Three steps of training by real Keras, for each of some tiny networks: what tests/train compares limn's training with.

usage: training_goldens.py [FILE]            (default: tests/goldens/training.h5; any Python with keras, tensorflow and h5py)
The committed file was made by Keras 3.15.1 on TensorFlow 2.21.0. The same seeds give the same file.

A group a case. Attributes: model_config, keras_version, loss, label_smoothing, and the optimizer's settings. Datasets: the
batches x0 x1 x2 (NHWC, float16 to save room) with targets y0 y1 y2; `loss` of each batch before its step; all weights at the
beginning, initial/LAYER/WEIGHT, and after each step, step1/... step2/... step3/...; gradient1/..., the first step's gradients
of what is trained.
Without dropout: its random numbers are Keras's own.
"""
import json, os, sys
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import h5py, keras, numpy as np, tensorflow as tf
from keras import layers as L
from small_hdf5 import create_file, write

tf.config.threading.set_intra_op_parallelism_threads(1)   # sums in one order
tf.config.threading.set_inter_op_parallelism_threads(1)
tf.config.experimental.enable_op_determinism()

# ---- the networks: x is the input, the result the network's output --------------------------------------------------------

def pooled(x):
    x = L.Conv2D(4, 3, activation="relu", name="conv1")(x)
    x = L.MaxPooling2D(2, name="pool")(x)
    x = L.Conv2D(5, 3, padding="same", activation="tanh", name="conv2")(x)
    return sigmoid(L.GlobalAveragePooling2D(name="gap")(x))

def batch_norm(x, second=5):
    x = L.Conv2D(4, 3, padding="same", use_bias=False, name="conv1")(x)
    x = L.ReLU(name="relu1")(L.BatchNormalization(name="bn1")(x))
    x = L.Conv2D(second, 3, strides=2, padding="same", use_bias=False, name="conv2")(x)
    x = L.ReLU(name="relu2")(L.BatchNormalization(name="bn2", momentum=0.9, epsilon=1e-5)(x))
    return sigmoid(L.GlobalAveragePooling2D(name="gap")(x))

def flat(x):
    x = L.Dense(6, activation="relu", name="hidden")(L.Flatten(name="flatten")(x))
    return L.Dense(4, activation="softmax", name="head")(x)

def depthwise(x):                                          # in the manner of MobileNet: odd sizes, both paddings, both strides
    x = L.DepthwiseConv2D(3, strides=2, padding="same", name="depthwise1")(x)
    x = L.ReLU(6.0, name="relu1")(L.Conv2D(5, 1, name="pointwise1")(x))
    x = L.ZeroPadding2D(((0, 1), (1, 0)), name="pad")(x)
    x = L.DepthwiseConv2D(3, strides=2, padding="valid", depth_multiplier=2, use_bias=False, name="depthwise2")(x)
    x = L.Conv2D(4, 1, activation="relu", name="pointwise2")(x)
    return L.Dense(3, activation="softmax", name="head")(L.GlobalAveragePooling2D(name="gap")(x))

def dilated(x):
    x = L.Conv2D(4, 3, dilation_rate=2, padding="same", activation="relu", name="conv1")(x)
    x = L.Conv2D(4, (2, 3), dilation_rate=(3, 2), activation="relu", name="conv2")(x)
    return sigmoid(L.GlobalAveragePooling2D(name="gap")(x))

def separable(x):                                          # at the edge 'same' averages over what is inside
    x = L.AveragePooling2D(3, strides=2, padding="same", name="pool1")(x)
    x = L.SeparableConv2D(6, 3, depth_multiplier=2, padding="same", activation="relu", name="separable")(x)
    x = L.AveragePooling2D(2, name="pool2")(x)
    return L.Dense(4, activation="softmax", name="head")(L.Flatten(name="flatten")(x))

def residual(x):
    x = L.Conv2D(4, 3, padding="same", activation="relu", name="stem")(x)
    y = L.Conv2D(4, 3, padding="same", use_bias=False, name="conv1")(x)
    y = L.Activation("relu", name="relu1")(L.BatchNormalization(name="bn1")(y))
    y = L.Conv2D(4, 3, padding="same", name="conv2")(y)
    x = L.Activation("relu", name="relu2")(L.Add(name="add")([x, y]))
    x = L.Concatenate(name="concatenate")([x, L.Conv2D(3, 1, activation="elu", name="branch")(x), x])   # one tensor, three readers
    return L.Dense(3, activation="softmax", name="head")(L.GlobalAveragePooling2D(name="gap")(x))

def activations(x):
    x = L.PReLU(shared_axes=[1, 2], name="prelu1")(L.Conv2D(3, 3, strides=2, name="conv1")(x))
    x = L.LeakyReLU(negative_slope=0.2, name="leaky")(L.Conv2D(4, 2, activation="gelu", name="gelu")(x))
    x = L.PReLU(name="prelu2")(L.Conv2D(3, 1, activation="elu", name="elu")(x))
    x = L.Activation("softplus", name="softplus")(L.Conv2D(3, 2, activation="swish", name="swish")(x))
    return L.Dense(3, activation="softmax", name="head")(L.GlobalMaxPooling2D(name="gmp")(x))

def frozen(x):                                             # a frozen BatchNormalization takes its moving averages and keeps them
    x = L.Conv2D(4, 3, activation="relu", name="conv1", trainable=False)(x)
    x = L.Conv2D(4, 3, padding="same", use_bias=False, name="conv2")(x)
    x = L.ReLU(name="relu2")(L.BatchNormalization(name="bn2", trainable=False)(x))
    x = L.Conv2D(4, 3, use_bias=False, name="conv3")(x)
    x = L.ReLU(name="relu3")(L.BatchNormalization(name="bn3", scale=False)(x))
    return sigmoid(L.GlobalAveragePooling2D(name="gap")(x))

def transposed(x):
    x = L.Conv2D(3, 3, strides=2, activation="relu", name="conv")(x)
    x = L.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu", name="transposed1")(x)
    x = L.Conv2DTranspose(2, 2, strides=3, padding="valid", use_bias=False, name="transposed2")(x)
    x = L.Conv2D(3, 3, strides=2, activation="relu", name="conv2")(L.UpSampling2D(2, name="up")(L.Cropping2D(3, name="crop")(x)))
    return sigmoid(L.GlobalAveragePooling2D(name="gap")(x))

def layer_norm(x):
    x = L.LayerNormalization(name="norm1")(L.Conv2D(4, 3, name="conv1")(x))
    x = L.LayerNormalization(name="norm2", epsilon=1e-5)(L.Conv2D(4, 2, strides=2, activation="relu", name="conv2")(x))
    return L.Dense(3, activation="softmax", name="head")(L.Flatten(name="flatten")(x))

def gated(x):                                              # squeeze and excitation (Hu et al. 2018)
    x = L.Conv2D(4, 3, activation="relu", name="conv1")(x)
    g = L.Dense(2, activation="tanh", name="squeeze")(L.GlobalAveragePooling2D(name="gap1")(x))
    g = L.Reshape((1, 1, 4), name="reshape")(L.Dense(4, activation="sigmoid", name="excite")(g))
    x = L.Multiply(name="multiply")([x, g])
    x = L.Dense(1, name="scores")(L.GlobalAveragePooling2D(name="gap2")(x))
    return L.Activation("sigmoid", name="head")(x)         # a layer of its own: Keras finds the logits all the same

def saturated(x):                                          # scores of +-20, all wrong: a loss from clipped probabilities would end at 16
    return L.Dense(1, activation="sigmoid", name="head")(L.Flatten(name="flatten")(x))

def sigmoid(x):
    return L.Dense(1, activation="sigmoid", name="head")(x)

# ---- the cases ------------------------------------------------------------------------------------------------------------

BINARY, CATEGORICAL = "binary_crossentropy", "categorical_crossentropy"
SGD, MOMENTUM = dict(optimizer="sgd", learning_rate=0.1), dict(optimizer="sgd", learning_rate=0.05, momentum=0.9)
NESTEROV, DECAY = dict(MOMENTUM, nesterov=True), dict(SGD, weight_decay=0.02)
ADAM = dict(optimizer="adam", learning_rate=0.01)
ADAMW = dict(optimizer="adamw", learning_rate=0.01, weight_decay=0.02)

CASES = [  # name, network, input, loss, label smoothing, optimizer
    ("sgd_pooled", pooled, (10, 9, 1), BINARY, 0, SGD),
    ("momentum_batch_norm", batch_norm, (9, 8, 1), BINARY, 0, MOMENTUM),
    ("nesterov_flat_smoothed", flat, (8, 8, 1), CATEGORICAL, 0.1, NESTEROV),
    ("adam_depthwise", depthwise, (11, 9, 2), CATEGORICAL, 0, ADAM),
    ("adamw_dilated", dilated, (12, 10, 1), BINARY, 0, ADAMW),
    ("sgd_decay_separable", separable, (9, 11, 1), CATEGORICAL, 0, DECAY),
    ("adam_residual", residual, (8, 8, 1), CATEGORICAL, 0, ADAM),
    ("adam_activations", activations, (9, 9, 1), CATEGORICAL, 0, dict(ADAM, beta_1=0.8, beta_2=0.99, epsilon=1e-3)),
    ("adam_frozen", frozen, (8, 8, 1), BINARY, 0, ADAM),
    ("adamw_batch_norm_smoothed", batch_norm, (8, 8, 2), BINARY, 0.05, ADAMW),
    ("nesterov_transposed", transposed, (8, 8, 1), BINARY, 0, NESTEROV),
    ("adam_layer_norm", layer_norm, (8, 8, 1), CATEGORICAL, 0, ADAM),
    ("sgd_gated", gated, (8, 8, 2), BINARY, 0, SGD),
    ("sgd_saturated", saturated, (8, 8, 1), BINARY, 0.05, SGD),
]

def build(name, network, shape, dtype="float32"):
    keras.backend.clear_session()
    keras.config.set_floatx(dtype)                         # of the losses, too: one that must cast does not find the logits
    keras.config.set_dtype_policy(dtype)
    x = keras.Input(shape, name="input")
    return keras.Model(x, network(x), name=name)

def initial_weights(model, rng):                           # nothing 0 or 1: a gamma, a bias or an average left out would show
    values = []
    for w in model.weights:
        v = rng.normal(size=w.shape)
        if w.name in ("gamma", "moving_variance"):
            v = np.exp(0.3 * v)
        elif len(w.shape) > 1 and w.name != "alpha":
            spread = {"depthwise_kernel": 9}.get(w.name, np.prod(w.shape[:-1]))
            v = -1.5 * abs(v) if model.name == "sgd_saturated" else v * np.sqrt(2 / spread)
        else:
            v *= 0.3
        values.append(v.astype("float32"))
    return values

def batches(model, loss, rng):
    for i in range(3):
        n = (5, 6, 5)[i]                                   # the number may change between steps
        x = rng.normal(size=(n, *model.input_shape[1:]))
        k = model.output_shape[-1]
        y = (np.arange(n) + i) % (2 if loss == BINARY else k)
        x = (x + 0.5 * y.reshape(-1, 1, 1, 1) - 0.25).astype("float16").astype("float32")     # so that there is something to learn
        yield x, (y[:, None] if loss == BINARY else np.eye(k)[y]).astype("float32")

def optimizer_of(settings):
    kinds = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW}
    return kinds[settings["optimizer"]](**{k: v for k, v in settings.items() if k != "optimizer"})

def loss_of(name, smoothing):
    kinds = {BINARY: keras.losses.BinaryCrossentropy, CATEGORICAL: keras.losses.CategoricalCrossentropy}
    return kinds[name](label_smoothing=smoothing)

def train(model, values, data, loss, smoothing, settings):
    """The first gradients, the losses, and all weights after each step."""
    model.set_weights(values)
    model.compile(optimizer_of(settings), loss_of(loss, smoothing), jit_compile=False)
    with tf.GradientTape() as tape:
        first = loss_of(loss, smoothing)(data[0][1], model(data[0][0], training=True))
    gradients = [g.numpy() for g in tape.gradient(first, [w.value for w in model.trainable_weights])]
    model.set_weights(values)                              # the forward pass above has moved the moving averages
    losses, steps = [], []
    for x, y in data:
        model.reset_metrics()                              # else Keras returns the mean over the steps so far
        losses.append(float(model.train_on_batch(x, y)))
        steps.append(model.get_weights())
    if abs(float(first) - losses[0]) > 1e-5 * abs(losses[0]):
        sys.exit(f"{model.name}: the loss is {float(first)} by the tape and {losses[0]} by train_on_batch")
    return gradients, losses, steps

def paths(model, weights):
    owner = {id(w): layer.name for layer in model.layers for w in layer.weights}
    return [f"{owner[id(w)]}/{w.name}" for w in weights]

def distance(a, b):                                        # over arrays: the largest difference against the largest number
    return max(np.abs(np.asarray(p, "float64") - q).max() / (np.abs(q).max() + 1e-12) for p, q in zip(a, b))

# ---- all of it ------------------------------------------------------------------------------------------------------------

root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
path = sys.argv[1] if len(sys.argv) > 1 else os.path.normpath(os.path.join(root, "goldens", "training.h5"))
os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
rows = []
with create_file(path) as file:
    for seed, (name, network, shape, loss, smoothing, settings) in enumerate(CASES):
        rng = np.random.default_rng(100 + seed)
        model = build(name, network, shape)
        values = initial_weights(model, rng)
        data = list(batches(model, loss, rng))
        config = json.dumps(json.loads(model.to_json()), separators=(",", ":"))
        gradients, losses, steps = train(model, values, data, loss, smoothing, settings)

        # The same in double. What float32 itself loses is the measure for any test's limit.
        twin = train(build(name, network, shape, "float64"), values, data, loss, smoothing, settings)
        rounding = distance(gradients, twin[0]), distance(steps[2], twin[2][2])

        write(file, f"{name}/loss", np.array(losses, "float32"))
        case = file[name]
        attributes = dict(model_config=config, keras_version=keras.__version__, loss=loss, label_smoothing=float(smoothing))
        attributes |= dict(momentum=0.0, nesterov=False, beta_1=0.9, beta_2=0.999, epsilon=1e-7, weight_decay=0.0) | settings
        attributes["nesterov"] = int(attributes["nesterov"])
        for key, value in attributes.items():
            case.attrs[key] = value
        for i, (x, y) in enumerate(data):
            write(case, f"x{i}", x.astype("float16"))       # exact: they were rounded before
            write(case, f"y{i}", y)
        for group, weights, arrays in [("initial", model.weights, values), ("gradient1", model.trainable_weights, gradients)] + \
                                      [(f"step{i + 1}", model.weights, step) for i, step in enumerate(steps)]:
            for p, array in zip(paths(model, weights), arrays):
                write(case, f"{group}/{p}", array.astype("float32"))
        rows.append((name, f"{settings['optimizer']}", "x".join(map(str, shape)), str(sum(v.size for v in values)),
                     " ".join(f"{l:.5f}" for l in losses), *(f"{r:.0e}" for r in rounding)))

rows.insert(0, ("case", "optimizer", "input", "weights", "losses", "gradients", "weights after 3 steps: what float32 loses"))
widths = [max(len(r[i]) for r in rows[1:]) for i in range(7)]
widths = [max(w, len(rows[0][i])) for i, w in enumerate(widths)]
for r in rows:
    print("  ".join(v.ljust(w) for v, w in zip(r, widths)).rstrip())
print(f"{len(CASES)} cases, {os.path.getsize(path)} bytes: {path}")
