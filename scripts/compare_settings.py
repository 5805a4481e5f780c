"""Train once per value of a parameter, and compare: python -m scripts.compare_settings --help.

Example: --name schemes --vary attention --values joint divided --data sample_order --preset
timesformer

The score is that of the last epoch, not of the best one: nothing is chosen on the validation
videos. All settings are checked before the first training. After a stop, the same command
continues. Flags that are not listed below go to training.py.
"""

import dataclasses
import json
import re
import sys
from collections import Counter
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it starts from any folder

from models.later import later
from tasks.training_flags import check_flags, parse_params
from utils.command_line import Command, name_flag, read_flag
from utils.data.datasets import list_examples
from utils.data.examples import list_classes, select_split
from utils.params import Params
from utils.runs.folders import RUNS, find_run, load_data, load_state
from utils.system.commands import run_command, train_run
from utils.system.figures import Figures
from utils.system.files import write_atomically
from utils.system.words import print_line

import numpy as np

build_network = later("tasks.classification.training", "build_network")
make_plan = later("tasks.plan", "make_plan")
assign_splits = later("utils.data.splits", "assign_splits")
find_length = later("utils.features.lookup", "find_length")
own_features = later("utils.features.lookup", "own_features")
choose_devices = later("utils.fitting.devices", "choose_devices")
plot_comparison = later("utils.pictures.run_plots", "plot_comparison")

_OWN = ("data_path", "seed", "run", "resume")


@dataclass(frozen=True)
class Options:
    """What is compared. Flags that are not listed here go to training.py."""

    name: str
    """Name of the comparison. Runs are called <name>_...; results are weights/<name>.json and
    .png."""
    vary: str
    """Parameter to vary: a name in utils/params.py, such as attention."""
    values: tuple[str, ...]
    """Its values. Switches: true, false. Values of several numbers go in quotes: "1e-2 1e-3
    1e-4"."""
    data: tuple[str, ...] = ("sample",)
    """Datasets, each as --data-path of training.py takes it."""
    seeds: int = 1
    """Number of random seeds per value, from 0 on."""
    output: Path | None = None
    """JSON file of figures with the scores, such as docs/figures/schemes.json."""

    def __post_init__(self):
        known = [field.name for field in dataclasses.fields(Params) if field.name not in _OWN]
        if self.vary not in known:
            raise ValueError(f"Unknown parameter {self.vary!r} to vary; known: {', '.join(known)}.")
        if len(self.values) < 2 or not self.data or self.seeds < 1:
            raise ValueError(
                f"values {self.values}, data {self.data}, {self.seeds} seeds: a comparison "
                "needs at least two values, one data set and one seed."
            )


def _flags_of(name, value):
    switches = {"true": [name_flag(name)], "false": [name_flag(f"no_{name}")]}
    return switches.get(value.lower(), [name_flag(name), *value.split()])


def plan_runs(options, flags):
    """Return {(value, data, seed): (`Params`, flags of training.py)}.

    Raises:
        ValueError: impossible parameters, unknown flags, flags that the comparison gives itself, or
            two runs of one name.
    """
    own = {name_flag(name) for name in (*_OWN, options.vary, f"no_{options.vary}")}
    if own := own & {read_flag(flag) for flag in flags}:
        raise ValueError(f"Leave out {', '.join(sorted(own))}; the comparison sets this itself.")
    runs = {}
    for value, data in product(options.values, options.data):
        every = [*flags, *_flags_of(options.vary, value), "--data-path", data]
        params = parse_params(every)
        for seed in range(options.seeds):
            run = f"{options.name}_{Path(data).stem}_{value}_seed{seed}"
            planned = replace(params, seed=seed, run=re.sub(r"[^\w.-]+", "-", run))
            if planned.run in {other.run for other, _ in runs.values()}:
                raise ValueError(
                    f"Two runs would have the same name, {planned.run}. Leave one out."
                )
            runs[value, data, seed] = planned, [*every, "--seed", str(seed)]
    return runs


def inspect_run(params):
    """Build a run's network, and return its number of parameters and what picks its best epoch.

    Raises:
        ValueError: unknown data or network, or no validation videos.
    """
    from utils.scores.labelings import LABELINGS, choose_labeling  # slow: it imports Keras

    examples = list_examples(params.data_path, params.video_root, params.group_pattern)
    classes = list_classes(examples, params.class_names)
    labeling = LABELINGS[choose_labeling(params.activation, examples, classes)]
    select_split(assign_splits(examples, params.val_fraction, params.test_fraction), "val")
    paths = [example.path for example in examples]
    features = params.features or own_features(paths, params.data_path)
    length = find_length(paths, features) if features else 0
    make_plan(replace(params, features=features))  # refuses what training would refuse
    network = build_network(params, labeling.outputs(len(classes)), length)
    return network.count_params(), labeling.monitor


