"""Measure how fast videos are read: python -m scripts.benchmarks.reading.

Compares the project's reader with OpenCV, its former reader, and with decord2 and torchcodec if
they are installed. Videos are rendered, each is read by one thread. Readers take turns; numbers are
medians of several rounds. What the check of a video finds is known beforehand, as it is in
training.
"""

import importlib
import itertools
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it starts from any folder

from utils.command_line import Command
from utils.rendering.samples import draw_pattern
from utils.system.commands import ROOT, run_command
from utils.system.figures import Figures, make_row
from utils.system.timing import measure_seconds, summarize_seconds
from utils.video.flow import limit_threads
from utils.video.frames import resize_frame
from utils.video.reading import probe, resized_frames

import av
import cv2
import numpy as np

SIDE = 256  # pixels of the shorter side of what is read
RATE = 25
CHUNK = 32  # frames that a library is asked for at once
OURS, BEFORE = "this", "OpenCV"
# Codec: (encoder, its options, with the frames from a key frame to the next).
CODECS = {
    "H.264": ("libx264", {"preset": "veryfast", "g": "{keys}", "sc_threshold": "0"}),
    "HEVC": ("libx265", {"preset": "ultrafast", "x265-params": "keyint={keys}:log-level=0"}),
    "VP9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "g": "{keys}", "b": "2M"}),
    "MPEG-4": ("mpeg4", {"g": "{keys}", "qmin": "4", "qmax": "4"}),
}


def make_video(path, codec, size, frames, times=1, keys=250):
    """Write the pattern of `draw_pattern`, several times in a row; encoded once.

    Args:
        path: of an MP4 file.
        codec: a key of `CODECS`.
        size: (width, height).
        frames: of the pattern.
        times: how often it is shown.
        keys: frames from a key frame to the next.
    """
    encoder, options = CODECS[codec]
    options = {name: value.format(keys=keys) for name, value in options.items()}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, RATE, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, RATE)
        packets = []
        for index, picture in enumerate(draw_pattern(*size, frames)):
            frame = av.VideoFrame.from_ndarray(picture)
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            packets += stream.encode(frame)
        packets += stream.encode()
        stamps = [(packet.pts, packet.dts) for packet in packets]
        for turn in range(times):
            for packet, (pts, dts) in zip(packets, stamps, strict=True):
                packet.pts, packet.dts = pts + turn * frames, dts + turn * frames
                packet.time_base, packet.stream = Fraction(1, RATE), stream
                container.mux(packet)
                packet.time_base = Fraction(1, RATE)


def fit(width, height):
    """Return the width and height of what is read."""
    scale = SIDE / min(width, height)
    return max(SIDE, round(width * scale)), max(SIDE, round(height * scale))


def _read_ours(video, indices):
    return sum(1 for _ in resized_frames(video, indices, SIDE))


def _read_opencv(video, indices):
    """Read frames as this project did with OpenCV: all that lies before is decoded too."""
    capture = cv2.VideoCapture(video.path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    position = read = 0
    for index in indices:
        while position < index and capture.grab():
            position += 1
        decoded, frame = capture.read()
        position, read = position + 1, read + decoded
        resize_frame(frame, SIDE)
    capture.release()
    return read


def _read_decord(video, indices):
    import decord

    width, height = fit(video.width, video.height)
    reader = decord.VideoReader(video.path, width=width, height=height, num_threads=1)
    parts = [indices[start : start + CHUNK] for start in range(0, len(indices), CHUNK)]
    return sum(len(reader.get_batch(part).asnumpy()) for part in parts)


def _read_torchcodec(video, indices):
    from torchcodec.decoders import VideoDecoder

    decoder = VideoDecoder(video.path, dimension_order="NHWC", num_ffmpeg_threads=1)
    read = 0
    for start in range(0, len(indices), CHUNK):
        frames = decoder.get_frames_at(list(indices[start : start + CHUNK])).data.numpy()
        read += sum(1 for frame in frames if resize_frame(frame, SIDE) is not None)
    return read


# Reader: (the library that it needs, function (`Video`, indices) -> frames read, resized to SIDE,
# the distribution that has the library).
READERS = {
    OURS: ("av", _read_ours, "av"),
    BEFORE: ("cv2", _read_opencv, "opencv-contrib-python-headless"),
    "decord2": ("decord", _read_decord, "decord2"),
    "torchcodec": ("torchcodec", _read_torchcodec, "torchcodec"),
}


def find_readers(names):
    """Return {name: function} of those rows of `READERS` whose library can be imported."""
    found = {}
    for name in names:
        library, read, _ = READERS[name]
        with suppress(ImportError, OSError, RuntimeError):  # torchcodec wants FFmpeg's libraries
            importlib.import_module(library)
            found[name] = read
    return found


def measure_turns(name, readers, videos, indices, rounds):
    """Yield rows of each reader: frames a second, and times OpenCV's.

    Args:
        name: of what is measured.
        readers: {name: function}.
        videos: that are read at once, a thread each.
        indices: of the frames of each.
        rounds: how often.

    Raises:
        ValueError: a reader left frames out.
    """
    rates = {reader: [] for reader in readers}
    with ThreadPoolExecutor(len(videos)) as pool:
        for turn in range(rounds):
            for reader in [*readers][:: 1 if turn % 2 else -1]:
                counts = []

                def read(reader=reader, counts=counts):
                    tasks = [pool.submit(readers[reader], video, indices) for video in videos]
                    counts += [task.result() for task in tasks]

                seconds = measure_seconds(read)
                if counts != [len(indices)] * len(videos):
                    raise ValueError(f"{reader} read {counts} of {len(indices)} frames: {name}")
                rates[reader].append(sum(counts) / seconds)
    for reader, found in rates.items():
        median, spread = summarize_seconds(found)
        yield make_row(median, "frames/s", spread, name=name, reader=reader)
        if reader != BEFORE and BEFORE in rates:
            ratios = [ours / before for ours, before in zip(found, rates[BEFORE], strict=True)]
            median, spread = summarize_seconds(ratios)
            yield make_row(median, f"times {BEFORE}", spread, name=name, reader=reader)


def choose_places(count, frames, middle):
    """Return the places of `count` of so many frames: in a row in the middle, or spread evenly."""
    if middle:
        first = (frames - count) // 2
        return list(range(first, first + count))
    return ((np.arange(count) + 0.5) * frames / count).astype(int).tolist()


def measure_sequential(options, folder, readers):
    """Yield rows of files read from end to end, one alone and two at once."""
    for codec, size in itertools.product(options.codecs, options.sizes):
        path = folder / "sequential.mp4"
        make_video(path, codec, size, options.frames)
        video, indices = probe(path), list(range(options.frames))
        for files in (1, 2):
            name = f"{codec} {size[0]}x{size[1]}, all frames, {files} at once"
            yield from measure_turns(name, readers, [video] * files, indices, options.rounds)


def measure_sparse(options, folder, readers):
    """Yield rows of a few frames of long files."""
    for codec, size in itertools.product(options.codecs, options.long_sizes):
        for count, minutes, middle in ((64, options.middle, True), (8, options.spread, False)):
            path, pattern = folder / "long.mp4", 10 * RATE
            times = max(1, round(minutes * 60 * RATE / pattern))
            make_video(path, codec, size, pattern, times, options.keys)
            video, indices = probe(path), choose_places(count, pattern * times, middle)
            how = f"{count} {'in the middle' if middle else 'spread'} of {minutes:.3g} minutes"
            name = f"{codec} {size[0]}x{size[1]}, {how}"
            yield from measure_turns(name, readers, [video], indices, options.long_rounds)


def measure_memory(options, folder, readers):
    """Yield the peak memory of a process that reads large frames, less that of tiny ones."""
    for codec in options.codecs:
        paths = [folder / f"{size[0]}.mp4" for size in ((64, 48), options.large)]
        for path, size in zip(paths, ((64, 48), options.large), strict=True):
            make_video(path, codec, size, 24)
        for reader in readers:
            tiny, large = (_run_alone(reader, path) for path in paths)
            name = f"{codec} {options.large[0]}x{options.large[1]}"
            yield make_row(large - tiny, "MiB", name=name, reader=reader)


def _run_alone(reader, path):
    command = [sys.executable, "-m", "scripts.benchmarks.reading", "--alone", reader, path]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.split()[-1])


