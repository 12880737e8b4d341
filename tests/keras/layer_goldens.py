#!/usr/bin/env python3
"""Single layers and calls by real Keras: what tests/layers/test_layer_goldens.cpp compares limn with.

usage: layer_goldens.py [FILE]     (default: tests/goldens/layers.h5; a Python with keras 3, tf-keras (Keras 2), tensorflow and h5py)
The committed file was made by Keras 3.15.1, tf-keras 2.21.0 and TensorFlow 2.21.0. The same seeds give the same file.

A group a case: a tiny model. Attributes: model_config and keras_version, the weights' layer_names and weight_names as Keras writes them into
.h5 files. Datasets: the weights, the inputs x0, x1..., and in a row the output y and for each input dx = d sum(y * noise) / dx, where
noise[i] = cos(0.7 * (i + 1)) in the order of y's elements. In the cases with channels first all of these have them last, as limn has.
"""
import json, os, sys, tempfile
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"                  # it refuses some transposed convolutions
import h5py, keras, numpy as np, tensorflow as tf, tf_keras
from keras import layers as L, ops
from small_hdf5 import create_file, write

tf.config.threading.set_intra_op_parallelism_threads(1)   # sums in one order
tf.config.threading.set_inter_op_parallelism_threads(1)
tf.config.experimental.enable_op_determinism()

LINE, IMAGE, VOLUME, ROW = (7, 4), (6, 5, 4), (4, 5, 3, 2), (6,)
first = "channels_first"

