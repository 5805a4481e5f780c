"""The rows of a sentence: read, measured, and changed at random for training."""

from dataclasses import dataclass

import numpy as np

_KNOTS = 6  # of a sentence, between which its speed changes
_STRETCHES = 2  # of rows that are hidden


@dataclass(frozen=True)
class RowChanges:
    """Random changes of training sentences; the fields of `utils.params.Params` of these names."""

    rescale: float = 0.2
    drop_rows: float = 0.1
    noise: float = 0.1
    warp: float = 0.0
    hide_rows: float = 0.0
    hide_channels: float = 0.0
    affine: float = 0.0
    relative_to: tuple = ()
    coordinates: int = 0

    @property
    def point_size(self):
        """Columns of a point; 0 where they are not told."""
        return self.coordinates or len(self.relative_to)


def draw_places(count, changes, least, generator):
    """Draw where a sentence is looked at when its speed is changed and some places are left out.

    Args:
        count: rows or frames of the sentence.
        changes: `RowChanges`.
        least: places that stay at least, at most `count`.
        generator: a `numpy.random.Generator`.

    Returns:
        float array of rising places from 0 to count - 1.
    """
    factor = generator.uniform(1 - changes.rescale, 1 + changes.rescale)
    number = max(round(count * factor), least, 1)
    places = np.linspace(0, count - 1, number)
    if changes.warp:
        speeds = np.exp(changes.warp * generator.standard_normal(_KNOTS))
        knots = np.append(0, speeds.cumsum()) / speeds.sum() * (count - 1)
        places = np.interp(places, np.linspace(0, count - 1, _KNOTS + 1), knots)
    dropped = np.flatnonzero(generator.uniform(size=number) < changes.drop_rows)
    dropped = generator.permutation(dropped)[: number - max(least, 1)]
    return np.delete(places, dropped)


def interpolate_rows(rows, places):
    """Return rows (places, dim) at places between those of (rows, dim), linear in between."""
    low = np.floor(places).astype(int)
    share = (places - low)[:, None]
    high = np.minimum(low + 1, len(rows) - 1)
    return (1 - share) * rows[low] + share * rows[high]


def hide(rows, changes, generator):
    """Hide stretches of rows and some channels (Park et al., SpecAugment, Interspeech 2019).

    Rows are hidden by a straight line between those around them, channels by their mean.

    Args:
        rows: float (rows, dim), changed in place.
        changes: `RowChanges`.
        generator: a `numpy.random.Generator`.
    """
    count = len(rows)
    for _ in range(_STRETCHES if changes.hide_rows else 0):
        length = generator.integers(0, int(changes.hide_rows * count) + 1)
        first = generator.integers(0, count - length + 1)
        around = np.array([first - 1, first + length]).clip(0, count - 1)
        places = np.arange(first, first + length)
        share = ((places - around[0]) / max(around[1] - around[0], 1))[:, None]
        rows[places] = (1 - share) * rows[around[0]] + share * rows[around[1]]
    if changes.hide_channels:
        hidden = generator.uniform(size=rows.shape[1]) < changes.hide_channels
        rows[:, hidden] = rows[:, hidden].mean(0)


def check_points(dim, changes):
    """Raise a ValueError where rows of `dim` columns are no points that `RowChanges` can move."""
    size = changes.point_size
    if changes.affine and (not size or dim % size):
        raise ValueError(
            f"affine moves points, but rows of {dim} columns with {size} coordinates a point are "
            "none. Give --coordinates as they are, or leave out affine."
        )


def change_positions(rows, changes, deviation, generator):
    """Scale, turn, shear and move all points of a sentence at random, the same way in all rows.

    Args:
        rows: float (rows, dim), of points one behind another.
        changes: `RowChanges`; points have as many axes as `relative_to` has columns, or all
            `coordinates`.
        deviation: of each channel over training rows, (dim,): the unit of a change.
        generator: a `numpy.random.Generator`.

    Returns:
        (rows, dim).
    """
    size = changes.point_size
    axes = len(changes.relative_to) or size
    points = rows.reshape(len(rows), -1, size).copy()
    unit = deviation.reshape(-1, size)[:, :axes].mean(0)
    center = np.nan_to_num(np.nanmean(points[..., :axes], axis=(0, 1)))
    matrix = np.eye(axes) + changes.affine * generator.standard_normal((axes, axes))
    shift = changes.affine * generator.standard_normal(axes)
    moved = (points[..., :axes] - center) / unit @ matrix + shift
    points[..., :axes] = moved * unit + center
    return points.reshape(rows.shape)


def change_rows(rows, changes, least, deviation, generator):
    """Change the speed of a sentence, leave out or hide some of its rows, move points, add noise.

    Args:
        rows: (rows, dim).
        changes: `RowChanges`.
        least: rows that stay at least, at most as many as there are.
        deviation: of each channel, (dim,).
        generator: a `numpy.random.Generator`.

    Returns:
        float32 (other rows, dim), between neighbors interpolated.
    """
    places = draw_places(len(rows), changes, least, generator)
    changed = interpolate_rows(rows, places)
    hide(changed, changes, generator)
    if changes.affine:
        changed = change_positions(changed, changes, deviation, generator)
    if changes.noise:
        changed += changes.noise * deviation * generator.standard_normal(changed.shape)
    return changed.astype(np.float32)


def read_sentence(features):
    """Read the rows of a sentence, float32 (rows, dim), of the center view.

    Args:
        features: `utils.features.video_features.VideoFeatures`.
    """
    return np.asarray(features.load(), np.float32)


def change_sentence(features, least, generator, changes, deviation):
    """Read the rows of a sentence and change them; arguments as in `change_rows`."""
    return change_rows(read_sentence(features), changes, least, deviation, generator)


def measure_statistics(sentences, see=lambda rows: rows):
    """Return mean and variance of each channel over all rows of sentences, float64 (dim,).

    Args:
        sentences: list of `utils.features.video_features.VideoFeatures`.
        see: function of rows -> rows that are measured.
    """
    from sklearn.preprocessing import StandardScaler  # slow; only training needs it

    scaler = StandardScaler()
    for features in sentences:
        scaler.partial_fit(see(read_sentence(features)).astype(float))
    return scaler.mean_, scaler.var_
