#!/usr/bin/env python3
"""What real Keras computes with recurrent layers, masks and wrappers: what tests/weights/test_recurrent_goldens.cpp compares limn with.

usage: recurrent_goldens.py [FILE]           (default: tests/goldens/recurrent.h5; any Python with keras, tensorflow and h5py)
The committed file was made by Keras 3.15.1 on TensorFlow 2.21.0. The same seeds give the same file.

A group a case, with the attributes model_config (without what only matters before training) and keras_version, and
    weights/            in Keras's legacy layout (layer_names, weight_names), float16 numbers
    input/0 ...         what each input is fed
    output/0 ...        what the model answers
    input_gradient/0    of the inputs that are no ids: d score / d input, where score = sum over all outputs of output * seed,
                        seed[i] = cos(i), i counting an output's elements in memory
    gradient/           d score / d weights, laid out as weights/ is; of some cases
"""
import json, os, sys
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
import keras, numpy as np, tensorflow as tf
from keras import layers as L
from small_hdf5 import create_file, write

tf.config.threading.set_intra_op_parallelism_threads(1)   # sums in one order
tf.config.threading.set_inter_op_parallelism_threads(1)
tf.config.experimental.enable_op_determinism()

T, C = 5, 3                                                # steps; numbers of a step
WORDS = np.array([[3, 1, 2, 0, 0], [0, 4, 0, 1, 5], [0, 0, 0, 0, 0]], "int32")    # padded behind, between and throughout
OTHER = np.array([[1, 0, 2, 5, 0], [2, 2, 0, 0, 1], [0, 0, 3, 0, 0]], "int32")

def floats(rng, *shape):
    return rng.uniform(-1, 1, (3, *shape)).astype("float16").astype("float32")

def sequence(rng, masked=False):
    x = floats(rng, T, C)
    if masked: x[WORDS == 0] = 0.25                        # for Masking(0.25)
    return x

# ---- the cases: (rng) -> inputs and their values, outputs ------------------------------------------------------------------

def cells(rng):
    "Every layer, every direction, what it returns."
    x = keras.Input((T, C))
    lstm = L.LSTM(4, return_state=True, return_sequences=True, name="lstm")(x)
    gru = L.GRU(3, return_state=True, go_backwards=True, name="gru")(x)
    simple = L.SimpleRNN(2, return_state=True, return_sequences=True, go_backwards=True, activation="relu", name="simple")(x)
    hard = L.LSTM(2, activation="softsign", recurrent_activation="hard_sigmoid", use_bias=False, unit_forget_bias=False, name="hard")(x)
    before = L.GRU(3, reset_after=False, return_sequences=True, recurrent_activation="hard_sigmoid", name="before")(x)
    bare = L.GRU(2, use_bias=False, unroll=True, name="bare")(x)
    bare_before = L.GRU(2, use_bias=False, reset_after=False, activation="elu", name="bare_before")(x)
    return {x: sequence(rng)}, [*lstm, *gru, *simple, hard, before, bare, bare_before]

def given_cells(rng):
    x = keras.Input((None, C))                             # any number of steps
    a = L.RNN(L.LSTMCell(3), return_sequences=True, return_state=True, name="of_lstm")(x)
    b = L.RNN(L.GRUCell(2, reset_after=False), go_backwards=True, name="of_gru")(x)
    c = L.RNN(L.SimpleRNNCell(2, activation="sigmoid"), return_sequences=True, name="of_simple")(x)
    d = L.RNN([L.LSTMCell(3), L.GRUCell(4), L.SimpleRNNCell(2)], return_sequences=True, go_backwards=True, name="stacked")(x)
    e = L.RNN(L.StackedRNNCells([L.GRUCell(2), L.LSTMCell(3)]), name="stacked_last")(x)
    return {x: sequence(rng)}, [*a, b, c, d, e]

