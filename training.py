"""Train, or go on with a run: python training.py [PRESET] [--resume] [flags]."""

from tasks.classification import training as classification
from tasks.plan import make_plan
from tasks.recognition import training as recognition
from utils.command_line import parse_params, pick_fields
from utils.fitting.callbacks import SaveRun, make_callbacks
from utils.fitting.devices import choose_devices, compile_model, number_format
from utils.fitting.optimization import Optimization, make_optimizer
from utils.pictures.run_plots import plot_history
from utils.runs.folders import load_state
from utils.runs.networks import load_weights
from utils.system.commands import run_command
from utils.system.locks import free_locks, holds_locks
from utils.system.words import print_line

import keras

# What a run is asked for: function (`Plan`, scope, devices) -> its examples, network, loss,
# metrics and what is monitored, a `tasks.job.Job`.
TASKS = {"classification": classification.prepare, "recognition": recognition.prepare}


def train(params):
    """Train from parameters; return (run folder, validation report or None)."""
    plan = make_plan(params)
    keras.utils.set_random_seed(params.seed)
    try:
        with number_format(params.precision):
            return _train(plan)
    except KeyboardInterrupt as stop:
        if holds_locks():  # the run's folder is there
            stop.add_note("the same command with --resume goes on from the last finished epoch")
        raise
    finally:
        free_locks()


def _train(plan):
    params = plan.params
    optimization = pick_fields(params, Optimization)
    scope, replicas = choose_devices(params.gpus)
    job = TASKS[params.task](plan, scope, replicas)
    with scope():
        optimizer = make_optimizer(optimization, len(job.training))
        compile_model(job.model, optimizer, job.loss, job.metrics)

    state = load_state(job.folder) if params.resume else None
    averaged, patience = params.ema > 0, params.patience
    saver = SaveRun(job.folder, job.network, job.monitor, averaged, state, patience)
    job.training.start(saver.state["epoch"])
    job.model.fit(
        job.training,
        validation_data=job.validation,
        epochs=saver.state["epoch"] if saver.ended else params.epochs,
        initial_epoch=saver.state["epoch"],
        shuffle=False,  # the sequence shuffles; Keras would shuffle its batches unseeded
        callbacks=make_callbacks(saver, job.measure, job.draw, params.pictures),
        verbose=0,  # a callback prints a line an epoch
    )
    plot_history(saver.state["history"], job.folder / "history.png")
    load_weights(job.network, job.folder / "best.keras")
    report = job.score()
    print_line(f"The run lies in {job.folder}; score it with: python evaluate.py {job.folder}")
    return job.folder, report


if __name__ == "__main__":
    run_command(lambda: train(parse_params()))