CASES = [  # name, shapes of the inputs, the call
    # ---- convolutions
    ("conv1d_same", [LINE], lambda x: L.Conv1D(5, 3, padding="same", activation="gelu")(x)),
    ("conv1d_strided", [LINE], lambda x: L.Conv1D(3, 4, strides=3, activation="relu", use_bias=False)(x)),
    ("conv1d_causal", [LINE], lambda x: L.Conv1D(3, 3, dilation_rate=2, padding="causal")(x)),
    ("conv1d_groups", [LINE], lambda x: L.Conv1D(6, 2, groups=2)(x)),
    ("conv1d_one_step", [(1, 3)], lambda x: L.Conv1D(2, 3, padding="same")(x)),
    ("conv2d_groups", [IMAGE], lambda x: L.Conv2D(6, (3, 2), groups=2, padding="same", strides=(2, 1))(x)),
    ("conv3d_same", [VOLUME], lambda x: L.Conv3D(3, (3, 2, 3), padding="same")(x)),
    ("conv3d_strided", [VOLUME], lambda x: L.Conv3D(2, 2, strides=(2, 1, 2), activation="relu", padding="same")(x)),
    ("conv3d_dilated", [VOLUME], lambda x: L.Conv3D(2, (2, 3, 2), dilation_rate=(2, 2, 1), use_bias=False)(x)),
    ("conv3d_groups", [(3, 4, 3, 4)], lambda x: L.Conv3D(6, (2, 3, 1), groups=2, activation="tanh")(x)),
    ("conv1d_transpose_same", [LINE], lambda x: L.Conv1DTranspose(3, 3, strides=2, padding="same")(x)),
    ("conv1d_transpose_valid", [(5, 2)], lambda x: L.Conv1DTranspose(3, 4, strides=3, output_padding=1, activation="relu")(x)),
    ("conv2d_transpose_padded", [IMAGE], lambda x: L.Conv2DTranspose(3, (3, 4), strides=(2, 3), padding="same", output_padding=(1, 1))(x)),
    ("conv2d_transpose_padded_valid", [(4, 3, 2)], lambda x: L.Conv2DTranspose(2, 3, strides=2, output_padding=1)(x)),
    ("conv3d_transpose_same", [(3, 2, 3, 2)], lambda x: L.Conv3DTranspose(3, 3, strides=(2, 1, 2), padding="same")(x)),
    ("conv3d_transpose_valid", [(2, 3, 2, 2)], lambda x: L.Conv3DTranspose(2, (2, 3, 2), strides=2, output_padding=(1, 0, 1), activation="relu")(x)),
    ("depthwise_conv1d", [LINE], lambda x: L.DepthwiseConv1D(3, strides=2, depth_multiplier=2, padding="same")(x)),
    ("separable_conv1d", [LINE], lambda x: L.SeparableConv1D(3, 3, depth_multiplier=2, dilation_rate=2, activation="relu")(x)),
    ("separable_conv2d_strided", [IMAGE], lambda x: L.SeparableConv2D(3, 3, strides=2, padding="same")(x)),
    # ---- pools and shapes
    ("max_pooling1d", [LINE], lambda x: L.MaxPooling1D(3, strides=2, padding="same")(x)),
    ("average_pooling1d", [LINE], lambda x: L.AveragePooling1D(2, padding="same")(x)),
    ("max_pooling3d", [VOLUME], lambda x: L.MaxPooling3D((2, 3, 2), strides=(1, 2, 1), padding="same")(x)),
    ("average_pooling3d", [VOLUME], lambda x: L.AveragePooling3D((3, 2, 2), strides=(2, 2, 1), padding="same")(x)),
    ("max_pooling3d_default", [VOLUME], lambda x: L.MaxPooling3D()(x)),
    ("global_pooling1d", [LINE], lambda x: ops.concatenate([L.GlobalAveragePooling1D()(x), L.GlobalMaxPooling1D()(x)], axis=1)),
    ("global_pooling3d", [VOLUME], lambda x: L.Add()([L.GlobalAveragePooling3D(keepdims=True)(x), L.GlobalMaxPooling3D(keepdims=True)(x)])),
    ("zero_padding1d", [LINE], lambda x: L.ZeroPadding1D((1, 3))(x)),
    ("zero_padding3d", [VOLUME], lambda x: L.ZeroPadding3D(((1, 0), (0, 2), (1, 1)))(x)),
    ("zero_padding3d_per_axis", [VOLUME], lambda x: L.ZeroPadding3D((1, 0, 1))(x)),
    ("cropping1d", [LINE], lambda x: L.Cropping1D((2, 1))(x)),
    ("cropping3d", [VOLUME], lambda x: L.Cropping3D(((1, 0), (0, 2), (1, 1)))(x)),
    ("up_sampling1d", [LINE], lambda x: L.UpSampling1D(3)(x)),
    ("up_sampling3d", [VOLUME], lambda x: L.UpSampling3D((2, 1, 2))(x)),
    ("up_sampling2d_bicubic", [IMAGE], lambda x: L.UpSampling2D((2, 1), interpolation="bicubic")(x)),
    ("up_sampling2d_lanczos3", [IMAGE], lambda x: L.UpSampling2D(2, interpolation="lanczos3")(x)),
    ("flatten_line", [LINE], lambda x: L.Dense(2)(L.Flatten()(x))),
    ("reshape_permute_volume", [(2, 5, 3, 2)], lambda x: L.Reshape((5, -1))(L.Permute((2, 4, 1, 3))(x))),
    # ---- channels first: line and volume (TensorFlow's CPU convolves no such images)
    ("first_pooling1d", [(4, 9)], lambda x: L.Flatten(data_format=first)(L.ZeroPadding1D(1, data_format=first)(x))),
    ("first_up_sampling3d", [(2, 3, 2, 2)], lambda x: L.Permute((2, 1, 4, 3))(L.UpSampling3D(2, data_format=first)(x))),
    ("first_batch_norm", [(3, 5, 4)], lambda x: L.GlobalMaxPooling2D(data_format=first)(L.BatchNormalization(axis=1)(x))),
    ("first_prelu", [(3, 5, 4)], lambda x: L.UpSampling2D(data_format=first)(L.PReLU(shared_axes=[3])(L.PReLU(shared_axes=[2, 3])(x)))),
    ("first_operations", [(3, 5, 4)], lambda x: ops.mean(ops.transpose(L.UpSampling2D(data_format=first)(x), (0, 2, 1, 3))[:, 1:, ::2], axis=3)),
    # ---- normalisation
    ("batch_norm_other_axis", [IMAGE], lambda x: L.BatchNormalization(axis=2)(x)),
    ("batch_norm_line", [LINE], lambda x: L.BatchNormalization(scale=False)(x)),
    ("batch_norm_volume", [VOLUME], lambda x: L.BatchNormalization()(x)),
    ("layer_norm_rms", [LINE], lambda x: L.LayerNormalization(rms_scaling=True)(x)),
    ("layer_norm_two_axes", [IMAGE], lambda x: L.LayerNormalization(axis=[1, 3], epsilon=1e-5)(x)),
    ("rms_norm", [LINE], lambda x: L.RMSNormalization()(x)),
    ("rms_norm_two_axes", [IMAGE], lambda x: L.RMSNormalization(axis=[2, 3], epsilon=1e-4)(x)),
    ("group_norm", [IMAGE], lambda x: L.GroupNormalization(groups=2)(x)),
    ("group_norm_one", [LINE], lambda x: L.GroupNormalization(groups=1, center=False)(x)),
    ("group_norm_instance", [IMAGE], lambda x: L.GroupNormalization(groups=-1, axis=1, epsilon=1e-5)(x)),
    ("unit_norm", [IMAGE], lambda x: L.UnitNormalization()(x)),
    ("unit_norm_two_axes", [IMAGE], lambda x: L.UnitNormalization(axis=[1, 2])(x)),
    ("spectral_norm", [IMAGE], lambda x: L.SpectralNormalization(L.Conv2D(3, 3, activation="relu"))(x)),
    ("spectral_norm_dense", [ROW], lambda x: L.SpectralNormalization(L.Dense(3, activation="tanh"))(x)),
    ("normalization", [IMAGE], lambda x: L.Normalization(axis=-1)(x)),
    ("normalization_given", [IMAGE], lambda x: L.Normalization(axis=None, mean=0.3, variance=2.0)(x)),
    ("normalization_axes", [IMAGE], lambda x: L.Normalization(axis=(1, 3))(x)),
    ("normalization_inverted", [IMAGE], lambda x: L.Normalization(axis=-1, mean=[1., 2., 3., 4.], variance=[1., .5, 2., 0.], invert=True)(x)),
    # ---- attention and products
    ("mha", [(5, 6)], lambda x: L.MultiHeadAttention(2, 3)(x, x)),
    ("mha_cross", [(5, 6), (4, 3), (4, 2)], lambda q, v, k: L.MultiHeadAttention(2, 3, value_dim=4, output_shape=5, dropout=0.1)(q, v, key=k)),
    ("mha_named", [(5, 6), (4, 3)], lambda q, v: L.MultiHeadAttention(3, 2, use_bias=False)(value=v, query=q)),
    ("mha_causal", [(5, 4)], lambda x: L.MultiHeadAttention(2, 2)(x, x, use_causal_mask=True)),
    ("mha_window", [(6, 4)], lambda x: L.MultiHeadAttention(2, 2, sliding_window=2)(x, x)),
    ("mha_gated", [(5, 4)], lambda x: L.MultiHeadAttention(2, 3, use_gate=True)(x, x)),
    ("mha_image", [(3, 4, 2)], lambda x: L.MultiHeadAttention(2, 3, attention_axes=(1, 2))(x, x)),
    ("mha_image_axis", [(3, 4, 2), (3, 5, 2)], lambda q, v: L.MultiHeadAttention(2, 3, attention_axes=2)(q, v)),
    ("mha_image_first_axis", [(3, 4, 2)], lambda x: L.MultiHeadAttention(2, 2, attention_axes=(1,))(x, x)),
    ("gqa", [(5, 6), (4, 6)], lambda q, v: L.GroupQueryAttention(3, 4, 2)(q, v)),
    ("gqa_causal", [(5, 4)], lambda x: L.GroupQueryAttention(2, 2, 1, use_gate=True)(x, x, use_causal_mask=True)),
    ("attention", [(5, 3), (4, 3)], lambda q, v: L.Attention()([q, v])),
    ("attention_scaled", [(5, 3), (4, 6), (4, 3)], lambda q, v, k: L.Attention(use_scale=True)([q, v, k])),
    ("attention_concat", [(5, 3), (4, 3)], lambda q, v: L.Attention(use_scale=True, score_mode="concat")([q, v])),
    ("attention_causal", [(5, 3)], lambda x: L.Attention()([x, x], use_causal_mask=True)),
    ("additive_attention", [(5, 3), (4, 3)], lambda q, v: L.AdditiveAttention()([q, v])),
    ("einsum_dense", [(5, 3)], lambda x: L.EinsumDense("abc,cd->abd", output_shape=(None, 4), bias_axes="d", activation="relu")(x)),
    ("einsum_dense_heads", [(5, 3)], lambda x: L.EinsumDense("abc,cde->abde", output_shape=(None, 2, 4), bias_axes="de")(x)),
    ("einsum_dense_dots", [IMAGE], lambda x: L.EinsumDense("...x,xy->...y", output_shape=3, bias_axes="y", activation="gelu")(x)),
    ("einsum_dense_mixes", [IMAGE], lambda x: L.EinsumDense("bhwc,hk->bkwc", output_shape=(3, 5, 4), bias_axes="k")(x)),
    ("einsum_dense_shared", [(4, 3)], lambda x: L.EinsumDense("abc,bcd->abd", output_shape=(4, 2))(x)),
    ("dot", [(5, 3), (4, 3)], lambda a, b: L.Dot(axes=2)([a, b])),
    ("dot_axes", [(5, 3), (5, 4)], lambda a, b: L.Dot(axes=(1, 1))([a, b])),
    ("dot_cosine", [ROW, ROW], lambda a, b: L.Dot(axes=1, normalize=True)([a, b])),
    ("dot_row", [(5, 3), (3,)], lambda a, b: L.Dot(axes=(2, 1))([a, b])),
    ("merge_ranks", [IMAGE, (4,)], lambda a, b: L.Add()([L.Multiply()([a, b]), b])),
    # ---- activations
    *[(f"activation_{f}", [ROW], lambda x, f=f: L.Activation(f)(ops.multiply(x, 1.7)))
      for f in """celu elu exponential gelu hard_shrink hard_sigmoid hard_silu hard_tanh leaky_relu log_sigmoid log_softmax mish relu6 selu silu
      soft_shrink softplus softsign sparse_plus sparse_sigmoid squareplus tanh_shrink glu""".split()],
    ("activation_sparsemax", [IMAGE], lambda x: L.Activation("sparsemax")(ops.multiply(x, 0.4))),
    ("softmax_axis", [IMAGE], lambda x: L.Softmax(axis=1)(x)),
    ("conv_with_glu", [IMAGE], lambda x: L.Conv2D(6, 2, activation="glu")(x)),
    ("prelu_image", [IMAGE], lambda x: L.PReLU()(x)),
    ("relu_settings", [IMAGE], lambda x: L.ReLU(max_value=1.0, negative_slope=0.1, threshold=0.2)(x)),
    # ---- images in another size
    ("resizing", [IMAGE], lambda x: L.Resizing(4, 7)(x)),
    ("resizing_nearest", [IMAGE], lambda x: L.Resizing(9, 3, interpolation="nearest")(x)),
    ("resizing_bicubic", [IMAGE], lambda x: L.Resizing(9, 3, interpolation="bicubic")(x)),
    ("resizing_lanczos5", [IMAGE], lambda x: L.Resizing(8, 3, interpolation="lanczos5")(x)),
    ("resizing_antialias", [(11, 9, 2)], lambda x: L.Resizing(4, 5, antialias=True)(x)),
    ("resizing_bicubic_antialias", [(11, 9, 2)], lambda x: L.Resizing(4, 5, interpolation="bicubic", antialias=True)(x)),
    ("resizing_cropped", [(8, 5, 2)], lambda x: L.Resizing(4, 4, crop_to_aspect_ratio=True)(x)),
    ("resizing_padded", [(9, 4, 2)], lambda x: L.Resizing(5, 5, pad_to_aspect_ratio=True, fill_value=0.5)(x)),
    ("center_crop", [(7, 6, 2)], lambda x: L.CenterCrop(4, 3)(x)),
    ("center_crop_enlarged", [(7, 4, 2)], lambda x: L.CenterCrop(5, 6)(x)),
    ("random_in_training", [IMAGE], lambda x: L.GaussianNoise(1.0)(L.RandomZoom(0.3)(L.RandomRotation(0.2)(L.RandomFlip()(L.SpatialDropout2D(0.5)(x)))))),
    # ---- functions called without a layer
    ("op_constants", [IMAGE], lambda x: (2.0 - x / 3.0 + x ** 2) * 0.5 + np.arange(4, dtype="float32")),
    ("op_two_tensors", [IMAGE, IMAGE], lambda a, b: ops.maximum(a * b - b, a / (ops.square(b) + 1.0))),
    ("op_hard_swish", [IMAGE], lambda x: x * (ops.relu6(x + 3.0) * (1.0 / 6.0))),
    ("op_elementary", [IMAGE], lambda x: ops.log(ops.exp(x) + 1.0) - ops.sqrt(ops.abs(x) + 0.1) + ops.rsqrt(ops.square(x) + 1.0) - ops.negative(x) * 0.1),
    ("op_powers", [IMAGE], lambda x: ops.power(ops.abs(x) + 0.5, 1.3) + ops.power(x, 3) + ops.power(ops.abs(x) + 0.5, -2)),
    ("op_activations", [IMAGE], lambda x: ops.gelu(x, approximate=True) + ops.gelu(x, approximate=False) + ops.silu(x) + ops.leaky_relu(x, 0.3) + ops.elu(x, 0.5)),
    ("op_keras_relu", [IMAGE], lambda x: keras.activations.relu(x, negative_slope=0.1, max_value=0.8)),
    ("op_softmax", [IMAGE], lambda x: ops.softmax(x, axis=2) + ops.log_softmax(x, axis=-1)),
    ("op_clip", [IMAGE], lambda x: ops.clip(x, -0.5, 0.7) + ops.minimum(x, 0.2)),
    ("op_reductions", [IMAGE], lambda x: ops.mean(x, axis=[1, 2], keepdims=True) + ops.max(x, axis=3, keepdims=True) - ops.min(x, axis=-1, keepdims=True)),
    ("op_reductions_dropped", [IMAGE], lambda x: ops.sum(x, axis=(1, 2)) + ops.var(x, axis=[1, 2]) + ops.std(x, axis=(2, 1))),
    ("op_shapes", [IMAGE], lambda x: ops.squeeze(ops.expand_dims(ops.transpose(ops.reshape(x, (-1, 10, 3, 4)), (0, 3, 1, 2)), 1), axis=1)),
    ("op_slices", [IMAGE], lambda x: x[:, 1:-1, ::2] + x[:, -5:-1, 0:5:2, :] * 2.0),
    ("op_places", [IMAGE], lambda x: ops.stack([x[..., 0], x[:, :, :, -1]], axis=-1)),
    ("op_new_axis", [IMAGE], lambda x: x[:, None, 2, ..., 1:3]),
    ("op_concatenate", [IMAGE, IMAGE], lambda a, b: ops.concatenate([a, b[:, :2]], axis=1)),
    ("op_pad", [IMAGE], lambda x: ops.pad(x, ((0, 0), (1, 0), (0, 2), (0, 0)))),
    ("op_resize", [IMAGE], lambda x: ops.image.resize(x, (9, 4), interpolation="bilinear")),
    ("op_pools", [IMAGE], lambda x: ops.max_pool(x, 2, strides=1, padding="same") + ops.average_pool(x, (3, 2), strides=1, padding="same")),
    ("op_matmul", [(3, 5), (5, 2)], lambda a, b: ops.matmul(a, b)),
    ("op_matmul_constant", [(3, 4)], lambda x: ops.matmul(x, np.linspace(-1, 1, 8, dtype="float32").reshape(4, 2))),
    ("op_normalize", [IMAGE], lambda x: ops.normalize(x, axis=-1)),
]

