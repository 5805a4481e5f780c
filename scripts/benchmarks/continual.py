"""Compare continual answers with those of windows: python -m scripts.benchmarks.continual VIDEO ...

Windows of a clip's frames begin at every step of the backbone's last map. Each is seen by the
network as a whole, and continually. Labels and probabilities are compared where both are of the
same time. Seconds are those of an answer, the two in turn, and without reading.
"""

import statistics
import sys
import time
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it starts from any folder

from models.later import later
from utils.command_line import Command
from utils.system.commands import run_command
from utils.system.figures import Figures
from utils.system.words import print_line
from utils.video.live import play_video
from utils.video.reading import probe
from utils.video.resampling import FPS

import numpy as np
import tyro

Classifier = later("tasks.classification.predicting", "Classifier")
count_flops = later("models.flops", "count_flops")
open_predictor = later("tasks.predictors", "open_predictor")


@dataclass(frozen=True)
class Options:
    """What is compared."""

    videos: tyro.conf.Positional[tuple[str, ...]]
    """Video files, best longer than a window."""
    run: Path | None = None
    """Folder of a run, weights/<run>. None: I3D's 400 classes of Kinetics."""
    repeats: int = 5
    """Answers that are timed of each; the median counts."""
    output: Path | None = None
    """JSON file to write the figures to, such as docs/figures/continual.json."""

    def __post_init__(self):
        if self.repeats < 1:
            raise ValueError(f"repeats is {self.repeats}; it must be at least 1.")


def compare_video(predictors, path):
    """Return a row of a video: how far the answers of two `Classifier`s to its windows agree.

    Args:
        predictors: {name: the one that sees windows, and the continual one}.
        path: of the video.
    """
    said = []
    for predictor in predictors.values():
        frames = play_video(probe(path), predictor.clip_format)
        windows = predictor.play(frames, predictor.plan_windows())
        said.append({round(each.begin, 3): predictor.see(each) for each in windows})
    same = sorted(set(said[0]) & set(said[1]))
    window, continual = (np.array([outputs[begin] for begin in same]) for outputs in said)
    whole = [np.mean([*outputs.values()], axis=0) for outputs in said]

    def decide(outputs):
        return predictor.judge.name(outputs)[1]

    return {
        "video": Path(path).name,
        "windows": len(same),
        "same": sum(decide(a) == decide(b) for a, b in zip(window, continual, strict=True)),
        "same_whole": decide(whole[0]) == decide(whole[1]),
        "differences": np.abs(window - continual).max(axis=1).tolist(),
    }


def time_answers(predictors, path, repeats):
    """Return the medians of how long answers take, the predictors in turn, and their ratios.

    Args:
        predictors: as in `compare_video`.
        path: of a video, which is played again and again from memory.
        repeats: answers of each.
    """
    clip_format = predictors["window"].clip_format
    frames, rate = list(play_video(probe(path), clip_format)), clip_format.fps or FPS
    playing = {}
    for name, predictor in predictors.items():
        endless = ((n / rate, shown) for n, (_, shown) in enumerate(cycle(frames)))
        playing[name] = predictor.play(endless, predictor.plan_windows())
    clocks = {"seconds": time.perf_counter, "processor_seconds": time.process_time}
    took = {f"{name}_{clock}": [] for name in predictors for clock in clocks}
    for _ in range(repeats + 1):
        for name, predictor in predictors.items():
            begin = {clock: read() for clock, read in clocks.items()}
            predictor.see(next(playing[name]))
            for clock, read in clocks.items():
                took[f"{name}_{clock}"].append(read() - begin[clock])
    # The first answer of each waits for a whole window.
    found = {key: statistics.median(seconds[1:]) for key, seconds in took.items()}
    ratios = {
        f"{clock}_ratio": found[f"window_{clock}"] / found[f"continual_{clock}"] for clock in clocks
    }
    return found | ratios


def count_steps(predictors):
    """Return the multiply-adds, in G, of an answer, and their ratio."""
    import keras

    continual = predictors["continual"]
    # Layers are counted where they are called first, so those of a step are called once.
    parts = [keras.models.clone_model(model) for model in continual.stream.models]
    parts.append(continual.rest)
    flops = {"window": count_flops(continual.network), "continual": sum(map(count_flops, parts))}
    counts = {f"{name}_multiply_adds": count / 2e9 for name, count in flops.items()}
    return counts | {"multiply_adds_ratio": flops["window"] / flops["continual"]}


def summarize(rows):
    """Return a row of all videos, of those of `compare_video`."""
    differences = np.concatenate([row["differences"] for row in rows])
    return {
        "videos": len(rows),
        "same_whole": sum(row["same_whole"] for row in rows),
        "windows": len(differences),
        "same": sum(row["same"] for row in rows) / len(differences),
        "difference": float(np.median(differences)),
        "largest": float(differences.max()),
    }


def compare(options):
    """Compare both on every video; print and return a row of all.

    Args:
        options: `Options`.

    Raises:
        ValueError: no videos, or a network that cannot predict continually.
    """
    if not options.videos:
        raise ValueError("Give a video, best one that is longer than a window.")
    continual = open_predictor(options.run, continual=True)
    form = continual.clip_format
    step = continual.frames_per_item / (form.fps or FPS)
    window = Classifier(continual.inquiry, continual.source, seconds=(0.0, step))
    predictors, found = {"window": window, "continual": continual}, []
    network = options.run.name if options.run else "Kinetics"
    row = {"network": network, "clip": f"{form.segments} x {form.frames}", "step": step}
    row["lag"] = continual.stream.lag * step
    row |= count_steps(predictors) | time_answers(predictors, options.videos[0], options.repeats)
    figures = Figures(options.output, each=found)
    for video in options.videos:
        found.append(compare_video(predictors, video))
        figures.rows[:] = [row | summarize(found)]
        figures.write()
        said = "{video}: {same} of {windows} windows have the same label".format(**found[-1])
        print_line(said, flush=True)
    print_line(*(f"{key}: {value}" for key, value in figures.rows[0].items()))
    return figures.rows


COMMAND = Command(__doc__, Options)

if __name__ == "__main__":
    run_command(lambda: compare(COMMAND.parse()))
