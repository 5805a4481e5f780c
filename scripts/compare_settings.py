"""Train once per value of a parameter, and compare: python -m scripts.compare_settings --help.

Example: --name schemes --vary attention --values joint divided --data sample_order --preset
timesformer

Whole sets of flags: --name rows --vary flags --values plain= "moving=--velocities --dropout 0.3"

The score is that of the last epoch, not of the best one: nothing is chosen on the validation
videos. All settings are checked before the first training. After a stop, the same command
continues. Flags that are not listed below go to training.py.
"""

import dataclasses
import json
import re
import shlex
import sys
from collections import Counter
from contextlib import nullcontext
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
from utils.runs.folders import RUNS, evaluation_folder, find_run, load_data, load_state
from utils.runs.networks import best_network
from utils.runs.summaries import name_score
from utils.system.commands import run_command, run_script, train_run
from utils.system.figures import Figures
from utils.system.files import write_atomically
from utils.system.settings_files import read_kind
from utils.system.words import print_line

import numpy as np

build_network = later("tasks.classification.training", "build_network")
make_plan = later("tasks.plan", "make_plan")
open_search = later("tasks.recognition.searching", "open_search")
prepare_features = later("tasks.recognition.stages", "prepare_features")
assign_splits = later("utils.data.splits", "assign_splits")
find_length = later("utils.features.lookup", "find_length")
own_features = later("utils.features.lookup", "own_features")
choose_devices = later("utils.fitting.devices", "choose_devices")
plot_comparison = later("utils.pictures.run_plots", "plot_comparison")
load_sentences = later("utils.signing.corpora", "load_sentences")

_FLAGS = "flags"  # in place of a parameter: values are NAME=FLAGS
_OWN = ("data_path", "seed", "run", "resume")


@dataclass(frozen=True)
class Options:
    """What is compared. Flags that are not listed here go to training.py."""

    name: str
    """Name of the comparison. Runs are called <name>_...; results are weights/<name>.json and
    .png."""
    vary: str
    """Parameter to vary: a name in utils/params.py, such as attention. flags: whole sets of
    flags."""
    values: tuple[str, ...]
    """Its values. Switches: true, false. Values of several numbers go in quotes: "1e-2 1e-3
    1e-4". With --vary flags: NAME=FLAGS, such as "small=--width 64 --dropout 0"."""
    data: tuple[str, ...] = ("sample",)
    """Datasets, each as --data-path of training.py takes it."""
    seeds: int = 1
    """Number of random seeds per value, from 0 on."""
    test: bool = False
    """Score the best checkpoint of each run on the test split, too."""
    output: Path | None = None
    """JSON file of figures with the scores, such as docs/figures/schemes.json."""

    def __post_init__(self):
        known = [field.name for field in dataclasses.fields(Params) if field.name not in _OWN]
        if self.vary not in (*known, _FLAGS):
            raise ValueError(
                f"Unknown parameter {self.vary!r} to vary; known: {', '.join([*known, _FLAGS])}."
            )
        unnamed = [value for value in self.values if self.vary == _FLAGS and "=" not in value]
        if unnamed:
            raise ValueError(f"Give {unnamed[0]!r} a name: NAME=FLAGS, such as plain= for none.")
        if len(self.values) < 2 or not self.data or self.seeds < 1:
            raise ValueError(
                f"values {self.values}, data {self.data}, {self.seeds} seeds: a comparison "
                "needs at least two values, one data set and one seed."
            )


def _name(options, value):
    """Return what a value is called: itself, or the name before its flags."""
    return value.partition("=")[0] if options.vary == _FLAGS else value


def _flags_of(name, value):
    if name == _FLAGS:
        return shlex.split(value.partition("=")[2])
    switches = {"true": [name_flag(name)], "false": [name_flag(f"no_{name}")]}
    return switches.get(value.lower(), [name_flag(name), *value.split()])


def _refuse_own(flags, *names):
    """Raise ValueError if flags hold what the comparison sets, or one of other names."""
    own = {name_flag(name) for name in (*_OWN, *names)}
    if own := own & {read_flag(flag) for flag in flags}:
        raise ValueError(f"Leave out {', '.join(sorted(own))}; the comparison sets this itself.")


def plan_runs(options, flags):
    """Return {(value, data, seed): (`Params`, flags of training.py)}.

    Raises:
        ValueError: impossible parameters, unknown flags, flags that the comparison gives itself, or
            two runs of one name.
    """
    _refuse_own(flags, options.vary, f"no_{options.vary}")
    runs = {}
    for value, data in product(options.values, options.data):
        given = _flags_of(options.vary, value)
        _refuse_own(given)
        every = [*flags, *given, "--data-path", data]
        params = parse_params(every)
        for seed in range(options.seeds):
            run = f"{options.name}_{Path(data).stem}_{_name(options, value)}_seed{seed}"
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

    if params.task == "recognition":
        return _inspect_recognizer(params)
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


def _inspect_recognizer(params):
    material, stage = prepare_features(make_plan(params), nullcontext)
    if not any(sentence.split == "dev" for sentence in material.sentences):
        raise ValueError(f"{params.data_path} has no dev sentences to compare settings on.")
    return stage.network.count_params(), "-val_wer"


