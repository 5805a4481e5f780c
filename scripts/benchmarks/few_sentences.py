"""Measure WER by the number of training sentences: python -m scripts.benchmarks.few_sentences.

From a corpus whose features are there, so many training sentences are drawn at random, each set
within the next larger one. Recipes are trained on each set and scored on all test sentences,
beside the nearest training sentence (dynamic time warping). --signers leaves out one signer after
another instead, on whom is scored. A stopped measurement goes on with the same command.
"""

import re
import shlex
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it starts from any folder

from models.later import later
from tasks.options import EvaluationOptions
from tasks.training_flags import check_recognition_flags
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
    signers: bool = False
    """Train on all signers but one, and score on that one, in place of --counts."""
    with_dev: bool = False
    """Train on the dev sentences, too."""
    seeds: int = 3
    """Random seeds of a recipe, from 0 on."""
    name: str = "few"
    """Of the runs."""
    output: Path | None = None
    """JSON file of figures."""
    picture: Path | None = None
    """PNG of the curve over --counts."""

    def __post_init__(self):
        if self.signers and self.picture:
            raise ValueError("With --signers there is no curve over numbers: leave out --picture.")


def make_sets(options):
    """Return {name: list of `Sentence`} of the sets: by number, or by the signer left out.

    Raises:
        ValueError: a corpus that cannot be read, or whose signers are not known.
    """
    sentences, _ = list_sentences(options.data, needs_frames=False)
    if options.with_dev:
        sentences = [replace(s, split="train") if s.split == "dev" else s for s in sentences]
    if options.signers:
        signers = sorted({s.signer for s in sentences})
        if len(signers) < 2:
            raise ValueError(f"{options.data} names no two signers to leave one out.")
        return {
            name: [replace(s, split="test" if s.signer == name else "train") for s in sentences]
            for name in signers
        }
    training = [s for s in sentences if s.split == "train"]
    others = [s for s in sentences if s.split != "train"]
    order = np.random.default_rng(0).permutation(len(training))
    counts = sorted(min(each or len(training), len(training)) for each in options.counts)
    return {
        str(count): [*(training[n] for n in sorted(order[:count])), *others] for count in counts
    }


def save_sets(options):
    """Write the list of each set; return {name: (training sentences, path)}."""
    found = {}
    for name, sentences in make_sets(options).items():
        path = RUNS / _SETS / f"{options.name}-{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_sentences(sentences, path)
        training = [s for s in sentences if s.split == "train"]
        known = {gloss for sentence in training for gloss in sentence.glosses}
        words = [gloss for s in sentences if s.split == "test" for gloss in s.glosses]
        unseen = 100 * sum(gloss not in known for gloss in words) / len(words)
        print_line(f"{path}: {len(training)} to train on, {unseen:.1f} % of test glosses unseen")
        found[name] = len(training), path
    return found


def score(run):
    """Return what a run's test says, {"wer", "new"}, and the nearest training sentence's, or None.

    Those of new sentences are None where there are none.
    """
    try:
        with redirect_stdout(StringIO()):
            report = score_sentences(EvaluationOptions((RUNS / run,), split="test", worst=0))
    except ValueError as error:
        if "are empty" not in str(error):
            raise
        return {"wer": 100.0, "new": 100.0}, None
    return report["apart"], report["nearest"]


def measure(options, flags):
    """Train and score all; print, draw and save the scores.

    Args:
        options: `Options`.
        flags: of training.py, of all recipes.

    Raises:
        ValueError: as `make_sets`, or a training that was refused.
    """
    figures = Figures(options.output, list(range(options.seeds)))
    recipes = [recipe.partition("=")[::2] for recipe in options.recipes]
    found, warped = ({name: {} for name, _ in recipes} for _ in range(2))
    sets = save_sets(options)
    for (name, (_, path)), (recipe, own), seed in product(
        sets.items(), recipes, range(options.seeds)
    ):
        run = re.sub(r"[^\w.-]+", "-", f"{options.name}-{name}-{recipe}-seed{seed}")
        train_run(run, *shlex.split(own), *flags, "--data-path", path, "--seed", seed)
        scores, nearest = score(run)
        print_line(f"{run}: test WER {scores['wer']:.1f}", flush=True)
        found[recipe].setdefault(name, []).append(scores)
        if nearest:
            warped[recipe][name] = [nearest]
    first = warped[recipes[0][0]]
    found |= {"nearest": first}  # recipes may see rows in other ways
    for recipe, own in warped.items():
        if any(own[name] != first[name] for name in own.keys() & first.keys()):
            found[f"nearest, {recipe}"] = own
    for recipe, by_set in found.items():
        for name, scores in by_set.items():
            wers = [each["wer"] for each in scores]
            row = {"recipe": recipe, "set": name, "sentences": sets[name][0]}
            row |= {"wer": float(np.mean(wers)), "new": _average([s["new"] for s in scores])}
            figures.add(**row, spread=float(np.std(wers, ddof=1)) if len(wers) > 1 else None)
            print_line(f"{recipe}, {name}: WER {row['wer']:.1f}")
    if options.picture:
        curves = {
            recipe: {
                sets[name][0]: [each["wer"] for each in scores] for name, scores in own.items()
            }
            for recipe, own in found.items()
        }
        plot_by_number(curves, options.picture, f"WER on test sentences; seeds: {options.seeds}")


def _average(numbers):
    return float(np.mean(numbers)) if all(n is not None for n in numbers) else None


COMMAND = Command(__doc__, Options, check_recognition_flags)

if __name__ == "__main__":
    run_command(lambda: measure(*COMMAND.parse()), "run the same command to continue")
