"""One random transform for a whole clip: every frame of every segment gets the same.

The operations are those of RandAugment (Cubuk et al., NeurIPS 2020), with the ranges of
torchvision's version; what Pillow measures on an image is measured on the clip, so that nothing
flickers.
"""

from dataclasses import dataclass
from typing import NamedTuple

from utils.flow import FLOW_LIMIT, to_pixels
from utils.pixels import warp

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
    """A crop, a flip and a change of colour; the default is the centre crop and no change.

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


CENTRE = Transform()
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def _rotate(clip, magnitude):
    angle = np.deg2rad(30 * magnitude)
    cosine, sine = np.cos(angle), np.sin(angle)
    return warp(clip, np.array([[cosine, -sine], [sine, cosine]]))


def _map_levels(clip, levels):
    """Replace each of the 256 levels; `levels` is (256,), or (256, 3) for each channel's own."""
    levels = np.clip(np.round(levels), 0, 255).astype(np.uint8)
    if levels.ndim == 1:
        return levels[clip]
    return np.stack([levels[:, channel][clip[..., channel]] for channel in range(3)], axis=-1)


def _blend(clip, degenerate, magnitude):
    """Move away from a degenerate clip, or towards it when the magnitude is negative."""
    changed = degenerate + np.float32(1 + 0.9 * magnitude) * (clip - degenerate)
    return np.clip(np.round(changed), 0, 255).astype(np.uint8)


def _contrast(clip, magnitude):
    grey = np.float32(clip.reshape(-1, 3).mean(0) @ LUMA)
    return _map_levels(clip, _blend(np.arange(256), grey, magnitude))


def _saturation(clip, magnitude):
    return _blend(clip, (clip @ LUMA)[..., None], magnitude)


def _sharpness(clip, magnitude):
    wide = clip.astype(np.uint16)
    rows = wide[..., :-2, :, :] + wide[..., 1:-1, :, :] + wide[..., 2:, :, :]
    boxes = rows[..., :-2, :] + rows[..., 1:-1, :] + rows[..., 2:, :]
    inner = wide[..., 1:-1, 1:-1, :]
    changed = clip.copy()  # its border stays
    smooth = (boxes + 4 * inner) / np.float32(13)
    changed[..., 1:-1, 1:-1, :] = _blend(inner, smooth, magnitude)
    return changed


def _posterize(clip, magnitude):
    return clip & np.uint8(0xFF << round(4 * abs(magnitude)) & 0xFF)


def _solarize(clip, magnitude):
    return np.where(clip < 256 * (1 - abs(magnitude)), clip, 255 - clip)


def _auto_contrast(clip, _magnitude):
    pixels = clip.reshape(-1, 3)
    low, high = pixels.min(0).astype(float), pixels.max(0).astype(float)
    stretched = (np.arange(256)[:, None] - low) * 255 / np.maximum(high - low, 1)
    return _map_levels(clip, np.where(high > low, stretched, np.arange(256)[:, None]))


def _equalize(clip, _magnitude):
    levels = np.empty((256, 3))
    for channel in range(3):
        counts = np.bincount(clip[..., channel].ravel(), minlength=256)
        step = (counts.sum() - counts[np.flatnonzero(counts)[-1]]) // 255
        below = np.cumsum(counts) - counts
        levels[:, channel] = (below + step // 2) // step if step else np.arange(256)
    return _map_levels(clip, levels)


# Operation: function of a uint8 clip (..., height, width, 3) and a magnitude from -1 to 1.
OPERATIONS = {
    "identity": lambda clip, magnitude: clip,
    "rotate": _rotate,
    "shear_x": lambda clip, magnitude: warp(clip, np.array([[1, 0.3 * magnitude], [0, 1]])),
    "shear_y": lambda clip, magnitude: warp(clip, np.array([[1, 0], [0.3 * magnitude, 1]])),
    "translate_x": lambda clip, magnitude: warp(clip, np.eye(2), (0.45 * magnitude, 0)),
    "translate_y": lambda clip, magnitude: warp(clip, np.eye(2), (0, 0.45 * magnitude)),
    "brightness": lambda clip, magnitude: _blend(clip, np.float32(0), magnitude),
    "contrast": _contrast,
    "saturation": _saturation,
    "sharpness": _sharpness,
    "posterize": _posterize,
    "solarize": _solarize,
    "auto_contrast": _auto_contrast,
    "equalize": _equalize,
}


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
    if transform[2:5] != CENTRE[2:5]:
        grey = clip.mean(-1, keepdims=True)
        clip = grey + transform.saturation * (clip - grey)
        clip = np.clip(transform.contrast * clip + 2 * transform.brightness, -1, 1)
    return clip


def restore_rgb(clip):
    """Return the uint8 pixels of RGB (..., 3) in [-1, 1]."""
    return np.round((clip + 1) * 127.5).astype(np.uint8)


def apply_flow(clip, transform):
    """Flip a float32 flow clip (..., height, width, 2) and scale +-20 pixels to [-1, 1].

    Raises:
        ValueError: a transform with operations; they are made for colours.
    """
    if transform.operations:
        raise ValueError(
            f"Optical flow cannot go through {transform.operations[0][0]}: the random operations "
            "are for RGB clips. Give 0 operations with the streams flow and both."
        )
    if transform.flip:
        clip = clip[..., ::-1, :] * np.array([-1, 1], np.float32)  # leftwards becomes rightwards
    return clip / np.float32(FLOW_LIMIT)


def list_levels(stream):
    """Return what each of the 256 levels of uint8 "rgb" or "flow" means to a network, float32."""
    levels = np.arange(256).astype(np.uint8)
    if stream == "flow":
        return apply_flow(to_pixels(levels), CENTRE)
    return apply_rgb(levels, CENTRE)
