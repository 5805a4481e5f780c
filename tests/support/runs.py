"""Folders of runs: tiny ones that are trained, made-up ones, what is in them.

What takes seconds to import is imported where it is needed: many tests need none of it.
"""

import csv
import json
from pathlib import Path
from typing import NamedTuple

from utils.data.examples import save_examples
from utils.params import Params
from utils.runs.folders import save_data
from utils.runs.saved_params import save_params

import h5py
import numpy as np
import pytest

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


class Trained(NamedTuple):
    """What a module's tests share: the folder that was trained in, the report, what was printed."""

    folder: Path
    report: dict
    printed: str


def save_run(folder, params, network=None, data=(), classes=("left", "right"), save=save_examples):
    """Write a run's folder as a training leaves it, its network as it is; return the folder.

    Args:
        folder: the run's.
        params: `Params`.
        network: a Keras model; None for a run without one.
        data: list of `Example`, or what `save` takes.
        classes: names, in the order of the outputs.
        save: writes `data`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_params(params, folder / "params.json")
    save_data(folder, data, [*classes], [], save)
    if network is not None:
        network.save(folder / "best.keras")
    return folder


def save_history(folder, history, **state):
    """Write which epochs a run has behind it: their scores, {name: value} each, and the rest."""
    state = {"epoch": len(history), "history": history} | state
    Path(folder, "state.json").write_text(json.dumps(state))


def read_table(path):
    """Return a CSV file's rows, {column: string} each."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def read_history(folder):
    """Return the rows of a run's history, as strings."""
    return read_table(Path(folder, "history.csv"))


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
