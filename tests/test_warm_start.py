"""Starting one network from another: what is taken over, and what is refused."""

from models.design import Design
from models.heads import build_head
from models.networks import build
from models.pretrained.warm_start import warm_start
from models.timesformer import resize_space, resize_time
from support.backends import once

import numpy as np
import pytest

pytestmark = pytest.mark.models


def equal(first, second, name):
    pairs = zip(first.get_layer(name).weights, second.get_layer(name).weights, strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def test_same_head_other_classes():
    source, target = build_head("lstm", 3, 64, 5), build_head("lstm", 4, 64, 2)
    loaded, fresh, left = warm_start(target, source)
    assert loaded == ["lstm_1", "lstm_2"] and not left
    assert fresh == ["logits (256, 2), not (256, 5)"]
    assert equal(source, target, "lstm_1") and equal(source, target, "lstm_2")
    assert np.asarray(target.get_layer("logits").kernel).any()


@once
def test_backbone_for_another_head():
    source, target = build("i3d_lstm", 5, 2, 8, 112), build("i3d_transformer", 5, 3, 8, 112)
    loaded, fresh, left = warm_start(target, source)
    assert sum(name.startswith("backbone/") for name in loaded) == 57 * 2
    assert "head/encoder_1_attention" in fresh
    assert left == ["head/lstm_1", "head/lstm_2"]
    backbones = (network.get_layer("backbone").layer for network in (source, target))
    assert equal(*backbones, "Mixed_5c.Branch_1.Conv3d_0b_3x3.conv_3d")


def test_timesformer_for_other_frames_frame_size_and_patch():
    source = build("timesformer", 5, 1, 4, 32, design=Design(patch_size=8))
    target = build("timesformer", 5, 1, 6, 96, design=Design(patch_size=16))
    loaded, fresh, left = warm_start(target, source)
    assert fresh == ["head/projection (1, 16, 16, 3, 128), not (1, 8, 8, 3, 128)"] and not left
    assert "head/space_positions (17 interpolated to 37)" in loaded
    assert "head/time_positions (4 interpolated to 6)" in loaded
    for name, resize, count in (
        ("space_positions", resize_space, 37),
        ("time_positions", resize_time, 6),
    ):
        there, here = (
            np.asarray(network.get_layer("head").get_layer(name).tokens)[0]
            for network in (source, target)
        )
        np.testing.assert_allclose(here, resize(there, count), atol=1e-6)
    assert equal(source.get_layer("head"), target.get_layer("head"), "block_2_time")


@once
@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (
            lambda: build_head("vivit", 2, 64, 5),
            lambda: build_head("vivit", 4, 64, 5),
            "has 3 positions in its encoder_positions, but this one has 5. Give the same number",
        ),
        (
            lambda: build_head("transformer", 2, 64, 5),
            lambda: build_head("transformer", 3, 64, 5),
            "has 32 positions in its positions, but this one has 48",
        ),
        (
            lambda: build("vivit", 5, 1, 8, 112),
            lambda: build("i3d", 5, 1, 8, 112),
            "cannot start this i3d: its backbone lacks backbone/Conv3d_1a_7x7.conv_3d",
        ),
        (
            lambda: build("i3d", 5, 1, 8, 112, "flow"),
            lambda: build("i3d", 5, 1, 8, 112),
            r"lacks backbone/Conv3d_1a_7x7.conv_3d \(7, 7, 7, 3, 8\), not \(7, 7, 7, 2, 8\)",
        ),
        (
            lambda: build("vivit", 5, 1, 8, 32),
            lambda: build_head("average", 2, 64, 3),
            "cannot start this head: nothing fits",
        ),
    ],
)
def test_what_does_not_fit_is_refused(source, target, message, small_i3d):
    """And nothing changes."""
    network = target()
    before = [np.asarray(variable).copy() for variable in network.weights]
    with pytest.raises(ValueError, match=message):
        warm_start(network, source())
    assert all(np.array_equal(a, b) for a, b in zip(before, network.weights, strict=True))
