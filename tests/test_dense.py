"""Dense I3D: rows at their places, alone I3D's own, together near what each sees alone."""

from models.dense import HALVING, Extractor, build_dense, build_maps, plan_phases
from models.i3d import build_i3d

import keras
import numpy as np
import pytest
from keras import layers

pytestmark = pytest.mark.models
SIZE = 112


def make_clip(frames, seed=0, size=SIZE):
    """Return (1, frames, size, size, 3) in [-1, 1]: blobs that change all the time."""
    generator = np.random.default_rng(seed)
    small = generator.uniform(-1, 1, (frames, 4, 4, 3))
    smooth = (small[:-4] + small[1:-3] + small[2:-2] + small[3:-1] + small[4:]) / 2
    smooth = np.concatenate([smooth, small[:4]]).clip(-1, 1)
    return smooth.repeat(size // 4, 1).repeat(size // 4, 2)[None].astype("float32")


def build_tiny(kernel, pool):
    """Build maps with I3D's halvings and few channels; `kernel` and `pool` are their time's."""
    inputs = keras.Input((None, 8, 8, 3))
    x = layers.Conv3D(4, (kernel, 3, 3), strides=2, padding="same", name=HALVING[0])(inputs)
    x = layers.MaxPooling3D((pool, 2, 2), strides=2, padding="same", name=HALVING[1])(x)
    x = layers.Conv3D(6, (1, 2, 2), padding="same", activation="tanh")(x)
    x = layers.MaxPooling3D(2, strides=2, padding="same", name=HALVING[2])(x)
    return keras.Model(inputs, layers.Conv3D(8, 1)(x))


@pytest.fixture(scope="module")
def maps():
    keras.utils.set_random_seed(0)
    return build_maps("rgb", SIZE, "Features")


def rows_alone(maps, clip, window, stride, endpoint="Features"):
    alone = build_dense(maps, window, window, 1, endpoint)
    starts = range(0, clip.shape[1] - window + 1, stride)
    windows = np.concatenate([clip[:, start : start + window] for start in starts])
    return np.asarray(alone.predict_on_batch(windows))


def test_i3d_halves_time_in_three_layers():
    assert HALVING == ("Conv3d_1a_7x7.conv_3d", "MaxPool3d_4a_3x3", "MaxPool3d_5a_2x2")


def test_phases_split_where_starts_are_odd():
    splits, phases, places = plan_phases(np.arange(0, 32, 4), 3)
    assert splits == [False, False, True]
    assert phases.tolist() == [0, 1] * 4 and places.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert plan_phases(np.arange(0, 32, 8), 3)[0] == [False] * 3
    splits, phases, places = plan_phases(np.arange(0, 16, 2), 3)
    assert splits == [False, True, True]
    assert phases.tolist() == [0, 1, 2, 3] * 2 and places.tolist() == [0] * 4 + [1] * 4
    assert plan_phases(np.arange(9), 3)[0] == [True] * 3


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 6, 8])
@pytest.mark.parametrize("window", [8, 24])
def test_rows_are_exact_where_nothing_reaches_beyond_a_window(stride, window):
    keras.utils.set_random_seed(1)
    tiny, clip = build_tiny(1, 1), make_clip(48, 1, 8)
    alone = rows_alone(tiny, clip, window, stride)
    dense = np.asarray(build_dense(tiny, 48, window, stride).predict_on_batch(clip))[0]
    assert dense.shape == alone.shape == ((48 - window) // stride + 1, 8)
    assert alone.std(0).min() > 1e-3  # rows differ, so a wrong place would show
    np.testing.assert_allclose(dense, alone, atol=1e-5)


@pytest.mark.parametrize("stride", [2, 4, 8])
def test_rows_are_exact_inside_what_shared_padding_reaches(stride):
    """With I3D's kernels, a pulse in the middle of a window, on black: padding changes nothing."""
    keras.utils.set_random_seed(2)
    tiny, clip = build_tiny(7, 3), np.zeros((1, 96, 8, 8, 3), "float32")
    pulse = 45
    clip[:, pulse] = 1
    alone = rows_alone(tiny, clip, 32, stride)
    dense = np.asarray(build_dense(tiny, 96, 32, stride).predict_on_batch(clip))[0]
    starts = np.arange(0, 65, stride)
    inside = (starts + 8 <= pulse) & (pulse < starts + 24)
    np.testing.assert_allclose(dense[inside], alone[inside], atol=1e-6)
    still = alone[0]  # the pulse is beyond it
    sees = np.abs(dense - still).max(1) > 1e-6
    assert sees[inside].all() and not sees[starts + 32 <= pulse - 8].any()


@pytest.mark.parametrize("window", [12, 16])
def test_a_row_alone_is_i3ds(maps, window):
    clip = make_clip(window)
    whole = build_i3d("rgb", window, SIZE)
    whole.set_weights(maps.get_weights())
    mine = np.asarray(build_dense(maps, window, window, 4).predict_on_batch(clip))
    assert mine.shape == (1, 1, 1024)
    np.testing.assert_allclose(mine[:, 0], whole.predict_on_batch(clip), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("endpoint", ["Features", "Mixed_5c"])
def test_dense_rows_of_i3d_are_near_those_alone(maps, endpoint):
    clip = make_clip(64)
    alone = rows_alone(maps, clip, 32, 4, endpoint)
    dense = np.asarray(build_dense(maps, 64, 32, 4, endpoint).predict_on_batch(clip))[0]
    assert dense.shape == alone.shape == (9, 1024)
    one, other = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (alone, dense))
    assert (one * other).sum(1).min() > 0.95
    one, other = (rows - rows.mean(0) for rows in (alone, dense))
    nearest = np.argmax(other @ one.T, axis=1) - np.arange(9)
    assert np.abs(nearest).max() <= 1  # the last rows but one see nearly the same


def test_extractor_joins_streams_and_scales(maps):
    keras.utils.set_random_seed(3)
    both = {"rgb": maps, "flow": build_maps("flow", SIZE, "Conv3d_1a_7x7")}
    with pytest.raises(ValueError, match="multiples of 8"):
        build_dense(maps, 32, 12, 4)
    levels = np.linspace(-1, 1, 256, dtype="float32")
    extractor = Extractor({"rgb": maps}, {"rgb": levels}, 16, 4)
    blocks = np.random.default_rng(0).integers(0, 256, (2, 16, SIZE, SIZE, 3), np.uint8)
    rows = extractor(blocks)
    assert rows.shape == (2, 1, 1024) and rows.dtype == np.float32
    alone = build_dense(maps, 16, 16, 4).predict_on_batch(levels[blocks])
    np.testing.assert_allclose(rows, alone, rtol=1e-5, atol=1e-7)
    joined = Extractor(both, dict.fromkeys(both, levels), 16, 4, "Conv3d_1a_7x7")
    flow = blocks[..., :2]
    together = joined(np.concatenate([blocks, flow], axis=-1))
    assert together.shape == (2, 1, 1024 + 64)
    single = Extractor({"flow": both["flow"]}, {"flow": levels}, 16, 4, "Conv3d_1a_7x7")
    np.testing.assert_allclose(together[..., 1024:], single(flow), rtol=1e-5, atol=1e-7)


def test_impossible_rows_are_refused(maps):
    with pytest.raises(ValueError, match="A window of 64 frames in 32"):
        build_dense(maps, 32, 64, 4)
    with pytest.raises(ValueError, match="Logits lies behind them"):
        build_maps("rgb", SIZE, "Logits")
