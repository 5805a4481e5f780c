"""What a run's network becomes where it is served, and the examples that it is tried on."""

from collections.abc import Callable
from typing import NamedTuple

from models.exporting.portable import make_portable
from utils.clips.sampling import spread

CALIBRATION = 16  # training examples whose ranges a quantized network gets


class Subject(NamedTuple):
    """A run's network, and what it is tried on.

    Attributes:
        served: function whether a backbone is to be flat, or None for no change -> the model to
            write.
        metadata: dict of what its user must know.
        read: function index -> (what the run's network sees, what the served one does).
        join: function of a list of either -> {name: array (batch, ...)}.
        answer: function of such a batch -> the run's own probabilities.
        split: function (probabilities, batch) -> list of arrays (rows, classes), one a example.
        score: function of such a list -> {name: number}, empty without labels.
        checked, calibrating: how many examples to compare, and how many more to calibrate on.
    """

    served: Callable
    metadata: dict
    read: Callable
    join: Callable
    answer: Callable
    split: Callable
    score: Callable
    checked: int
    calibrating: int


def pick_spread(items, count):
    """Return so many of a list, evenly spread; all for 0."""
    return [items[i] for i in spread(len(items), min(count or len(items), len(items)))]


def prepare_network(network, serve):
    """Return the function of `Subject` that makes the model to write."""
    return lambda flat: serve(network if flat is None else make_portable(network, flat))


def check_preprocessing(options, params):
    """Return (short side, frame size) that an export crops to, or None where it does not.

    Args:
        options: `tasks.options.ExportOptions`.
        params: `Params` of the run.

    Raises:
        ValueError: preprocessing was asked for, and the run sees no RGB frames.
    """
    if not options.preprocessing:
        return None
    if params.task != "classification" or params.features or params.stream != "rgb":
        seen = "features" if params.features else f"the stream {params.stream}"
        raise ValueError(
            f"{options.run} sees {seen}; --preprocessing is for runs on RGB frames: leave it out."
        )
    return params.short_side, params.frame_size
