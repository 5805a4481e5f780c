"""Frames one after the other, of a file or a camera."""

import threading
import time
from contextlib import closing

from utils.video.flow import to_levels
from utils.video.frames import crop_frame, resize_frame, to_gray
from utils.video.reading import open_camera, resized_frames
from utils.video.resampling import resample
from utils.video.streams import STREAMS
from utils.video.video import VideoError

import numpy as np

_MIDDLE = (0.5, 0.5)


class Picture:
    """A frame as a network is shown it: cropped in the middle; optical flow from it on request.

    Args:
        frame: uint8 (height, width, 3), RGB, resized.
        clip_format: a `utils.clips.reading.ClipFormat`.
    """

    __slots__ = ("_gray", "_levels", "rgb", "size")

    def __init__(self, frame, clip_format):
        self.size, self._levels = clip_format.frame_size, None
        self.rgb = np.ascontiguousarray(crop_frame(frame, self.size, _MIDDLE))
        self._gray = to_gray(frame) if STREAMS[clip_format.stream].has_flow else None

    def flow_to(self, following, estimate):
        """Return the flow to another picture, uint8 (size, size, 2), as `to_levels` gives.

        To the picture itself it is zero; to another one it is computed once.

        Args:
            following: a `Picture`.
            estimate: of `utils.video.flow.make_method`.
        """
        if following is self:
            return np.full((self.size, self.size, 2), 128, np.uint8)
        if self._levels is None:
            levels = to_levels(estimate(self._gray, following._gray))
            self._levels = np.ascontiguousarray(crop_frame(levels, self.size, _MIDDLE))
        return self._levels


def play_video(video, clip_format):
    """Yield (seconds, `Picture`) of a file resampled in time, decoded once, one at a time.

    Args:
        video: a `Video`.
        clip_format: a `utils.clips.reading.ClipFormat`.

    Raises:
        VideoError: a frame that cannot be decoded; the file is named.
    """
    fps, last = clip_format.fps, None
    frames = video.timeline(fps)
    times = np.arange(len(frames)) / fps if fps else video.frame_times
    sizes = (clip_format.short_side, clip_format.frame_size)
    shown = resized_frames(video, np.unique(frames), *sizes)
    for seconds, index in zip(times.tolist(), frames.tolist(), strict=True):
        if index != last:  # slow videos show a frame twice
            picture, last = Picture(next(shown), clip_format), index
        yield seconds, picture


def play_camera(number, clip_format):
    """Yield (seconds since the first frame, `Picture`) of a camera, resampled in time, endlessly.

    Args:
        number: of the camera, from 0.
        clip_format: a `utils.clips.reading.ClipFormat`.

    Raises:
        VideoError: no such camera, or it gives no more frames.
    """
    yield from resample(_shoot(number, clip_format), clip_format.fps)
    raise VideoError(f"webcam:{number}: the camera sends no more frames. Is it still connected?")


def _shoot(number, clip_format):
    """Yield (seconds since the first frame, `Picture`) of a camera, as they come."""
    capture, begin = open_camera(number), None
    try:
        while (shot := capture.read())[0]:
            now = time.monotonic()
            begin = now if begin is None else begin
            frame = resize_frame(shot[1][..., ::-1], clip_format.short_side, clip_format.frame_size)
            yield now - begin, Picture(frame, clip_format)
    finally:
        capture.release()


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
