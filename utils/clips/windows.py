"""Windows that slide over a video or a camera's frames, and the clip that a network sees of one.

One chain for both: (seconds, `Picture`) are resampled in time, paired with what comes next, and
held in a buffer of one window, however long the source is.
"""

from collections import deque
from itertools import repeat
from typing import NamedTuple

from utils.clips.augmentation import UNCHANGED, apply_flow, apply_rgb
from utils.clips.sampling import SAMPLINGS
from utils.video.flow import make_method, to_pixels
from utils.video.live import take_newest
from utils.video.streams import STREAMS

import numpy as np


class Window(NamedTuple):
    """A stretch of video that is seen at once.

    Attributes:
        index: number of the step at which it begins; the last one of a video begins earlier.
        begin: of that step, in seconds.
        items: list of (seconds, what is seen).
    """

    index: int
    begin: float
    items: list


def pair_pictures(frames):
    """Yield (seconds, (picture, the next one)) of (seconds, picture); the last one's is itself."""
    held = None
    for seconds, picture in frames:
        if held is not None:
            yield held[0], (held[1], picture)
        held = seconds, picture
    if held is not None:
        yield held[0], (held[1], held[1])


def cut_windows(items, length, step):
    """Cut overlapping windows out of a stream; no more than one of them is held.

    Every item is seen, unless steps are longer than windows: a last window that begins earlier
    takes what is left over at the end. Fewer items than a window has are a window all the same.

    Args:
        items: iterable of (seconds, anything).
        length: items of a window.
        step: items from the start of a window to that of the next.

    Yields:
        `Window`.
    """
    held, count = deque(maxlen=length), 0
    for count, item in enumerate(items, 1):
        held.append(item)
        if count >= length and (count - length) % step == 0:
            yield Window((count - length) // step, held[0][0], list(held))
    left = (count - length) % step
    if 0 < count < length:
        yield Window(0, held[0][0], list(held))
    elif count and left and step <= length:
        begin = held[min(step - left, length - 1)][0]
        yield Window((count - length) // step + 1, begin, list(held))


def count_windows(count, length, step):
    """Return how many windows `cut_windows` cuts out of `count` items."""
    whole, left = divmod(max(0, count - length), step)
    return whole + 1 + (left > 0 and step <= length)


def fill_up(items, length):
    """Yield items, and the last one again until they are a multiple of `length`."""
    count = 0
    for item in items:
        count += 1
        yield item
    if count:
        yield from repeat(item, -count % length)


def _show_rgb(pairs, _clip_format):
    return apply_rgb(np.stack([picture.rgb for picture, _ in pairs]), UNCHANGED)


def _show_flow(pairs, clip_format):
    estimate = make_method(clip_format.flow)
    levels = [picture.flow_to(following, estimate) for picture, following in pairs]
    return apply_flow(to_pixels(np.stack(levels)), UNCHANGED)


# Part of a stream: what is shown; several are joined along the channels.
SHOWN = {"rgb": _show_rgb, "flow": _show_flow}


def show_window(window, clip_format):
    """Return the clip that a network sees of a window, as `utils.clips.reading.read_clip` does.

    Args:
        window: a `Window` of `pair_pictures`.
        clip_format: a `utils.clips.reading.ClipFormat`.

    Returns:
        float32 (segments, frames, frame_size, frame_size, channels), the crop in the middle.
    """
    places = SAMPLINGS[clip_format.sampling](
        len(window.items), clip_format.segments, clip_format.frames, 0.5
    )
    pairs = [window.items[place][1] for place in places.ravel()]
    arrays = [SHOWN[part](pairs, clip_format) for part in STREAMS[clip_format.stream].parts]
    return np.concatenate(arrays, axis=-1).reshape(*places.shape, *arrays[0].shape[1:3], -1)


def play_windows(frames, clip_format, length, step, live=False):
    """Chain it all: from (seconds, `Picture`) to windows.

    Args:
        frames: of `play_video` or `play_camera`, at even times.
        clip_format: a `utils.clips.reading.ClipFormat`.
        length, step: of `cut_windows`.
        live: whether frames come in their own time: windows that are not taken in time are dropped.
    """
    if STREAMS[clip_format.stream].has_flow:
        pairs = pair_pictures(frames)
    else:  # needs no next one, so it does not wait for it
        pairs = ((seconds, (picture, picture)) for seconds, picture in frames)
    windows = cut_windows(pairs, length, step)
    return take_newest(windows) if live else windows
