"""What happens between epochs: measuring, and a run that survives a kill."""

import contextlib
import json
import math
import time
from pathlib import Path

from utils.fitting.progress import EpochLines, Pictures
from utils.runs.networks import load_weights
from utils.system.files import atomic_path, write_atomically
from utils.system.tables import write_csv

import keras


class Measure(keras.callbacks.Callback):
    """Put what is measured at the end of an epoch into its logs, for callbacks that come after.

    Args:
        measure: function of the epoch's number, from 1, -> {name: number}.
        swap: the callback that scores averaged weights, or one that does nothing.
    """

    def __init__(self, measure, swap):
        super().__init__()
        self.measure, self.swap = measure, swap

    def on_epoch_end(self, epoch, logs=None):
        self.swap.on_test_begin()
        logs.update(self.measure(epoch + 1))
        self.swap.on_test_end()


def _size(model):
    """Return about how many bytes a model's weights take on disk, the optimizer's included."""
    variables = [*model.variables, *model.optimizer.variables]
    return 4 * sum(math.prod(variable.shape) for variable in variables) + 2**20


class SaveRun(keras.callbacks.Callback):
    """Keep the best network, the last state and the history of a run, all replaced atomically.

    `best.keras` is the whole network of the epoch with the best monitored metric, and of several
    such epochs the one with the lowest validation loss (of the last epoch, where nothing is
    validated). `state.json` names the weights of the last finished epoch, optimizer included, and
    is written last: whatever is killed when, it points to whole files. At the end the network has
    the best weights.

    Args:
        folder: the run's folder.
        network: the whole network, of which `fit` may train only a part.
        monitor: the metric whose highest value makes the best epoch; "-" before its name: lowest.
        averaged: whether the optimizer averages the weights: then those are scored and kept.
        state: from `utils.runs.folders.load_state`, to go on with.
        patience: epochs without a better one, by the same rule, after which training ends; 0: any.
    """

    def __init__(
        self, folder, network, monitor="val_accuracy", averaged=False, state=None, patience=0
    ):
        super().__init__()
        self.folder, self.network, self.patience = Path(folder), network, patience
        self.monitor, self.sign = monitor.removeprefix("-"), -1 if monitor[0] == "-" else 1
        kind = keras.callbacks.SwapEMAWeights if averaged else keras.callbacks.Callback
        self.swap = kind()
        self.state = state or {"epoch": 0, "best": None, "weights": None, "history": []}

    @property
    def ended(self):
        """Whether so many epochs were no better that training ends."""
        better = self.state.get("best_epoch", self.state["epoch"])
        return 0 < self.patience <= self.state["epoch"] - better

    def _rank(self, row):
        """Return what makes an epoch better, by its row of the history: score, then loss.

        What an older version did not measure, or what is no number, loses a tie.
        """
        values = self.sign * row.get(self.monitor, math.nan), -row.get("val_loss", math.nan)
        return tuple(-math.inf if math.isnan(value) else value for value in values)

    def _is_best(self, row):
        """Whether an epoch is better than the best of those before it."""
        state = self.state
        if self.monitor not in row or state["best"] is None:
            return True
        known = "best_epoch" in state  # not in runs of older versions
        best = state["history"][state["best_epoch"] - 1] if known else {self.monitor: state["best"]}
        return self._rank(row) > self._rank(best)

    def on_train_begin(self, logs=None):
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.state["weights"]:
            load_weights(self.model, self.folder / self.state["weights"])

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()
        self.rate = float(f"{float(self.model.optimizer.learning_rate):.6g}")
        # Keras does not save dropout's random state: make it follow from the epoch.
        for position, variable in enumerate(self.model.variables):
            if variable.name == "seed_generator_state":
                variable.assign([epoch, position])

    def on_epoch_end(self, epoch, logs=None):
        if not self.folder.is_dir():  # what is written now would be no run
            raise FileNotFoundError(f"{self.folder} was deleted or moved during training.")
        seconds = round(time.perf_counter() - self.began, 3)
        logs = {name: round(float(value), 6) for name, value in logs.items()}
        best, best_epoch = self.state["best"], self.state.get("best_epoch", epoch)
        if self._is_best(logs):
            best, best_epoch = logs.get(self.monitor), epoch + 1
            self.swap.on_test_begin()
            with atomic_path(self.folder / "best.keras") as temporary:
                self.network.save(temporary)
            self.swap.on_test_end()
        weights = f"last-{epoch + 1:04d}.weights.h5"
        with atomic_path(self.folder / weights, _size(self.model)) as temporary:
            self.model.save_weights(temporary)
        row = {"epoch": epoch + 1} | logs | {"learning_rate": self.rate, "seconds": seconds}
        self.state = {
            "epoch": epoch + 1,
            "best": best,
            "best_epoch": best_epoch,
            "weights": weights,
            "history": [*self.state["history"], row],
        }
        write_atomically(self.folder / "state.json", json.dumps(self.state, indent=1))
        self._write_history()
        self.model.stop_training = self.ended
        for old in self.folder.glob("last-*.weights.h5"):
            if old.name != weights:
                old.unlink()

    def on_train_end(self, logs=None):
        if self.state["history"]:
            load_weights(self.network, self.folder / "best.keras")

    def _write_history(self):
        history = self.state["history"]
        names = list(dict.fromkeys(name for row in reversed(history) for name in row))
        rows = ([row.get(name, "") for name in names] for row in history)
        write_csv(self.folder / "history.csv", names, rows)


def make_callbacks(saver, measure=None, draw=None, share=0.0):
    """Return the callbacks of a run: averaged weights, files, lines on screen, TensorBoard's logs.

    Args:
        saver: a `SaveRun`.
        measure: what `Measure` calls after each epoch; None for nothing.
        draw, share: of `utils.fitting.progress.Pictures`; None and 0 for none.
    """
    measuring = [Measure(measure, saver.swap)] if measure else []
    callbacks = [saver.swap, *measuring, saver, EpochLines(saver)]
    with contextlib.suppress(ImportError):
        import tensorflow  # noqa: F401 (TensorBoard's writer; training on JAX needs none)

        logs = saver.folder / "logs"
        callbacks.append(keras.callbacks.TensorBoard(logs, write_graph=False))
        if draw and share:
            callbacks.append(Pictures(draw, logs / "pictures", share, saver))
    return callbacks
