"""The operations of RandAugment (Cubuk et al., NeurIPS 2020), one for a whole clip."""

from utils.video.frames import warp

import numpy as np

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
    gray = np.float32(clip.reshape(-1, 3).mean(0) @ LUMA)
    return _map_levels(clip, _blend(np.arange(256), gray, magnitude))


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
