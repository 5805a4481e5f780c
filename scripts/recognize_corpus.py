"""Recognize a whole corpus, from frames to WER: python -m scripts.recognize_corpus --help.

Extracts features, trains on them (stage 1) with a language model, trains the backbone too (stage
2), scores both on dev and test, and writes report.md beside published figures. After a stop, the
same command continues. Flags that are not listed below go to training.py, in both stages.
"""

import json
import shlex
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it starts from any folder

from models.later import later
from tasks.training_flags import check_recognition_flags, read_params
from utils.command_line import Command, name_flag, read_flag
from utils.data.examples import Example, save_examples
from utils.places import WEIGHTS, name_command
from utils.runs.folders import evaluation_folder
from utils.runs.saved_params import load_params
from utils.signing.corpora import find_corpus, list_sentences
from utils.signing.published import is_whole, list_published
from utils.signing.releases import SPLITS
from utils.system.commands import run_command, run_script, train_run
from utils.system.figures import Figures, read_figures
from utils.system.files import atomic_path, whole_path, write_atomically
from utils.system.locks import free_locks, take_lock
from utils.system.progress import format_seconds
from utils.system.settings_files import open_kind, read_kind
from utils.system.words import escape, print_line
from utils.video.resampling import FPS

import tyro

open_search = later("tasks.recognition.searching", "open_search")
read_length = later("utils.video.reading", "read_length")

_OWN = "data_path features run resume weights finetune language_model".split()
_SEARCHES = {"greedy": ("--beam", 1), "as kept": ()}
_STAGE_2 = "--epochs 20 --learning-rates 5e-5 1e-5 2e-6 --rate-epochs 10 15"
_HOURS = "hours.json"  # what scripts.benchmarks.hours writes
_FREE = ("output", "dry_run")  # what may differ when the command goes on


@dataclass(frozen=True)
class Options:
    """The corpus, and what is done with it. Flags that are not listed here go to training.py."""

    release: tyro.conf.Positional[str]
    """Folder of PHOENIX-2014 (multisigner or SI5) or PHOENIX-2014-T, or a CSV with the header
    path,glosses,split."""
    output: str
    """Folder for the features and the report. The runs are weights/<its name>-stage1 and
    -stage2."""
    stride: int = 2
    """Frames from one row of features to the next."""
    frame_size: int = 224
    """Height and width of frames in pixels. 112 takes a quarter of the time."""
    extraction: str = ""
    """More flags of scripts.extract_features: --extraction="--batch-frames 512". The estimate of
    hours does not know them."""
    language_model: int = 3
    """Order of the language model of the training glosses. 0: none."""
    finetune: str = "Mixed_5b"
    """Stage of the backbone from which stage 2 trains it, or all. none: no stage 2."""
    stage_2: str = ""
    """Flags of training.py for stage 2 alone: --stage-2="--epochs 10". They come behind all
    others, and behind stage 2's own: --epochs 20 --learning-rates 5e-5 1e-5 2e-6 --rate-epochs 10
    15. These rates are a tenth of stage 1's."""
    dry_run: bool = False
    """Print the commands and the estimated hours, and do nothing."""

    def __post_init__(self):
        for name, low in (("stride", 1), ("frame_size", 112), ("language_model", 0)):
            if getattr(self, name) < low:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least {low}.")


class Step(NamedTuple):
    """A command of the recipe.

    Attributes:
        name: of the step.
        module: what is run, such as "scripts.extract_features".
        arguments: what follows it.
        run: the run's name, where it trains or scores one.
        split: that it scores, or "".
    """

    name: str
    module: str
    arguments: tuple
    run: str = ""
    split: str = ""

    @property
    def script(self):
        """Its path from the project's root."""
        return f"{self.module.replace('.', '/')}.py"

    def __str__(self):
        run = ["--run", self.run] if self.module == "training" else []
        return f"{name_command(self.module)} {shlex.join(map(str, [*self.arguments, *run]))}"


def _train(options, flags, name, *others):
    """Return the `Step` of a training, and the `Params` that it has.

    Raises:
        ValueError: flags that are unknown, contradict each other, or are set by the command.
    """
    given = {read_flag(flag) for flag in flags}
    if own := given & {name_flag(each) for each in _OWN}:
        raise ValueError(f"Leave out {', '.join(sorted(own))}; the command sets this itself.")
    model = ("--language-model", options.language_model)
    same = ("phoenix", *others, "--data-path", whole_path(options.release), *model)
    run = f"{Path(options.output).resolve().name}-{name.replace(' ', '')}"
    step = Step(name, "training", (*same, *flags), run)
    return step, read_params([*map(str, step.arguments), "--run", run])


