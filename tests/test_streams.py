"""Two streams: their networks, what they start from, and two finished runs fused."""

from models.backbones import BACKBONES
from models.choices import NETWORKS
from models.cutting import backbones_of, cut_network, freeze, list_backbone, streams_of
from models.design import Design
from models.heads import embedding_model
from models.i3d import inflate, set_tensors
from models.networks import STREAMS, build
from models.pretrained.warm_start import warm_start

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("small_i3d")


def draw(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32")


def build_tiny(name="i3d_vivit", stream="both", **design):
    return build(name, 3, 2, 8, 112, stream, Design(**design))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_takes_both(name):
    network = build(name, 3, 1, 8, 112, "both")
    assert network.input_shape[-1] == 5 and network.output_shape == (None, 3)
    assert streams_of(network) == ("rgb", "flow")
    assert list(backbones_of(network)) == (["rgb", "flow"] if name.startswith("i3d") else [])


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_networks_of_one_stream_are_as_they_were(stream):
    network = build_tiny(stream=stream)
    assert streams_of(network) == STREAMS[stream] == tuple(backbones_of(network))
    assert network.get_layer("head").layers[0].name == "features"


@pytest.mark.models
@pytest.mark.parametrize("name", ["i3d_lstm", "timesformer"])
def test_logits_of_two_runs_add_up(name):
    """A network of both streams that starts from a run of each says the sum of what they say."""
    runs = {stream: build(name, 3, 2, 8, 112, stream) for stream in STREAMS["both"]}
    both = build_tiny(name)
    for stream, run in runs.items():
        loaded, fresh, left = warm_start(both, run, stream)
        assert loaded and not fresh and not left
    clips = draw(1, 2, 8, 112, 112, 5)
    expected = np.asarray(runs["rgb"](clips[..., :3])) + np.asarray(runs["flow"](clips[..., 3:]))
    np.testing.assert_allclose(both(clips), expected, atol=1e-5)


def test_joined_features_keep_the_i3ds_and_begin_the_head_anew():
    both, run = build_tiny("i3d_lstm", fusion="features"), build_tiny("i3d_lstm", "flow")
    clips = draw(1, 2, 8, 112, 112, 5)
    loaded, fresh, left = warm_start(both, run, "flow")
    assert {name.split("/")[0] for name in loaded} == {"backbone"} and not fresh
    assert {name.split("/")[0] for name in left} == {"head"}
    features = np.asarray(both.get_layer("backbone")(clips))
    alone = np.asarray(run.get_layer("backbone")(clips[..., 3:]))
    assert features.shape == (1, 2, 2 * alone.shape[2])
    np.testing.assert_allclose(features[..., alone.shape[2] :], alone, atol=1e-6)


@pytest.mark.parametrize(
    ("finetune", "fusion"), [("none", "logits"), ("Mixed_5c", "features"), ("all", "logits")]
)
def test_cut_both_say_the_same(finetune, fusion):
    network, clips = build_tiny(fusion=fusion), draw(1, 2, 8, 112, 112, 5)
    freeze(network, finetune)
    frozen, trained = cut_network(network, finetune)
    features = clips if frozen is None else frozen(clips)
    np.testing.assert_allclose(trained(features), network(clips), atol=1e-5)
    assert frozen is None or not frozen.trainable_variables
    assert len(trained.trainable_variables) == len(network.trainable_variables)
    head = len(network.get_layer("head").trainable_variables)
    assert len(list_backbone(network)) == len(network.trainable_variables) - head


@pytest.mark.parametrize(("fusion", "units"), [("logits", 512), ("features", 256)])
def test_saved_and_embedded(tmp_path, fusion, units):
    network, clips = build_tiny("i3d_lstm", fusion=fusion), draw(1, 2, 8, 112, 112, 5)
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras", compile=False)
    np.testing.assert_allclose(loaded(clips), network(clips), atol=1e-6)
    assert list(backbones_of(loaded)) == ["rgb", "flow"]
    assert embedding_model(loaded.get_layer("head")).output_shape == (None, units)


@pytest.mark.models
def test_inflated_flow_sees_gray_as_rgb_does():
    """Flow whose x and y are equal gives what RGB gives for gray of two thirds the value."""
    rgb, flow = (
        BACKBONES["i3d"].build(stream, 8, 112, "Conv3d_1a_7x7") for stream in ("rgb", "flow")
    )
    names = {"kernel": "conv_3d/w", "beta": "batch_norm/beta"}
    tensors = {
        f"Conv3d_1a_7x7/{names[variable.name]}": np.asarray(variable)
        for variable in rgb.trainable_variables
    }
    set_tensors(flow, inflate(tensors))
    gray = draw(1, 8, 112, 112, 1)
    np.testing.assert_allclose(
        flow(np.repeat(gray, 2, -1)), rgb(np.repeat(gray * np.float32(2 / 3), 3, -1)), atol=1e-4
    )


def test_unknown_names():
    with pytest.raises(ValueError, match="Unknown stream 'depth'; known: rgb, flow, both"):
        build_tiny(stream="depth")
    with pytest.raises(ValueError, match="Unknown fusion 'late'; known: logits, features"):
        build_tiny(fusion="late")
