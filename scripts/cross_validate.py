"""Cross-validate a network in blocks of file numbers: python -m scripts.cross_validate --help.

Neighboring file numbers often come from one camera. So blocks of consecutive numbers are tested in
turn, and training uses the other blocks. There is no validation split: the last epoch counts. Flags
that are not listed below go to training.py. Choose their values on other data.
"""

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it starts from any folder

from tasks.training_flags import check_flags
from utils.command_line import Command
from utils.data.datasets import list_examples
from utils.data.examples import save_examples
from utils.data.splits import block_of
from utils.places import WEIGHTS
from utils.runs.folders import evaluation_folder
from utils.system.commands import run_command, run_script, train_run
from utils.system.figures import Figures
from utils.system.files import atomic_path, write_atomically
from utils.system.words import print_line

import numpy as np


def choose_size(paths):
    """Return how many file numbers are a block by default, so that a few videos make four, too."""
    highest = 1 + max(block_of(path, 1) for path in paths)
    return 30 if highest > 30 else -(-highest // 4)


def write_fold(examples, block, size, path):
    """Write the CSV of a fold: one block to test on, all others to train on."""
    splits = ["test" if block_of(e.path, size) == block else "train" for e in examples]
    with atomic_path(path) as temporary:
        chosen = [replace(e, split=s) for e, s in zip(examples, splits, strict=True)]
        save_examples(chosen, temporary)


def score_fold(table, run, seed, flags, features=""):
    """Train on a fold and return the report of its test block; done runs are kept.

    Args:
        table: CSV of the fold.
        run: its name.
        seed: of the training.
        flags: for training.py.
        features: to test on, where these are not those trained on.
    """
    folder = Path(WEIGHTS, run)
    report = evaluation_folder(folder, "test", features=features) / "report.json"
    if not (folder / "evaluation/test/report.json").is_file():
        train_run(run, *flags, "--data-path", table, "--val-fraction", 0, "--seed", seed)
        run_script("evaluate.py", folder, "--split", "test")
    if not report.is_file():
        run_script("evaluate.py", folder, "--split", "test", "--features", features)
    return json.loads(report.read_text())


def fuse_fold(first, second):
    """Add the logits of two runs on a fold and return the report of its test block."""
    report = Path(WEIGHTS, first, f"evaluation/test-fused-{second}/report.json")
    if not report.is_file():
        flags = ("--fuse", "--fusion-weight", 0.5, "--split", "test")
        run_script("evaluate.py", Path(WEIGHTS, first), Path(WEIGHTS, second), *flags)
    return json.loads(report.read_text())


@dataclass(frozen=True)
class Options:
    """What is held out. Flags that are not listed here go to training.py."""

    data_path: str
    """Class folders or a .csv, as --data-path of training.py takes them."""
    name: str
    """Name of the cross-validation. Runs are called <name>_...; the result is
    weights/<name>.json."""
    block: int = 0
    """Consecutive file numbers that are held out together. 0: 30, or a quarter of the highest
    number if that is no higher."""
    seeds: int = 3
    """Number of random seeds, from 0 on."""
    folds: int = 0
    """Number of blocks that are tested. 0: all."""
    thin: str = ""
    """A class of which every second video is left out, to see what imbalance does."""
    test_features: str = ""
    """Test on these features instead of those trained on. They must be of the same videos."""
    fuse: tuple[str, str] | None = None
    """Names of two finished cross-validations. Their logits are added; nothing is trained."""
    output: Path | None = None
    """JSON file of figures with the result, such as docs/figures/NAME.json."""

    def __post_init__(self):
        for name, low in (("block", 0), ("seeds", 1), ("folds", 0)):
            if getattr(self, name) < low:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least {low}.")


def cross_validate(options, flags):
    """Train and test once per block and seed; print and save the scores.

    Args:
        options: `Options`.
        flags: list of strings, for training.py.

    Raises:
        ValueError: a file without a number, only one block, or a training that failed.
    """
    examples = list_examples(options.data_path)
    size = options.block or choose_size([example.path for example in examples])
    blocks = sorted({block_of(example.path, size) for example in examples})
    if options.thin and options.thin not in {example.label for example in examples}:
        raise ValueError(f"There is no class {options.thin!r} in {options.data_path} for --thin.")
    if len(blocks) < 2:
        raise ValueError(
            f"{options.data_path} has only one block of {size} videos; give a smaller --block."
        )
    blocks = blocks[: options.folds or None]
    kept = [e for e in examples if e.label != options.thin]
    kept += [e for e in examples if e.label == options.thin][::2]
    figures, reports = Figures(options.output, list(range(options.seeds))), []
    scores = np.zeros((options.seeds, len(blocks)))
    for column, number in enumerate(blocks):
        table = Path(WEIGHTS, "cache/folds", f"{options.name}_{number + 1}.csv")
        write_fold(kept, number, size, table)
        for seed in range(options.seeds):
            fold = f"fold{number + 1}_seed{seed}"
            if options.fuse:
                reports.append(fuse_fold(*(f"{name}_{fold}" for name in options.fuse)))
            else:
                name = f"{options.name}_{fold}"
                reports.append(score_fold(table, name, seed, flags, options.test_features))
            scores[seed, column] = reports[-1]["accuracy"]
            print_line(f"{options.name}_{fold}: {scores[seed, column]:.3f}", flush=True)
    means = scores.mean(1)
    result = {
        "flags": flags,
        "fused": options.fuse,
        "test_features": options.test_features,
        "folds": scores.mean(0).tolist(),
        "seeds": means.tolist(),
        "mean": float(means.mean()),
        "spread_over_folds": float(scores.mean(0).std(ddof=1)) if len(blocks) > 1 else None,
        "spread_over_seeds": float(means.std(ddof=1)) if options.seeds > 1 else None,
        "per_class": {
            name: {
                score: round(float(np.mean([r["per_class"][name][score] for r in reports])), 3)
                for score in ("precision", "recall", "f1")
            }
            for name in sorted({label for e in examples for label in e.labels})
        },
    }
    tested = [Path(options.test_features).stem] * bool(options.test_features)
    summary = Path(WEIGHTS, "-".join([options.name, *tested]) + ".json")
    write_atomically(summary, json.dumps(result, indent=1) + "\n")
    figures.add(what=options.name, **result)
    print(json.dumps(result, indent=1))


COMMAND = Command(__doc__, Options, check_flags)

if __name__ == "__main__":
    run_command(
        lambda: cross_validate(*COMMAND.parse()),
        "run the same command to continue",
    )
