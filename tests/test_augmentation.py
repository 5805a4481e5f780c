"""Transforms of clips and mixtures of batches: the same in every frame, and as published."""

from utils.clips.augmentation import (
    UNCHANGED,
    Augmentation,
    Transform,
    apply_flow,
    apply_rgb,
    draw_transform,
)
from utils.clips.mixing import mix
from utils.clips.rand_augment import OPERATIONS
from utils.clips.reading import ClipFormat, clip_key, list_views, random_clip
from utils.video.video import Video

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

VIDEO = Video("a", 20, 25.0, 160, 128, "d1")
PLAIN = (0.20014055364870986, 0.33748780617513274)


def picture(size=40):
    """A smooth uint8 picture (size, size, 3) that uses part of the range, with a bright corner."""
    x, y = np.meshgrid(np.linspace(20, 180, size), np.linspace(40, 150, size))
    frame = np.stack([x, y, (x + y) / 2], axis=-1)
    frame[:8, :8] += 50
    return frame.astype(np.uint8)


def clip_of(frame):
    return np.stack([frame] * 3)


def test_without_operations_all_is_drawn_and_named_as_ever():
    generator = np.random.default_rng([7, 1, 3])
    clip = random_clip(VIDEO, 2, generator, Augmentation())
    assert clip.place == (0.5167858979187351, 0.20841131573879812)
    assert clip.transform == Transform(
        PLAIN, False, 0.009000905650391092, 0.9677043296809932, 0.8730788982707915
    )
    clip_format = ClipFormat(2, 8)
    assert clip_key(clip, clip_format, "net") == "882d3fa309e79d88a0d7136fef12f842"
    center = list_views(VIDEO)[0]
    assert clip_key(center, clip_format, "net") == "53f0b1ec42e43218cec6d155450a9c77"
    following = np.random.default_rng([7, 1, 3])
    following.uniform(size=2 + 2 + 1 + 3)
    assert generator.uniform() == following.uniform()


def test_operations_are_drawn_and_name_other_features():
    augmentation = Augmentation(operations=2, magnitude=0.5)
    clips = [
        random_clip(VIDEO, 2, np.random.default_rng([7, 1, seed]), augmentation)
        for seed in range(100)
    ]
    assert clips[3].transform.crop == PLAIN
    drawn = [pair for clip in clips for pair in clip.transform.operations]
    assert len(drawn) == 200
    assert {name for name, _ in drawn} == set(OPERATIONS)
    assert {magnitude for _, magnitude in drawn} == {-0.5, 0.5}
    assert len({clip_key(clip, ClipFormat(2, 8), "net") for clip in clips}) == 100


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_is_the_same_in_every_frame(name):
    clip = clip_of(picture())
    before = clip.copy()
    for magnitude in (-1.0, -0.3, 0.3, 1.0):
        changed = OPERATIONS[name](clip, magnitude)
        assert changed.dtype == np.uint8 and changed.shape == clip.shape
        assert np.ptp(changed, axis=0).max() == 0
        assert (name == "identity") == np.array_equal(changed, clip)
    assert np.array_equal(clip, before)
    if name not in ("auto_contrast", "equalize"):
        assert np.abs(OPERATIONS[name](clip, 0.0).astype(int) - clip).max() == 0


def _affine(matrix):
    return lambda image: image.transform(
        image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=(128,) * 3
    )


def _sharpen(image):
    return Image.blend(image.filter(ImageFilter.SMOOTH), image, 1.45)


