"""Sentences of features as batches: rows changed at random, padded to few lengths; their labels."""

import csv
from dataclasses import dataclass
from pathlib import Path

from utils.clips.batches import Sequence
from utils.features.store import CENTRE, load_features

import numpy as np

_GROUPING = 2  # ends the seed of an epoch's grouping by length


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


def change_rows(rows, changes, least, deviation, generator):
    """Change the speed of a sentence, leave out some of its rows, add noise.

    Args:
        rows: (rows, dim).
        changes: `RowChanges`.
        least: rows that stay at least, at most as many as there are.
        deviation: of each channel, (dim,).
        generator: a `numpy.random.Generator`.

    Returns:
        float32 (other rows, dim), between neighbours interpolated.
    """
    places = draw_places(len(rows), changes, least, generator)
    low = np.floor(places).astype(int)
    share = (places - low)[:, None]
    high = np.minimum(low + 1, len(rows) - 1)
    changed = (1 - share) * rows[low] + share * rows[high]
    if changes.noise:
        changed += changes.noise * deviation * generator.standard_normal(changed.shape)
    return changed.astype(np.float32)


def plan_lengths(longest, count=4):
    """Return the few lengths, multiples of 4, that batches of up to `longest` rows are padded to.

    Few, since every other shape of a batch would be compiled anew.
    """
    return [4 * -(-longest * part // (4 * count)) for part in range(1, count + 1)]


def pad_rows(arrays, lengths, name="features", window=1, stride=1):
    """Stack sentences, padded with zeros to the first of some lengths that holds all.

    Args:
        arrays: list of arrays (rows, ...), of one dtype; or (frames, ...) of so many rows.
        lengths: in rows, rising.
        name: of the input.
        window, stride: frames of a row, and from a row to the next.

    Returns:
        {name: (batch, rows or frames, ...), "lengths": int32 (batch,) rows}.
    """
    own = np.array([(len(array) - window) // stride + 1 for array in arrays], np.int32)
    rows = next(length for length in lengths if length >= own.max())
    shape = (len(arrays), (rows - 1) * stride + window, *arrays[0].shape[1:])
    padded = np.zeros(shape, arrays[0].dtype)
    for place, array in enumerate(arrays):
        padded[place, : len(array)] = array
    return {name: padded, "lengths": own}


def pack_labels(sequences):
    """Return labels as int32 (sentences, 1 + longest): how many there are, then they, padded."""
    packed = np.zeros((len(sequences), 1 + max(map(len, sequences), default=0)), np.int32)
    for row, labels in zip(packed, sequences, strict=True):
        row[: 1 + len(labels)] = [len(labels), *labels]
    return packed


def read_sentence(info):
    """Read the rows of a sentence, of the centre view.

    Args:
        info: a `utils.features.lookup.FeatureInfo`.
    """
    return np.asarray(load_features(*info.views[CENTRE])[:: info.step], np.float32)


def change_sentence(info, least, generator, changes, deviation):
    """Read the rows of a sentence and change them; arguments as of `change_rows`."""
    return change_rows(read_sentence(info), changes, least, deviation, generator)


def measure_statistics(infos):
    """Return mean and variance of each channel over all rows of sentences, float64 (dim,).

    Args:
        infos: list of `utils.features.lookup.FeatureInfo`.
    """
    count = total = spread = 0.0
    for info in infos:  # Chan et al., 1979: means far from zero lose no digits
        rows = read_sentence(info).astype(float)
        mean, squares = rows.mean(0), ((rows - rows.mean(0)) ** 2).sum(0)
        apart = mean - total / max(count, 1)
        spread = spread + squares + apart**2 * count * len(rows) / (count + len(rows))
        count, total = count + len(rows), total + rows.sum(0)
    return total / count, spread / count


class SentenceSequence(Sequence):
    """Batches ({"features", "lengths"}, (steps, number of labels, labels), weights) of sentences.

    In training, sentences of like length share a batch. All else is as in `Sequence`.

    Args:
        read: function (index, epoch) -> rows (rows, dim) of a sentence.
        sequences: the labels of each sentence, unpadded.
        rows: about how many rows each has.
        longest: rows that one may have.
        to_steps: function int (batch,) of rows -> steps that come out of the network.
        pad: function (arrays, lengths) -> a batch of inputs.
        batches: what else `Sequence` takes.
    """

    def __init__(self, read, sequences, rows, longest, to_steps, pad=pad_rows, **batches):
        self.rows, self.to_steps = np.asarray(rows), to_steps
        self.pad, self.lengths = pad, plan_lengths(longest)
        super().__init__(read, pack_labels(sequences), join=list, **batches)

    def start(self, epoch):
        """Go to the beginning of an epoch."""
        super().start(epoch)
        if self.training is not None:
            generator = np.random.default_rng([self.training.seed, epoch, _GROUPING])
            rows = self.rows[self.order] * generator.uniform(0.8, 1.2, len(self.order))
            alike = self.order[np.argsort(rows, kind="stable")].reshape(-1, self.batch_size)
            self.order = generator.permutation(alike).ravel()

    def __getitem__(self, step):
        arrays, targets, weights = super().__getitem__(step)
        # Keras takes what the first two batches have in common for the shape of all: they differ.
        apart = self.training is not None and step == 0
        inputs = self.pad(arrays, [self.lengths[-1] + 4] if apart else self.lengths)
        return inputs, np.column_stack([self.to_steps(inputs["lengths"]), targets]), weights


def save_sentences(sentences, path):
    """Write sentences as a CSV that `utils.signing.corpora.read_csv` reads, with their glosses as they are.

    Args:
        sentences: list of `utils.signing.releases.Sentence`.
        path: of the file.
    """
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "glosses", "split", "id", "signer"])
        for s in sentences:
            place = str(Path(s.path).resolve())
            writer.writerow([place, " ".join(s.glosses), s.split, s.id, s.signer])
