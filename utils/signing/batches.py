"""Sentences of features as batches: rows changed at random, padded to few lengths; their labels."""

from utils.clips.batches import Sequence

import numpy as np

_GROUPING = 2  # ends the seed of an epoch's grouping by length


def plan_lengths(longest, count=4):
    """Return the few lengths, multiples of 4, that batches of up to `longest` rows are padded to.

    Few, since every other shape of a batch would be compiled again.
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


def pack_labels(sequences, most=0):
    """Return labels as int32 (sentences, 1 + longest): how many there are, then they, padded.

    Args:
        sequences: of labels.
        most: labels that there is room for at least.
    """
    longest = max(map(len, sequences), default=0)
    packed = np.zeros((len(sequences), 1 + max(most, longest)), np.int32)
    for row, labels in zip(packed, sequences, strict=True):
        row[: 1 + len(labels)] = [len(labels), *labels]
    return packed


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
        most: labels that there is room for. TensorFlow complains of two widths in one process.
        spell: function (index, epoch) -> the labels of a sentence in an epoch, at most `most`;
            None where they never change.
        batches: what else `Sequence` takes.
    """

    def __init__(
        self, read, sequences, rows, longest, to_steps, pad=pad_rows, most=0, spell=None, **batches
    ):
        self.rows, self.to_steps, self.spell = np.asarray(rows), to_steps, spell
        self.pad, self.lengths = pad, plan_lengths(longest)
        super().__init__(read, pack_labels(sequences, most), join=list, **batches)

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
        if self.spell:
            indices = self.order[step * self.batch_size : (step + 1) * self.batch_size]
            labels = [self.spell(index, self.epoch) for index in indices]
            targets = pack_labels(labels, targets.shape[1] - 1).astype(targets.dtype)
        # Keras takes what the first two batches have in common for the shape of all: they differ.
        apart = self.training is not None and step == 0
        inputs = self.pad(arrays, [self.lengths[-1] + 4] if apart else self.lengths)
        return inputs, np.column_stack([self.to_steps(inputs["lengths"]), targets]), weights
