"""Compare finished runs in a table and a plot: python -m scripts.compare_runs weights/*.

The table shows the parameters that differ, the best epochs, and the scores of evaluate.py.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it starts from any folder

from models.later import later
from utils.command_line import Command
from utils.runs.folders import RUNS
from utils.runs.summaries import read_runs
from utils.system.commands import run_command
from utils.system.words import print_line

import tyro

find_score = later("utils.pictures.run_plots", "find_score")
plot_runs = later("utils.pictures.run_plots", "plot_runs")

# Parameters that make no other run.
_ALIKE = {"run", "resume", "workers", "gpus", "cache_path", "pictures", "network"}
_LARGEST = 24  # characters of a cell


@dataclass(frozen=True)
class Options:
    """Which runs are compared."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of the runs, weights/<run>. Other folders are skipped."""
    output: Path = RUNS / "comparison.png"
    """Picture file of the curves."""


def _write_value(value):
    values = value if isinstance(value, tuple) else (value,)
    text = " ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in values)
    return text if len(text) <= _LARGEST else f"…{text[1 - _LARGEST :]}"


def find_differences(runs):
    """Return the names of the parameters in which runs differ, in their order.

    Args:
        runs: list of `Params`.
    """
    names = [name for name in vars(runs[0]) if name not in _ALIKE]
    return [name for name in names if len({repr(getattr(run, name)) for run in runs}) > 1]


def describe_run(run):
    """Return {column: text} of how a run went: epochs, the best one, its scores, seconds."""
    history, best = run.state["history"], run.state.get("best")
    score = find_score(history)
    found = (
        row["epoch"] for row in history if best is not None and row.get(f"val_{score}") == best
    )
    number = run.state.get("best_epoch") or next(found, run.state["epoch"])
    row, other = history[number - 1], score != "accuracy"
    seconds = [each["seconds"] for each in history if "seconds" in each]
    return {
        "epochs": f"{run.state['epoch']}/{run.params.epochs}",
        "best epoch": str(number),
        "best": "" if best is None else f"{score.replace('_', ' ')} {best:.4g}",
        "val accuracy": f"{row['val_accuracy']:.4g}" if other and "val_accuracy" in row else "",
        "s an epoch": f"{median(seconds):.3g}" if seconds else "",
        **run.scores,
    }


def format_table(rows):
    """Return the lines of a Markdown table of dicts {column: text}; empty columns are left out.

    Args:
        rows: list of dicts.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    columns = [name for name in names if any(row.get(name) for row in rows)]
    table = [columns, *([row.get(name, "") for name in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |"
        for line in table
    ]
    rule = f"|{'|'.join('-' * (width + 2) for width in widths)}|"
    return [lines[0], rule, *lines[1:]]


def compare_runs(options):
    """Print a table of runs and draw their curves.

    Args:
        options: `Options`.

    Returns:
        Its rows, dicts {column: text}.

    Raises:
        ValueError: as `read_runs`.
    """
    runs = read_runs(options.runs)
    differing = find_differences([run.params for run in runs.values()])
    rows = [
        {"run": name, "network": run.params.network}
        | {each: _write_value(getattr(run.params, each)) for each in differing}
        | describe_run(run)
        for name, run in runs.items()
    ]
    print_line(*format_table(rows))
    histories = {
        f"{name}, {run.counts['val'] or run.counts['dev']} val": run.state["history"]
        for name, run in runs.items()
    }
    plot_runs(histories, options.output)
    print_line(f"Curves: {options.output}")
    return rows


COMMAND = Command(__doc__, Options)

if __name__ == "__main__":
    run_command(lambda: compare_runs(COMMAND.parse()))
