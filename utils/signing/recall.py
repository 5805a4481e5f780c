"""How much of each gloss is recognized after each epoch: a table that survives a kill."""

import csv
import io
from collections import Counter
from itertools import chain
from pathlib import Path

from utils.system.tables import read_cell, read_text, write_csv

import numpy as np

_COLUMNS = ("gloss", "train", "dev")


class RecallTable:
    """The recall of each gloss of the dev sentences after each epoch, kept in a CSV.

    The CSV has a row a gloss, the most frequent in training first: the gloss, how often it is in
    the training and in the dev sentences, and its recall in a column an epoch, which has the
    epoch's number as its name. What the file holds already is kept.

    Args:
        path: of the CSV.
        training, dev: the glosses of each sentence, sequences of sequences.

    Attributes:
        glosses: of dev, in the order of the rows.
        train, dev: `Counter` of glosses.
        recalls: {epoch: {gloss: recall}}.

    Raises:
        ValueError: the file is no such table; it is named.
    """

    def __init__(self, path, training, dev):
        self.path = Path(path)
        self.train, self.dev = (Counter(chain.from_iterable(each)) for each in (training, dev))
        self.glosses = sorted(self.dev, key=lambda gloss: (-self.train[gloss], gloss))
        self.recalls = _read(self.path) if self.path.is_file() else {}

    def keep(self, epoch, recalls):
        """Write what was measured after an epoch.

        What the table has of this epoch and of later ones is dropped: a training that was killed
        before the epoch was saved repeats it.

        Args:
            epoch: its number, from 1.
            recalls: {gloss: recall}.
        """
        self.recalls = {n: each for n, each in self.recalls.items() if n < epoch}
        self.recalls[epoch] = {gloss: round(recall, 4) for gloss, recall in recalls.items()}
        columns = self.recalls.values()
        rows = (
            [g, self.train[g], self.dev[g], *(each.get(g, "") for each in columns)]
            for g in self.glosses
        )
        write_csv(self.path, [*_COLUMNS, *self.recalls], rows)

    def stack(self, epochs):
        """Return float (glosses, epochs): the recalls after these epochs, NaN where there is none.

        Args:
            epochs: their numbers, as many as there are columns.
        """
        columns = [self.recalls.get(epoch, {}) for epoch in epochs]
        return np.array([[each.get(g, np.nan) for each in columns] for g in self.glosses])


def _read(path):
    """Return {epoch: {gloss: recall}} of a table that was written."""
    try:
        header, *rows = csv.reader(io.StringIO(read_text(path), ""), strict=True)
        if tuple(header[:3]) != _COLUMNS:
            raise ValueError(f"its columns are {', '.join(header[:4])}")
        recalls = {int(name): {} for name in header[3:]}
        for gloss, _, _, *cells in rows:
            for known, cell in zip(recalls.values(), cells, strict=True):
                if cell:
                    known[read_cell(gloss)] = float(cell)
    except (ValueError, csv.Error) as error:  # UnicodeDecodeError too
        raise ValueError(
            f"{path} is damaged: {error}. Its columns are gloss, train, dev and the numbers of "
            "epochs. Move it away; the table then begins with the next epoch."
        ) from error
    return recalls
