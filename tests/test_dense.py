"""Dense I3D: rows at their places, alone I3D's own, together near what each sees alone."""

from models.backbones import BACKBONES
from models.dense import Extractor, Rows, build_dense, build_maps, plan_phases
from support.backends import once

import keras
import numpy as np
import pytest
from keras import layers

SIZE = 112
MORE = [(8, 1), (8, 2), (8, 3), (24, 6), (24, 8)]


def make_clip(frames, seed=0, size=SIZE):
    """Return (1, frames, size, size, 3) in [-1, 1]: blobs that change all the time."""
    generator = np.random.default_rng(seed)
    small = generator.uniform(-1, 1, (frames, 4, 4, 3))
    smooth = (small[:-4] + small[1:-3] + small[2:-2] + small[3:-1] + small[4:]) / 2
    smooth = np.concatenate([smooth, small[:4]]).clip(-1, 1)
    return smooth.repeat(size // 4, 1).repeat(size // 4, 2)[None].astype("float32")


def build_tiny(kernel, pool, channels=3):
    """Build maps with I3D's halvings and few features; `kernel` and `pool` are their time's."""
    inputs = keras.Input((None, 8, 8, channels))
    x = layers.Conv3D(4, (kernel, 3, 3), strides=2, padding="same", name="Conv3d_1a_7x7.conv_3d")(
        inputs
    )
    x = layers.Activation("tanh", name="Conv3d_1a_7x7.relu")(x)
    x = layers.MaxPooling3D((pool, 2, 2), strides=2, padding="same", name="MaxPool3d_4a_3x3")(x)
    x = layers.Conv3D(6, (1, 2, 2), padding="same", activation="tanh")(x)
    x = layers.MaxPooling3D(2, strides=2, padding="same", name="MaxPool3d_5a_2x2")(x)
    return keras.Model(inputs, layers.Conv3D(8, 1)(x), name="i3d")


def rows_alone(maps, clip, window, stride, endpoint="Features"):
    alone = build_dense(maps, window, Rows(window, 1, endpoint))
    starts = range(0, clip.shape[1] - window + 1, stride)
    windows = np.concatenate([clip[:, start : start + window] for start in starts])
    return np.asarray(alone.predict_on_batch(windows))[:, 0]


def test_i3d_halves_time_in_three_layers():
    assert BACKBONES["i3d"].time_stride == 8


def test_phases_split_where_starts_are_odd():
    splits, phases, places = plan_phases(np.arange(0, 32, 4), 3)
    assert splits == [False, False, True]
    assert phases.tolist() == [0, 1] * 4 and places.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert plan_phases(np.arange(0, 32, 8), 3)[0] == [False] * 3
    splits, phases, places = plan_phases(np.arange(0, 16, 2), 3)
    assert splits == [False, True, True]
    assert phases.tolist() == [0, 1, 2, 3] * 2 and places.tolist() == [0] * 4 + [1] * 4
    assert plan_phases(np.arange(9), 3)[0] == [True] * 3


@pytest.mark.models
@pytest.mark.parametrize(
    ("window", "stride"),
    [(24, 4), *(pytest.param(*row, marks=once) for row in MORE)],
)
def test_rows_are_exact_where_nothing_reaches_beyond_a_window(window, stride):
    keras.utils.set_random_seed(1)
    tiny, clip = build_tiny(1, 1), make_clip(48, 1, 8)
    alone = rows_alone(tiny, clip, window, stride)
    dense = np.asarray(build_dense(tiny, 48, Rows(window, stride)).predict_on_batch(clip))[0]
    assert dense.shape == alone.shape == ((48 - window) // stride + 1, 8)
    assert alone.std(0).min() > 1e-3  # rows differ, so a wrong place would show
    np.testing.assert_allclose(dense, alone, atol=1e-5)


@pytest.mark.parametrize("stride", [2, 3, 8])
def test_windows_go_alone_behind_what_they_share(stride):
    keras.utils.set_random_seed(6)
    tiny, clip = build_tiny(1, 3), make_clip(48, 2, 8)
    alone, (all_shared, first) = (
        rows_alone(tiny, clip, 16, stride),
        (
            np.asarray(
                build_dense(tiny, 48, Rows(16, stride, shared=stage)).predict_on_batch(clip)
            )[0]
            for stage in ("Mixed_5c", "Conv3d_1a_7x7")
        ),
    )
    np.testing.assert_allclose(first, alone, atol=1e-5)
    assert np.abs(all_shared - alone).max() > 1e-3  # the pool of three steps sees neighbors


@pytest.mark.parametrize("stride", [2, 4, 8])
def test_rows_are_exact_inside_what_shared_padding_reaches(stride):
    """With I3D's kernels, a pulse in the middle of a window, on black: padding changes nothing."""
    keras.utils.set_random_seed(2)
    tiny, clip = build_tiny(7, 3), np.zeros((1, 96, 8, 8, 3), "float32")
    pulse = 45
    clip[:, pulse] = 1
    alone = rows_alone(tiny, clip, 32, stride)
    dense = np.asarray(build_dense(tiny, 96, Rows(32, stride)).predict_on_batch(clip))[0]
    starts = np.arange(0, 65, stride)
    inside = (starts + 8 <= pulse) & (pulse < starts + 24)
    np.testing.assert_allclose(dense[inside], alone[inside], atol=1e-6)
    still = alone[0]  # the pulse is beyond it
    sees = np.abs(dense - still).max(1) > 1e-6
    assert sees[inside].all() and not sees[starts + 32 <= pulse - 8].any()


def test_a_row_alone_is_i3ds(small_i3d):
    keras.utils.set_random_seed(0)
    maps, clip = build_maps(BACKBONES["i3d"], "rgb", 16, SIZE, "Features"), make_clip(16)
    whole = BACKBONES["i3d"].build("rgb", 16, SIZE)
    whole.set_weights(maps.get_weights())
    alone = rows_alone(maps, clip, 16, 4)
    np.testing.assert_allclose(alone, whole.predict_on_batch(clip), rtol=1e-4, atol=1e-6)


def test_dense_rows_are_near_those_alone():
    keras.utils.set_random_seed(8)
    tiny, clip = build_tiny(7, 3), make_clip(96, 3, 8)
    alone = rows_alone(tiny, clip, 32, 4)
    dense = np.asarray(build_dense(tiny, 96, Rows(32, 4)).predict_on_batch(clip))[0]
    one, other = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (alone, dense))
    assert 0.95 < (one * other).sum(1).min() < 0.99999


def test_windows_of_any_length_alone():
    keras.utils.set_random_seed(5)
    tiny, clip = build_tiny(7, 3), make_clip(21, 1, 8)
    maps = np.asarray(tiny.predict_on_batch(clip)).mean((2, 3))[0]
    row = np.asarray(build_dense(tiny, 21, Rows(21, 4, "Mixed_5c")).predict_on_batch(clip))
    np.testing.assert_allclose(row[0], maps.mean(0, keepdims=True), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("endpoint", ["Features", "Mixed_5c"])
def test_steps_of_a_window_are_weighed_as_by_the_top(endpoint):
    keras.utils.set_random_seed(4)
    tiny, clip = build_tiny(1, 1), make_clip(24, 1, 8)
    steps = np.asarray(tiny.predict_on_batch(clip)).mean((2, 3))[0]
    row = np.asarray(build_dense(tiny, 24, Rows(24, 1, endpoint)).predict_on_batch(clip))[0, 0]
    pairs = (steps[:-1] + steps[1:]) / 2
    expected = {"Features": pairs.mean(0), "Mixed_5c": steps.mean(0)}[endpoint]
    np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.models
def test_extractor_scales_levels_and_joins_streams():
    keras.utils.set_random_seed(3)
    levels = {"rgb": np.linspace(-1, 1, 256, dtype="float32")}
    levels["flow"] = levels["rgb"] ** 3
    maps = {"rgb": build_tiny(7, 3), "flow": build_tiny(7, 3, 2)}
    blocks = np.random.default_rng(0).integers(0, 256, (2, 24, 8, 8, 5), np.uint8)
    rows = Extractor(maps, levels, Rows(16, 4))(blocks)
    assert rows.shape == (2, 3, 16) and rows.dtype == np.float32
    for stream, begin, channels in (("rgb", 0, 3), ("flow", 3, 2)):
        clips = levels[stream][blocks[..., begin : begin + channels]]
        alone = build_dense(maps[stream], 24, Rows(16, 4)).predict_on_batch(clips)
        mine = rows[..., 8:] if begin else rows[..., :8]
        np.testing.assert_allclose(mine, alone, rtol=1e-4, atol=1e-6)


def test_impossible_rows_are_refused():
    maps = build_tiny(1, 1)
    with pytest.raises(ValueError, match="Both must be multiples of 8"):
        build_dense(maps, 32, Rows(12, 4))
    with pytest.raises(ValueError, match="The window has 64 frames"):
        build_dense(maps, 32, Rows(64, 4))
    with pytest.raises(ValueError, match="Logits lies behind the features"):
        build_maps(BACKBONES["i3d"], "rgb", 16, SIZE, "Logits")