def mostly_masked(K, x):                                   # steps without a number above 0.5
    return K.Masking(0.0)(K.ReLU()(K.Rescaling(1.0, -0.5)(x)))

def keras_2():
    """The same kinds of calls as Keras 2 writes them; and what Keras 3 no longer has."""
    K = tf_keras.layers
    return [
        ("keras2_constants", [IMAGE], lambda x: (2.0 - x / 3.0 + x ** 2) * 0.5 + tf.constant([0., 1, 2, 3])),
        ("keras2_inverse", [IMAGE], lambda x: 1.0 / (tf.square(x) + 1.0)),
        ("keras2_two_tensors", [IMAGE, IMAGE], lambda a, b: tf.maximum(a * b - b, tf.math.subtract(b, a))),
        ("keras2_activations", [IMAGE], lambda x: tf.nn.relu6(x) * tf.nn.gelu(x, approximate=True) + tf.nn.leaky_relu(x, alpha=0.3) + tf.nn.swish(x)),
        ("keras2_reductions", [IMAGE], lambda x: tf.reduce_mean(x, axis=[1, 2]) + tf_keras.backend.max(x, axis=(1, 2))),
        ("keras2_shapes", [IMAGE], lambda x: tf.squeeze(tf.expand_dims(tf.transpose(tf.reshape(x, (-1, 10, 3, 4)), (0, 3, 1, 2)), 1), axis=1)),
        ("keras2_slices", [IMAGE], lambda x: tf.concat([x[:, 1:-1, ::2], x[:, -5:-1, 0:5:2, :] * 2.0, x[..., :3, :][:, 2:]], axis=1)),
        ("keras2_new_axis", [IMAGE], lambda x: x[:, tf.newaxis, 2, ..., 1:3]),
        ("keras2_image", [IMAGE], lambda x: tf.image.resize(tf.pad(x, ((0, 0), (1, 0), (0, 2), (0, 0))), (5, 5))),
        ("keras2_pools", [IMAGE], lambda x: tf.nn.max_pool2d(x, 2, 1, "SAME") - tf.nn.avg_pool2d(x, [1, 3, 2, 1], [1, 1, 1, 1], "SAME")),
        ("keras2_matmul", [(3, 5), (2, 5)], lambda a, b: tf.matmul(a, b, transpose_b=True)),
        ("keras2_normalize", [IMAGE], lambda x: tf.nn.l2_normalize(tf.clip_by_value(x, -0.5, 1.0), axis=-1)),
        ("keras2_mha", [(5, 6), (4, 3)], lambda q, v: K.MultiHeadAttention(2, 3)(q, v)),
        ("keras2_mha_causal", [(5, 4)], lambda x: K.MultiHeadAttention(2, 3, attention_axes=1)(x, value=x, use_causal_mask=True)),
        ("keras2_hard_sigmoid", [ROW], lambda x: K.Activation("hard_sigmoid")(x * 2.0)),
        ("keras2_locally_connected1d", [LINE], lambda x: K.LocallyConnected1D(3, 2, strides=2, activation="relu")(x)),
        ("keras2_locally_connected2d", [IMAGE], lambda x: K.LocallyConnected2D(3, (2, 3), strides=(2, 1))(x)),
        ("keras2_random_crop", [(7, 4, 2)], lambda x: K.RandomCrop(3, 3)(x)),
        ("keras2_mha_masked", [(5, 2), (6, 2)], lambda q, v: K.MultiHeadAttention(2, 3)(mostly_masked(K, q), mostly_masked(K, v))),
        ("keras2_attention_masked", [(5, 2), (6, 2)], lambda q, v: K.Attention(use_scale=True)([mostly_masked(K, q), mostly_masked(K, v)])),
    ]

