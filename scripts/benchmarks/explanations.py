"""Measure how far explanations can be believed: python -m scripts.benchmarks.explanations VIDEO ...

Each method explains what the network predicts of each video. Four things are measured: how much
more of the class the network sees in the places that the map marks than in the rest (deletion and
insertion), beside a random map and a blob in the middle of every frame; how much of the map lies
where something moves; whether the map of the mirrored video is the mirrored map; and how much lies
in one corner. docs/results.md has the figures.
"""

import sys
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it starts from any folder

from models.explaining.choices import METHODS
from models.later import later
from utils.command_line import Command
from utils.system.commands import run_command
from utils.system.figures import Figures
from utils.system.words import print_line

import numpy as np
import tyro

open_predictor = later("tasks.predictors", "open_predictor")
load_views = later("tasks.classification.questions", "load_views")
resize_maps = later("utils.pictures.heat_maps", "resize_maps")
blur = later("tasks.classification.trust", "blur")
delete_and_insert = later("tasks.classification.trust", "delete_and_insert")
draw_blob = later("tasks.classification.trust", "draw_blob")

MOVING = 0.2  # of all pixels, those that change most from frame to frame
_RANDOM = 7  # places of a side of a random map
_CONTROLS = ("blob", "random")


@dataclass(frozen=True)
class Options:
    """What is measured."""

    videos: tyro.conf.Positional[tuple[str, ...]]
    """Video files."""
    run: Path | None = None
    """Folder of a run, weights/<run>. None: I3D's 400 classes of Kinetics."""
    methods: tuple[str, ...] = (
        "occlusion:Mixed_4f",
        "occlusion:Mixed_5c",
        "grad_cam:Mixed_4f",
        "grad_cam:Mixed_5c",
    )
    """Methods, each with a stage of the backbone after a colon where it takes one."""
    steps: int = 16
    """Steps of integrated gradients."""
    shares: tuple[float, ...] = (0.15, 0.5)
    """Shares of the places that are shown or taken away."""
    seed: int = 0
    """Random seed of the random maps."""
    output: Path | None = None
    """JSON file to write the figures to, such as docs/figures/explanations.json."""


def find_motion(frames, segments):
    """Return where something moves, (frames, height, width), in uint8 frames of segments."""
    gray = frames.mean(-1).reshape(segments, -1, *frames.shape[1:3])
    change = np.abs(np.diff(gray, axis=1))
    change = np.concatenate([change[:, :1], change], 1).reshape(frames.shape[:3])
    change = blur(change[..., None], 1 / 56)[..., 0]
    return change >= np.quantile(change, 1 - MOVING)


def _correlate(a, b):
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / (np.sqrt((a * a).sum() * (b * b).sum()) or 1))


def _list_corners(maps):
    """Return the shares of a map that lie in each corner's sixteenth of the frame."""
    quarter = maps.shape[1] // 4
    ends = slice(None, quarter), slice(-quarter, None)
    return [maps[:, rows, columns].sum() / (maps.sum() or 1) for rows in ends for columns in ends]


def explain_by(name, question):
    """Return the `Maps` of a question, resized to its clip, and the seconds it took.

    Args:
        name: as in `Options.methods`.
        question: a `Question`.
    """
    method, _, endpoint = name.partition(":")
    began = time.perf_counter()
    maps = METHODS[method].explain(replace(question, endpoint=endpoint))
    seconds = time.perf_counter() - began
    segments, frames, side = question.clip.shape[1:4]
    return resize_maps(*maps, segments * frames, side), seconds


def list_maps(question, options, generator):
    """Yield (name, maps, maps of the mirrored clip or None, seconds) of methods and controls."""
    mirrored = replace(question, clip=np.ascontiguousarray(question.clip[..., ::-1, :]))
    for name in options.methods:
        maps, seconds = explain_by(name, question)
        yield name, maps, explain_by(name, mirrored)[0][:, :, ::-1], seconds
    segments, frames, side = question.clip.shape[1:4]
    yield "blob", draw_blob(segments * frames, side), None, 0
    places = (np.arange(_RANDOM) + 0.5) * side / _RANDOM
    values = generator.random((segments, 1, _RANDOM, _RANDOM))
    random = resize_maps(values, [np.zeros(1), places, places], segments * frames, side)
    yield "random", random, None, 0


def measure_video(predictor, video, options, generator):
    """Yield a row for each method of what it explains of a video."""
    views = load_views(Path(video), predictor.clip_format)
    inquiry = predictor.inquiry
    asked = inquiry.ask(views.clips, inquiry.predict(views.clips))
    question = replace(asked.question, steps=options.steps)
    moving = find_motion(views.frames, predictor.clip_format.segments)
    for name, maps, mirrored, seconds in list_maps(question, options, generator):
        curves = delete_and_insert(question, maps, options.shares)
        yield {
            "video": Path(video).name,
            "said": asked.said,
            "method": name,
            "gap": curves.gap,
            "inserted": curves.inserted.tolist(),
            "deleted": curves.deleted.tolist(),
            "moving": float(maps[moving].sum() / (maps.sum() or 1) / MOVING),
            "corner": float(max(_list_corners(maps))),
            "mirror": None if mirrored is None else _correlate(maps, mirrored),
            "seconds": seconds,
        }


def summarize(rows):
    """Return a row for each method: means over the videos, and how often it beats the controls."""
    gaps, grouped = {(row["video"], row["method"]): row["gap"] for row in rows}, defaultdict(list)
    for row in rows:
        grouped[row["method"]].append(row)

    def beats(members, control):
        return sum(row["gap"] > gaps[row["video"], control] for row in members)

    def average(members, key):
        values = [row[key] for row in members]
        return None if None in values else round(float(np.mean(values)), 2)

    return [
        {
            "method": method.replace(":", " at "),
            "videos": len(members),
            **{f"beats_{control}": beats(members, control) for control in _CONTROLS},
            **{key: average(members, key) for key in ("gap", "moving", "corner", "mirror")},
            "seconds": round(float(np.median([row["seconds"] for row in members])), 2),
        }
        for method, members in grouped.items()
    ]


def benchmark_explanations(options):
    """Measure every method on every video; print and return the summary.

    Args:
        options: `Options`.
    """
    predictor, found = open_predictor(options.run), []
    figures = Figures(options.output, options.seed, shares=options.shares, each=found)
    generator = np.random.default_rng(options.seed)
    for video in options.videos:
        found += measure_video(predictor, video, options, generator)
        figures.rows[:] = summarize(found)
        figures.write()
        for row in found[-len(options.methods) - len(_CONTROLS) :]:
            print_line(f"{row['video']}, {row['said']}: {row['method']} {row['gap']:.2f}")
    for row in figures.rows:
        print_line(", ".join(f"{key} {value}" for key, value in row.items()))
    return figures.rows


COMMAND = Command(__doc__, Options)

if __name__ == "__main__":
    run_command(lambda: benchmark_explanations(COMMAND.parse()))
