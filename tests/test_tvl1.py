"""TV-L1 flow against rendered motion, and against OpenCV's."""

import functools

from models.tvl1 import TVL1, Flow, _median, _resize, _warp, build_tvl1, plan_scales

import cv2
import keras
import numpy as np
import pytest
from keras import ops

pytestmark = pytest.mark.models

SIZE, MARGIN = (64, 80), 30
# (degrees, zoom, x, y) of the motion, in pixels about the center.
MOTIONS = {
    "still": (0, 1, 0, 0),
    "slow": (0, 1, 0.5, 0),
    "shift": (0, 1, 2, -1),
    "fast": (0, 1, -4, 3),
    "turn": (2, 1, 0, 0),
    "zoom": (0, 1.03, 0, 0),
}


def render(motion, seed):
    """Return two uint8 frames of a random texture that moves, and the flow (height, width, 2)."""
    degrees, zoom, *shift = motion
    size = np.add(SIZE, 2 * MARGIN)
    noise = np.random.default_rng(seed).normal(size=size)
    texture = sum(scale * cv2.GaussianBlur(noise, (0, 0), scale) for scale in (1.5, 4))
    texture = np.interp(texture, (texture.min(), texture.max()), (0, 255))
    center = (size[::-1] - 1) / 2
    matrix = cv2.getRotationMatrix2D(center, degrees, zoom)
    matrix[:, 2] += shift
    moved = cv2.warpAffine(texture, matrix, size[::-1], flags=cv2.INTER_CUBIC)
    inside = tuple(slice(MARGIN, MARGIN + side) for side in SIZE)
    places = np.stack(np.meshgrid(*(np.arange(side) for side in size[::-1])), axis=-1)
    flow = places @ matrix[:, :2].T + matrix[:, 2] - places
    frames = (np.clip(np.rint(x[inside]), 0, 255).astype("uint8") for x in (texture, moved))
    return *frames, flow[inside]


PAIRS = {name: render(motion, seed) for seed, (name, motion) in enumerate(MOTIONS.items())}


@functools.cache
def model():
    return build_tvl1(*SIZE)


def estimate(names):
    frames = [np.stack([PAIRS[name][k] for name in names])[..., None] for k in (0, 1)]
    return model().predict([x.astype("float32") for x in frames], verbose=0)


@functools.cache
def flows():
    return dict(zip(MOTIONS, estimate(MOTIONS), strict=True))


def mean_error(flow, other):
    return np.sqrt(np.sum((flow - other) ** 2, axis=-1)).mean()


@pytest.mark.parametrize("name", MOTIONS)
def test_rendered_motion(name):
    first, second, flow = PAIRS[name]
    theirs = cv2.optflow.createOptFlow_DualTVL1().calc(first, second, None)
    assert mean_error(flows()[name], theirs) < 0.05
    assert mean_error(flows()[name], flow) < min(0.15, mean_error(theirs, flow) + 0.02)


def test_identical_frames_have_no_flow():
    assert not flows()["still"].any()


def test_a_pair_does_not_depend_on_its_batch():
    for flow in estimate(["turn"] * len(MOTIONS)):  # rounding may change when a pair is done
        assert mean_error(flow, flows()["turn"]) < 0.01


def test_pieces_are_opencv_s():
    random = np.random.default_rng(0)
    image = random.normal(size=(33, 47)).astype("float32")
    close = functools.partial(np.testing.assert_allclose, atol=1e-5)
    frame = keras.Input(image.shape)
    median = keras.Model(frame, keras.layers.Lambda(_median)(frame))  # compiled at once
    close(median.predict(image[None], verbose=0)[0], cv2.medianBlur(image, 5))
    smaller = cv2.resize(image, None, fx=0.8, fy=0.8)
    close(ops.convert_to_numpy(_resize(image, smaller.shape, 0.8)), smaller)
    close(ops.convert_to_numpy(_resize(smaller, image.shape)), cv2.resize(smaller, (47, 33)))
    flow = random.normal(scale=8, size=(2, 33, 47)).astype("float32")
    warped = ops.convert_to_numpy(_warp(image[None, ..., None], flow[:, None]))[0, ..., 0]
    places = flow + np.mgrid[:33, :47][::-1].astype("float32")
    close(warped, cv2.remap(image, *places, cv2.INTER_CUBIC), atol=1e-4)


def test_scales():
    sizes = [(256, 341), (205, 273), (164, 218), (131, 174), (105, 139)]
    assert plan_scales(256, 341, TVL1()) == sizes
    assert plan_scales(24, 32, TVL1()) == [(24, 32), (19, 26)]


@pytest.mark.parametrize(
    "shapes",
    [
        [(1, 64, 80, 3), (1, 64, 80, 3)],
        [(1, 64, 80, 1), (1, 64, 81, 1)],
        [(1, 64, 80), (1, 64, 80)],
        [(1, 12, 80, 1), (1, 12, 80, 1)],
    ],
)
def test_bad_shapes(shapes):
    with pytest.raises(ValueError, match=r"Expected two|each side must have at least 16"):
        Flow()([np.zeros(shape, "float32") for shape in shapes])


def test_parameters_are_saved():
    config = Flow({"warps": 2, "scales": 1}).get_config()
    assert Flow(config["params"]).params == TVL1(warps=2, scales=1)
