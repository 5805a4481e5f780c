"""Networks and heads: shapes, exact sizes, freezing, and equal outputs however they are cut."""

import keras
import numpy as np
import pytest

from models.heads import HEADS, build_head
from models.networks import NETWORKS, TimeDistributed, build, freeze, split

pytestmark = pytest.mark.models
# With 5 classes. I3D has 12,294,544, the normalisation 2,048; the LSTMs 3,147,776 + 787,456.
PARAMETERS = {"i3d": 12_301_717, "i3d_lstm": 16_233_109}
HEAD_PARAMETERS = {"average": 7_173, "lstm": 3_938_565}


def test_every_row_is_tested():
    assert set(PARAMETERS) == set(NETWORKS)
    assert set(HEAD_PARAMETERS) == set(HEADS)


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_and_shapes(name):
    network = build(name, 5, 3, 8, 112)
    assert network.count_params() == PARAMETERS[name]
    assert network.input_shape == (None, 3, 8, 112, 112, 3)
    assert network.output_shape == (None, 5)


@pytest.mark.parametrize("name", HEADS)
def test_heads_follow_the_features(name):
    head = build_head(name, 3, 16, 5)
    features = np.random.default_rng(0).normal(size=(4, 3, 16)).astype("float32")
    logits = np.asarray(head(features))
    assert logits.shape == (4, 5)
    assert np.abs(logits - logits[0])[1:].min() > 1e-6
    assert build_head(name, 3, 1024, 5).count_params() == HEAD_PARAMETERS[name]


def test_only_the_lstm_sees_the_order():
    features = np.random.default_rng(0).normal(size=(1, 4, 16)).astype("float32")
    change = {}
    for name in HEADS:
        head = build_head(name, 4, 16, 3)
        change[name] = np.abs(
            np.asarray(head(features)) - np.asarray(head(features[:, ::-1]))
        ).max()
    assert change["average"] < 1e-6 < change["lstm"]


def test_time_distributed_is_keras_own():
    inner = keras.layers.Dense(4)
    x = np.random.default_rng(0).normal(size=(2, 3, 5)).astype("float32")
    ours = TimeDistributed(inner)(x)
    np.testing.assert_allclose(ours, keras.layers.TimeDistributed(inner)(x), atol=1e-6)


@pytest.mark.parametrize("finetune", ["none", "Mixed_5b", "Mixed_5c", "all"])
def test_split_changes_nothing(finetune):
    network = build("i3d", 5, 2, 8, 112)
    clips = np.random.default_rng(0).uniform(-1, 1, (1, 2, 8, 112, 112, 3)).astype("float32")
    freeze(network, finetune)
    frozen, trained = split(network, finetune)
    features = clips if frozen is None else frozen(clips)
    np.testing.assert_allclose(trained(features), network(clips), atol=1e-5)
    assert frozen is None or not frozen.trainable_variables
    assert len(trained.trainable_variables) == len(network.trainable_variables)


def test_freeze():
    network = build("i3d", 5, 2, 8, 112)
    counts = {}
    for finetune in ("none", "Mixed_5c", "all"):
        freeze(network, finetune)
        counts[finetune] = len(network.trainable_variables)
    assert counts == {"none": 4, "Mixed_5c": 10, "all": 61}
    freeze(network, "all", train_batchnorm=True)
    assert len(network.trainable_variables) == 61 + 57


def test_saved_network_gives_the_same_outputs(tmp_path):
    network = build("i3d_lstm", 5, 2, 8, 112)
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras", compile=False)
    clips = np.random.default_rng(0).uniform(-1, 1, (1, 2, 8, 112, 112, 3)).astype("float32")
    np.testing.assert_allclose(loaded(clips), network(clips), atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: build("i3d_ltsm", 5, 2, 8), "Unknown network 'i3d_ltsm'; known: i3d, i3d_lstm"),
        (lambda: build_head("ltsm", 2, 8, 5), "Unknown head 'ltsm'; known: average, lstm"),
        (lambda: freeze(build("i3d", 5, 1, 8, 112), "Mixed_9"), "Cannot fine-tune from 'Mixed_9'"),
    ],
)
def test_bad_names(call, message):
    with pytest.raises(ValueError, match=message):
        call()
