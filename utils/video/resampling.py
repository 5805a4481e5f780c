"""Resampling in time, of whole files and of frames as they come: which frame is shown when."""

import numpy as np

_EARLY = 1e-4  # seconds: time stamps are rounded


def frame_times(info):
    """Return when each frame of a file begins, in seconds, float (num_frames,)."""
    return np.arange(info.num_frames) / info.fps if info.times is None else np.array(info.times)


def timeline(info, fps):
    """Resample a video in time, as FFmpeg's `fps` filter does (round to the nearest slot).

    Args:
        info: a `VideoInfo`.
        fps: frames per second wanted; 0 keeps every frame.

    Returns:
        For each resampled frame the index of the file's frame to show, at least one.
    """
    if not fps:
        return np.arange(info.num_frames)
    times = frame_times(info)
    count = max(1, round((times[-1] + 1 / info.fps) * fps))
    slots = (np.arange(count) + 0.5) / fps
    return np.maximum(np.searchsorted(times, slots - _EARLY) - 1, 0)


def resample(frames, fps):
    """Resample frames in time as they come; the frames are those that `timeline` chooses.

    Args:
        frames: iterable of (seconds from the first one on, frame).
        fps: frames per second wanted; 0 keeps every frame.

    Yields:
        (seconds, frame), at even times.
    """
    if not fps:
        yield from frames
        return
    slot, count, last, shown = 0, 0, 0.0, None
    for last, following in frames:
        while count and (slot + 0.5) / fps - _EARLY <= last:
            yield slot / fps, shown
            slot += 1
        shown, count = following, count + 1
    gap = last / (count - 1) if count > 1 else 1 / fps
    while count and slot < max(1, round((last + gap) * fps)):
        yield slot / fps, shown
        slot += 1
