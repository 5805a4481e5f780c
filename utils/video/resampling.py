"""Resampling in time, of whole files and of frames as they come: which frame is shown when."""

import numpy as np

FPS = 25.0  # frames per second of what has no clock, or none that can be believed
_ROUNDING = 1e-4  # seconds: times that were written down are rounded
_EXACT = 1e-6  # slots: what is left of a half after arithmetic


def shown_at(times, seconds):
    """Return the index of the frame that is shown at each of some times; the first one before it.

    Args:
        times: seconds at which the frames begin, rising.
        seconds: when.
    """
    return np.maximum(np.searchsorted(times, np.add(seconds, _ROUNDING)) - 1, 0)


def find_slots(seconds, fps):
    """Return the number of the resampled frame that is nearest to a time; halves round up.

    Args:
        seconds: one time or an array.
        fps: frames per second after resampling.
    """
    return np.floor(np.multiply(seconds, fps) + 0.5 + _EXACT).astype(int)


def count_slots(seconds, fps):
    """Return how many frames a video of so many seconds has after resampling, at least one."""
    return max(1, int(find_slots(seconds, fps)))


def pick_frames(times, end, fps):
    """Resample a video in time, as FFmpeg's `fps` filter does (round to the nearest slot).

    Args:
        times: seconds at which the frames begin, rising; zero is where the slots are counted from.
        end: seconds at which the last one ends.
        fps: frames per second wanted; 0 keeps every frame.

    Returns:
        For each resampled frame the index of the frame to show, at least one.
    """
    if not fps:
        return np.arange(len(times))
    begins = find_slots(times, fps)
    slots = np.arange(begins[0], max(begins[0] + 1, begins[-1], find_slots(end, fps)))
    return np.searchsorted(begins, slots, side="right") - 1


def resample(frames, fps):
    """Resample frames in time as they come; the frames are those that `pick_frames` chooses.

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
        while count and slot < find_slots(last, fps):
            yield slot / fps, shown
            slot += 1
        shown, count = following, count + 1
    gap = last / (count - 1) if count > 1 else 1 / fps
    while count and slot < count_slots(last + gap, fps):
        yield slot / fps, shown
        slot += 1
