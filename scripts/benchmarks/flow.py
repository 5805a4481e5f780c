"""Measure how exact and fast optical flow methods are: python -m scripts.benchmarks.flow.

A rendered texture is moved by a known motion. The error is the mean distance between the flow found
and the true flow (end-point error), without the borders. Numbers are medians of one run.
"""

import itertools
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it starts from any folder

from utils.command_line import Command
from utils.system.commands import run_command
from utils.system.figures import Figures, make_row
from utils.system.timing import time_call
from utils.video.flow import FLOW_LIMIT, FLOWS, limit_threads, make_method, to_levels, to_pixels
from utils.video.frames import warp
from utils.video.reading import probe, read_rgb

import numpy as np


def _turn(degrees):
    angle = np.deg2rad(degrees)
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


# Motion: (matrix that moves a pixel's (x, y) from the center, translation in pixels).
MOTIONS = {
    "2 px": (np.eye(2), (1.6, -1.2)),
    "10 px": (np.eye(2), (8.3, -5.6)),
    "rotation 3 deg": (_turn(3), (0.0, 0.0)),
    "zoom 1.05": (1.05 * np.eye(2), (0.0, 0.0)),
}


def render_texture(height, width, seed=0):
    """Return a uint8 gray picture (height, width) with detail of all sizes from 2 pixels on."""
    generator = np.random.default_rng(seed)
    noise = generator.integers(0, 256, (5, height, width, 3), np.uint8)
    scales = 2.0 ** np.arange(1, 6)
    layers = [warp(n, np.eye(2) / scale)[..., 0] for n, scale in zip(noise, scales, strict=True)]
    picture = np.tensordot(scales, np.array(layers, float) - 128, 1) / scales.sum()
    return np.clip(np.round(picture * 60 / picture.std() + 128), 0, 255).astype(np.uint8)


def move(picture, linear, shift):
    """Move a gray picture and return where each of its pixels went.

    Args:
        picture: uint8 (height, width).
        linear, shift: as in `MOTIONS`.

    Returns:
        (uint8 picture after the motion, float (height, width, 2): the true flow in pixels).
    """
    height, width = picture.shape
    back = np.linalg.inv(linear)
    source = -(back @ shift) / (width, height)
    moved = warp(np.stack([picture] * 3, axis=-1), back, source)[..., 0]
    x, y = np.meshgrid(np.arange(width) - (width - 1) / 2, np.arange(height) - (height - 1) / 2)
    places = np.stack([x, y], axis=-1)
    return moved, places @ linear.T + shift - places


def measure_motions(method, size, repeats, margin=24):
    """Yield rows: seconds a pair, and the error for each motion, in 8 bits too.

    Args:
        method: a key of `FLOWS`.
        size: (height, width) of the rendered pictures.
        repeats: of the timing.
        margin: pixels at the borders that do not count.
    """
    picture, inner = render_texture(*size), (slice(margin, -margin),) * 2
    estimate, seconds = make_method(method), []
    for name, motion in MOTIONS.items():
        moved, truth = move(picture, *motion)
        seconds.append(time_call(lambda moved=moved: estimate(picture, moved), repeats)[0])
        flow = estimate(picture, moved)
        for kind, found in ((name, flow), (f"{name}, 8 bits", to_pixels(to_levels(flow)))):
            error = np.linalg.norm(found - truth, axis=-1)[inner].mean()
            yield make_row(error, "px error", method=method, what=kind)
    what = f"a pair of {size[1]}x{size[0]}"
    yield make_row(statistics.median(seconds), "s", method=method, what=what)


def measure_rounding(method, videos, pairs=8):
    """Yield rows: what 8 bits lose of the flow amid videos, 256 pixels high.

    Args:
        method: a key of `FLOWS`.
        videos: paths.
        pairs: of neighboring frames in the middle of each.
    """
    estimate, losses, flows = make_method(method), [], []
    for path in videos:
        video = probe(path)
        first = max(0, (video.num_frames - pairs) // 2)
        frames = np.arange(first, min(first + pairs + 1, video.num_frames))
        gray = np.ascontiguousarray(read_rgb(video, frames, 256, 256)[..., 1])
        for pair in itertools.pairwise(gray):
            flow = estimate(*pair)
            flows.append(np.abs(flow))
            losses.append(
                np.abs(to_pixels(to_levels(flow)) - np.clip(flow, -FLOW_LIMIT, FLOW_LIMIT))
            )
    losses, flows = np.array(losses), np.array(flows)
    of = {"method": method, "pairs": len(losses), "videos": len(videos)}
    yield make_row(flows.mean(), "px", **of, what="mean size")
    yield make_row(losses.mean(), "px", **of, what="mean loss by rounding")
    yield make_row(losses.max(), "px", **of, what="largest loss by rounding")
    yield make_row(100 * (flows > FLOW_LIMIT).mean(), "%", **of, what=f"cut at {FLOW_LIMIT:g} px")


@dataclass(frozen=True)
class Options:
    """What is measured."""

    methods: tuple[Literal[tuple(FLOWS)], ...] = tuple(FLOWS)
    """Optical flow methods."""
    size: tuple[int, int] = (256, 340)
    """Height and width of the rendered pictures in pixels."""
    repeats: int = 3
    """Measurements of each number; the median counts."""
    videos: tuple[Path, ...] = ()
    """Videos on which the loss by rounding to 8 bits is measured."""
    output: Path | None = None
    """JSON file to write the figures to, such as docs/figures/flow.json."""

    def __post_init__(self):
        if min(self.size) < 64 or self.repeats < 1:
            raise ValueError(
                f"size is {self.size}, repeats {self.repeats}; give at least 64 pixels, 1 repeat."
            )


def benchmark_flow(options):
    """Measure methods with one thread, and print a row for each number.

    Args:
        options: `Options`.
    """
    limit_threads(1)
    figures = Figures(options.output)
    for method in options.methods:
        figures.take(measure_motions(method, options.size, options.repeats))
        if options.videos:
            figures.take(measure_rounding(method, options.videos))


COMMAND = Command(__doc__, Options)

if __name__ == "__main__":
    run_command(lambda: benchmark_flow(COMMAND.parse()))
