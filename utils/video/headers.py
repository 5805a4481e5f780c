"""What the header of a video file says, which need not be true."""

import re
from typing import NamedTuple

from utils.video.resampling import FPS

import av
from av.format import Flags


class Header(NamedTuple):
    """What is told of a video before it is decoded.

    Attributes:
        codec: FourCC, or the codec's name where there is none.
        rate: frames per second.
        frames: how many there are; 0: not said.
        likely: how many the file's duration has room for; 0: not said, or less than a second.
        seconds: when the last frame ends, from the file's start on; 0: not said, or of the sound.
    """

    codec: str
    rate: float
    frames: int
    likely: int
    seconds: float


def expects_recordings(container):
    """Whether a container may hold recordings behind one another, each with stamps of its own."""
    return bool(container.format.flags & Flags.ts_discont.value)


def find_begin(container, stream):
    """Return the stamp of the file's start, as FFmpeg's command takes it, in ticks of a stream."""
    if expects_recordings(container):
        return stream.start_time or 0
    return round((container.start_time or 0) / (av.time_base * stream.time_base))


def _count_frames(stream):
    index = [entry.is_discard for entry in stream.index_entries]
    whole = 2 * len(index) >= stream.frames > 0  # AVI may count the halves of frames
    return index.count(False) if whole else stream.frames


def _find_end(container, stream):
    """Return when the last frame ends, from the file's start on; 0 where it is not said."""
    told = re.fullmatch(r"(\d+):(\d+):(\d+\.\d+)", stream.metadata.get("DURATION", ""))
    if told:  # Matroska's
        hours, minutes, seconds = map(float, told.groups())
        return hours * 3600 + minutes * 60 + seconds - (container.start_time or 0) / av.time_base
    alone = len(container.streams) == 1 and not expects_recordings(container)
    duration = (container.duration or 0) - (container.start_time or 0)
    return duration / av.time_base if alone else 0


def read_header(container, stream):
    """Return the `Header` of a stream of which nothing was read yet.

    Args:
        container, stream: PyAV's.
    """
    context, tag = stream.codec_context, stream.codec_context.codec_tag
    rate = float(stream.guessed_rate or stream.average_rate or FPS)
    duration = (container.duration or 0) / av.time_base
    return Header(
        tag if tag.isascii() and tag.isprintable() else context.codec.canonical_name,
        rate,
        _count_frames(stream),
        round(duration * rate) if duration >= 1 else 0,
        _find_end(container, stream),
    )
