"""Networks in simpler parts, and with their ends: what they answer stays the same."""

from functools import cache

from models.design import Design
from models.exporting.portable import FlatConv3D, FlatMaxPooling3D, make_portable
from models.exporting.serving import serve_classifier, serve_recognizer
from models.layers import TimeDistributed
from models.networks import build, build_on_features
from models.recognizer import build_recognizer, set_statistics
from utils.fitting.devices import number_format

import keras
import numpy as np
import pytest
from keras import layers

pytestmark = pytest.mark.models


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def shake(network):
    """Give BatchNorm and biases values that a mistake would show in."""
    for place, variable in enumerate(network.variables):
        if variable.name in ("bias", "beta", "moving_mean"):
            variable.assign(0.1 * draw(*variable.shape, seed=place))
        elif variable.name == "moving_variance":
            variable.assign(1 + 0.5 * abs(draw(*variable.shape, seed=place)))
    return network


def types_of(model):
    """Return the types of all layers, of those inside too."""
    for layer in model.layers:
        inner = layer.layer if isinstance(layer, TimeDistributed) else layer
        if isinstance(inner, keras.Model):
            yield from types_of(inner)
        else:
            yield type(inner)


@pytest.mark.parametrize("stride", [1, 2, (1, 2, 2)])
@pytest.mark.parametrize("kernel", [1, 2, 3, (1, 3, 3), 7])
@pytest.mark.parametrize("time", [3, 4])
def test_flat_layers_are_those_of_keras(kernel, stride, time):
    inputs = draw(2, time, 6, 5, 3)
    options = {"kernel_size": kernel, "strides": stride, "padding": "same"}
    theirs, ours = layers.Conv3D(4, **options), FlatConv3D(4, **options)
    theirs.build(inputs.shape), ours.build(inputs.shape)
    weights = [draw(*w.shape, seed=w.ndim) for w in theirs.get_weights()]
    theirs.set_weights(weights), ours.set_weights(weights)
    np.testing.assert_allclose(ours(inputs), theirs(inputs), atol=1e-4)
    sizes = {"strides": stride, "padding": "same"}
    theirs, ours = (kind(kernel, **sizes) for kind in (layers.MaxPooling3D, FlatMaxPooling3D))
    np.testing.assert_array_equal(ours(inputs - 5), theirs(inputs - 5))


@cache
def i3d():
    return shake(build("i3d_lstm", 2, 2, 8, 112, design=Design(dropout=0)))


@pytest.mark.parametrize("flat", [False, True])
def test_i3d_keeps_its_answers(flat):
    clips, copy = draw(1, 2, 8, 112, 112, 3), make_portable(i3d(), flat)
    np.testing.assert_allclose(copy(clips), i3d()(clips), atol=1e-4)
    kinds = set(types_of(copy))
    assert kinds.isdisjoint({layers.Conv3D, layers.MaxPooling3D} if flat else {FlatConv3D})
    assert any(issubclass(kind, layers.BatchNormalization) for kind in kinds) is not flat


SMALL = {"segments": 1, "frames": 4, "frame_size": 32}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("vivit", {"stream": "both", "design": Design(encoder="factorised", embedder="patches")}),
        ("timesformer", {"design": Design(patch_size=8)}),
        ("timesformer", {"design": Design(patch_size=8, attention="joint", pooling="fused")}),
    ],
)
def test_networks_on_clips_keep_theirs(name, options):
    network = shake(build(name, 3, **SMALL, **options))
    clips = draw(2, *network.input_shape[1:])
    np.testing.assert_allclose(make_portable(network)(clips), network(clips), atol=1e-5)


@pytest.mark.parametrize("name", ["i3d", "i3d_lstm", "i3d_transformer", "i3d_vivit"])
@pytest.mark.parametrize("fusion", ["logits", "features"])
def test_heads_keep_theirs(name, fusion):
    network = build_on_features(name, 3, 4, 128, "both", Design(fusion=fusion))
    rows = abs(draw(2, 4, 128))
    rows[1, 2:] = 0  # padding
    copy = make_portable(shake(network))
    np.testing.assert_allclose(copy(rows), network(rows), atol=1e-5)


def test_mixed_precision_becomes_float32():
    with number_format("mixed_bfloat16"):
        network = build_on_features("i3d_vivit", 3, 4, 128)
    copy, rows = make_portable(network), abs(draw(2, 4, 128))
    parts = [layer.compute_dtype for layer in copy.get_layer("head").layers]
    assert set(parts) == {"float32"}
    np.testing.assert_allclose(copy(rows), network(rows), atol=0.05)


@pytest.mark.parametrize("encoder", ["bilstm", "transformer"])
def test_recognizers_keep_theirs_at_any_length(encoder):
    network = build_recognizer(8, 5, "K5-P2-K5", encoder, 32)
    set_statistics(shake(network), np.full(8, 0.3), np.full(8, 2.0))
    inputs = {"features": draw(2, 12, 8), "lengths": np.array([12, 7], "int32")}
    served = serve_recognizer(make_portable(network))
    found = served(inputs)["probabilities"]
    wanted = keras.ops.softmax(network(inputs)[:, 0])
    assert found.shape == (2, 6, 6)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("outputs", "activation", "wanted"),
    [
        (3, "softmax", lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
        (3, "sigmoid", lambda x: 1 / (1 + np.exp(-x))),
        (1, "sigmoid", lambda x: np.hstack([1 / (1 + np.exp(x)), 1 / (1 + np.exp(-x))])),
    ],
)
def test_classifiers_answer_with_probabilities(outputs, activation, wanted):
    network = build_on_features("i3d", outputs, 2, 64)
    rows = draw(2, 2, 64)
    logits = keras.ops.convert_to_numpy(network(rows))
    served = serve_classifier(network, activation)
    found = served({"rows": rows})["probabilities"]
    np.testing.assert_allclose(found, wanted(logits), atol=1e-6)


def test_whole_frames_are_cropped_inside():
    network = build("timesformer", 2, **SMALL, design=Design(patch_size=8))
    served = serve_classifier(network, "softmax", (36, 32))
    whole = np.random.default_rng(0).integers(0, 256, (2, 1, 4, 36, 50, 3), np.uint8)
    clips = whole[:, :, :, 2:34, 9:41].astype("float32") / 127.5 - 1
    wanted = keras.ops.softmax(network(clips))
    np.testing.assert_allclose(served({"frames": whole})["probabilities"], wanted, atol=1e-5)
