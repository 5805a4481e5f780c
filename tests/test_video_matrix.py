"""Odd video files, the reader's answers against FFmpeg's own: its filters here, its command too."""

import functools
import gc
import itertools
import os
import re
import shutil
import subprocess
from fractions import Fraction
from typing import NamedTuple

from support.video_matrix import PLAIN, REFUSED, ROWS, TURNS, draw, encode
from utils.video.reading import probe, read_rgb, resized_frames, skim
from utils.video.video import VideoError

import av
import cv2
import numpy as np
import pytest

FFMPEG = shutil.which("ffmpeg")


class Decoded(NamedTuple):
    """What FFmpeg's libraries alone make of a file.

    Attributes:
        pictures: uint8 RGB (height, width, 3) of each frame, as it lies in the file.
        seconds: when each begins, from the file's start on, float (frames,).
        length: seconds that the last one is shown.
    """

    pictures: list
    seconds: np.ndarray
    length: float


class _Converter:
    """FFmpeg's conversion to RGB, by a graph of filters for each kind of frame."""

    def __init__(self, read_as):
        self.read_as, self.graphs = read_as, {}

    def __call__(self, frame):
        kind = {"width": frame.width, "height": frame.height, "format": frame.format.name}
        if (key := tuple(kind.values())) not in self.graphs:
            graph = self.graphs[key] = av.filter.Graph()
            steps = [("setfield", "prog"), ("setparams", self.read_as), ("format", "rgb24")]
            chain = [graph.add(name, value) for name, value in steps if value]
            source = graph.add_buffer(**kind, time_base=Fraction(1, 1000))
            graph.link_nodes(source, *chain, graph.add("buffersink")).configure()
        self.graphs[key].push(frame)
        return self.graphs[key].pull().to_ndarray()


def decode(path, row):
    """Decode a file from its beginning to its end: the answer that needs no seeking."""
    pictures, frames, convert = [], [], _Converter(row.read_as)
    with av.open(str(path), metadata_errors="replace") as container:
        start, stream = (container.start_time or 0) / av.time_base, container.streams[row.stream]
        tick, packets = stream.time_base, container.demux(stream)
        while (packet := next(packets, None)) is not None:
            try:
                decoded = packet.decode()
            except av.FFmpegError:
                continue
            frames += [(frame.pts, frame.dts, frame.duration) for frame in decoded]
            pictures += map(convert, decoded)
    stamps, last = _order(frames)
    return Decoded(pictures, np.array(stamps) * float(tick) - start, float(last * tick))


def _order(frames):
    """Return (when frames begin, how long the last one is shown), in ticks.

    Args:
        frames: (stamp of showing, stamp of decoding, duration) of each; None: unknown.
    """
    backward = [
        sum(a is None or b is None or b < a for a, b in itertools.pairwise(column))
        for column in list(zip(*frames, strict=True))[:2]
    ]
    column = int(backward[1] < backward[0])  # AVI knows when a frame is decoded, not when shown
    stamps, last, moved = [], 0, 0
    for frame in frames:
        following = stamps[-1] + last if stamps else 0
        stamp = following if frame[column] is None else frame[column] + moved
        if stamps and stamp < stamps[-1]:  # another recording begins
            moved, stamp = moved + following - stamp, following
        last = frame[2] or (stamps and stamp - stamps[-1]) or last
        stamps.append(stamp)
    return stamps, last