def masked_words(rng):
    "Masks of an Embedding through every kind of layer that passes them on."
    w = keras.Input((T,), dtype="int32")
    e = L.Embedding(6, C, mask_zero=True, name="words")(w)
    a = L.LSTM(3, return_sequences=True, return_state=True, name="lstm")(e)
    b = L.GRU(2, go_backwards=True, return_sequences=True, return_state=True, name="gru")(e)
    c = L.SimpleRNN(2, zero_output_for_mask=True, return_sequences=True, name="zeros")(e)
    last = L.SimpleRNN(2, zero_output_for_mask=True, go_backwards=True, name="last_zero")(e)
    x = L.Dense(4, activation="relu", name="dense")(L.Dropout(0.3)(e))
    x = L.LayerNormalization(name="norm")(L.Activation("tanh")(x))
    x = L.PReLU(shared_axes=[1], name="prelu")(L.BatchNormalization(trainable=False, name="batch_norm")(x))
    x = L.TimeDistributed(L.Dense(3, activation="softmax"), name="td")(L.GaussianNoise(0.1)(L.LeakyReLU(0.1)(x)))
    d = L.LSTM(2, name="behind")(x)                        # still masked
    f = L.GRU(2, name="stopped")(L.Reshape((T, C))(e))     # no longer
    g = L.Dense(2, name="flat")(L.Flatten()(e))
    s = L.RNN([L.LSTMCell(2), L.GRUCell(3)], return_sequences=True, name="stacked")(e)
    return {w: WORDS}, [*a, *b, c, last, x, d, f, g, s]

def masked_floats(rng):
    x = keras.Input((T, C))
    m = L.Masking(0.25)(x)
    a = L.LSTM(3, return_sequences=True, name="lstm")(m)
    b = L.GRU(2, reset_after=False, go_backwards=True, name="gru")(a)   # the mask is not turned round
    c = L.Bidirectional(L.SimpleRNN(2), name="bi")(m)
    return {x: sequence(rng, masked=True)}, [m, a, b, c]

def merged_masks(rng):
    v, w, x = keras.Input((T,), dtype="int32"), keras.Input((T,), dtype="int32"), keras.Input((T, C))
    a = L.Embedding(6, C, mask_zero=True, name="a")(v)
    b = L.Embedding(6, C, mask_zero=True, name="b")(w)
    outs = [L.SimpleRNN(2, name="added")(L.Add()([a, b])),
            L.SimpleRNN(2, name="half")(L.Multiply()([a, x])),              # one without: none
            L.SimpleRNN(2, name="beside")(L.Concatenate()([a, b])),
            L.SimpleRNN(2, name="beside_half")(L.Concatenate()([x, a])),
            L.SimpleRNN(2, name="behind")(L.Concatenate(axis=1)([a, x, b])),
            L.SimpleRNN(2, name="twice")(L.Maximum()([a, L.Dense(C, name="dense")(a)]))]
    return {v: WORDS, w: OTHER, x: sequence(rng)}, outs

def beginning(rng):
    "States to begin with. Keras 3 then hands no mask in, unless one is given by name."
    x, h, c = keras.Input((T, C)), keras.Input((3,)), keras.Input((3,))
    w = keras.Input((T,), dtype="int32")
    e = L.Embedding(6, C, mask_zero=True, name="words")
    y = e(w)
    a = L.LSTM(3, return_sequences=True, name="lstm")(x, initial_state=[h, c])
    b = L.GRU(3, go_backwards=True, name="gru")(x, initial_state=h)
    d = L.GRU(3, return_sequences=True, name="not_masked")(y, initial_state=h)
    f = L.LSTM(3, return_sequences=True, return_state=True, name="masked")(y, initial_state=[h, c], mask=e.compute_mask(w))
    g = L.SimpleRNN(3, name="decoder")(d, initial_state=f[2])               # an encoder's state
    i = L.Bidirectional(L.GRU(3, return_sequences=True), name="bi")(x, initial_state=[h, c])
    return {x: sequence(rng), h: floats(rng, 3), c: floats(rng, 3), w: WORDS}, [a, b, d, *f, g, i]

def both_ways(rng):
    x = keras.Input((T, C))
    outs = [L.Bidirectional(L.LSTM(2), merge_mode=mode, name=mode)(x) for mode in ("sum", "mul", "ave", "concat")]
    outs += L.Bidirectional(L.GRU(2, return_sequences=True), merge_mode=None, name="apart")(x)
    outs += L.Bidirectional(L.LSTM(2, return_sequences=True, return_state=True), name="states")(x)
    own = L.Bidirectional(L.LSTM(2, return_sequences=True), backward_layer=L.GRU(3, return_sequences=True, go_backwards=True, name="own"),
                          name="own_backward")(x)
    of_cells = L.Bidirectional(L.RNN(L.GRUCell(2)), merge_mode="ave", name="of_cells")(x)
    return {x: sequence(rng)}, [*outs, own, of_cells]

