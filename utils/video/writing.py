"""Videos, written so that browsers and phones play them, with the sound of another video."""

import heapq
import shutil
import tempfile
from fractions import Fraction
from itertools import count
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from utils.system.tables import is_text
from utils.video.sound import RATE, play_sound
from utils.video.video import VideoError

import av
import numpy as np

_TICKS = 90_000  # a second, of time stamps
_BT709 = 1  # FFmpeg's number of the matrix, the primaries and the transfer of HD video
_LIMITED = 1  # FFmpeg's number of the range of colors that players take video to have


class Format(NamedTuple):
    """How a kind of file is written.

    Attributes:
        codec, options: FFmpeg's encoder of the video and its options.
        pixels: FFmpeg's pixel format.
        modern: whether the file says when each frame is shown, and what its colors mean; such
            codecs want even sides.
        sound: FFmpeg's encoder of the sound.
        container: options of the container.
    """

    codec: str
    options: dict[str, str]
    pixels: str
    modern: bool
    sound: str
    container: dict[str, str]


# Ending: format. Without B-frames (bf) time stamps that vary are right in every player. faststart
# puts the index first, so that a file plays while it is fetched.
FORMATS = {
    ".mp4": Format(
        "libx264",
        {"preset": "veryfast", "crf": "20", "bf": "0"},
        "yuv420p",
        True,
        "aac",
        {"movflags": "+faststart"},
    ),
    ".webm": Format(
        "libvpx-vp9",
        {"deadline": "realtime", "cpu-used": "8", "crf": "30", "b": "0"},
        "yuv420p",
        True,
        "libopus",
        {},
    ),
    ".avi": Format("mjpeg", {"qmin": "3", "qmax": "3"}, "yuvj420p", False, "pcm_s16le", {}),
}


def check_ending(path):
    """Raise a ValueError where no video can be written to a file of this name."""
    if Path(path).suffix not in FORMATS:
        raise ValueError(f"{path}: a video must end in {', '.join(FORMATS)}.")


def _open_stream(container, form, fps, size):
    """Add a stream of pictures to a container; return it.

    Args:
        container: PyAV's, open for writing.
        form: `Format`.
        fps: frames per second.
        size: (width, height) of the pictures.
    """
    rate = Fraction(fps).limit_denominator(1001)
    stream = container.add_stream(form.codec, rate=rate, options=form.options)
    context = stream.codec_context
    context.time_base = Fraction(1, _TICKS) if form.modern else 1 / rate
    context.pix_fmt, (context.width, context.height) = form.pixels, size
    if form.modern:
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
    return stream


def _encode(picture, form):
    """Return PyAV's frame of a picture, uint8 RGB (height, width, 3)."""
    kind = {"dst_colorspace": _BT709, "dst_color_range": _LIMITED} if form.modern else {}
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
    return frame.reformat(format=form.pixels, interpolation="BICUBIC", **kind)


def _list_pictures(container, form, frames, fps, times):
    """Yield (seconds, stream, PyAV's frame) of frames; their stream is added before the first."""
    stream, size, last = None, None, -1
    for seconds, picture in zip(times, frames, strict=False):
        if form.modern:  # such codecs want even sides
            height, width = picture.shape[:2]
            picture = np.pad(picture, [(0, height % 2), (0, width % 2), (0, 0)], "edge")
        if stream is None:
            size = picture.shape[1::-1]
            stream = _open_stream(container, form, fps, size)
            tick = stream.codec_context.time_base
        if picture.shape[1::-1] != size:
            raise VideoError(
                f"{container.name}: the first frame is {size[0]}x{size[1]}, another one "
                f"{picture.shape[1]}x{picture.shape[0]}. Give frames of one size."
            )
        last = max(round(seconds / tick), last + 1)
        frame = _encode(picture, form)
        frame.pts, frame.time_base, frame.duration = last, tick, max(1, round(1 / fps / tick))
        yield seconds, stream, frame
    if stream is None:
        raise VideoError(f"{container.name}: there are no frames to write.")


def _list_sound(container, codec, video):
    """Yield (seconds, stream, PyAV's frame) of a `Video`'s sound; nothing where it has none."""
    stream = None
    for frame in play_sound(video):
        if stream is None:
            stream = container.add_stream(codec, rate=RATE, layout=frame.layout.name)
        yield float(frame.time), stream, frame


def write_video(path, frames, fps, times=None, sound=None):
    """Write a video: H.264 and AAC as .mp4, VP9 and Opus as .webm, MJPEG and PCM as .avi.

    Browsers and phones play the first two.

    Args:
        path: of the file.
        frames: iterable of uint8 RGB (height, width, 3), all of one size.
        fps: frames per second.
        times: seconds at which each frame is shown, rising; None for an even rate.
        sound: a `Video` whose sound is kept, if it has any; `times` are then seconds since its
            file's start.

    Raises:
        VideoError: the file cannot be written, no frames, or frames of several sizes.
        ValueError: as `check_ending`.
    """
    path = Path(path)
    check_ending(path)
    if not is_text(str(path)):  # FFmpeg takes no such name
        with tempfile.TemporaryDirectory() as folder:
            plain = Path(folder, f"video{path.suffix}")
            write_video(plain, frames, fps, times, sound)
            shutil.move(plain, path)
        return
    form, times = FORMATS[path.suffix], count(0, 1 / fps) if times is None else times
    try:
        with av.open(str(path), "w", options=form.container) as container:
            parts = [_list_pictures(container, form, frames, fps, times)]
            parts += [_list_sound(container, form.sound, sound)] if sound else []
            for _, stream, frame in heapq.merge(*parts, key=itemgetter(0)):
                container.mux(stream.encode(frame))
            for stream in container.streams:
                container.mux(stream.encode())
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{path}: the video cannot be written ({error.strerror}).") from error
