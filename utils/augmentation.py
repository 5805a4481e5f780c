"""One random transform for a whole clip: every frame of every segment gets the same."""

from typing import NamedTuple

import numpy as np

from utils.video import FLOW_LIMIT


class Transform(NamedTuple):
    """A crop, a flip and a change of colour; the default is the centre crop and no change.

    Attributes:
        crop: position of the crop, from top left (0, 0) to bottom right (1, 1).
        flip: mirror left and right.
        brightness: added, as a share of the value range.
        contrast, saturation: factors.
    """

    crop: tuple[float, float] = (0.5, 0.5)
    flip: bool = False
    brightness: float = 0.0
    contrast: float = 1.0
    saturation: float = 1.0


CENTRE = Transform()


def draw_transform(generator, flip=True, color=0.2):
    """Draw a transform.

    Args:
        generator: a `numpy.random.Generator`.
        flip: mirror half of the clips.
        color: largest change of brightness, contrast and saturation; 0 for none.
    """
    crop = tuple(generator.uniform(size=2).tolist())
    flipped = bool(generator.uniform() < 0.5) and flip
    brightness, contrast, saturation = generator.uniform(-color, color, 3).tolist()
    return Transform(crop, flipped, brightness / 2, 1 + contrast, 1 + saturation)


def apply_rgb(clip, transform):
    """Flip and colour a uint8 clip (..., height, width, 3) and scale it to float32 in [-1, 1]."""
    if transform.flip:
        clip = clip[..., ::-1, :]
    clip = clip.astype(np.float32)
    clip /= 127.5
    clip -= 1
    if transform[2:] != CENTRE[2:]:
        grey = clip.mean(-1, keepdims=True)
        clip = grey + transform.saturation * (clip - grey)
        clip = np.clip(transform.contrast * clip + 2 * transform.brightness, -1, 1)
    return clip


def apply_flow(clip, transform):
    """Flip a float32 flow clip (..., height, width, 2) and scale +-20 pixels to [-1, 1]."""
    if transform.flip:
        clip = clip[..., ::-1, :] * np.array([-1, 1], np.float32)  # leftwards becomes rightwards
    return clip / np.float32(FLOW_LIMIT)