def both_ways_masked(rng):
    w = keras.Input((None,), dtype="int32")
    e = L.Embedding(6, C, mask_zero=True, name="words")(w)
    a = L.Bidirectional(L.LSTM(2, return_sequences=True), merge_mode="sum", name="steps")(e)
    b = L.Bidirectional(L.GRU(2), merge_mode="mul", name="last")(a)
    c = L.Bidirectional(L.SimpleRNN(2, return_sequences=True), merge_mode=None, name="apart")(e)
    return {w: WORDS}, [a, b, *c, L.GRU(2, name="one")(c[1])]

def wrapped(rng):
    "Frames of a film, sentences of words: a model for each step; a shared layer; a vector repeated."
    film, words = keras.Input((T, 6, 5, 1)), keras.Input((2, T), dtype="int32")
    eye = keras.Sequential([keras.Input((6, 5, 1)), L.Conv2D(2, 3, activation="relu", name="conv"), L.MaxPooling2D(2), L.Flatten(),
                            L.Dense(3, activation="tanh", name="dense")], name="eye")
    seen = L.TimeDistributed(eye, name="frames")(film)
    pooled = L.TimeDistributed(L.GlobalAveragePooling2D(), name="pooled")(L.TimeDistributed(L.Conv2D(2, 2), name="conv")(film))
    reader = keras.Sequential([keras.Input((T,)), L.Embedding(6, C, mask_zero=True, name="words"), L.LSTM(2, name="lstm")], name="reader")
    sentences = L.TimeDistributed(reader, name="sentences")(words)
    inner = L.TimeDistributed(L.Bidirectional(L.GRU(2), name="both"), name="td_bi")(L.Embedding(6, 2, mask_zero=True, name="e")(words))
    shared = L.GRU(3, return_sequences=True, name="shared")
    a, b = shared(seen), shared(L.RepeatVector(4)(L.Dense(3, name="vector")(L.Flatten()(pooled))))
    return {film: floats(rng, T, 6, 5, 1), words: np.stack([WORDS, OTHER], 1)}, [seen, pooled, sentences, inner, a, b]

def nested(rng):
    "A mask crosses the border of a model, in both directions."
    w = keras.Input((T,), dtype="int32")
    first = keras.Sequential([keras.Input((T,)), L.Embedding(6, C, mask_zero=True, name="words"), L.LSTM(3, return_sequences=True, name="lstm")],
                             name="first")
    i = keras.Input((T, 3))
    second = keras.Model(i, L.GRU(2, return_sequences=True, name="gru")(L.Dense(2, name="dense")(i)), name="second")
    y = second(first(w))
    return {w: WORDS}, [y, L.SimpleRNN(2, name="rnn")(y)]

def attentions(rng):
    "Steps that do not count are not looked at; a mask may be given, too. No tensor is read twice: Keras 3.15's MultiHeadAttention unmasks it."
    w, v, x, m = keras.Input((T,), dtype="int32"), keras.Input((T,), dtype="int32"), keras.Input((T, C)), keras.Input((T, T), dtype="int32")
    of_w, of_v = (L.Embedding(6, C, mask_zero=True, name=name) for name in "ab")
    a, b = lambda: of_w(w), lambda: of_v(v)
    words = a()
    own = L.MultiHeadAttention(2, 2, name="own")(words, words)
    outs = [own, L.SimpleRNN(2, name="behind")(own), L.SimpleRNN(2, name="behind_both")(L.Add()([words, own])),
            L.MultiHeadAttention(2, 2, name="causal")(words2 := a(), words2, use_causal_mask=True),
            L.MultiHeadAttention(1, 2, name="of_words")(x, a()),
            L.MultiHeadAttention(1, 2, name="by_words")(a(), x),
            L.MultiHeadAttention(1, 2, dropout=0.1, name="by_words_dropped")(a(), b()),
            L.MultiHeadAttention(2, 2, name="keys")(x, a(), key=b()),
            L.MultiHeadAttention(2, 2, name="given")(x, x, attention_mask=m),
            L.MultiHeadAttention(2, 2, name="given_too")(b(), a(), attention_mask=m),
            L.GroupQueryAttention(2, 2, 1, name="grouped")(a(), b()),
            L.GroupQueryAttention(2, 2, 1, dropout=0.1, name="grouped_dropped")(a(), b()),
            L.Attention(name="luong_of_words")([x, a()]),
            L.Attention(use_scale=True, name="luong")([a(), b()]),
            L.Attention(name="luong_causal")([b(), a()], use_causal_mask=True),
            L.AdditiveAttention(name="bahdanau")([a(), b(), x])]
    given = (rng.uniform(0, 1, (3, T, T)) < 0.6).astype("int32")
    return {w: WORDS, v: OTHER, x: sequence(rng), m: given}, outs

