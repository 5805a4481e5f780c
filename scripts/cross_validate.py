"""Score a network by blocked cross-validation: python -m scripts.cross_validate --help.

Neighbouring numbers in file names often come from one camera; whole blocks of consecutive numbers
are therefore held out in turn. Nothing is chosen on them: there is no validation split, the last
epoch counts, and the flags are the user's to choose on other data.
"""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import tyro

from utils.commands import run_command
from utils.datasets import list_examples, save_examples
from utils.files import write_atomically


def block_of(path, size):
    """Return the block that a file's number (the last in its name, from 1) falls into.

    Raises:
        ValueError: no number in the name.
    """
    numbers = re.findall(r"\d+", Path(path).stem)
    if not numbers:
        raise ValueError(f"{path}: no number in the file name, so it belongs to no block.")
    return (int(numbers[-1]) - 1) // size


def write_fold(examples, block, size, path):
    """Write the CSV of a fold: one block to test on, all others to train on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_examples(examples, path)
    with open(path, newline="") as file:
        header, *rows = csv.reader(file)
    split = header.index("split")
    for row in rows:
        row[split] = "test" if block_of(row[0], size) == block else "train"
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def _python(*arguments):
    subprocess.run([sys.executable, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def score_fold(table, run, seed, flags):
    """Train on a fold and return the top-1 accuracy on its test block; done runs are kept."""
    folder = Path("weights", run)
    report = folder / "evaluation/test/report.json"
    if not report.is_file():
        resume = ["--resume"] if (folder / "params.json").is_file() else []
        data = ["--data-path", table, "--val-fraction", 0, "--run", run, "--seed", seed]
        _python("training.py", *data, *flags, *resume)
        _python("evaluate.py", folder, "--split", "test")
    return json.loads(report.read_text())["top1"]


def cross_validate(data_path: str, name: str, block: int = 30, seeds: int = 3, flags: str = ""):
    """Train and test once per block and seed.

    Args:
        data_path: class folders or a .csv, as for training.py.
        name: prefix of the runs, and of the result weights/<name>.json.
        block: consecutive file numbers that are held out together.
        seeds: how many, from 0.
        flags: for training.py, in one string.
    """
    examples = list_examples(data_path)
    blocks = sorted({block_of(example.path, block) for example in examples})
    if len(blocks) < 2:
        raise ValueError(f"Only one block of {block} in {data_path}; give a smaller --block.")
    scores = np.zeros((seeds, len(blocks)))
    for column, number in enumerate(blocks):
        table = Path("weights/cache/folds", f"{name}_{number + 1}.csv")
        write_fold(examples, number, block, table)
        for seed in range(seeds):
            run = f"{name}_fold{number + 1}_seed{seed}"
            scores[seed, column] = score_fold(table, run, seed, flags.split())
            print(f"{run}: {scores[seed, column]:.3f}", flush=True)
    means = scores.mean(1)
    result = {
        "flags": flags,
        "folds": scores.mean(0).tolist(),
        "seeds": means.tolist(),
        "mean": float(means.mean()),
        "spread_over_folds": float(scores.mean(0).std(ddof=1)),
        "spread_over_seeds": float(means.std(ddof=1)) if seeds > 1 else None,
    }
    write_atomically(Path("weights", f"{name}.json"), json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    run_command(lambda: tyro.cli(cross_validate, description=__doc__))
