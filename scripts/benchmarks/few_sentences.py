"""Measure WER by the number of training sentences: python -m scripts.benchmarks.few_sentences.

From a corpus whose features are there, so many training sentences are drawn at random, each set
within the next larger one. Recipes are trained on each set and scored on all test sentences,
beside the nearest training sentence (dynamic time warping). A stopped measurement goes on with the
same command.
"""

import shlex
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it starts from any folder

from models.later import later
from tasks.options import EvaluationOptions
from tasks.training_flags import check_flags
from utils.command_line import Command
from utils.runs.folders import RUNS
from utils.signing.corpora import list_sentences, save_sentences
from utils.system.commands import run_command, train_run
from utils.system.figures import Figures
from utils.system.words import print_line

import numpy as np

score_sentences = later("tasks.recognition.scoring", "score_sentences")
plot_by_number = later("utils.pictures.run_plots", "plot_by_number")

_SETS = "sentences"  # folder of the lists, in the folder of runs


@dataclass(frozen=True)
class Options:
    """Which sentences, and which recipes. Flags that are not listed here go to training.py."""

    data: str
    """The corpus, as --data-path of training.py takes it."""
    recipes: tuple[str, ...]
    """NAME=FLAGS of training.py, such as "before=phoenix --width 256"."""
    counts: tuple[int, ...] = (35, 70, 141, 0)
    """Training sentences. 0: all."""
    seeds: int = 3
    """Random seeds of a recipe, from 0 on."""
    name: str = "few"
    """Of the runs."""
    output: Path | None = None
    """JSON file of figures."""
    picture: Path | None = None
    """PNG of the curve."""


def draw_lists(options):
    """Write a list of sentences for each count; return {count: path}, the largest one last."""
    sentences, _ = list_sentences(options.data, needs_frames=False)
    training = [s for s in sentences if s.split == "train"]
    others = [s for s in sentences if s.split != "train"]
    order = np.random.default_rng(0).permutation(len(training))
    found = {}
    for count in sorted(each or len(training) for each in options.counts):
        chosen = [training[place] for place in sorted(order[:count])]
        path = RUNS / _SETS / f"{options.name}{count}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        known = {gloss for sentence in chosen for gloss in sentence.glosses}
        words = [gloss for s in others if s.split == "test" for gloss in s.glosses]
        unseen = 100 * sum(gloss not in known for gloss in words) / len(words)
        print_line(f"{len(chosen)} sentences: {unseen:.1f} % of the test's glosses are not in them")
        save_sentences([*chosen, *others], path)
        found[len(chosen)] = path
    return found


def score(run):
    """Return (WER, that of new sentences, that of the nearest training sentence) of a run's test.

    None stands for what there is not.
    """
    try:
        with redirect_stdout(StringIO()):
            report = score_sentences(EvaluationOptions((RUNS / run,), split="test", worst=0))
    except ValueError as error:
        if "are empty" not in str(error):
            raise
        return 100.0, 100.0, None
    return report["wer"], report["apart"]["new"], (report["nearest"] or {}).get("wer")


def measure(options, flags):
    """Train and score all; print, draw and save the curve.

    Args:
        options: `Options`.
        flags: of training.py, of all recipes.
    """
    figures = Figures(options.output, list(range(options.seeds)))
    recipes = [recipe.partition("=")[::2] for recipe in options.recipes]
    curves = {name: {} for name, _ in recipes} | {"nearest": {}}
    for count, path in draw_lists(options).items():
        for (name, own), seed in product(recipes, range(options.seeds)):
            run = f"{options.name}{count}_{name}_seed{seed}"
            own = [*shlex.split(own), *flags, "--data-path", str(path), "--seed", str(seed)]
            train_run(run, *own)
            wer, new, nearest = score(run)
            print_line(f"{run}: test WER {wer:.1f}, nearest sentence {nearest}", flush=True)
            curves[name].setdefault(count, []).append((wer, new))
            if nearest is not None:
                curves["nearest"][count] = [(nearest, None)]
    plotted = {}
    for name, curve in curves.items():
        for count, found in curve.items():
            scores = [wer for wer, _ in found]
            spread = float(np.std(scores, ddof=1)) if len(scores) > 1 else None
            row = {"recipe": name, "sentences": count, "wer": float(np.mean(scores))}
            figures.add(**row, spread=spread, new=_average([new for _, new in found]))
            print_line(f"{name}, {count} sentences: WER {row['wer']:.1f}")
            plotted.setdefault(name, {})[count] = scores
    if options.picture:
        plot_by_number(plotted, options.picture, f"WER on test sentences; seeds: {options.seeds}")


def _average(numbers):
    return float(np.mean(numbers)) if all(n is not None for n in numbers) else None


COMMAND = Command(__doc__, Options, check_flags)

if __name__ == "__main__":
    run_command(lambda: measure(*COMMAND.parse()), "run the same command to continue")
