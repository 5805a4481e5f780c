"""Measure how fast features are extracted: python -m scripts.benchmarks.extraction.

The default backbone has random weights, the videos are rendered. Numbers are medians of one run.
"""

import itertools
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it starts from any folder

from models.backbones import BACKBONES, DEFAULT, FEATURES
from models.later import later
from utils.clips.augmentation import list_levels
from utils.command_line import Command
from utils.features.blocks import RowFormat
from utils.features.extraction import Collector, extract_rows
from utils.rendering.samples import render_video
from utils.system.commands import ROOT, run_command
from utils.system.figures import Figures, make_row
from utils.system.processes import measure_peak
from utils.system.timing import measure_seconds, summarize_seconds

import numpy as np

Extractor = later("models.dense", "Extractor")
Rows = later("models.dense", "Rows")
build_maps = later("models.dense", "build_maps")

SIZES = ((320, 240), (1280, 720), (1920, 1080))  # (width, height)
BATCH_FRAMES = 128
BACKBONE = BACKBONES[DEFAULT]
SHARED = BACKBONE.dense.shared


def make_extractor(row_format, shared=SHARED):
    """Return the network of a `RowFormat`, windows sharing what lies before and in a stage."""
    maps = {"rgb": build_maps(BACKBONE, "rgb", row_format.window, row_format.frame_size, FEATURES)}
    rows = Rows(row_format.window, row_format.stride, FEATURES, shared)
    return Extractor(maps, {"rgb": list_levels("rgb")}, rows)


