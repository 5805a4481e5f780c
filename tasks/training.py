"""Training by parameters: what training.py and a notebook call.

run = train(data_path="my_videos", epochs=20)       # train("paper", ...): a preset
run.folder, run.report, run.history
"""

from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from tasks.classification import training as classification
from tasks.plan import make_plan
from tasks.recognition import training as recognition
from tasks.training_flags import parse_params
from utils.command_line import name_flag, pick_fields
from utils.fitting.callbacks import SaveRun, make_callbacks
from utils.fitting.devices import (
    choose_devices,
    choose_precision,
    compile_model,
    number_format,
    seeded,
)
from utils.fitting.optimization import Optimization, make_optimizer
from utils.fitting.progress import describe_scores
from utils.pictures.run_plots import plot_history
from utils.places import name_command
from utils.runs.folders import find_params, load_state
from utils.system.locks import free_locks, holds_locks
from utils.system.words import escape, print_line

# What a run is asked for: function (`Plan`, scope, devices) -> its examples, network, loss,
# metrics and what is monitored, a `tasks.job.Job`.
TASKS = {"classification": classification.prepare, "recognition": recognition.prepare}


class TrainedRun(NamedTuple):
    """A run that was trained.

    Attributes:
        folder: `Path` of the run; all that uses a run takes it.
        report: what the best checkpoint scores on validation, as `utils.scores.metrics
            .score_classes` or for recognition {"val_wer": ...}; None without validation videos.
    """

    folder: Path
    report: dict | None

    @property
    def history(self):
        """A dict an epoch: its number, the scores on training and validation, seconds."""
        return load_state(self.folder)["history"]

    @property
    def best_epoch(self):
        """The number of the epoch that `best.keras` is of, from 1."""
        return load_state(self.folder)["best_epoch"]

    def __repr__(self):
        if not (state := load_state(self.folder)):
            return f"{self.folder}: the run is no longer there"
        best, epochs = state["best_epoch"], state["epoch"]
        scores = describe_scores(state["history"][best - 1])
        return escape(f"{self.folder}: epoch {best} of {epochs} is kept ({scores})")


def train(preset="default", **values):
    """Train from Python, as python training.py does from its command line.

    Args:
        preset: a key of `utils.presets.PRESETS`.
        values: parameters, such as data_path="my_videos" and epochs=20; `utils.params` has all.

    Returns:
        The `TrainedRun`.

    Raises:
        ValueError: unknown or impossible parameters, data or weights; the message names them.
        KeyboardInterrupt: after an interrupt; the same call with resume=True goes on.
    """
    with seeded(0):  # the parser draws random numbers, which are the caller's
        params = parse_params(["--preset", preset, *_write_flags(values)])
    return train_run(params)


def _write_flags(values):
    """Return the command line of parameters: they are read in one way wherever they come from."""
    flags = []
    for name, value in values.items():
        if isinstance(value, bool):
            flags.append(name_flag(name if value else f"no_{name}"))
        elif isinstance(value, list | tuple):
            flags += [name_flag(name), *map(str, value)]
        else:
            flags.append(f"{name_flag(name)}={value}")
    return flags


def train_run(params):
    """Train a run.

    Args:
        params: `Params`.

    Returns:
        The `TrainedRun`.
    """
    plan = make_plan(_settle(params))
    try:
        with number_format(params.precision), seeded(params.seed):
            return _train(plan)
    except KeyboardInterrupt as stop:
        if holds_locks():  # the run's folder is there
            stop.add_note(
                "run the same command with --resume (in Python: resume=True) to continue "
                "from the last finished epoch"
            )
        raise
    finally:
        free_locks()


def _settle(params):
    """Return parameters whose precision is no longer auto; a run that goes on keeps its own.

    It keeps its front too, which was chosen by a stride that nothing may tell any more.
    """
    asked = {name for name in ("precision", "front") if getattr(params, name) == "auto"}
    if params.resume and asked:
        begun = find_params(params)
        params = replace(params, **{name: getattr(begun, name) for name in asked})
    if params.precision == "auto":
        params = replace(params, precision=choose_precision(params.runtime))
    return params


def _train(plan):
    params = plan.params
    optimization = pick_fields(params, Optimization)
    scope, replicas = choose_devices(params.gpus)
    job = TASKS[params.task](plan, scope, replicas)
    with scope():
        optimizer = make_optimizer(optimization, len(job.training), job.backbone)
        compile_model(job.model, optimizer, job.loss, job.metrics)

    state = load_state(job.folder) if params.resume else None
    averaged, patience = params.ema > 0, params.patience
    saver = SaveRun(job.folder, job.network, job.monitor, averaged, state, patience)
    first, last = saver.state["epoch"], params.epochs
    if saver.ended or first >= last:
        last = first
        print_line(f"All epochs of {job.folder} are trained already")
    else:
        steps = f"{len(job.training)} steps each"
        print_line(f"Training {job.folder}: epochs {first + 1} to {last}, {steps}", flush=True)
    job.training.start(first)
    job.model.fit(
        job.training,
        validation_data=job.validation,
        epochs=last,
        initial_epoch=first,
        shuffle=False,  # the sequence shuffles; Keras would shuffle its batches unseeded
        callbacks=make_callbacks(saver, job.measure, job.draw, params.pictures),
        verbose=0,  # a callback prints a line an epoch
    )
    plot_history(saver.state["history"], job.folder / "history.png", job.title)
    report = job.score()
    evaluate = name_command("evaluate")
    print_line(f"Run saved in {job.folder}. Evaluate it with: {evaluate} {quote(str(job.folder))}")
    return TrainedRun(job.folder, report)