def score_test(params):
    """Return the score of a run's best checkpoint on its test split, as evaluate.py finds it."""
    folder, name = RUNS / params.run, "test"
    if params.task == "recognition":
        name = open_search(folder, params.front).name_scores(name)
    report = evaluation_folder(folder, name) / "report.json"
    if not report.is_file() or report.stat().st_mtime < best_network(folder).stat().st_mtime:
        run_script("evaluate.py", folder, "--split", "test")
    found = read_kind(report)
    return found[name_score(found)]


def finish_run(params, flags):
    """Train a run, go on with it, or keep it.

    Returns:
        Its history, the share of the most frequent label among its validation videos (None for
        sentences), and how many these are.

    Raises:
        ValueError: it was begun with other parameters, or the training failed.
    """
    folder = RUNS / params.run
    if (folder / "params.json").is_file():
        find_run(replace(params, resume=True))  # refuses other parameters
    if (load_state(folder) or {"epoch": 0})["epoch"] < params.epochs:
        train_run(params.run, *flags)
    if params.task == "recognition":
        sentences = load_data(folder, load_sentences)[0]
        videos = sum(sentence.split == "dev" for sentence in sentences)
        return load_state(folder)["history"][: params.epochs], None, videos
    labels = Counter(example.label for example in select_split(load_data(folder)[0], "val"))
    share = labels.most_common(1)[0][1] / labels.total()
    return load_state(folder)["history"][: params.epochs], share, labels.total()


def _sum_up(scores):
    """Return {"seeds": scores, "mean", "spread": standard deviation, None of one score}."""
    spread = float(np.std(scores, ddof=1)) if len(scores) > 1 else None
    return {"seeds": scores, "mean": float(np.mean(scores)), "spread": spread}


def score_seeds(runs, score, test=False):
    """Finish the runs of one value on one dataset.

    Args:
        runs: list of (`Params`, flags of training.py), one a seed.
        score: the column of the history that counts.
        test: whether the best checkpoints are scored on the test split, too.

    Returns:
        {"score", "seeds": scores, "mean", "spread": standard deviation or None, "chance": share of
        the most frequent label (None for sentences), "videos": how many validated each,
        "seconds_per_epoch"}, and "test": {"seeds", "mean", "spread"} if asked for.
    """
    scores, chances, seconds, tests = [], [], [], []
    for params, flags in runs:
        history, share, videos = finish_run(params, flags)
        scores.append(history[-1][score])
        chances.append(share)
        seconds.append(np.median([row["seconds"] for row in history]))
        line = f"{params.run}: {score} {scores[-1]:.3f}"
        if test:
            tests.append(score_test(params))
            line = f"{line}, test {tests[-1]:.3f}"
        print_line(line, flush=True)
    return {
        "score": score,
        **_sum_up(scores),
        "chance": None if None in chances else float(np.mean(chances)),
        "videos": videos,
        "seconds_per_epoch": round(float(np.mean(seconds)), 3),
        **({"test": _sum_up(tests)} if test else {}),
    }


def _columns(row):
    """Return {column: {"mean", "spread"}} of one value's cells: those of test are beside."""
    found = {}
    for data, cell in row.items():
        found |= {data: cell} | ({f"{data}, test": cell["test"]} if "test" in cell else {})
    return found


def format_table(vary, cells):
    """Return the lines of a Markdown table: a row a value, a column or two a dataset.

    Args:
        vary: the parameter.
        cells: {value: {data: {"mean", "spread", "parameters", "seconds_per_epoch"}}}, with "test"
            where it was asked for.
    """
    columns = _columns(next(iter(cells.values())))
    lines = [[vary, *columns, "parameters", "s an epoch"], ["---"] * (len(columns) + 3)]
    for value, row in cells.items():
        found = [*row.values()]
        scores = [
            f"{cell['mean']:.3f}" + ("" if cell["spread"] is None else f" ± {cell['spread']:.3f}")
            for cell in _columns(row).values()
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
        {parameter: value, data set: mean score, "<data set>_spread", "<data set>_test" and its
        spread if asked for, "parameters" in millions, "seconds_per_epoch"}.
    """
    for value, found in cells.items():
        row = {vary: value}
        for data, cell in found.items():
            name = Path(data).stem
            for key, own in ((name, cell), (f"{name}_test", cell.get("test"))):
                row |= {key: own["mean"], f"{key}_spread": own["spread"]} if own else {}
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
    cells = {_name(options, value): {} for value in options.values}
    for value, data in pairs:
        parameters, score = kinds[value, data]
        seeds = [runs[value, data, seed] for seed in range(options.seeds)]
        found = score_seeds(seeds, score.removeprefix("-"), options.test)
        cells[_name(options, value)][data] = found | {"parameters": parameters}
    result = {"vary": options.vary, "flags": flags, "values": cells}
    write_atomically(RUNS / f"{options.name}.json", json.dumps(result, indent=1) + "\n")
    for row in list_rows(options.vary, cells):
        figures.add(**row)
    first = next(iter(cells.values()))
    counts = [f"{data} {cell['videos']}" for data, cell in first.items()]
    what = "val videos" if all(cell["chance"] for cell in first.values()) else "dev sentences"
    title = f"{options.name}, {what}: {', '.join(counts)}; seeds: {options.seeds}"
    plot_comparison(cells, options.vary, RUNS / f"{options.name}.png", title)
    print_line("", *format_table(options.vary, cells))


COMMAND = Command(__doc__, Options, check_flags)

if __name__ == "__main__":
    run_command(
        lambda: compare_settings(*COMMAND.parse()),
        "run the same command to continue",
    )
