"""What training needs to know of a task."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras


class Job(NamedTuple):
    """A run, ready to be compiled and fitted.

    Attributes:
        folder: the run's.
        title: its name, and how many examples each split has.
        network: what is kept.
        model: what is fitted: the network, or the part of it that is trained.
        training, validation: `utils.clips.batches.Sequence`; no validation: None.
        loss: of Keras.
        metrics: list of Keras metrics.
        monitor: what makes the best epoch, as `utils.fitting.callbacks.SaveRun` takes it.
        score: function that scores the best checkpoint, loaded already -> report, or None.
        measure: function of an epoch's number, from 1, -> {name: number}, called after it; None
            for nothing.
        draw: function of a folder, and of which epoch it is in words, that writes what TensorBoard
            shows, as `utils.fitting.progress.Pictures` takes it; None for nothing.
        backbone: the variables of a backbone that are trained; () where none are.
    """

    folder: Path
    title: str
    network: keras.Model
    model: keras.Model
    training: keras.utils.PyDataset
    validation: keras.utils.PyDataset | None
    loss: keras.losses.Loss
    metrics: list
    monitor: str
    score: Callable[[], Any]
    measure: Callable[[int], dict] | None = None
    draw: Callable[[Path, str], None] | None = None
    backbone: Sequence = ()


SHOWN = 6  # videos or sentences, the same ones each time