def alive(w, rng):                                         # nothing 0 or 1: a gamma or a bias left out would show
    v = rng.normal(size=w.shape)
    name = w.name.split("/")[-1].split(":")[0]
    if name in ("gamma", "moving_variance", "variance", "scale"):
        return np.exp(0.3 * v)
    if name in ("count",):
        return np.ones(w.shape)
    return v * (np.sqrt(2 / np.prod(w.shape[:-1])) if len(w.shape) > 1 and name != "alpha" else 0.3)

def slim(config):                                          # without what plays no part in use, which is most of a configuration
    if isinstance(config, list):
        return [slim(item) for item in config]
    if not isinstance(config, dict):
        return config
    idle = ("_initializer", "_regularizer", "_constraint", "build_config", "registered_name", "seed", "sparse", "ragged", "optional")
    if "keras_history" in config:
        return {"keras_history": config["keras_history"]}
    return {k: "float32" if k == "dtype" and isinstance(v, dict) else slim(v) for k, v in config.items() if not k.endswith(idle)}

def record(file, name, shapes, call, kit, seed):
    rng = np.random.default_rng(1000 + seed)
    kit.backend.clear_session()
    inputs = [kit.Input(shape) for shape in shapes]
    model = kit.Model(inputs, call(*inputs))
    model.set_weights([alive(w, rng).astype("float32") for w in model.weights])
    for layer in model.layers:
        if type(layer).__name__ == "Normalization" and kit is keras:
            layer.finalize_state()
    images = 2 if name.startswith(("mha", "gqa", "conv3d", "op_mat", "einsum", "group")) else 1
    x = [tf.constant(rng.normal(size=(images, *shape)).astype("float16").astype("float32")) for shape in shapes]
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = model(x if len(x) > 1 else x[0], training=False)
        last = lambda v: np.moveaxis(v, 1, -1) if name.startswith("first") and v.ndim == len(x[0].shape) else np.asarray(v)
        noise = last(np.zeros(y.shape, "float32"))
        noise = np.cos(0.7 * (np.arange(noise.size) + 1)).reshape(noise.shape).astype("float32")
        noise = np.moveaxis(noise, -1, 1) if last(np.asarray(y)).shape != y.shape else noise
        score = tf.reduce_sum(y * noise)
    gradients = tape.gradient(score, x)
    if not np.isfinite(np.asarray(y)).all() or any(float(tf.reduce_max(abs(g))) == 0 for g in gradients):
        sys.exit(f"{name}: says nothing")

    write(file, f"{name}/y_dx", np.concatenate([last(np.asarray(v)).ravel() for v in (y, *gradients)]).astype("float32"))
    case = file[name]
    for i, value in enumerate(x):
        write(case, f"x{i}", last(np.asarray(value, "float16")))  # exact: they were rounded before
    with tempfile.TemporaryDirectory() as folder:          # configuration and names of weights as .h5 files have them
        model.save(os.path.join(folder, "m.h5"))
        with h5py.File(os.path.join(folder, "m.h5")) as saved:
            in_file = saved.attrs["model_config"]
            stored = saved["model_weights"]
            names = [n if isinstance(n, str) else n.decode() for n in stored.attrs["layer_names"]]
            weighted = [n for n in names if len(stored[n].attrs["weight_names"])]
            case.attrs["layer_names"] = weighted
            for n in weighted:
                weight_names = [w if isinstance(w, str) else w.decode() for w in stored[n].attrs["weight_names"]]
                short = [w.removeprefix(n + "/") for w in weight_names]      # a group less
                for w, s in zip(weight_names, short):
                    write(case, f"{n}/{s}", np.asarray(stored[n][w]))
                case[n].attrs["weight_names"] = short
    # every second case has the configuration as .keras files hold it, with modules
    config = in_file if seed % 2 or kit is tf_keras else model.to_json()
    case.attrs["model_config"] = json.dumps(slim(json.loads(config)), separators=(",", ":"))
    case.attrs["keras_version"] = kit.__version__
    return sum(int(np.prod(w.shape)) for w in model.weights)

root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
path = sys.argv[1] if len(sys.argv) > 1 else os.path.normpath(os.path.join(root, "goldens", "layers.h5"))
with create_file(path) as file:
    cases = [(*case, keras) for case in CASES] + [(*case, tf_keras) for case in keras_2()]
    for seed, (name, shapes, call, kit) in enumerate(cases):
        count = record(file, name, shapes, call, kit, seed)
        print(f"{name:32s} {str(shapes):40s} {count} weights", flush=True)
print(f"{len(cases)} cases, {os.path.getsize(path)} bytes: {path}")
