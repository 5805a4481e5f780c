"""Tiny real videos and networks, commands run as a user runs them, runs that are compared.

What takes seconds to import is imported where it is needed: many tests need none of it.
"""

import contextlib
import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import models  # noqa: F401  before TensorFlow
from utils.params import Params
from utils.video.reading import write_video

import h5py
import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
# JAX compiles each operation of each shape: it repeats what shows its arithmetic, a case of a kind.
once = pytest.mark.skipif(
    os.environ.get("KERAS_BACKEND") == "jax",
    reason="shown on TensorFlow; another backend adds nothing",
)
# The smallest clips that I3D takes; three epochs.
TINY = (
    "--frames-per-segment 8 --num-segments 2 --frame-size 112 --short-side 112 --batch-size 4 "
    "--epochs 3 --rate-epochs 1 2 --learning-rates 1e-2 1e-3 1e-4 --workers 1 --pictures 0"
).split()
# A TimeSformer of the smallest frames.
SMALL = Params(
    network="timesformer",
    sampling="uniform",
    num_segments=1,
    frames_per_segment=4,
    frame_size=32,
    short_side=36,
    patch_size=8,
)


def moving_square(frames=24, size=(128, 160), speed=4, shade=200, seed=0):
    """Yield RGB frames (height, width, 3) of a square that moves sideways over noise."""
    background = np.random.default_rng(seed).integers(0, 60, (*size, 3), np.uint8)
    for index in range(frames):
        frame = background.copy()
        left = (index * speed) % (size[1] - 30)
        frame[40:70, left : left + 30] = shade
        yield frame


def write_dataset(folder, classes=("left", "right"), videos=6, frames=24):
    """Write `folder/class/video.avi`, classes told apart by the square's direction."""
    for label, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for index in range(videos):
            shown = list(moving_square(frames, shade=120 + 60 * label, seed=index))
            write_video(folder / name / f"{name}_{index:02d}.avi", shown, 25)
    return folder


@pytest.fixture
def dataset(tmp_path):
    return write_dataset(tmp_path / "videos")


@contextlib.contextmanager
def shrunk_i3d():
    """I3D with a third of its layers and an eighth of their channels, in the same resolutions."""
    from models.i3d import STAGES

    whole, kept = STAGES[:], ("Conv3d_1a_7x7", "Mixed_4f", "Mixed_5b", "Mixed_5c")

    def shrink(kind, arguments):
        if kind == "conv":
            return arguments[0] // 8, *arguments[1:]
        return tuple(width // 8 for width in arguments) if kind == "mixed" else arguments

    STAGES[:] = [
        (name, kind, shrink(kind, arguments))
        for name, kind, arguments in whole
        if kind == "pool" or name in kept
    ]
    try:
        yield
    finally:
        STAGES[:] = whole


@pytest.fixture
def small_i3d():
    """For what does not depend on I3D's size; the whole one takes seconds to build and trace."""
    with shrunk_i3d():
        yield


@contextlib.contextmanager
def untraced_steps():
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


@pytest.fixture
def untraced():
    """TensorFlow's steps are run, not traced: for few of them tracing takes most of the time."""
    with untraced_steps():
        yield


@pytest.fixture
def no_pictures(monkeypatch):
    """Plots are made but not drawn, where a test does not look at them."""
    from utils.pictures import run_plots as visualization

    monkeypatch.setattr(visualization, "_save", lambda figure, _: visualization.plt.close(figure))


@contextlib.contextmanager
def work_in(folder):
    """Work in a folder; yield what takes up all that is printed."""
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()) as printed:
        yield printed


@pytest.fixture
def folder(trained, monkeypatch, no_pictures):
    """The folder that a module's own `trained` gives first: to work in, left as it was found."""
    monkeypatch.chdir(trained[0])
    return trained[0]


def read_pictures(run_folder):
    """Return {name: {epoch: PNG or text, as bytes}} of what TensorBoard shows of a run."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(Path(run_folder, "logs/pictures")), {"tensors": 0})
    events.Reload()
    return {
        name: {
            event.step: max(event.tensor_proto.string_val, key=len)
            for event in events.Tensors(name)
        }
        for name in events.Tags()["tensors"]
    }


def run(command, cwd, **environment):
    """Run `python <command>` of the project in a folder; return the finished process."""
    return subprocess.run(
        [sys.executable, str(ROOT / command[0]), *map(str, command[1:])],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"} | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def run_in_process(monkeypatch, script):
    """Have a script call training.py and evaluate.py here: each in a process takes seconds more."""
    import evaluate
    import training
    from utils.command_line import parse_params
    from utils.system import commands

    import tyro

    def run_script(command, *arguments):
        arguments = [*map(str, arguments)]
        if command == "training.py":
            training.train(parse_params(arguments))
        else:
            evaluate.evaluate(tyro.cli(evaluate.Options, args=arguments))

    for module in (commands, script):
        monkeypatch.setattr(module, "run_script", run_script)


def read_history(folder):
    """Return the rows of a run's history, as strings."""
    with open(Path(folder, "history.csv"), newline="") as file:
        return list(csv.DictReader(file))


class KilledError(Exception):
    """Ends a training after its first epoch."""


def break_off(train, *flags):
    """Train until the first epoch is saved, and no further."""
    from utils.fitting.callbacks import SaveRun

    saved = SaveRun.on_epoch_end

    def kill(self, epoch, logs=None):
        saved(self, epoch, logs)
        raise KilledError

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(SaveRun, "on_epoch_end", kill)
        train(*flags)


def _read_state(folder):
    """Return all arrays of a run's last epoch: the network's, the optimizer's, the averages."""
    (path,) = folder.glob("last-*.weights.h5")
    with h5py.File(path) as file:
        names = []
        file.visit(names.append)
        return {name: file[name][()] for name in names if isinstance(file[name], h5py.Dataset)}


def check_same_runs(whole, parts):
    """Check that a run that was broken off and resumed is the unbroken one, bit by bit."""
    for one, other in zip(read_history(whole), read_history(parts), strict=True):
        assert one | {"seconds": ""} == other | {"seconds": ""}
    expected, found = _read_state(whole), _read_state(parts)
    assert set(expected) == set(found)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