def read_alone(read, path):
    """Read a file whole; print the MiB that this process took at most, as Linux tells.

    `utils.system.processes.measure_peak` begins with the peak of this benchmark, which is larger.
    """
    video = probe(path)
    read(video, list(range(video.num_frames)))
    (peak,) = (
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )
    print(int(peak.split()[1]) / 1024)


PARTS = {"sequential": measure_sequential, "sparse": measure_sparse, "memory": measure_memory}


@dataclass(frozen=True)
class Options:
    """What is measured."""

    parts: tuple[Literal[tuple(PARTS)], ...] = tuple(PARTS)
    """Parts of the benchmark."""
    readers: tuple[Literal[tuple(READERS)], ...] = tuple(READERS)
    """Readers. Those whose library is missing are left out."""
    codecs: tuple[Literal[tuple(CODECS)], ...] = tuple(CODECS)
    """Codecs of the videos."""
    sizes: tuple[tuple[int, int], ...] = ((320, 240), (1280, 720), (1920, 1080))
    """sequential: width and height of the videos."""
    frames: int = 250
    """sequential: frames per video."""
    rounds: int = 5
    """sequential: rounds; medians count."""
    long_sizes: tuple[tuple[int, int], ...] = ((320, 240), (1280, 720))
    """sparse: width and height of the videos."""
    middle: float = 10
    """sparse: minutes of the video from whose middle frames are read."""
    spread: float = 5
    """sparse: minutes of the video over which frames are spread."""
    keys: int = 250
    """sparse: frames from one key frame to the next. x264's default is 250, phones have 25 to
    60."""
    long_rounds: int = 3
    """sparse: rounds; medians count."""
    large: tuple[int, int] = (3840, 2160)
    """memory: width and height of the video."""
    alone: tuple[Literal[tuple(READERS)], Path] | None = None
    """Internal: a reader and the file that it reads, in the process whose memory is measured."""
    output: Path | None = None
    """JSON file to write the figures to, such as docs/figures/reading.json."""

    def __post_init__(self):
        for name in ("frames", "rounds", "middle", "spread", "keys", "long_rounds"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be more than 0.")


def benchmark_reading(options):
    """Measure the parts, one after another, and print a row for each number.

    Args:
        options: `Options`.
    """
    limit_threads(1)
    readers = find_readers(options.alone[:1] if options.alone else options.readers)
    if options.alone:
        reader, path = options.alone
        read_alone(readers[reader], path)
        return
    figures = Figures(options.output, libraries=[READERS[name][2] for name in readers])
    with tempfile.TemporaryDirectory() as folder:
        for part in options.parts:
            measured = PARTS[part](options, Path(folder), readers)
            figures.take({"part": part} | row for row in measured)


COMMAND = Command(__doc__, Options)

if __name__ == "__main__":
    run_command(lambda: benchmark_reading(COMMAND.parse()))
