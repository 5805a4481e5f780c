"""What is recognized after each epoch: tables with a column an epoch, that survive a kill."""

import csv
import io
from collections import Counter
from itertools import chain
from pathlib import Path

from utils.system.tables import read_cell, read_text, write_csv

import numpy as np


class _EpochTable:
    """A CSV with a column an epoch, whose name is the epoch's number. What it holds is kept.

    Args:
        path: of the CSV.
        columns: names of the columns before those of epochs; the first one tells rows apart.

    Attributes:
        epochs: {epoch: {row: text}}.

    Raises:
        ValueError: the file is no such table; it is named.
    """

    def __init__(self, path, columns):
        self.path, self._columns = Path(path), columns
        self.epochs = _read(self.path, columns) if self.path.is_file() else {}

    def _write(self, epoch, values, rows):
        """Keep the values of an epoch, {row: text}, and write all.

        What the table has of this epoch and of later ones is dropped: a training that was killed
        before the epoch was saved repeats it.
        """
        self.epochs = {n: each for n, each in self.epochs.items() if n < epoch} | {epoch: values}
        found = ([*row, *(each.get(row[0], "") for each in self.epochs.values())] for row in rows)
        write_csv(self.path, [*self._columns, *self.epochs], found)


class RecallTable(_EpochTable):
    """The recall of each gloss of the dev sentences after each epoch.

    A row a gloss, the most frequent in training first: the gloss, how often it is in the training
    and in the dev sentences, and its recall after each epoch.

    Args:
        path: of the CSV.
        training, dev: the glosses of each sentence, sequences of sequences.

    Attributes:
        glosses: of dev, in the order of the rows.
        train, dev: `Counter` of glosses.
    """

    def __init__(self, path, training, dev):
        super().__init__(path, ("gloss", "train", "dev"))
        self.train, self.dev = (Counter(chain.from_iterable(each)) for each in (training, dev))
        self.glosses = sorted(self.dev, key=lambda gloss: (-self.train[gloss], gloss))
        self.stack(self.epochs)  # numbers, or an error before training begins

    def keep(self, epoch, recalls):
        """Write what was measured after an epoch.

        Args:
            epoch: its number, from 1.
            recalls: {gloss: recall}.
        """
        values = {gloss: round(recall, 4) for gloss, recall in recalls.items()}
        self._write(epoch, values, ([g, self.train[g], self.dev[g]] for g in self.glosses))

    def stack(self, epochs):
        """Return float (glosses, epochs): the recalls after these epochs, NaN where there is none.

        Args:
            epochs: their numbers, as many as there are columns.
        """
        columns = [self.epochs.get(epoch, {}) for epoch in epochs]
        try:
            return np.array([[_to_number(c.get(g, "")) for c in columns] for g in self.glosses])
        except ValueError as error:
            raise _damaged(self.path, error) from error


class PathTable(_EpochTable):
    """What is said in each step of one dev sentence after each epoch: a gloss, or "" for the blank.

    Args:
        path: of the CSV.
        sentence: the `Sentence`.
        glosses: its, cleaned.

    Attributes:
        sentence, glosses: as given.
    """

    def __init__(self, path, sentence, glosses):
        super().__init__(path, ("step",))
        self.sentence, self.glosses = sentence, glosses

    def keep(self, epoch, said):
        """Write what was said after an epoch, from 1: a list of glosses, one a step."""
        values = {str(step): gloss for step, gloss in enumerate(said)}
        self._write(epoch, values, ([step] for step in values))

    def stack(self, epochs):
        """Return lists (steps, epochs) of glosses; None where an epoch was not measured."""
        columns = [self.epochs.get(epoch) for epoch in epochs]
        steps = dict.fromkeys(step for column in columns for step in column or ())
        return [[column and column.get(step, "") for column in columns] for step in steps]


def _to_number(cell):
    return np.nan if cell == "" else float(cell)


def _damaged(path, error):
    return ValueError(
        f"{path} is damaged: {error}. Its columns are to be as this version writes them, and the "
        "numbers of epochs. Move it away; the table then begins with the next epoch."
    )


def _read(path, columns):
    """Return {epoch: {row: text}} of a table that was written."""
    try:
        header, *rows = csv.reader(io.StringIO(read_text(path), ""), strict=True)
        count = len(columns)
        if tuple(header[:count]) != columns:
            raise ValueError(f"its columns are {', '.join(header[: count + 1])}")
        found = {int(name): {} for name in header[count:]}
        for row in rows:
            for known, cell in zip(found.values(), row[count:], strict=True):
                known[read_cell(row[0])] = read_cell(cell)
    except (ValueError, IndexError, csv.Error) as error:  # UnicodeDecodeError too
        raise _damaged(path, error) from error
    return found
