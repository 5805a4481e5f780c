"""The sound of a video, in step with its pictures."""

from contextlib import closing, suppress
from pathlib import Path

from utils.video.headers import expects_recordings, find_begin
from utils.video.opening import open_sound
from utils.video.stamps import join_recordings

import av

RATE = 48_000  # samples a second
# Silence where the file has no sound: before it begins, and where a part is missing.
_RESAMPLED = "async=1:first_pts=0"
_LAYOUTS = "mono|stereo"


def _decode(container, stream):
    """Yield PyAV's frames of a stream of sound; what does not decode is left out."""
    packets = container.demux(stream)
    if expects_recordings(container):
        packets = join_recordings(packets, stream.time_base)
    with suppress(av.FFmpegError, OSError):  # the file cannot be read any further
        for packet in packets:
            with suppress(av.FFmpegError):
                yield from stream.decode(packet)


def _resample(frames, begin, end):
    """Yield frames of mono or stereo sound, `RATE` samples a second, from second 0 on.

    Args:
        frames: PyAV's.
        begin: stamp of second 0, in seconds.
        end: seconds at which the sound ends, at the latest.
    """
    graph, kind = None, None
    for frame in frames:
        seconds = None if frame.pts is None else float(frame.time) - begin
        own = frame.format.name, frame.layout.name, frame.sample_rate
        if seconds is None or seconds >= end or own != (kind or own):
            continue
        if graph is None:
            kind, graph = own, _open_graph(frame, end)
        frame.pts -= round(begin / frame.time_base)
        graph.push(frame)
        yield from _pull(graph)
    if graph:
        graph.push(None)
        yield from _pull(graph)


def _open_graph(frame, end):
    graph = av.filter.Graph()
    chain = [
        graph.add_abuffer(
            sample_rate=frame.sample_rate,
            format=frame.format.name,
            layout=frame.layout.name,
            time_base=frame.time_base,
        )
    ]
    chain += [
        graph.add("aresample", _RESAMPLED),
        graph.add("aformat", f"sample_rates={RATE}:channel_layouts={_LAYOUTS}"),
        graph.add("atrim", f"end={end}"),
        graph.add("abuffersink"),
    ]
    graph.link_nodes(*chain).configure()
    return graph


def _pull(graph):
    with suppress(av.BlockingIOError, av.EOFError):
        while True:
            yield graph.pull()


def play_sound(video):
    """Yield the sound of a video from its file's start on, as PyAV's frames; none where it is mute.

    Args:
        video: a `Video`.
    """
    if Path(video.path).is_dir():
        return
    with open(video.path, "rb", buffering=0) as file:
        container, pictures, stream = open_sound(video.path, file)
        with closing(container):
            if stream:
                begin = float(find_begin(container, pictures) * pictures.time_base)
                yield from _resample(_decode(container, stream), begin, video.start + video.end)