# Operation: (its magnitude, the same by Pillow).
PILLOW = {
    "rotate": (0.5, lambda i: i.rotate(15, Image.Resampling.BILINEAR, fillcolor=(128,) * 3)),
    "shear_x": (0.5, _affine((1, 0.15, -0.15 * 20, 0, 1, 0))),
    "shear_y": (0.5, _affine((1, 0, 0, 0.15, 1, -0.15 * 20))),
    "translate_x": (0.5, _affine((1, 0, 0.225 * 40, 0, 1, 0))),
    "translate_y": (0.5, _affine((1, 0, 0, 0, 1, 0.225 * 40))),
    "brightness": (0.5, lambda i: ImageEnhance.Brightness(i).enhance(1.45)),
    "contrast": (-0.5, lambda i: ImageEnhance.Contrast(i).enhance(0.55)),
    "saturation": (0.5, lambda i: ImageEnhance.Color(i).enhance(1.45)),
    "sharpness": (0.5, lambda i: ImageEnhance.Sharpness(i).enhance(1.45)),
    "posterize": (-0.5, lambda i: ImageOps.posterize(i, 6)),
    "solarize": (0.5, lambda i: ImageOps.solarize(i, 128)),
    "auto_contrast": (0.5, ImageOps.autocontrast),
    "equalize": (0.5, ImageOps.equalize),
    "identity": (0.5, lambda i: i),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_is_pillows(name):
    magnitude, by_pillow = PILLOW[name]
    frame = picture()
    expected = np.asarray(by_pillow(Image.fromarray(frame))).astype(int)
    difference = np.abs(OPERATIONS[name](clip_of(frame), magnitude)[0] - expected)
    assert np.quantile(difference, 0.95) <= 2  # a warp's edge may fall beside Pillow's
    if name not in ("rotate", "shear_x", "shear_y"):
        assert difference.max() <= 2


def gray(level):
    return np.full((1, 16, 16, 3), level, np.uint8)


@pytest.mark.parametrize("name", ["auto_contrast", "equalize"])
def test_one_level_stays(name):
    assert np.array_equal(OPERATIONS[name](gray(50), 0.3), gray(50))


@pytest.mark.parametrize(
    ("name", "magnitude", "levels"),
    [
        ("auto_contrast", 0.3, [128, 0, 255]),
        ("contrast", -1.0, [100, 95, 105]),
        ("equalize", 0.3, [128, 0, 255]),
    ],
)
def test_statistics_are_the_whole_clips(name, magnitude, levels):
    clip = np.concatenate([gray(100), gray(50), gray(150)])
    assert OPERATIONS[name](clip, magnitude)[:, 0, 0, 0].tolist() == levels


def test_one_transform_for_all_frames():
    clip = clip_of(np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8))
    changed = apply_rgb(clip, draw_transform(np.random.default_rng(2), operations=3))
    assert np.ptp(changed, axis=0).max() == 0
    assert np.abs(changed).max() <= 1
    np.testing.assert_allclose(apply_rgb(clip, UNCHANGED), clip / 127.5 - 1, atol=1e-6)
    moved = apply_rgb(clip, Transform(operations=(("translate_x", 1 / 3.6),)))  # one pixel
    np.testing.assert_allclose(moved[:, :, :-1], clip[:, :, 1:] / 127.5 - 1, atol=1e-6)


def test_flow_flip_turns_the_motion_round():
    flow = np.random.default_rng(0).uniform(-20, 20, (2, 4, 4, 2)).astype("float32")
    flipped = apply_flow(flow, Transform(flip=True))
    np.testing.assert_allclose(flipped[..., 0], -flow[:, :, ::-1, 0] / 20, atol=1e-6)
    np.testing.assert_allclose(flipped[..., 1], flow[:, :, ::-1, 1] / 20, atol=1e-6)
    with pytest.raises(ValueError, match="flow cannot be changed by rotate"):
        apply_flow(flow, Transform(operations=(("rotate", 0.3),)))


def batch(shape=(4, 2, 3, 10, 20, 1)):
    """Inputs whose example i is i everywhere, one-hot targets, weights i + 1."""
    inputs = np.ones(shape, "float32") * np.arange(4).reshape(-1, *[1] * (len(shape) - 1))
    return inputs.astype("float32"), np.eye(4, dtype="float32"), np.arange(1, 5, dtype="float32")


@pytest.mark.parametrize("shape", [(4, 2, 3, 10, 20, 1), (4, 6)])
def test_mixup_shares(shape):
    given = batch(shape)
    shares = []
    for seed in range(50):
        inputs, targets, weights = mix(*given, 0.4, 0, np.random.default_rng(seed))
        assert inputs.dtype == targets.dtype == weights.dtype == np.float32
        np.testing.assert_allclose(
            inputs[(slice(None), *[0] * (len(shape) - 1))], targets @ range(4), atol=1e-6
        )
        np.testing.assert_allclose(weights, targets @ range(1, 5), atol=1e-6)
        np.testing.assert_allclose(targets.sum(1), 1, atol=1e-6)
        shares.append(targets.diagonal().min())
    assert min(shares) < 0.1 and max(shares) > 0.9  # Beta(0.4, 0.4) is U-shaped
    assert np.array_equal(given[0], batch(shape)[0])


def test_cutmix_counts_the_pixels():
    given = batch()
    for seed in range(50):
        inputs, targets, weights = mix(*given, 0, 1, np.random.default_rng(seed))
        assert inputs.dtype == targets.dtype == weights.dtype == np.float32
        assert np.ptp(inputs, axis=(1, 2)).max() == 0  # one box in all segments and frames
        counted = [[np.mean(example == other) for other in range(4)] for example in inputs]
        np.testing.assert_allclose(targets, counted, atol=1e-6)
        np.testing.assert_allclose(weights, targets @ range(1, 5), atol=1e-6)
        changed = inputs[:, 0, 0, :, :, 0] != np.arange(4)[:, None, None]
        for example in changed[changed.any((1, 2))]:
            assert example.sum() == example.any(0).sum() * example.any(1).sum()
    assert np.array_equal(given[0], batch()[0])


def test_a_batch_is_mixed_in_one_way():
    given = batch()
    boxes = 0
    for seed in range(100):
        inputs, _, _ = mix(*given, 1, 1, np.random.default_rng(seed))
        boxes += np.array_equal(inputs, np.round(inputs))
    assert 30 < boxes < 70
    generator = np.random.default_rng(0)
    assert all(a is b for a, b in zip(mix(*given, 0, 0, generator), given, strict=True))
    with pytest.raises(ValueError, match=r"\(4, 2, 1024\)\. Cached features"):
        mix(np.zeros((4, 2, 1024)), given[1], given[2], 0, 1, generator)
