"""Rows of positions made independent of where, and how large, someone stands in the picture."""

import keras
from keras import layers, ops

_REACH = 2  # rows before and behind a row, between which its velocity is taken
_LEAST = 1e-3  # of a deviation


def find_real(x, lengths):
    """Return whether each step of (batch, steps, ...) is a real one, bool (batch, steps)."""
    return number_steps(x) <= ops.expand_dims(lengths, 1)


def number_steps(x):
    """Return 1, 2, 3, ... for the steps of (batch, steps, dim), int (batch, steps)."""
    return ops.cumsum(ops.ones_like(x[..., 0], dtype="int32"), axis=1)


@keras.saving.register_keras_serializable("video")
class ArrangeRows(layers.Layer):
    """Positions relative to one of them, by the sentence's own mean and deviation, with velocities.

    Maps (batch, rows, dim) and lengths, int (batch,), to (batch, rows, other dim). A row holds the
    coordinates of one point after another, such as x, y, x, y.

    Args:
        relative_to: columns of the point that the others are relative to, one for each coordinate
            that is; it is left out if these are all of its coordinates. Empty: none.
        coordinates: columns of a point. 0: as many as `relative_to` has.
        standard: "sentence" takes off its mean and divides by its deviation; "training" does not.
        velocities: whether differences to rows nearby are put behind the positions.
    """

    def __init__(
        self, relative_to=(), coordinates=0, standard="training", velocities=False, **kwargs
    ):
        super().__init__(**kwargs)
        self.relative_to, self.coordinates = tuple(relative_to), coordinates
        self.standard, self.velocities = standard, velocities

    def build(self, rows_shape, lengths_shape=None):
        dim, count = rows_shape[-1], len(self.relative_to)
        if not count:
            return
        size = self.coordinates or count
        if dim % size or size < count:
            raise ValueError(
                f"Rows have {dim} columns; with {size} coordinates a point and {count} columns to "
                "be relative to, they are no whole points."
            )
        points = {column // size for column in self.relative_to}
        if max(self.relative_to) >= dim or min(self.relative_to) < 0 or len(points) > 1:
            raise ValueError(
                f"relative_to is {self.relative_to}; give columns of one point, from 0 to "
                f"{dim - 1}."
            )

    def _plan(self, dim):
        """Return (columns that stay, the column that each is relative to: `dim` for none)."""
        size = self.coordinates or len(self.relative_to) or 1
        origins = {column % size: column for column in self.relative_to}
        whole = len(self.relative_to) == size  # then the point itself is 0 and says nothing
        gone = self.relative_to if whole else ()
        kept = [column for column in range(dim) if column not in gone]
        return kept, [origins.get(column % size, dim) for column in kept]

    def _relate(self, rows):
        kept, origins = self._plan(rows.shape[-1])
        with_none = ops.pad(rows, ((0, 0), (0, 0), (0, 1)))
        return ops.take(rows, kept, axis=-1) - ops.take(with_none, origins, axis=-1)

    def call(self, rows, lengths):
        x = self._relate(rows) if self.relative_to else rows
        real = ops.cast(ops.expand_dims(find_real(x, lengths), -1), x.dtype)
        if self.standard == "sentence":
            count = ops.maximum(ops.sum(real, axis=1, keepdims=True), 1)
            x = x - ops.sum(x * real, axis=1, keepdims=True) / count
            variance = ops.sum(ops.square(x) * real, axis=1, keepdims=True) / count
            x = x / (ops.sqrt(variance) + _LEAST)
        if self.velocities:
            last = ops.expand_dims(ops.maximum(lengths, 1), 1) - 1
            places = number_steps(x) - 1

            def shift(by):
                at = ops.clip(places + by, 0, last)
                return ops.take_along_axis(x, ops.expand_dims(at, -1), axis=1)

            x = ops.concatenate([x, shift(_REACH) - shift(-_REACH)], axis=-1)
        return x

    def compute_output_shape(self, rows_shape, lengths_shape=None):
        return (*rows_shape[:-1], len(self._plan(rows_shape[-1])[0]) * (1 + self.velocities))

    def get_config(self):
        return super().get_config() | {
            "relative_to": self.relative_to,
            "coordinates": self.coordinates,
            "standard": self.standard,
            "velocities": self.velocities,
        }