def finish_run(params, flags):
    """Train a run, go on with it, or keep it.

    Returns:
        Its history, the share of the most frequent label among its validation videos, and how many
        these are.

    Raises:
        ValueError: it was begun with other parameters, or the training failed.
    """
    folder = RUNS / params.run
    if (folder / "params.json").is_file():
        find_run(replace(params, resume=True))  # refuses other parameters
    if (load_state(folder) or {"epoch": 0})["epoch"] < params.epochs:
        train_run(params.run, *flags)
    labels = Counter(example.label for example in select_split(load_data(folder)[0], "val"))
    share = labels.most_common(1)[0][1] / labels.total()
    return load_state(folder)["history"][: params.epochs], share, labels.total()


def score_seeds(runs, score):
    """Finish the runs of one value on one dataset.

    Args:
        runs: list of (`Params`, flags of training.py), one a seed.
        score: the column of the history that counts.

    Returns:
        {"score", "seeds": scores, "mean", "spread": standard deviation or None, "chance": share of
        the most frequent label, "videos": how many validated each, "seconds_per_epoch"}.
    """
    scores, chances, seconds = [], [], []
    for params, flags in runs:
        history, share, videos = finish_run(params, flags)
        scores.append(history[-1][score])
        chances.append(share)
        seconds.append(np.median([row["seconds"] for row in history]))
        print_line(f"{params.run}: {score} {scores[-1]:.3f}", flush=True)
    return {
        "score": score,
        "seeds": scores,
        "mean": float(np.mean(scores)),
        "spread": float(np.std(scores, ddof=1)) if len(scores) > 1 else None,
        "chance": float(np.mean(chances)),
        "videos": videos,
        "seconds_per_epoch": round(float(np.mean(seconds)), 3),
    }


def format_table(vary, cells):
    """Return the lines of a Markdown table: a row a value, a column a dataset.

    Args:
        vary: the parameter.
        cells: {value: {data: {"mean", "spread", "parameters", "seconds_per_epoch"}}}.
    """
    data = list(next(iter(cells.values())))
    lines = [[vary, *data, "parameters", "s an epoch"], ["---"] * (len(data) + 3)]
    for value, row in cells.items():
        found = [row[name] for name in data]
        scores = [
            f"{cell['mean']:.3f}" + ("" if cell["spread"] is None else f" ± {cell['spread']:.3f}")
            for cell in found
        ]
        seconds = np.mean([cell["seconds_per_epoch"] for cell in found])
        lines.append([value, *scores, f"{found[0]['parameters']:,}", f"{seconds:.1f}"])
    return [f"| {' | '.join(line)} |" for line in lines]


def list_rows(vary, cells):
    """Yield a row of figures for each value.

    Args:
        vary: the parameter.
        cells: as in `format_table`.

    Yields:
        {parameter: value, data set: mean score, "<data set>_spread", "parameters" in millions,
        "seconds_per_epoch"}.
    """
    for value, found in cells.items():
        row = {vary: value}
        for data, cell in found.items():
            row |= {Path(data).stem: cell["mean"], f"{Path(data).stem}_spread": cell["spread"]}
        first = next(iter(found.values()))
        seconds = np.mean([cell["seconds_per_epoch"] for cell in found.values()])
        yield row | {
            "parameters": first["parameters"] / 1e6,
            "seconds_per_epoch": float(seconds),
        }


def compare_settings(options, flags):
    """Train once per value, dataset and seed; print, draw and save the scores.

    Args:
        options: `Options`.
        flags: list of strings, for training.py.

    Raises:
        ValueError: as `plan_runs`, `inspect_run` and `finish_run`.
    """
    choose_devices(0)  # the trainings need the GPUs, this process none
    runs = plan_runs(options, flags)
    figures = Figures(options.output, list(range(options.seeds)))
    pairs = list(product(options.values, options.data))
    kinds = {pair: inspect_run(runs[*pair, 0][0]) for pair in pairs}
    cells = {value: {} for value in options.values}
    for value, data in pairs:
        parameters, score = kinds[value, data]
        seeds = [runs[value, data, seed] for seed in range(options.seeds)]
        cells[value][data] = score_seeds(seeds, score) | {"parameters": parameters}
    result = {"vary": options.vary, "flags": flags, "values": cells}
    write_atomically(RUNS / f"{options.name}.json", json.dumps(result, indent=1) + "\n")
    for row in list_rows(options.vary, cells):
        figures.add(**row)
    counts = [f"{data} {cell['videos']}" for data, cell in cells[options.values[0]].items()]
    title = f"{options.name}, val videos: {', '.join(counts)}; seeds: {options.seeds}"
    plot_comparison(cells, options.vary, RUNS / f"{options.name}.png", title)
    print_line("", *format_table(options.vary, cells))


COMMAND = Command(__doc__, Options, check_flags)

if __name__ == "__main__":
    run_command(
        lambda: compare_settings(*COMMAND.parse()),
        "run the same command to continue",
    )
