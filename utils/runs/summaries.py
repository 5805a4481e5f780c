"""What runs say of themselves: parameters, history, and the scores of their evaluations."""

import csv
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from utils.params import Params
from utils.runs.folders import check_run, load_state
from utils.runs.saved_params import load_params
from utils.system.settings_files import read_kind
from utils.system.words import print_line


class Run(NamedTuple):
    """What a run says of itself.

    Attributes:
        params: `Params`.
        state: that training left.
        scores: {split: score} of its evaluations.
        counts: {split: how many videos or sentences it has}.
    """

    params: Params
    state: dict
    scores: dict
    counts: dict


def _say_score(path, report, name):
    if type(report[name]) not in (int, float):
        raise ValueError(f"{path} is damaged: its {name} is {report[name]!r}; expected a number.")
    return f"{report[name]:.4g}"


def name_score(report):
    """Return the number of a report by which runs are compared."""
    if "wer" in report:
        return "wer"
    return "mean_average_precision" if report.get("labeling") == "multi" else "accuracy"


def _read_scores(folder):
    scores = {}
    for path in sorted(folder.glob("evaluation/*/report.json")):
        report = read_kind(path)
        name = name_score(report)
        if name == "wer":
            scores[path.parent.name] = f"WER {_say_score(path, report, name)}"
        elif name in report:  # older versions' may lack it
            scores[path.parent.name] = _say_score(path, report, name)
    return scores


def read_run(folder):
    """Return the `Run` in a folder.

    Raises:
        ValueError: none is there, its files are damaged, or it has not finished an epoch.
    """
    check_run(folder)
    state = load_state(folder)
    if not state or not state["history"]:
        raise ValueError(f"{folder}: no epoch is finished yet.")
    with open(
        folder / "splits.csv", newline="", encoding="utf-8", errors="surrogateescape"
    ) as file:
        counts = Counter(row.get("split") for row in csv.DictReader(file))
    return Run(load_params(folder / "params.json"), state, _read_scores(folder), counts)


def read_runs(folders):
    """Return {name: `Run`} of the folders that are runs; say which runs cannot be shown, and why.

    What is no run, such as what else lies in weights/, is skipped.

    Args:
        folders: list of `Path`.

    Raises:
        ValueError: a folder that is not there, or no run at all.
    """
    runs = {}
    for folder in folders:
        if not folder.exists():
            raise ValueError(f"{folder}: no such folder. Give folders of runs, such as weights/*.")
        if not Path(folder, "params.json").is_file():
            continue
        try:
            name = folder.name if folder.name not in runs else str(folder)
            runs[name] = read_run(folder)
        except ValueError as error:
            print_line(f"skipped {folder}: {str(error).removeprefix(f'{folder}: ')}")
    if not runs:
        raise ValueError(f"None of the {len(folders)} folders is a run with a finished epoch.")
    return runs
