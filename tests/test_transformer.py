"""The Transformer blocks against plain NumPy, and the I3D-Transformer's tokens stage by stage."""

from models import attention
from models.attention import SelfAttention
from models.design import Design
from models.heads import build_head, embedding_model
from models.layers import FoldedDense
from models.networks import build
from models.transformer import decode, encode
from support.backends import once

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.models


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def numpy_norm(x, layer):
    gamma, beta = (np.asarray(variable) for variable in layer.weights)
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + layer.epsilon) * gamma + beta


def numpy_attention(queries, memory, layer, mask=None):
    """Attend head by head, in loops, so that no axis can be swapped unseen."""
    wq, bq, wk, bk, wv, bv, wo, bo = (np.asarray(variable) for variable in layer.weights)
    out = np.zeros((*queries.shape[:2], wo.shape[-1])) + bo
    for row, (asking, told) in enumerate(zip(queries, memory, strict=True)):
        for head in range(wq.shape[1]):
            q = asking @ wq[:, head] + bq[head]
            k, v = told @ wk[:, head] + bk[head], told @ wv[:, head] + bv[head]
            scores = q @ k.T / np.sqrt(q.shape[-1])
            if mask is not None:
                scores[:, ~mask[row]] = -np.inf
            weights = np.exp(scores - scores.max(-1, keepdims=True))
            out[row] += weights / weights.sum(-1, keepdims=True) @ v @ wo[head]
    return out


def numpy_gelu(x):
    from math import erf

    return x * (1 + np.vectorize(erf)(x / np.sqrt(2))) / 2


def numpy_mlp(x, model, name):
    first, second = (model.get_layer(f"{name}_{number}") for number in (1, 2))
    y = numpy_norm(x, model.get_layer(f"{name}_norm"))
    y = numpy_gelu(y @ np.asarray(first.kernel) + np.asarray(first.bias))
    return x + y @ np.asarray(second.kernel) + np.asarray(second.bias)


def shake(model):
    """Give biases and norms values that are not their initial zeros and ones."""
    for number, variable in enumerate(model.weights):
        variable.assign(0.5 * draw(*variable.shape, seed=number))


@pytest.mark.parametrize("masked", [False, True])
def test_encoder_is_the_numpy_computation(masked):
    tokens = keras.Input((5, 12))
    mask = keras.Input((5,), dtype="bool")
    outputs = encode(tokens, 1, 3, 20, mask=mask if masked else None)
    model = keras.Model([tokens, mask], outputs)
    shake(model)
    x, seen = draw(2, 5, 12), np.array([[True] * 5, [True, True, False, True, False]])
    y = numpy_norm(x, model.get_layer("encoder_1_attention_norm"))
    attention = model.get_layer("encoder_1_attention")
    expected = x + numpy_attention(y, y, attention, seen if masked else None)
    expected = numpy_mlp(expected, model, "encoder_1_mlp")
    expected = numpy_norm(expected, model.get_layer("encoder_norm"))
    np.testing.assert_allclose(model([x, seen]), expected, atol=2e-4)


def test_decoder_is_the_numpy_computation():
    queries, memory = keras.Input((3, 8)), keras.Input((6, 8))
    model = keras.Model([queries, memory], decode(queries, memory, 2, 16))
    shake(model)
    q, m = draw(2, 3, 8), draw(2, 6, 8, seed=1)
    get = model.get_layer
    y = numpy_norm(q, get("decoder_self_attention_norm"))
    x = q + numpy_attention(y, y, get("decoder_self_attention"))
    y = numpy_norm(x, get("decoder_attention_norm"))
    x = x + numpy_attention(y, m, get("decoder_attention"))
    expected = numpy_norm(numpy_mlp(x, model, "decoder_mlp"), get("decoder_norm"))
    np.testing.assert_allclose(model([q, m]), expected, atol=2e-4)


@pytest.mark.parametrize("segments", [1, 3])
def test_i3d_transformer_stage_by_stage(segments):
    head = build_head("transformer", segments, 1024, 7)
    shapes = {
        "tokens": (16 * segments, 64),
        "encoder_norm": (16 * segments, 64),
        "class_query": (16, 64),
        "decoder_norm": (16, 64),
        "decoded": (1024,),
        "residual": (1024,),
        "adaptor_1": (512,),
        "adaptor_2": (256,),
        "logits": (7,),
    }
    for name, shape in shapes.items():
        assert head.get_layer(name).output.shape[1:] == shape, name
    attention = head.get_layer("decoder_attention")
    assert isinstance(attention, keras.layers.MultiHeadAttention)
    features = draw(2, segments, 1024)
    tokens = keras.Model(head.input, head.get_layer("tokens").output)(features)
    normal = keras.Model(head.input, head.get_layer("normalize").output)(features)
    np.testing.assert_array_equal(np.asarray(tokens)[:, 1], np.asarray(normal)[:, 0, 64:128])
    query = keras.Model(head.input, head.get_layer("class_query").output)(features)
    assert np.std(query) > 0.01  # random, and the same for every video
    np.testing.assert_array_equal(*np.asarray(query))


def test_embedding_is_what_the_logits_are_made_of():
    head = build_head("transformer", 2, 128, 5)
    features = draw(3, 2, 128)
    embedding = np.asarray(embedding_model(head)(features))
    assert embedding.shape == (3, 256)
    logits = head.get_layer("logits")
    expected = embedding @ np.asarray(logits.kernel) + np.asarray(logits.bias)
    np.testing.assert_allclose(head(features), expected, atol=1e-5)