def _score(trained, splits):
    """Yield the `Step`s that score a run on splits, greedily and as the run keeps it."""
    step, params = trained
    searches = _SEARCHES if params.language_model or params.templates else ("greedy",)
    for split in splits:
        for search in searches:
            arguments = (WEIGHTS / step.run, "--split", split, *_SEARCHES[search])
            yield Step(f"{step.name}, {split}, {search}", "evaluate", arguments, step.run, split)


def plan_steps(options, flags, sentences):
    """Return the list of `Step`s.

    Args:
        options: `Options`.
        flags: list of strings, for training.py.
        sentences: list of `Sentence`.

    Raises:
        ValueError: flags that are unknown, contradict each other, or are set by the command; or a
            video that is not there.
    """
    folder = Path(options.output)
    rows = ("--features", folder / "features")
    first = _train(options, flags, "stage 1", *rows)
    stages, epochs, finetune = [first], [first[1].epochs, 0], ("--finetune", options.finetune)
    if options.finetune != "none":
        begun = ("--weights", WEIGHTS / first[0].run, *finetune)
        own = shlex.split(f"{_STAGE_2} {options.stage_2}")
        stages.append(_train(options, [*flags, *own], "stage 2", *begun))
        epochs[1] = stages[1][1].epochs
    sizes = ("--stride", options.stride, "--frame-size", options.frame_size)
    counts = {
        "frames": round(sum(read_length(sentence.path) for sentence in sentences) * FPS),
        "sentences": len(sentences),
        "train": sum(sentence.split == "train" for sentence in sentences),
        "width": first[1].width,
        "batch_size": first[1].batch_size,
        "glosses": len({gloss for sentence in sentences for gloss in sentence.glosses}),
    }
    counted = [word for name, count in counts.items() for word in (name_flag(name), count)]
    extraction = (*sizes, "--short-side", 0, *shlex.split(options.extraction))
    data = ("--data", folder / "videos.csv", "--output", folder / "features")
    hours = (*sizes, *finetune, *counted, "--epochs", *epochs, "--output", folder / _HOURS)
    splits = [name for name in SPLITS[1:] if any(s.split == name for s in sentences)]
    return [
        Step("estimate", "scripts.benchmarks.hours", hours),
        Step("features", "scripts.extract_features", (*data, *extraction)),
        *(each for stage in stages for each in (stage[0], *_score(stage, splits))),
    ]


class Ledger:
    """What was done, in a JSON file: {step: {"seconds", "attempts", "done", "wer"}}.

    Args:
        path: of the file.
    """

    def __init__(self, path):
        self.path = path
        self.steps = read_kind(path) if path.is_file() else {}

    def is_done(self, name):
        """Return whether a step was finished."""
        return self.steps.get(name, {}).get("done", False)

    def do(self, name, call):
        """Do a step unless it is done: call what returns more to note of it, a dict."""
        known = self.steps.get(name, {"seconds": 0.0, "attempts": 0, "done": False})
        known["attempts"] += 1
        self._note(name, known)  # a kill leaves this behind
        begin, noted = time.perf_counter(), {}
        try:
            noted = call() | {"done": True}
        finally:
            known["seconds"] += time.perf_counter() - begin
            self._note(name, known | noted)

    def _note(self, name, values):
        self.steps[name] = values
        write_atomically(self.path, json.dumps(self.steps, indent=1) + "\n")


def _run_step(step):
    """Run a step's command; return {"wer"} of one that scores, else {}."""
    if step.module == "training":
        train_run(step.run, *step.arguments, shown=True)
        return {}
    run_script(step.script, *step.arguments, shown=True)
    if not step.split:
        return {}
    run, name = WEIGHTS / step.run, step.split
    if "--beam" not in step.arguments:
        name = open_search(run, load_params(run / "params.json").front).name_scores(name)
    return {"wer": read_kind(evaluation_folder(run, name) / "report.json")["wer"]}


def _refuse_other_runs(steps, ledger, folder):
    """Raise a ValueError where a run of a step's name is there and is not this folder's."""
    for step in steps:
        path = WEIGHTS / step.run
        if step.module == "training" and step.name not in ledger.steps and path.exists():
            raise ValueError(
                f"{path} exists already, and was not trained for {folder}. Give an --output of "
                "another name, or remove that run."
            )


def list_scores(steps, ledger):
    """Return [{"stage", "search", "dev", "test"}] of what was scored, WER in percent or None."""
    found = {}
    for step in steps:
        if step.split:
            stage, _, search = step.name.split(", ")
            empty = {"stage": stage, "search": search, "dev": None, "test": None}
            row = found.setdefault((stage, search), empty)
            row[step.split] = ledger.steps[step.name]["wer"]
    return list(found.values())


