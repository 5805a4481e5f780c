"""Rows of features to gloss logits: temporal convolution, then an encoder that reads both ways.

Convolution, auxiliary loss, distillation and the shared classifier of normalized weights as in
Min et al., Visual Alignment Constraint, ICCV 2021. Sequences are padded at their ends; what lies
beyond their lengths changes nothing.
"""

from math import log, prod

from models.choices import AUXILIARY_PLACES, FRONTS, RECOGNIZERS
from models.ctc import ctc_loss, drop_blank
from models.design import choose
from models.layers import LSTM
from models.rows import ArrangeRows, find_real, number_steps
from models.transformer import encode

import keras
import numpy as np
from keras import layers, ops

# Of the fronts, what auto chooses among, the most pooling first.
POOLING_FRONTS = ("K5-P2-K5-P2", "K5-P2-K5", "K5-K5")
STEP_FRAMES = 4  # of a step of the encoder at most: three to four steps a gloss


def count_pooled(front):
    """Return how many rows a front makes one step of."""
    return prod(pool for _, pool in choose(FRONTS, "front", front))


def choose_front(stride):
    """Return the front that pools most, with at most `STEP_FRAMES` frames a step.

    Args:
        stride: frames from a row to the next.
    """
    fitting = (front for front in POOLING_FRONTS if stride * count_pooled(front) <= STEP_FRAMES)
    return next(fitting, POOLING_FRONTS[-1])


def output_lengths(lengths, front):
    """Return the steps that come out of a front, of so many rows that go in; int (batch,)."""
    for _, pool in choose(FRONTS, "front", front):
        lengths = lengths // pool
    return lengths


def _clear(x, lengths):
    """Return steps with zeros in place of what lies beyond the lengths."""
    return ops.where(ops.expand_dims(find_real(x, lengths), -1), x, ops.zeros_like(x))


def _convolve(x, lengths, layout, width, prefix=""):
    """Run convolutions over real steps only; return what they give and its lengths."""
    for place, (kernel, pool) in enumerate(layout, 1):
        real = find_real(x, lengths)
        x = _clear(x, lengths)
        name = f"{prefix}convolution_{place}"
        x = layers.Conv1D(width, kernel, padding="same", use_bias=False, name=name)(x)
        # Runs may be short: averages must not lag a hundred steps behind.
        norm = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")
        x = ops.relu(norm(x, mask=real))  # not as a layer, which would hand the mask on
        if pool > 1:
            x = layers.MaxPooling1D(pool, name=f"{name}_pool")(x)
        lengths = lengths // pool
    return x, lengths


