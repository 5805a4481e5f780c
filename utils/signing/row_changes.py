"""The rows of a sentence: read, measured, and changed at random for training."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RowChanges:
    """Random changes of training sentences; the fields of `utils.params.Params` of these names."""

    rescale: float = 0.2
    drop_rows: float = 0.1
    noise: float = 0.1


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
    dropped = np.flatnonzero(generator.uniform(size=number) < changes.drop_rows)
    dropped = generator.permutation(dropped)[: number - max(least, 1)]
    return np.delete(places, dropped)


def interpolate_rows(rows, places):
    """Return rows (places, dim) at places between those of (rows, dim), linear in between."""
    low = np.floor(places).astype(int)
    share = (places - low)[:, None]
    high = np.minimum(low + 1, len(rows) - 1)
    return (1 - share) * rows[low] + share * rows[high]


def change_rows(rows, changes, least, deviation, generator):
    """Change the speed of a sentence, leave out some of its rows, add noise.

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