def filter_rate(decoded, fps):
    """Return the frames that FFmpeg's filter `fps` chooses: their places."""
    graph, tick = av.filter.Graph(), Fraction(1, 90000)
    source = graph.add_buffer(width=16, height=16, format="gray", time_base=tick)
    graph.link_nodes(source, graph.add("fps", str(fps)), graph.add("buffersink")).configure()
    seconds = [*decoded.seconds, decoded.seconds[-1] + decoded.length]
    stamps, chosen = [round(s / tick) for s in seconds], []
    for place in range(len(stamps)):
        if place < len(stamps) - 1:
            frame = av.VideoFrame.from_ndarray(np.full((16, 16), place, np.uint8), "gray")
            frame.pts, frame.time_base = stamps[place], tick
            frame.duration = max(0, stamps[place + 1] - stamps[place])
        graph.push(frame if place < len(stamps) - 1 else None)
        try:
            while True:
                chosen.append(int(graph.pull().to_ndarray()[0, 0]))
        except (av.BlockingIOError, av.EOFError):
            pass
    return chosen


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return function (name of a row) -> the path of its file."""

    @functools.cache
    def make(name):
        path = tmp_path_factory.mktemp("row") / name
        ROWS[name].make(path)
        return path

    return make


@pytest.fixture(scope="module")
def known(made):
    """Return function (name of a row) -> (its path, its `Decoded`, the reader's `Video`)."""

    @functools.cache
    def know(name):
        path = made(name)
        return path, decode(path, ROWS[name]), probe(path)

    return know


def see(video, indices, size):
    """Return frames as the reader gives them at a size, RGB."""
    return np.array(list(resized_frames(video, indices, min(size))))


@functools.cache
def draw_all(turn, size):
    """Return the pictures of all numbers, turned, float32 (64, height, width, 3)."""
    turn = TURNS[turn][1]
    size = size if turn(np.empty((2, 3))).shape == (2, 3) else size[::-1]
    return np.array([turn(draw(number, size)) for number in range(64)], np.float32)


def recognize(picture, row):
    """Return (the number that a picture shows, the mean error of its pixels)."""
    drawn = draw_all(row.turn, picture.shape[1::-1])[:, ::2, ::2]
    picture = picture[::2, ::2].astype(np.float32)
    if row.gray:
        luma = np.array([[0.299], [0.587], [0.114]], np.float32)
        drawn, picture = drawn @ luma, picture @ luma
    errors = np.abs(drawn - picture).reshape(len(drawn), -1).mean(1)
    return int(errors.argmin()), errors.min()


@pytest.mark.parametrize("name", ROWS)
def test_inspection(known, name):
    row, (path, decoded, video) = ROWS[name], known(name)
    assert video.path == str(path)
    assert video.num_frames == len(row.numbers) == len(decoded.pictures)
    assert (video.width, video.height) == row.size
    assert row.fps is None or video.fps == pytest.approx(row.fps, rel=1e-3)
    assert row.noted in (None, bool(video.note)), video.note


@pytest.mark.parametrize("name", ROWS)
def test_frames_at_25(known, name):
    row, (_, decoded, video) = ROWS[name], known(name)
    chosen, right = video.timeline(25).tolist(), filter_rate(decoded, 25)
    if row.at_25 is None:  # the end is a matter of taste
        chosen, right = (list(dict.fromkeys(frames)) for frames in (chosen, right))
    assert chosen == right
    assert row.at_25 in (None, len(chosen))


@pytest.mark.parametrize("name", ROWS)
def test_pictures(known, name):
    """Every frame, in order, upright; to the last bit what FFmpeg's filters make of it."""
    row, (_, decoded, video) = ROWS[name], known(name)
    pictures = see(video, range(len(row.numbers)), row.size)
    numbers, errors = zip(*(recognize(picture, row) for picture in pictures), strict=True)
    assert numbers == tuple(row.numbers)
    assert max(errors) < row.close
    for picture, right in zip(pictures, decoded.pictures, strict=True):
        assert np.array_equal(picture, cv2.resize(TURNS[row.turn][1](right), row.size))


@pytest.mark.parametrize("name", ROWS)
def test_sparse_frames(known, name):
    """Frames here and there, in any order, are those of the whole."""
    row, (_, _, video) = ROWS[name], known(name)
    count, size = len(row.numbers), min(row.size)
    whole = read_rgb(video, np.arange(count), size, size)
    generator = np.random.default_rng(len(name))
    for length in (1, 3, count // 2 + 1):
        frames = generator.integers(0, count, length)
        assert np.array_equal(read_rgb(video, frames, size, size), whole[frames]), frames
    assert np.array_equal(read_rgb(video, np.array([count - 1]), size, size)[0], whole[-1])


@pytest.mark.parametrize("name", ["h264.mp4", "clockwise.mp4", "interlaced.mts", "10_bit.mp4"])
def test_frames_do_not_pile_up(known, name):
    """A frame that was read is gone, without the help of the garbage collector."""
    alive = []
    gc.collect()
    gc.disable()
    try:
        for _ in resized_frames(known(name)[2], range(20), 48):
            alive.append(sum(isinstance(thing, av.VideoFrame) for thing in gc.get_objects()))
    finally:
        gc.enable()
    assert max(alive) <= min(alive) + 3


@pytest.mark.parametrize("name", ROWS)
def test_skimming(made, name):
    """Wherever it looks it sees pictures of the file, not larger than asked for."""
    row = ROWS[name]
    video, codec, pairs = skim(made(name), places=4)
    assert (video.width, video.height) == row.size
    assert codec
    assert 1 <= len(pairs) <= 4
    numbers = [[recognize(picture, row)[0] for picture in pair] for pair in pairs]
    assert {*itertools.chain(*numbers)} <= {*row.numbers}
    assert numbers == sorted(numbers)
    assert len(pairs) > 1 or len(row.numbers) < 10


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_video_is_named(tmp_path, name):
    """What lies beside a file is not read, whatever the file says."""
    encode(tmp_path / "beside.ts")
    REFUSED[name](tmp_path / name)
    with pytest.raises(VideoError, match=re.escape(f"{tmp_path / name}: ")):
        probe(tmp_path / name)


@pytest.mark.parametrize(
    "name",
    [
        b"12:30.mp4",
        b"concat:a.mp4|b.mp4",
        b"%03d.mp4",
        b"-i.mp4",
        b"a?b=c#d.mp4",
        b"\xe9t\xe9.mp4",
        b"two\nlines.mp4",
        b"a" * 251 + b".mp4",
        "\u6f22\u5b57 \U0001f3c3.mp4".encode(),
    ],
)
def test_any_name(tmp_path, monkeypatch, name):
    PLAIN[1](tmp_path / "a.mp4")
    monkeypatch.chdir(tmp_path)
    path = os.fsdecode(name)
    (tmp_path / "a.mp4").rename(path)
    video = probe(path)
    assert video.num_frames == 20
    assert read_rgb(video, np.array([7]), 48, 48).shape == (1, 48, 48, 3)


@pytest.mark.skipif(not FFMPEG, reason="needs the command ffmpeg")
def test_the_command_agrees(made, tmp_path):
    """Its frames show the numbers of the rows, and at 25 a second are as many."""
    command = [FFMPEG, "-v", "quiet", *(part for name in ROWS for part in ("-i", made(name)))]
    for place, (name, row) in enumerate(ROWS.items()):
        for kind, flags in (("all", []), ("at_25", ["-vf", "fps=25"])):
            command += ["-map", f"{place}:{row.stream}", *flags, "-fps_mode", "passthrough"]
            command += ["-f", "rawvideo", "-pix_fmt", "rgb24", tmp_path / f"{name}.{kind}"]
    subprocess.run(command, check=False)
    for name, row in ROWS.items():
        width, height = row.pixels or row.size
        pictures, at_25 = (
            np.fromfile(tmp_path / f"{name}.{kind}", np.uint8).reshape(-1, height, width, 3)
            for kind in ("all", "at_25")
        )
        assert [recognize(picture, row)[0] for picture in pictures] == list(row.numbers), name
        assert row.at_25 in (None, len(at_25)), name