def _look_slowly(rows, lengths, steps, pooled, slow, width):
    """Return what a convolution sees of rows averaged over `slow` of them, for each step.

    Two rates as in SlowFast (Feichtenhofer et al., ICCV 2019).

    Args:
        rows: (batch, rows, dim), normalized.
        lengths: int (batch,), in rows.
        steps: (batch, steps, width), what the fast path gives.
        pooled: rows of a step.
        slow: rows that are averaged.
        width: channels.
    """
    padded = ops.pad(_clear(rows, lengths), ((0, 0), (0, slow - 1), (0, 0)))
    x = layers.AveragePooling1D(slow, name="slow_pool")(padded)
    x, _ = _convolve(x, (lengths + slow - 1) // slow, ((5, 1),), width, "slow_")
    places = (number_steps(steps) - 1) * pooled // slow
    return ops.take_along_axis(x, ops.expand_dims(places, -1), axis=1)


def _reverse(x, lengths):
    """Turn the real steps round, so that the last one comes first; padding stays behind them."""
    places, lengths = number_steps(x) - 1, ops.expand_dims(lengths, 1)
    turned = ops.where(places < lengths, lengths - 1 - places, places)
    return ops.take_along_axis(x, ops.expand_dims(turned, -1), axis=1)


def run_lstms(x, lengths, dropout):
    """Run two LSTMs in both directions (Graves and Schmidhuber, 2005).

    Without masks, of which cuDNN knows less: forwards, padding comes after all that is real.
    """
    width = x.shape[-1]
    for place in (1, 2):
        x = layers.Dropout(dropout, name=f"lstm_{place}_dropout")(x)
        forward = LSTM(width // 2, return_sequences=True, name=f"lstm_{place}_forward")
        backward = LSTM(width // 2, return_sequences=True, name=f"lstm_{place}_backward")
        both = [forward(x), _reverse(backward(_reverse(x, lengths)), lengths)]
        x = layers.Concatenate(name=f"lstm_{place}")(both)
    return x


def run_transformer(x, lengths, dropout):
    """Run three Transformer blocks over steps with sine positions (Vaswani et al., 2017)."""
    width = x.shape[-1]
    rates = np.exp(-log(10000) * np.arange(0, width, 2) / width).astype("float32")
    angles = ops.cast(ops.expand_dims(number_steps(x), -1), "float32") * rates
    x = x + ops.cast(ops.concatenate([ops.sin(angles), ops.cos(angles)], -1), x.dtype)
    return encode(x, 3, 8, 2 * width, (dropout, 0.0), find_real(x, lengths))


def _find_middle(inputs, final, encoder):
    """Return the steps behind the first layer of an encoder whose last ones are given."""
    name = {"bilstm": "lstm_1", "transformer": "encoder_1_mlp_added"}[encoder]
    return keras.Model(inputs, final).get_layer(name).output


def build_recognizer(
    dim,
    num_glosses,
    front,
    encoder="bilstm",
    width=1024,
    dropout=0.5,
    arrangement=None,
    slow=0,
    places=("front",),
):
    """Build a recognizer.

    Args:
        dim: channels of a row.
        num_glosses: of the vocabulary; the blank comes before them.
        front: a key of `FRONTS`.
        encoder: a key of `RECOGNIZERS`.
        width: channels of a step, a multiple of 16: half of them each direction's.
        dropout: rate in the encoder.
        arrangement: arguments of `models.rows.ArrangeRows`; None or {} to take rows as they are.
        slow: rows that a second, slow path averages; 0 for no such path.
        places: of `AUXILIARY_PLACES`, where the classifier reads for auxiliary losses, too.

    Returns:
        A `keras.Model` from {"features": (batch, rows, dim), "lengths": int (batch,)} to float32
        logits (batch, 1 + places, steps, 1 + num_glosses): first the final ones, then those of
        the auxiliary losses. Rows may be any number; of the steps, `output_lengths` are real. The
        layer "normalize" knows no statistics yet: `set_statistics`.

    Raises:
        ValueError: an unknown front, encoder or place, or a width that does not divide.
    """
    unknown = [place for place in places if place not in AUXILIARY_PLACES]
    if unknown or ("slow" in places and not slow):
        raise ValueError(
            f"Auxiliary losses are at {', '.join(places)}; possible are "
            f"{', '.join(AUXILIARY_PLACES)}, and slow only where there is a slow path."
        )
    layout, read = choose(FRONTS, "front", front), choose(RECOGNIZERS, "encoder", encoder)
    if width % 16:
        raise ValueError(f"width is {width}; give a multiple of 16.")
    features = keras.Input((None, dim), name="features")
    lengths = keras.Input((), dtype="int32", name="lengths")
    normalize = layers.BatchNormalization(
        epsilon=1e-5, center=False, scale=False, trainable=False, dtype="float32", name="normalize"
    )
    x = ArrangeRows(**arrangement, name="arrange")(features, lengths) if arrangement else features
    x = normalize(x)
    if arrangement:  # a point that was found in no row is as it is on average
        x = ops.where(ops.isnan(x), ops.zeros_like(x), x)
    rows, pooled, seen = x, count_pooled(front), {}
    x, steps = _convolve(x, lengths, layout, width)
    if slow:
        seen["slow"] = _look_slowly(rows, lengths, x, pooled, slow, width)
        x = x + seen["slow"]
    seen["front"], final = x, read(x, steps, dropout)
    if "rows" in places:
        means = layers.AveragePooling1D(pooled, name="rows_pool")(_clear(rows, lengths))
        seen["rows"] = layers.Dense(width, activation="relu", name="rows_read")(means)
    if "encoder" in places:
        seen["encoder"] = _find_middle([features, lengths], final, encoder)
    classify = layers.Dense(
        num_glosses + 1,
        use_bias=False,
        kernel_constraint=keras.constraints.UnitNorm(axis=0),
        dtype="float32",
        name="logits",
    )
    read_at = [final, *(seen[place] for place in places)]
    logits = ops.stack([classify(each) for each in read_at], axis=1)
    return keras.Model({"features": features, "lengths": lengths}, logits, name="recognizer")


def set_statistics(network, mean, variance):
    """Set what a recognizer normalizes its features by.

    Args:
        network: of `build_recognizer`.
        mean, variance: of each channel over training rows, (dim,); a constant channel stays.
    """
    layer = network.get_layer("normalize")
    layer.moving_mean.assign(mean)
    layer.moving_variance.assign(np.where(variance > 0, variance, 1))


def count_channels(network):
    """Return how many channels a row has that a recognizer takes."""
    return network.input["features"].shape[-1]


def see_rows(network, rows, normalized=True):
    """Return the rows of a sentence as a recognizer's first convolution sees them.

    Args:
        network: of `build_recognizer`.
        rows: float (rows, dim).
        normalized: whether by the statistics of training.

    Returns:
        float32 (rows, dim), or another dim where it arranges them.
    """
    x = ops.convert_to_tensor(rows[None], "float32")
    if any(layer.name == "arrange" for layer in network.layers):
        x = network.get_layer("arrange")(x, ops.convert_to_tensor([len(rows)], "int32"))
    if not normalized:
        return ops.convert_to_numpy(x)[0]
    return np.nan_to_num(ops.convert_to_numpy(network.get_layer("normalize")(x))[0])


def _distill(logits, auxiliary, lengths, temperature):
    """Return the divergence of the auxiliary glosses from the final ones, a step; (batch,)."""
    real = ops.cast(find_real(logits, lengths), "float32")
    teacher = ops.log_softmax(ops.stop_gradient(drop_blank(logits)) / temperature)
    student = ops.log_softmax(drop_blank(auxiliary) / temperature)
    apart = ops.sum(ops.exp(teacher) * (teacher - student), -1) * temperature**2
    return ops.sum(apart * real, 1) / ops.maximum(ops.sum(real, 1), 1)


def _measure_certainty(logits, lengths):
    """Return the divergence of the uniform distribution from each step, summed; (batch,)."""
    real = find_real(logits, lengths)
    logs = ops.log_softmax(ops.where(ops.expand_dims(real, -1), logits, 0.0))
    apart = -ops.mean(logs, -1) - log(logits.shape[-1])
    return ops.sum(ops.where(real, apart, 0.0), 1)


class RecognitionLoss(keras.losses.Loss):
    """CTC of the final logits and of the auxiliary ones, with distillation between them.

    Targets are numbers (batch, 2 + labels): the real steps, the number of labels, the labels
    (padded with anything). Predictions are a recognizer's. Both are taken as float32.

    Args:
        auxiliary: weight of each auxiliary CTC.
        distillation: weight of the divergence (Hinton et al., 2015) of the auxiliary glosses from
            the final ones, which it does not move; the blank has no part in it.
        temperature: of both.
        smoothing: share, below 1, of each CTC loss that is replaced by the divergence of the
            uniform distribution from what is said of each step, summed over the steps (Kim et al.,
            "Improved training for deep CTC", Interspeech 2018).
    """

    def __init__(self, auxiliary=1.0, distillation=0.0, temperature=8.0, smoothing=0.0):
        super().__init__(name="ctc", reduction="mean_with_sample_weight", dtype="float32")
        self.auxiliary, self.distillation = auxiliary, distillation
        self.temperature, self.smoothing = temperature, smoothing

    def _spell(self, labels, counts, logits, lengths):
        """Return the smoothed CTC loss of each sentence, (batch,)."""
        loss = ctc_loss(labels, counts, logits, lengths)
        if not self.smoothing:
            return loss
        apart = _measure_certainty(logits, lengths)
        return (1 - self.smoothing) * loss + self.smoothing * apart

    def call(self, y_true, y_pred):
        targets = ops.cast(y_true, "int32")
        lengths, counts, labels = targets[:, 0], targets[:, 1], targets[:, 2:]
        loss = self._spell(labels, counts, y_pred[:, 0], lengths)
        for place in range(1, y_pred.shape[1]):
            if self.auxiliary:
                loss += self.auxiliary * self._spell(labels, counts, y_pred[:, place], lengths)
            if self.distillation:
                apart = _distill(y_pred[:, 0], y_pred[:, place], lengths, self.temperature)
                loss += self.distillation * apart
        return loss