def read_estimates(path):
    """Return {step: estimated seconds} of what scripts.benchmarks.hours wrote."""
    seconds = {row["step"]: 3600 * row["hours"] for row in read_figures(path)["rows"]}
    maps = seconds.pop("maps of stage 2", 0)
    return {step: n + maps if step == "stage 2" else n for step, n in seconds.items()}


def _write_cell(value):
    return "" if value is None else str(value).replace("|", r"\|")


def _table(columns, rows):
    lines = [columns, ["---"] * len(columns), *rows]
    return [f"| {' | '.join(_write_cell(cell) for cell in row)} |" for row in lines]


def _show(done):
    estimated = done["estimated_seconds"]
    return [
        done["step"],
        format_seconds(done["seconds"]),
        estimated and format_seconds(estimated),
        done["attempts"],
        f"`{done['command']}`",
    ]


def write_report(options, corpus, sentences, steps, ledger):
    """Write report.json and report.md in the output folder.

    Args:
        options: `Options`.
        corpus: a key of `utils.signing.corpora.CORPORA`.
        sentences: number of them in the release, those that are left out too.
        steps: list of `Step`.
        ledger: a `Ledger` in which all of them are done.
    """
    folder, scores = Path(options.output), list_scores(steps, ledger)
    published = list_published(corpus)
    estimates = read_estimates(folder / _HOURS)
    done = [
        {"step": step.name, "command": str(step), "estimated_seconds": estimates.get(step.name)}
        | ledger.steps[step.name]
        for step in steps
    ]
    names = ("system", "dev", "test", "what", "source")
    more = {
        "release": whole_path(options.release),
        "corpus": corpus,
        "sentences": sentences,
        "steps": done,
        "published": [dict(zip(names, row, strict=True)) for row in published],
    }
    figures = Figures(folder / "report.json", **more)
    for row in scores:
        figures.add(**row)
    lines = [f"# {Path(options.release).name}", "", "WER in percent:", ""]
    ours = [[f"{r['stage']}, {r['search']}", r["dev"], r["test"], "this run"] for r in scores]
    others = [[system, dev, test, source] for system, dev, test, _, source in published]
    lines += [*_table(["system", "dev", "test", "source"], [*ours, *others]), ""]
    if published and not is_whole(corpus, sentences):
        lines += [
            f"**The published figures are of another corpus**: {options.release} has "
            f"{sentences} sentences, not those of the release.",
            "",
        ]
    lines += ["What was run:", ""]
    lines += _table(["step", "time", "estimated", "attempts", "command"], map(_show, done))
    lines += ["", "The time of an attempt that was killed is not counted.", ""]
    write_atomically(folder / "report.md", "\n".join(map(escape, lines)))
    print_line(*lines, f"Written to {folder}: report.md, report.json")


def recognize_corpus(options, flags):
    """Do all steps that are not done yet, and write the report.

    Args:
        options: `Options`.
        flags: list of strings, for training.py.

    Raises:
        ValueError: no such corpus, a folder that was begun with other settings, flags as in
            `plan_steps`, or a command that failed.
    """
    asked = read_params(["phoenix", *flags]).corpus
    corpus = find_corpus(options.release, asked)[0]
    sentences, problems = list_sentences(options.release, asked)
    print_line(f"{options.release}: {corpus}, {len(sentences)} sentences, {len(problems)} left out")
    steps, folder = plan_steps(options, flags, sentences), Path(options.output)
    for step in steps:
        print_line(f"  {step.name}: {step}")
    if options.dry_run:
        sys.stdout.flush()
        run_script(steps[0].script, *steps[0].arguments[:-2], shown=True)  # without --output
        return
    settings = {name: value for name, value in asdict(options).items() if name not in _FREE}
    settings |= {"release": whole_path(options.release), "training": shlex.join(flags)}
    try:
        take_lock(folder / ".running", f"The folder {folder}")
        open_kind(folder / "settings.json", settings, "a corpus' results")
        ledger = Ledger(folder / "steps.json")
        _refuse_other_runs(steps, ledger, folder)
        with atomic_path(folder / "videos.csv") as temporary:
            save_examples([Example(s.path, s.split) for s in sentences], temporary)
        for step in steps:
            if ledger.is_done(step.name):
                print_line(f"{step.name} is done already")
                continue
            print_line(f"{step.name}:", flush=True)
            ledger.do(step.name, lambda step=step: _run_step(step))
        write_report(options, corpus, len(sentences) + len(problems), steps, ledger)
    finally:
        free_locks()


COMMAND = Command(__doc__, Options, check_recognition_flags)

if __name__ == "__main__":
    run_command(
        lambda: recognize_corpus(*COMMAND.parse()),
        "run the same command to continue",
    )