def test_stochastic_depth_leaves_whole_branches_out():
    tokens = keras.Input((4, 8))
    model = keras.Model(tokens, encode(tokens, 2, 2, 16, (0.0, 0.9)))
    x = draw(400, 4, 8)
    branch = model.get_layer("encoder_2_mlp_depth")
    dropped = np.asarray(branch(x, training=True))
    share = np.mean((dropped == 0).all((1, 2)))
    assert 0.8 < share < 0.97 and ((dropped == 0).any((1, 2)) == (dropped == 0).all((1, 2))).all()
    names = [layer.name for layer in model.layers]
    assert "encoder_1_mlp_depth" not in names  # the first block always stays
    np.testing.assert_array_equal(model(x), model(x, training=False))


def test_heads_must_divide_the_channels():
    with pytest.raises(ValueError, match="10 channels cannot be divided among 4"):
        encode(keras.Input((3, 10)), 1, 4, 8)


def test_segments_are_masked_before_the_decoder_too():
    """A decoder that looked at padding would change with it."""
    head = build_head("transformer", 3, 64, 5, Design(dropout=0))
    features = draw(1, 3, 64)
    features[:, 1:] = 0
    positions = head.get_layer("positions")
    before = np.asarray(head(features))
    changed = np.asarray(positions.tokens).copy()
    changed[:, 16:] += 1  # the positions of the padded segments
    positions.tokens.assign(changed)
    np.testing.assert_allclose(head(features), before, atol=1e-5)


# Ours beside Keras' own, of the same arguments.
FASTER = {
    "dense": (FoldedDense, keras.layers.Dense, {"units": 7, "activation": "gelu"}),
    "attention": (
        SelfAttention,
        keras.layers.MultiHeadAttention,
        {"num_heads": 3, "key_dim": 4},
    ),
}


@pytest.mark.parametrize("name", FASTER)
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_faster_layers_are_keras_own(name, precision):
    ours, theirs, arguments = FASTER[name]
    x, models = keras.Input((5, 12)), []
    for kind in (theirs, ours):
        layer = kind(**arguments, dtype=precision)
        models.append(keras.Model(x, layer(x, x) if name == "attention" else layer(x)))
    models[0].set_weights([draw(*w.shape, seed=9) for w in models[0].get_weights()])
    models[1].set_weights(models[0].get_weights())
    outputs = [model.predict_on_batch(draw(2, 5, 12)).astype("float32") for model in models]
    assert outputs[0].std() > 0.1
    error = np.linalg.norm(outputs[1] - outputs[0]) / np.linalg.norm(outputs[0])
    assert error < (1e-6 if precision == "float32" else 1e-2)


def test_long_sequences_are_attended_to_in_chunks(monkeypatch):
    """ViViT-B's 3137 tokens had 450 MB of scores a layer. Gradients are those of Keras' own."""
    tokens = keras.Input((9, 12))
    weights = []
    for kind, limit in ((keras.layers.MultiHeadAttention, None), (SelfAttention, 30)):
        monkeypatch.setattr(attention, "SCORES", limit or attention.SCORES)
        model = keras.Model(tokens, kind(3, 4)(tokens, tokens))
        shake(model)
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.train_on_batch(draw(2, 9, 12), draw(2, 9, 12, seed=1))
        weights.append(model.get_weights())
    for expected, found in zip(*weights, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_fused_attention_trains_on_even_numbers_of_tokens(monkeypatch):
    """JAX's has no gradients for others: one more is added, which changes nothing."""
    plain, seen = keras.ops.dot_product_attention, []

    def fuse(*arguments, flash_attention, **options):
        seen.append(arguments[0].shape[1])
        return plain(*arguments, **options)

    layer = SelfAttention(3, 4)
    x = draw(2, 5, 12)
    expected = np.asarray(layer(x, x))
    monkeypatch.setattr(keras.ops, "dot_product_attention", fuse)
    for training in (False, True):
        np.testing.assert_allclose(layer(x, x, training=training), expected, atol=1e-5)
    assert seen == [5, 6]


@once
def test_tensorflow_fuses_what_stands_between_the_products():
    """Biases and GELU were passes of their own over all tokens."""
    import tensorflow as tf
    from tensorflow.python.grappler import tf_optimizer

    tokens = keras.Input((50, 16))
    model = keras.Model(tokens, encode(tokens, 1, 2, 32))
    call = tf.function(lambda x: model(x, training=False), autograph=False)
    graph = call.get_concrete_function(tf.TensorSpec((None, 50, 16))).graph
    whole = tf.compat.v1.train.export_meta_graph(
        graph_def=graph.as_graph_def(), graph=graph, clear_devices=False
    )
    for node in whole.graph_def.node:
        node.device = "/device:CPU:0"
    outputs = whole.collection_def["train_op"].node_list.value
    outputs.extend(tensor.op.name for tensor in graph.outputs)
    optimized = tf_optimizer.OptimizeGraph(tf.compat.v1.ConfigProto(), whole)
    kinds = [node.op for node in optimized.node]
    assert kinds.count("_FusedMatMul") == 6  # queries, keys, values, output, both of the MLP
    assert not {"MatMul", "BiasAdd", "Erfc"} & set(kinds)


@pytest.mark.parametrize("network", ["vivit", "timesformer"])
def test_a_graph_computes_what_its_layers_do(network):
    """TensorFlow rewrites graphs: a LayerNorm that it took for another was wrong by 5 %."""
    model = build(network, 3, 1, 4, 32)
    shake(model)
    clips = draw(2, 1, 4, 32, 32, 3)
    one_by_one = np.asarray(model(clips, training=False))
    assert one_by_one.std() > 0.1
    np.testing.assert_allclose(model.predict_on_batch(clips), one_by_one, rtol=1e-4, atol=1e-4)
