"""Frames one after the other, of a file or a camera, and the windows cut out of them.

One chain for both: (seconds, `Picture`) are resampled in time as `utils.video.timeline` does it,
paired with what comes next, and held in a buffer of one window, however long the source is.
"""

import threading
import time
from collections import deque
from contextlib import closing
from typing import NamedTuple

from utils.clips.augmentation import CENTRE, apply_flow, apply_rgb
from utils.clips.sampling import SAMPLINGS
from utils.flow import make_method, to_levels, to_pixels
from utils.pixels import resize_frame, to_grey
from utils.video import VideoError, crop_frame, frame_times, open_camera, resized_frames

import numpy as np

_EARLY = 1e-4  # seconds; as in `utils.video.timeline`
_MIDDLE = (0.5, 0.5)


class Picture:
    """A frame as a network is shown it: cropped in the middle; optical flow from it on request.

    Args:
        frame: uint8 (height, width, 3), BGR, resized.
        form: a `utils.clips.reading.ClipFormat`.
    """

    __slots__ = ("_grey", "_levels", "rgb", "size")

    def __init__(self, frame, form):
        self.size, self._levels = form.frame_size, None
        self.rgb = np.ascontiguousarray(crop_frame(frame, self.size, _MIDDLE)[..., ::-1])
        self._grey = to_grey(frame) if form.stream != "rgb" else None

    def flow_to(self, following, estimate):
        """Return the flow to another picture, uint8 (size, size, 2), as `to_levels` gives.

        To the picture itself it is zero; to another one it is computed once.

        Args:
            following: a `Picture`.
            estimate: of `utils.flow.make_method`.
        """
        if following is self:
            return np.full((self.size, self.size, 2), 128, np.uint8)
        if self._levels is None:
            levels = to_levels(estimate(self._grey, following._grey))
            self._levels = np.ascontiguousarray(crop_frame(levels, self.size, _MIDDLE))
        return self._levels


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


def play_video(path, info, form):
    """Yield (seconds, `Picture`) of all frames of a file, decoded once, one at a time.

    Args:
        path, info: a video and its `VideoInfo`.
        form: a `utils.clips.reading.ClipFormat`.

    Raises:
        VideoError: a frame that cannot be decoded; the file is named.
    """
    frames = resized_frames(path, range(info.num_frames), form.short_side, form.frame_size)
    for seconds, frame in zip(frame_times(info).tolist(), frames, strict=True):
        yield seconds, Picture(frame, form)


def play_camera(number, form):
    """Yield (seconds since the first frame, `Picture`) of a camera, without end.

    Args:
        number: of the camera, from 0.
        form: a `utils.clips.reading.ClipFormat`.

    Raises:
        VideoError: no such camera, or it gives no more frames.
    """
    capture, begin = open_camera(number), None
    try:
        while (shot := capture.read())[0]:
            now = time.monotonic()
            begin = now if begin is None else begin
            yield (
                now - begin,
                Picture(resize_frame(shot[1], form.short_side, form.frame_size), form),
            )
    finally:
        capture.release()
    raise VideoError(f"webcam:{number}: the camera gives no more frames; is it still connected?")


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


def take_newest(items):
    """Yield the newest of what another thread gets from an iterable; nothing is queued.

    While one is worked on, those that come are dropped but for the newest. The last one is always
    given.

    Args:
        items: generator; the thread runs it, and closes it when no more is taken.

    Raises:
        Exception: whatever `items` raised, after the last item.
    """
    came, stop, newest, ended = threading.Condition(), threading.Event(), [], []

    def tell(place, item):
        with came:
            place[:] = [item]
            came.notify()

    def work():
        try:
            with closing(items):
                for item in items:
                    tell(newest, item)
                    if stop.is_set():
                        break
            tell(ended, None)
        except Exception as error:  # raised again where the results are used
            tell(ended, error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            with came:
                came.wait_for(lambda: newest or ended)
                if not newest:
                    break
                item = newest.pop()
            yield item
        if ended[0] is not None:
            raise ended[0]
    finally:
        stop.set()
        thread.join(timeout=2)  # a camera that hangs is left behind


def _show_rgb(pairs, _form):
    return apply_rgb(np.stack([picture.rgb for picture, _ in pairs]), CENTRE)


def _show_flow(pairs, form):
    estimate = make_method(form.flow)
    levels = [picture.flow_to(following, estimate) for picture, following in pairs]
    return apply_flow(to_pixels(np.stack(levels)), CENTRE)


# Stream: what is shown; several are joined along the channels.
_SHOWN = {"rgb": (_show_rgb,), "flow": (_show_flow,), "both": (_show_rgb, _show_flow)}


def show_window(window, form):
    """Return the clip that a network sees of a window, as `utils.clips.reading.read_clip` does.

    Args:
        window: a `Window` of `pair_pictures`.
        form: a `utils.clips.reading.ClipFormat`.

    Returns:
        float32 (segments, frames, frame_size, frame_size, channels), the crop in the middle.
    """
    places = SAMPLINGS[form.sampling](len(window.items), form.segments, form.frames, 0.5)
    pairs = [window.items[place][1] for place in places.ravel()]
    arrays = [show(pairs, form) for show in _SHOWN[form.stream]]
    return np.concatenate(arrays, axis=-1).reshape(*places.shape, *arrays[0].shape[1:3], -1)


def play_windows(frames, form, length, step, live=False):
    """Chain it all: from (seconds, `Picture`) to windows.

    Args:
        frames: of `play_video` or `play_camera`.
        form: a `utils.clips.reading.ClipFormat`.
        length, step: of `cut_windows`.
        live: whether frames come in their own time: windows that are not taken in time are dropped.
    """
    pictures = resample(frames, form.fps)
    if form.stream == "rgb":  # needs no next one, so it does not wait for it
        pairs = ((seconds, (picture, picture)) for seconds, picture in pictures)
    else:
        pairs = pair_pictures(pictures)
    windows = cut_windows(pairs, length, step)
    return take_newest(windows) if live else windows
