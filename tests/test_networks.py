"""Networks and heads: shapes, exact sizes, freezing, and equal outputs however they are cut."""

from models import layers
from models.backbones import BACKBONES
from models.choices import HEADS, NETWORKS
from models.cutting import (
    as_network,
    backbones_of,
    cut_after,
    cut_network,
    freeze,
    list_backbone,
)
from models.design import Design
from models.heads import build_head, embedding_model
from models.layers import LSTM, TimeDistributed
from models.networks import build, check_network
from support.backends import once

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.models
# With 5 classes. I3D has 12,294,544; the LSTMs 3,147,776 + 787,456.
PARAMETERS = {
    "i3d": 12_299_669,
    "i3d_lstm": 16_231_061,
    "i3d_transformer": 15_222_229,
    "i3d_vivit": 13_680_021,
    "vivit": 5_119_237,
    "timesformer": 539_525,
}
HEAD_PARAMETERS = {
    "average": 5_125,
    "lstm": 3_936_517,
    "transformer": 2_927_685,
    "vivit": 1_385_477,
}
ORDERLESS = {"average"}


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@once
@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_and_shapes(name):
    network = build(name, 5, 3, 8, 112)
    assert network.count_params() == PARAMETERS[name]
    assert network.input_shape == (None, 3, 8, 112, 112, 3)
    assert network.output_shape == (None, 5)


@pytest.mark.parametrize("segments", [1, 3])
@pytest.mark.parametrize("name", HEADS)
def test_logits_and_embedding_follow_the_features(name, segments):
    head = build_head(name, segments, 64, 5)
    features = draw(4, segments, 64)
    for outputs in (np.asarray(head(features)), np.asarray(embedding_model(head)(features))):
        assert len(outputs) == 4 and outputs.ndim == 2
        assert np.abs(outputs - outputs[0])[1:].max(1).min() > 1e-4
    assert build_head(name, 3, 1024, 5).count_params() == HEAD_PARAMETERS[name]


@pytest.mark.parametrize("name", HEADS)
def test_who_sees_the_order(name):
    features = draw(1, 4, 64)
    head = build_head(name, 4, 64, 3)
    change = np.abs(np.asarray(head(features)) - np.asarray(head(features[:, ::-1]))).max()
    assert (change < 1e-6) == (name in ORDERLESS)


@pytest.mark.parametrize("pooling", ["class", pytest.param("fused", marks=once)])
@pytest.mark.parametrize("name", HEADS)
def test_padded_segments_change_nothing(name, pooling):
    """A head for fewer segments, of the same weights, says the same."""
    head = build_head(name, 4, 64, 3, Design(pooling=pooling))
    features = draw(2, 4, 64)
    padded = features.copy()
    padded[:, 3] = 0
    assert np.abs(np.asarray(head(padded)) - np.asarray(head(features))).max() > 1e-4
    shorter = build_head(name, 3, 64, 3, Design(pooling=pooling))
    copy_segments(head, shorter)
    np.testing.assert_allclose(shorter(padded[:, :3]), head(padded), atol=1e-5)


def copy_segments(head, shorter):
    """Give a head for fewer segments the weights of one for more, its first positions too."""
    for there, here in zip(head.weights, shorter.weights, strict=True):
        here.assign(np.asarray(there)[:, : here.shape[1]] if here.ndim == 3 else there)


def test_time_distributed_is_keras_own():
    inner = keras.layers.Dense(4)
    x = draw(2, 3, 5)
    ours = TimeDistributed(inner)(x)
    np.testing.assert_allclose(ours, keras.layers.TimeDistributed(inner)(x), atol=1e-6)


@pytest.mark.parametrize("finetune", ["none", "Mixed_5b", "Mixed_5c", "all"])
def test_split_changes_nothing(finetune, small_i3d):
    network = build("i3d", 5, 2, 8, 112)
    clips = np.random.default_rng(0).uniform(-1, 1, (1, 2, 8, 112, 112, 3)).astype("float32")
    freeze(network, finetune)
    frozen, trained = cut_network(network, finetune)
    features = clips if frozen is None else frozen(clips)
    np.testing.assert_allclose(trained(features), network(clips), atol=1e-5)
    assert frozen is None or not frozen.trainable_variables
    assert len(trained.trainable_variables) == len(network.trainable_variables)
    head = [*map(id, network.get_layer("head").trainable_variables)]
    own = [*map(id, list_backbone(network))]
    assert {*own} | {*head} == {*map(id, trained.trainable_variables)} and not {*own} & {*head}
    assert bool(own) == (finetune != "none")


