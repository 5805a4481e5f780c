"""What a training shows while it runs: a line an epoch on the screen, pictures in TensorBoard."""

import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from utils.system.progress import format_seconds, show_progress
from utils.system.words import print_line

import keras

_NO_SCORES = ("epoch", "learning_rate", "seconds")


def _say_scores(scores):
    loss_first = sorted(scores, key=lambda name: name != "loss")
    return ", ".join(f"{name.replace('_', ' ')} {scores[name]:.4g}" for name in loss_first)


def describe_scores(row):
    """Say what an epoch scores on training and on validation, by its row of the history."""
    scores = {name: value for name, value in row.items() if name not in _NO_SCORES}
    validation = {n.removeprefix("val_"): v for n, v in scores.items() if n.startswith("val_")}
    training = {n: v for n, v in scores.items() if not n.startswith("val_")}
    parts = [_say_scores(training)]
    if validation:
        parts.append(f"val {_say_scores(validation)}")
    return "; ".join(parts)


def describe_epoch(state, epochs, monitor):
    """Say how the last epoch went, in a line.

    Args:
        state: of `utils.fitting.callbacks.SaveRun`, after the epoch.
        epochs: of the whole training.
        monitor: the name of what makes the best epoch.
    """
    row = state["history"][-1]
    parts = [describe_scores(row)]
    if state["best"] is not None:
        best = _say_scores({monitor: state["best"]})
        parts.append(f"best {best} (epoch {state['best_epoch']})")
    if left := epochs - row["epoch"]:
        usual = median(row["seconds"] for row in state["history"][-5:])
        parts.append(f"{format_seconds(left * usual)} left")
    number = f"{row['epoch']:>{len(str(epochs))}}/{epochs}"
    return f"epoch {number}, {format_seconds(row['seconds'])}: {'; '.join(parts)}"


class EpochLines(keras.callbacks.Callback):
    """Print a line an epoch; on a terminal, count the steps of the running one in place.

    Args:
        saver: the run's `utils.fitting.callbacks.SaveRun`, which is called before.
    """

    def __init__(self, saver):
        super().__init__()
        self.saver = saver

    def on_epoch_begin(self, epoch, logs=None):
        title = f"epoch {epoch + 1}/{self.params['epochs']}"
        self.bar = show_progress(title, "step", total=self.params["steps"])

    def on_train_batch_end(self, batch, logs=None):
        self.bar.set_postfix_str(f"loss {logs['loss']:.4g}", refresh=False)
        self.bar.update()

    def on_test_begin(self, logs=None):
        # A refresh prints a line at once where output is no terminal.
        self.bar.set_postfix_str("validating", refresh=sys.stderr.isatty())

    def on_epoch_end(self, epoch, logs=None):
        self.bar.close()
        line = describe_epoch(self.saver.state, self.params["epochs"], self.saver.monitor)
        print_line(line, flush=True)


class Pictures(keras.callbacks.Callback):
    """Show pictures and texts of a run in TensorBoard, for no more than a share of its time.

    They are drawn after the first epoch, and after others as long as all drawing has taken no more
    than that share of the time. Those of the last step are of the best epoch, whose weights the
    network then has.

    Args:
        draw: function of a folder, and of which epoch it is in words, that writes `.png` and `.md`
            files there, named after what they show.
        folder: of the logs.
        share: of the time since training began; 1 draws after each epoch.
        saver: the run's `utils.fitting.callbacks.SaveRun`, which is called before.
    """

    def __init__(self, draw, folder, share, saver):
        super().__init__()
        self.draw, self.folder, self.share, self.saver = draw, Path(folder), share, saver
        self.epoch = 0

    def on_train_begin(self, logs=None):
        self.began, self.spent = time.perf_counter(), 0.0

    def on_epoch_end(self, epoch, logs=None):
        self.epoch = epoch + 1
        last = self.epoch == self.params["epochs"] or self.model.stop_training
        if not last and self.spent <= self.share * (time.perf_counter() - self.began):
            self.saver.swap.on_test_begin()
            self._show(f"epoch {self.epoch}")
            self.saver.swap.on_test_end()

    def on_train_end(self, logs=None):
        if self.epoch:
            self._show(f"epoch {self.saver.state['best_epoch']}, the best of {self.epoch}")

    def _show(self, moment):
        import tensorflow as tf  # TensorBoard's writer; training on JAX needs none

        begun = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            self.draw(Path(folder), moment)
            writer = tf.summary.create_file_writer(str(self.folder))
            with writer.as_default(self.epoch):
                for path in sorted(Path(folder).iterdir()):
                    if path.suffix == ".png":
                        picture = tf.io.decode_png(path.read_bytes(), channels=3)
                        tf.summary.image(path.stem, picture[None])
                    else:
                        tf.summary.text(path.stem, path.read_text(encoding="utf-8"))
            writer.close()
        self.spent += time.perf_counter() - begun