def make_batch(length, size):
    """Return a batch of random blocks of a length."""
    shape = (max(1, BATCH_FRAMES // length), length, size, size, 3)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def measure_routes(forms, shared, repeats):
    """Yield rows of each route's network alone on full blocks, and how much faster dense is."""
    networks = [
        (route, row_format, SHARED) for route, row_format in forms.items() if route == "windows"
    ]
    networks += [("dense", forms["dense"], stage) for stage in shared if "dense" in forms]
    calls = []
    for route, row_format, stage in networks:
        extractor, batch = (
            make_extractor(row_format, stage),
            make_batch(max(row_format.lengths), row_format.frame_size),
        )
        rows = extractor(batch).shape[:2]
        name = f"{route}, {rows[0]} x {rows[1]} rows at once"
        name += f", shared up to {stage}" if route == "dense" else ""
        calls.append((name, rows[0] * rows[1], lambda net=extractor, batch=batch: net(batch)))
    # In turns: other work on the machine slows all of them alike.
    seconds = [[measure_seconds(call) for _, _, call in calls] for _ in range(repeats)]
    rates = [
        rows / statistics.median(column)
        for (_, rows, _), column in zip(calls, zip(*seconds, strict=True), strict=True)
    ]
    for (name, _, _), rate in zip(calls, rates, strict=True):
        yield make_row(rate, "rows/s", name=name)
        if name.startswith("dense") and "windows" in forms:
            yield make_row(rate / rates[0], "times windows", name=name)


def _extract(videos, row_format, extractor, workers):
    """Extract videos into a folder that goes; return {shape of a batch: how many there were}."""
    shapes = Counter()

    def infer(blocks):
        shapes[blocks.shape] += 1
        return extractor(blocks)

    with tempfile.TemporaryDirectory() as folder:
        collector = Collector(folder, {}, row_format.views)
        extract_rows(videos, row_format, infer, collector, (BATCH_FRAMES, workers, 256 << 20))
    return shapes


def measure_share(route, extractor, row_format, groups, workers, repeats):
    """Yield rows of a route over files, against its network alone on the same batches."""
    for length in row_format.lengths:
        extractor(make_batch(length, row_format.frame_size))  # traced
    batches = {length: make_batch(length, row_format.frame_size) for length in row_format.lengths}
    for videos in groups:
        alone, whole = [], []
        for _ in range(repeats):
            shapes = Counter()
            named = [(video.path, str(index)) for index, video in enumerate(videos)]

            def extract(named=named, shapes=shapes):
                shapes.update(_extract(named, row_format, extractor, workers))

            whole.append(measure_seconds(extract))
            order = [batches[shape[1]] for shape in shapes.elements()]
            alone.append(measure_seconds(lambda order=order: [extractor(each) for each in order]))
        name = f"{route} over {len(videos)} files of {videos[0].width}x{videos[0].height}"
        frames = sum(video.num_frames for video in videos)
        seconds, spread = summarize_seconds(whole)
        spread = spread and frames * spread / seconds**2
        yield make_row(frames / seconds, "frames of video/s", spread, name=name)
        shares = [100 * a / w for a, w in zip(alone, whole, strict=True)]
        yield make_row(statistics.median(shares), "% of the network alone", name=name)


def measure_memory(folder, route, minutes, flags):
    """Yield the peak memory of scripts.extract_features on videos of several lengths, 320x240."""
    for length in minutes:
        path = folder / f"{route}_{length:g}.mp4"
        render_video(path, *SIZES[0], frames=max(1, round(1500 * length)))
        command = ["-m", "scripts.extract_features", "--data", path, "--route", route]
        command += ["--output", folder / path.stem, "--weights", "none", *flags]
        peak = measure_peak(command, ROOT)
        yield make_row(peak, "GiB", name=f"{route}, {length:g} minutes, peak memory")
        path.unlink()


def find_actors(pid):
    """Return the ids of the processes that hold a network for a command that runs on Ray."""
    command = ["ps", "-eo", "pid=,ppid=,args="]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    parents = {int(child): int(parent) for child, parent, _ in rows}

    def belongs(process):
        while process not in (0, pid):
            process = parents.get(process, 0)
        return process == pid

    workers = (int(child) for child, _, name in rows if name.startswith("ray::MapWorker"))
    return [worker for worker in workers if belongs(worker)]


def _start_workers():
    return ["--ray"], lambda process: os.kill(find_actors(process.pid)[0], signal.SIGKILL)


def _start_machines():
    from ray.cluster_utils import Cluster  # optional; both machines are on this one

    cluster = Cluster(True, head_node_args={"num_cpus": 1})
    other = cluster.add_node(num_cpus=1)
    return ["--ray", cluster.address], lambda _: cluster.remove_node(other, allow_graceful=False)


# Where two workers run: function () -> (flags, function of a process that stops one of them).
LOSSES = {"Ray, a worker dies": _start_workers, "Ray, a machine dies": _start_machines}


def measure_ray(folder, count):
    """Yield what becomes of many short videos on Ray where something dies, against without Ray.

    That is when a quarter of the videos is done. The network ends early: this is about videos, not
    about its rate.
    """
    for index in range(count):
        path = folder / f"many/{index % 10}/{index:05}.avi"
        path.parent.mkdir(parents=True, exist_ok=True)
        render_video(path, 128, 112, 16 + index % 9, index)
    command = [sys.executable, "-m", "scripts.extract_features", "--data", str(folder / "many")]
    command += "--weights none --window 8 --stride 8 --frame-size 112 --short-side 112".split()
    command += ["--endpoint", "MaxPool3d_2a_3x3", "--output"]
    trees = []
    for name, start in {"alone": None, **LOSSES}.items():
        store = folder / f"rows{len(trees)}"
        flags, stop = start() if start else ([], None)
        flags = [*flags, "--ray-actors", "2"] if flags else []
        begin, process = time.perf_counter(), subprocess.Popen([*command, store, *flags], cwd=ROOT)
        try:
            while stop and process.poll() is None and len(list(store.rglob("*.npy"))) < count // 4:
                time.sleep(0.5)
            if stop:
                stop(process)
                done = len(list(store.rglob("*.npy")))
                yield make_row(done, "", name=f"{name}: videos done by then")
            if process.wait():
                raise ValueError("scripts.extract_features failed; its message is above.")
        finally:
            process.kill()
        seconds = time.perf_counter() - begin
        yield make_row(seconds, "s", name=f"{name}: {count} videos, start included")
        files = [path for path in store.rglob("*") if path.is_file()]
        trees.append({path.relative_to(store): path.read_bytes() for path in files})
        yield make_row(len(trees[-1]), "", name=f"{name}: files")
        same = len(trees[0].items() & trees[-1].items())
        yield make_row(same, "", name=f"{name}: files as alone, byte for byte")


@dataclass(frozen=True)
class Options:
    """What is measured."""

    parts: tuple[Literal["routes", "share", "memory", "ray"], ...] = ("routes", "share", "memory")
    """Parts of the benchmark. ray needs requirements-ray.txt."""
    routes: tuple[Literal["windows", "dense"], ...] = ("windows", "dense")
    """Routes."""
    window: int = 16
    """Frames that one row sees."""
    stride: int = 4
    """Frames from one row to the next."""
    chunk: int = 128
    """dense: frames computed together."""
    shared: tuple[str, ...] = (SHARED, "Mixed_5c")
    """routes: last stages that windows share."""
    frame_size: int = 224
    """Height and width of the crop in pixels. The short side before cropping is 8/7 of it."""
    videos: int = 4
    """share: videos of each size."""
    frames: int = 128
    """share: frames per video."""
    sizes: tuple[tuple[int, int], ...] = SIZES
    """share: width and height of the videos."""
    minutes: tuple[float, ...] = (2, 20)
    """memory: lengths of the videos."""
    memory_stride: int = 64
    """memory: frames from one row to the next."""
    ray_videos: int = 2000
    """ray: number of videos."""
    workers: int = 2
    """Threads that read videos."""
    repeats: int = 3
    """Measurements of each number; the median counts."""
    output: Path | None = None
    """JSON file to write the figures to, such as docs/figures/extraction.json."""

    @property
    def forms(self):
        """{route: its `RowFormat`}."""
        row_format = RowFormat(self.window, self.stride, "replicate")
        row_format = row_format._replace(frame_size=self.frame_size, short_side=self.short_side)
        lengths = {"windows": (self.window,), "dense": (self.chunk,)}
        return {route: row_format._replace(lengths=lengths[route]) for route in self.routes}

    @property
    def short_side(self):
        """Pixels of the shorter side before cropping."""
        return self.frame_size * 8 // 7

    @property
    def flags(self):
        """What scripts.extract_features is told, for memory."""
        flags = ["--window", self.window, "--stride", self.memory_stride, "--chunk", self.chunk]
        return [*flags, "--frame-size", self.frame_size, "--short-side", self.short_side]


def benchmark_extraction(options):
    """Measure the parts, one after another, and print a row for each.

    Args:
        options: `Options`.
    """
    figures, chosen, found = Figures(options.output), [], []
    # Where a part fails, what it started may still write.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        folder = Path(folder)
        for width, height in options.sizes if "share" in options.parts else ():
            paths = [folder / f"{width}x{height}_{index}.mp4" for index in range(options.videos)]
            found.append([render_video(path, width, height, options.frames) for path in paths])
        for route in options.forms if "memory" in options.parts else ():  # see `measure_peak`
            chosen.append(measure_memory(folder, route, options.minutes, options.flags))
        if "routes" in options.parts:
            chosen.append(measure_routes(options.forms, options.shared, options.repeats))
        for route, row_format in options.forms.items() if "share" in options.parts else ():
            how = (row_format, found, options.workers, options.repeats)
            chosen.append(measure_share(route, make_extractor(row_format), *how))
        if "ray" in options.parts:
            chosen.append(measure_ray(folder, options.ray_videos))
        figures.take(itertools.chain(*chosen))


COMMAND = Command(__doc__, Options)

if __name__ == "__main__":
    run_command(lambda: benchmark_extraction(COMMAND.parse()))