def test_without_i3d_everything_is_trained():
    network = build("vivit", 5, 1, 8, 32)
    freeze(network, "all")
    assert backbones_of(network) == {} and list_backbone(network) == []
    assert cut_network(network, "all") == (None, network)
    assert len(network.trainable_variables) == len(network.weights)


@once
def test_freeze():
    network = build("i3d", 5, 2, 8, 112)
    counts = {}
    for finetune in ("none", "Mixed_5c", "all"):
        freeze(network, finetune)
        counts[finetune] = len(network.trainable_variables)
    assert counts == {"none": 2, "Mixed_5c": 8, "all": 59}
    freeze(network, "all", train_batchnorm=True)
    assert len(network.trainable_variables) == 59 + 57


def test_saved_network_gives_the_same_outputs(tmp_path, small_i3d):
    network = build("i3d_transformer", 5, 2, 8, 112)
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras", compile=False)
    clips = np.random.default_rng(0).uniform(-1, 1, (1, 2, 8, 112, 112, 3)).astype("float32")
    np.testing.assert_allclose(loaded(clips), network(clips), atol=1e-6)


@once
@pytest.mark.parametrize("name", HEADS)
def test_saved_head_gives_the_same_outputs(tmp_path, name):
    head = build_head(name, 2, 64, 5)
    head.save(tmp_path / "head.keras")
    loaded = keras.saving.load_model(tmp_path / "head.keras", compile=False)
    np.testing.assert_allclose(loaded(draw(3, 2, 64)), head(draw(3, 2, 64)), atol=1e-6)


@once
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: build("i3d_ltsm", 5, 2, 8), "Unknown network 'i3d_ltsm'; known: i3d, i3d_lstm"),
        (lambda: build("i3d", 5, 2, 7), "clips of at least 8 frames, but got 7"),
        (lambda: build("i3d", 5, 2, 8, 64), "at least 112 pixels, but frame_size is 64"),
        (lambda: build_head("ltsm", 2, 8, 5), "Unknown head 'ltsm'; known: average, lstm"),
        (lambda: build_head("transformer", 2, 72, 5), "a multiple of 64, but got 72"),
        (
            lambda: build_head("vivit", 2, 64, 5, Design(pooling="mean")),
            "Unknown pooling 'mean'; known: class, fused",
        ),
        (
            lambda: check_network("i3d", "Mixed_9"),
            "Cannot fine-tune from 'Mixed_9'; give none, all",
        ),
        (lambda: check_network("vivit", "Mixed_5b"), "vivit has no backbone"),
    ],
)
def test_bad_names(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_i3d_alone_is_a_network():
    i3d = BACKBONES["i3d"].build("rgb", 16, 112, "Logits")
    network, clips = as_network(i3d), draw(2, 1, 16, 112, 112, 3)
    logits = np.asarray(i3d(clips[:, 0]))
    np.testing.assert_allclose(np.asarray(network(clips)), logits, atol=1e-5)
    assert network.count_params() == i3d.count_params() and list(backbones_of(network)) == ["rgb"]
    for endpoint in ("Mixed_4f", "Mixed_5c"):
        first, rest = cut_after(network, BACKBONES["i3d"].get_stage(endpoint))
        np.testing.assert_allclose(np.asarray(rest(first(clips))), logits, atol=1e-5)


@pytest.mark.parametrize("steps", [7, None])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
def test_lstm_is_that_of_keras(tmp_path, monkeypatch, steps, masked, sequences):
    inputs, mask = keras.Input((steps, 5)), keras.Input((steps,), dtype="bool")
    products, product = [], layers.ops.matmul
    monkeypatch.setattr(
        layers.ops, "matmul", lambda a, b: products.append(a.shape) or product(a, b)
    )
    theirs = keras.layers.LSTM(4, return_sequences=sequences)
    ours = LSTM(4, return_sequences=sequences, name=theirs.name)
    how = {"mask": mask} if masked else {}
    known = keras.Model([inputs, mask], theirs(inputs, **how))
    model = keras.Model([inputs, mask], ours(inputs, **how))
    generator = np.random.default_rng(0)
    known.set_weights([generator.normal(size=weight.shape) for weight in known.get_weights()])
    known.save_weights(tmp_path / "known.weights.h5")  # a run of an older version
    model.load_weights(tmp_path / "known.weights.h5")
    batch = generator.normal(size=(3, 7, 5)).astype("float32")
    real = np.array([[1] * 7, [1] * 4 + [0] * 3, [0] + [1] * 6], bool)
    expected = known.predict_on_batch([batch, real])
    products.clear()
    np.testing.assert_allclose(model.predict_on_batch([batch, real]), expected, atol=1e-6)
    assert {shape[-1] for shape in products if len(shape) == 2} == {4}  # steps meet no input
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict_on_batch([batch, real]), expected, atol=1e-6)
