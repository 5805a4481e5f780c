"""One random transform for a whole clip: every frame of every segment gets the same.

The operations are those of RandAugment (Cubuk et al., NeurIPS 2020), with the ranges of
torchvision's version; what Pillow measures on an image is measured on the clip, so that nothing
flickers.
"""

from dataclasses import dataclass
from typing import NamedTuple

from utils.clips.rand_augment import OPERATIONS
from utils.video.flow import FLOW_LIMIT, to_pixels

import numpy as np


@dataclass(frozen=True)
class Augmentation:
    """How training clips vary.

    Attributes:
        flip: mirror half of the clips.
        color: largest change of brightness, contrast and saturation; 0 for none.
        operations: how many random `OPERATIONS` a clip goes through, one after the other.
        magnitude: their strength, 0 to 1.
    """

    flip: bool = True
    color: float = 0.2
    operations: int = 0
    magnitude: float = 0.3


class Transform(NamedTuple):
    """A crop, a flip and a change of color; the default is the center crop and no change.

    Attributes:
        crop: position of the crop, from top left (0, 0) to bottom right (1, 1).
        flip: mirror left and right.
        brightness: added, as a share of the value range.
        contrast, saturation: factors.
        operations: pairs of a key of `OPERATIONS` and its signed magnitude, applied first.
    """

    crop: tuple[float, float] = (0.5, 0.5)
    flip: bool = False
    brightness: float = 0.0
    contrast: float = 1.0
    saturation: float = 1.0
    operations: tuple[tuple[str, float], ...] = ()


UNCHANGED = Transform()


def draw_transform(generator, flip=True, color=0.2, operations=0, magnitude=0.3):
    """Draw a transform.

    Args:
        generator: a `numpy.random.Generator`.
        flip, color, operations, magnitude: as in `Augmentation`.
    """
    crop = tuple(generator.uniform(size=2).tolist())
    flipped = bool(generator.uniform() < 0.5) and flip
    brightness, contrast, saturation = generator.uniform(-color, color, 3).tolist()
    names = generator.choice(list(OPERATIONS), operations).tolist()
    signed = generator.choice([-magnitude, magnitude], operations).tolist()
    drawn = tuple(zip(names, signed, strict=True))
    return Transform(crop, flipped, brightness / 2, 1 + contrast, 1 + saturation, drawn)


def apply_rgb(clip, transform):
    """Transform a uint8 clip (..., height, width, 3) and scale it to float32 in [-1, 1]."""
    for name, magnitude in transform.operations:
        clip = OPERATIONS[name](clip, magnitude)
    if transform.flip:
        clip = clip[..., ::-1, :]
    clip = clip.astype(np.float32)
    clip /= 127.5
    clip -= 1
    if transform[2:5] != UNCHANGED[2:5]:
        gray = clip.mean(-1, keepdims=True)
        clip = gray + transform.saturation * (clip - gray)
        clip = np.clip(transform.contrast * clip + 2 * transform.brightness, -1, 1)
    return clip


def restore_rgb(clip):
    """Return the uint8 pixels of RGB (..., 3) in [-1, 1]."""
    return np.round((clip + 1) * 127.5).astype(np.uint8)


def apply_flow(clip, transform):
    """Flip a float32 flow clip (..., height, width, 2) and scale +-20 pixels to [-1, 1].

    Raises:
        ValueError: a transform with operations; they are made for colors.
    """
    if transform.operations:
        raise ValueError(
            f"Optical flow cannot be changed by {transform.operations[0][0]}: RandAugment "
            "is for RGB clips. Give rand_operations 0 with the streams flow and both."
        )
    if transform.flip:
        clip = clip[..., ::-1, :] * np.array([-1, 1], np.float32)  # leftwards becomes rightwards
    return clip / np.float32(FLOW_LIMIT)


def list_levels(stream):
    """Return what each of the 256 levels of uint8 "rgb" or "flow" means to a network, float32."""
    levels = np.arange(256).astype(np.uint8)
    if stream == "flow":
        return apply_flow(to_pixels(levels), UNCHANGED)
    return apply_rgb(levels, UNCHANGED)


def find_levels(values, stream):
    """Return the levels, uint8, nearest to what they mean to a network: `list_levels` backwards."""
    levels = list_levels(stream)
    return np.searchsorted((levels[1:] + levels[:-1]) / 2, values).astype(np.uint8)
