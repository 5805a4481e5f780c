"""What a classifier is asked for: one class of several, yes or no, or any of several classes.

The focal loss is that of Lin et al., ICCV 2017.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from utils.data.examples import list_classes
from utils.system.files import read_json

import keras
import numpy as np

TOP = 5  # the k of top-k accuracy, which tells nothing of as few classes or fewer


@dataclass(frozen=True)
class Labeling:
    """What a labeling needs, from the network's last layer to the metric that picks the best epoch.

    Attributes:
        activation: of the outputs, "softmax" or "sigmoid"; networks hand out logits.
        outputs: function number of classes -> number of outputs.
        metrics: function number of outputs -> Keras metrics of logits.
        monitor: the validation metric whose highest value is the best epoch.
        one_label: whether every example has exactly one class.
        cross_entropy, focal: the loss, and the one that takes a gamma too.
    """

    activation: str
    outputs: Callable
    metrics: Callable
    monitor: str
    one_label: bool
    cross_entropy: Callable
    focal: Callable

    def make_loss(self, label_smoothing=0.0, focal_gamma=0.0):
        """Return the Keras loss of logits: cross-entropy, or above gamma 0 the focal loss.

        Args:
            label_smoothing: share of the target that is spread evenly, from 0 to below 1.
            focal_gamma: how much well classified examples count less; 0: not.
        """
        options = {
            "from_logits": True,
            "label_smoothing": label_smoothing,
            "reduction": "mean_with_sample_weight",
        }
        if focal_gamma:
            return self.focal(gamma=focal_gamma, **options)
        return self.cross_entropy(**options)


def _single_metrics(outputs):
    metrics = [keras.metrics.CategoricalAccuracy(name="accuracy")]
    if outputs > TOP:
        metrics.append(keras.metrics.TopKCategoricalAccuracy(TOP, name="top5"))
    return metrics


def _binary_metrics(outputs):
    return [
        keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0),
        keras.metrics.AUC(name="roc_auc", from_logits=True),
    ]


def _multi_metrics(outputs):
    options = {"curve": "PR", "multi_label": True, "num_labels": outputs, "from_logits": True}
    return [
        keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0),
        keras.metrics.AUC(name="average_precision", **options),
    ]


LABELINGS = {
    "single": Labeling(
        activation="softmax",
        outputs=lambda classes: classes,
        metrics=_single_metrics,
        monitor="val_accuracy",
        one_label=True,
        cross_entropy=keras.losses.CategoricalCrossentropy,
        focal=partial(keras.losses.CategoricalFocalCrossentropy, alpha=1.0),
    ),
    "binary": Labeling(
        activation="sigmoid",
        outputs=lambda classes: 1,
        metrics=_binary_metrics,
        monitor="val_accuracy",
        one_label=True,
        cross_entropy=keras.losses.BinaryCrossentropy,
        focal=keras.losses.BinaryFocalCrossentropy,
    ),
    "multi": Labeling(
        activation="sigmoid",
        outputs=lambda classes: classes,
        metrics=_multi_metrics,
        monitor="val_average_precision",
        one_label=False,
        cross_entropy=keras.losses.BinaryCrossentropy,
        focal=keras.losses.BinaryFocalCrossentropy,
    ),
}


def _several(examples):
    return next((example for example in examples if len(example.labels) > 1), None)


def choose_labeling(activation, examples, classes):
    """Return the key of `LABELINGS` that an activation means for a dataset.

    Args:
        activation: "softmax" is "single"; "sigmoid" is "binary" for two classes and one label an
            example, else "multi".
        examples: all examples of the dataset.
        classes: names.

    Raises:
        ValueError: an unknown activation, or softmax for an example with several labels.
    """
    known = sorted({labeling.activation for labeling in LABELINGS.values()})
    if activation not in known:
        raise ValueError(f"Unknown activation {activation!r}; known: {', '.join(known)}.")
    several = _several(examples)
    if activation == "sigmoid":
        return "binary" if len(classes) == 2 and not several else "multi"
    if several:
        raise ValueError(
            f"{several.path} has several labels, {several.label}, but softmax takes one. "
            "Give --activation sigmoid."
        )
    return "single"


def encode_targets(labeling, examples, classes):
    """Return what the network should answer, float32 (examples, outputs) of zeros and ones.

    The one output of "binary" stands for the second class.

    Args:
        labeling: a key of `LABELINGS`.
        examples: list of `Example`.
        classes: names.

    Raises:
        ValueError: a label that is not among the classes, or several where the labeling takes one;
            the file is named.
    """
    list_classes(examples, classes)
    several = _several(examples)
    if several and LABELINGS[labeling].one_label:
        raise ValueError(f"{several.path} has several labels, {several.label}; expected one.")
    targets = np.zeros((len(examples), len(classes)), np.float32)
    for row, example in enumerate(examples):
        targets[row, [classes.index(label) for label in example.labels]] = 1
    return targets[:, -LABELINGS[labeling].outputs(len(classes)) :]


def to_probabilities(labeling, logits):
    """Return the probabilities of logits (..., outputs), as a float32 NumPy array."""
    activation = keras.activations.get(LABELINGS[labeling].activation)
    logits = keras.ops.cast(logits, "float32")
    return keras.ops.convert_to_numpy(activation(logits))


def _best_threshold(targets, scores):
    """Return the middle of the (widest) interval of thresholds with the highest F1."""
    if not targets.any():
        return 0.5
    from sklearn.metrics import confusion_matrix_at_thresholds  # slow; only training needs it

    # A threshold in (cuts[i - 1], cuts[i]] finds all scores >= cuts[i].
    counts = confusion_matrix_at_thresholds(targets, scores)
    _, wrong, missed, right, cuts = (column[::-1] for column in counts)
    f1 = 2 * right / (2 * right + wrong + missed)
    below = np.append(0, cuts[:-1])
    best = np.lexsort((cuts - below, f1))[-1]
    return float((below[best] + cuts[best]) / 2)


def choose_thresholds(labeling, targets, probabilities):
    """Return the probability from which on each output counts as yes, the one with the best F1.

    Args:
        labeling: a key of `LABELINGS`.
        targets: (examples, outputs) of the validation examples, from `encode_targets`.
        probabilities: (examples, outputs).

    Returns:
        A list of one number an output, 0.5 where no example is positive; empty for "single".
    """
    if LABELINGS[labeling].activation == "softmax":
        return []
    columns = zip(np.asarray(targets).T > 0.5, np.asarray(probabilities, float).T, strict=True)
    return [_best_threshold(*column) for column in columns]


def load_thresholds(path, labeling, classes):
    """Read the thresholds of a run, a JSON list in the order of the outputs.

    Args:
        path: the file; where it is missing, thresholds are 0.5.
        labeling: a key of `LABELINGS`.
        classes: names.

    Returns:
        A list of one number an output; empty for "single".

    Raises:
        ValueError: not a list of one number from 0 to 1 an output; the file is named.
    """
    if LABELINGS[labeling].activation == "softmax":
        return []
    outputs = LABELINGS[labeling].outputs(len(classes))
    if not path.is_file():
        return [0.5] * outputs
    try:
        thresholds = [float(number) for number in read_json(path)]
    except (TypeError, ValueError, OverflowError):
        thresholds = []
    if len(thresholds) != outputs or not all(0 <= number <= 1 for number in thresholds):
        text = path.read_text(errors="replace")[:80]
        raise ValueError(
            f"{path} contains {text}; expected a list of {outputs} number(s) from 0 to 1."
        )
    return thresholds
