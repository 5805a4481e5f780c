"""ViViT: published sizes, tokens of every embedder, and encoders that see what they should."""

from models.backbones import BACKBONES
from models.choices import EMBEDDERS, ENCODERS
from models.design import Design
from models.flops import count_flops, list_parts
from models.layers import PatchProjection
from models.networks import build
from models.vivit import CentralFrame, build_vivit, build_vivit_on_maps
from support.backends import once

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.models
# Encoder: published parameters and billions of multiply-adds of ViViT-B/16x2 on 32 frames.
PUBLISHED = {"joint": (88_954_000, 88.9e6, 455.2), "factorised": (115_062_928, 115.1e6, 284.4)}
# Embedder: tokens (time, places) of 2 segments of 4 frames of 32 x 32 pixels.
TOKENS = {"flatten": (8, 1), "patches": (8, 4), "tubelet": (4, 4), "maps": (6, 9)}


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@once
@pytest.mark.parametrize("encoder", ENCODERS)
def test_base_has_the_published_size(encoder):
    exact, published, billions = PUBLISHED[encoder]
    network = build("vivit", 400, 1, 32, design=Design(0, 0, "class", "tubelet", encoder, "base"))
    assert network.count_params() == exact
    assert abs(exact - published) < 0.06e6
    assert count_flops(network) / 2e9 == pytest.approx(billions, rel=0.02)


@once
def test_flops_of_i3d():
    """Every multiply-add of figure 3 with its padding; S3D's authors count 107.9 for theirs."""
    assert count_flops(BACKBONES["i3d"].build("rgb", 64, 224, "Logits")) / 2e9 == pytest.approx(
        111.15314, 1e-6
    )


@once
def test_flops_by_hand():
    network = build("i3d_lstm", 5, 2, 8, 112)
    parts = {name: (parameters, flops) for name, parameters, flops in list_parts(network)}
    assert sum(parameters for parameters, _ in parts.values()) == network.count_params()
    assert sum(flops for _, flops in parts.values()) == count_flops(network)
    assert parts["head/lstm_1"] == (3_147_776, 2 * 2 * (1024 + 512) * 2048)
    assert parts["head/logits"] == (256 * 5 + 5, 2 * 256 * 5)
    transformer = build("vivit", 5, 1, 8, 32, design=Design(embedder="patches", patch_size=16))
    parts = {name: flops for name, _, flops in list_parts(transformer)}
    tokens, dim = 8 * 4 + 1, 128
    assert parts["head/projection"] == 2 * 8 * 4 * 16 * 16 * 3 * dim
    assert parts["head/encoder_1_attention"] == 2 * (4 * tokens * dim**2 + 2 * tokens**2 * dim)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("embedder", [*EMBEDDERS, "maps"])
def test_tokens_and_logits(embedder, encoder):
    shape, build_one = (2, 4, 32, 32, 3), build_vivit
    if embedder == "maps":
        shape, build_one = (2, 3, 3, 3, 64), build_vivit_on_maps
    design = Design(embedder=embedder, encoder=encoder)
    if (embedder, encoder) == ("flatten", "factorised"):
        with pytest.raises(ValueError, match="needs several tokens a frame"):
            build_vivit(shape, 5, design)
        return
    model = build_one(shape, 5, design)
    assert model.get_layer("tokens").output.shape[1:] == (*TOKENS[embedder], 128)
    logits = np.asarray(model(draw(3, *shape)))
    assert logits.shape == (3, 5) and np.abs(logits[1:] - logits[0]).max(1).min() > 1e-4


def test_flatten_sees_each_frame_alone_and_no_still_picture():
    model = build_vivit((1, 6, 8, 8, 3), 5, Design())
    tokens = keras.Model(model.input, model.get_layer("tokens").output)
    clip = draw(1, 1, 6, 8, 8, 3)
    np.testing.assert_allclose(tokens(clip + draw(8, 8, 3, seed=1)), tokens(clip), atol=1e-5)
    order = np.random.default_rng(0).permutation(6)
    np.testing.assert_allclose(
        tokens(clip[:, :, order]), np.asarray(tokens(clip))[:, order], atol=1e-5
    )


def test_tubelets_begin_as_their_central_frame():
    model = build_vivit((1, 4, 32, 32, 3), 5, Design(embedder="tubelet"))
    kernel = np.asarray(model.get_layer("projection").kernel)
    assert kernel.shape == (2, 16, 16, 3, 128)
    assert not kernel[0].any() and kernel[1].std() > 0.005
    flat = draw(16, 16, 3, 128)
    inflated = np.asarray(CentralFrame(flat)((3, 16, 16, 3, 128), "float32"))
    np.testing.assert_array_equal(inflated[1], flat)
    assert not inflated[[0, 2]].any()
    with pytest.raises(ValueError, match="The 2-D kernel is"):
        CentralFrame(flat)((2, 8, 8, 3, 128), "float32")


def test_factorised_encoder_reads_places_before_times():
    model = build_vivit(
        (1, 4, 32, 32, 3), 5, Design(embedder="patches", encoder="factorised", pooling="fused")
    )
    frames = keras.Model(model.input, model.get_layer("spatial").output)
    clip = draw(1, 1, 4, 32, 32, 3)
    changed = clip.copy()
    changed[:, :, 2] += 1
    difference = np.abs(np.asarray(frames(changed)) - np.asarray(frames(clip))).max((0, 2))
    assert difference[2] > 1e-3 and difference[[0, 1, 3]].max() < 1e-5


@once
@pytest.mark.parametrize(
    ("design", "message"),
    [
        (Design(embedder="pixels"), "Unknown embedder 'pixels'; known: flatten, patches, tubelet"),
        (Design(encoder="divided"), "Unknown encoder 'divided'; known: joint, factorised"),
        (Design(size="huge"), "Unknown size 'huge'; known: small, base"),
        (Design(embedder="patches", patch_size=12), "cannot be cut into pieces of 1 x 12 x 12"),
        (Design(embedder="tubelet"), "7 frames of 32 x 32 pixels cannot be cut into pieces of 2 x"),
    ],
)
def test_bad_designs(design, message):
    with pytest.raises(ValueError, match=message):
        build_vivit((1, 7, 32, 32, 3), 5, design)


def test_saved_network_gives_the_same_outputs(tmp_path):
    model = build_vivit((1, 4, 32, 32, 3), 5, Design(embedder="tubelet", encoder="factorised"))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    clip = draw(1, 1, 4, 32, 32, 3)
    np.testing.assert_allclose(loaded(clip), model(clip), atol=1e-6)


def test_patch_projection_is_the_convolution():
    clip, window = draw(2, 4, 16, 24, 3), (2, 8, 8)
    layers = [kind(5, window, window) for kind in (keras.layers.Conv3D, PatchProjection)]
    outputs = [np.asarray(layer(clip)) for layer in layers]
    layers[1].set_weights([layers[0].get_weights()[0], draw(5)])
    np.testing.assert_allclose(layers[1](clip), outputs[0] + draw(5), atol=1e-5)
    assert outputs[1].shape == (2, 2, 2, 3, 5)