CASES = [cells, given_cells, masked_words, masked_floats, merged_masks, beginning, both_ways, both_ways_masked, wrapped, nested, attentions]
WITH_GRADIENTS = {"cells", "given_cells", "masked_words", "wrapped"}

# ---- the file ---------------------------------------------------------------------------------------------------------------

def without_training(j):
    "A configuration without what says how weights begin and are kept in check."
    if isinstance(j, list): return [without_training(v) for v in j]
    if not isinstance(j, dict): return j
    left_out = ("module", "registered_name", "build_config", "compile_config", "dtype", "shape", "seed", "sparse", "ragged", "optional")
    return {k: without_training(v) for k, v in j.items()
            if k not in left_out and not k.endswith(("_initializer", "_regularizer", "_constraint"))}

def save_weights(group, path, model, kind):
    "As keras.src.legacy.saving.legacy_h5_format does it, with smaller numbers."
    for layer in model.layers:
        weights = [w for w in [*layer.trainable_weights, *layer.non_trainable_weights] if "seed_generator" not in w.path]
        for w in weights: write(group, f"{path}/{layer.name}/{w.path}", w.numpy().astype(kind))
        if weights: group[f"{path}/{layer.name}"].attrs["weight_names"] = [w.path.encode() for w in weights]
    group[path].attrs["layer_names"] = [name.encode() for name in group[path]]

def seeds(outputs):
    return [np.cos(np.arange(o.numpy().size)).reshape(o.shape).astype("float32") for o in outputs]

root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
path = sys.argv[1] if len(sys.argv) > 1 else os.path.normpath(os.path.join(root, "goldens", "recurrent.h5"))
with create_file(path) as file:
    for number, build in enumerate(CASES):
        name, rng = build.__name__, np.random.default_rng(300 + number)
        keras.backend.clear_session()
        inputs, outputs = build(rng)
        model = keras.Model(list(inputs), outputs, name=name)
        values = [rng.uniform(*((0.5, 1.5) if w.name in ("gamma", "moving_variance") else (-0.9, 0.9)), w.shape).astype("float16")
                  for w in model.weights]
        model.set_weights(values)
        save_weights(file, f"{name}/weights", model, "float16")
        group = file[name]
        group.attrs["model_config"] = json.dumps(without_training(json.loads(model.to_json())), separators=(",", ":"))
        group.attrs["keras_version"] = keras.__version__

        given = [tf.constant(v) for v in inputs.values()]
        with tf.GradientTape() as tape:
            for v in given: v.dtype.is_floating and tape.watch(v)
            answers = model(given if len(given) > 1 else given[0], training=False)
            answers = list(answers) if isinstance(answers, (list, tuple)) else [answers]
            score = sum(tf.reduce_sum(a * s) for a, s in zip(answers, seeds(answers)))
        sources = [v for v in given if v.dtype.is_floating] + [w.value for w in model.trainable_weights]
        gradients = [tf.convert_to_tensor(g).numpy() for g in tape.gradient(score, sources)]
        for i, v in enumerate(given):
            kind = "float16" if v.dtype.is_floating else "int8"            # exact: they were rounded before
            write(group, f"input/{i}", v.numpy().astype(kind))
            if v.dtype.is_floating: write(group, f"input_gradient/{i}", gradients.pop(0))
        for i, a in enumerate(answers): write(group, f"output/{i}", a.numpy())
        if name in WITH_GRADIENTS:
            for w, g in zip(model.trainable_weights, gradients): w.assign(g)
            save_weights(group, "gradient", model, "float32")
        print(f"{name}: {len(answers)} outputs, {sum(v.size for v in values)} weights")
print(f"{len(CASES)} cases, {os.path.getsize(path)} bytes: {path}")
