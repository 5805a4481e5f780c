"""New training sentences, put together from parts of others, with the glosses of these parts."""

from typing import NamedTuple

import numpy as np

_SWAPPED = 0.2  # share of the glosses of a new sentence that another sentence signs
_SEAM = 3  # rows on each side of a seam that make up for a jump


class Part(NamedTuple):
    """Rows of a training sentence in which it says a gloss.

    Attributes:
        label: of the gloss.
        sentence: its place.
        first, end: the first row, and the one behind the last.
    """

    label: int
    sentence: int
    first: int
    end: int


class Spliced(NamedTuple):
    """A new sentence; its rows are read as those of `utils.features.video_features.VideoFeatures`.

    Attributes:
        parts: list of `Part`.
        sentences: list of `VideoFeatures` of the training sentences.
    """

    parts: list
    sentences: list

    def load(self):
        """Return the rows (rows, dim); a jump at a seam is spread over some rows around it."""
        pieces = [
            self.sentences[part.sentence].load()[part.first : part.end] for part in self.parts
        ]
        rows = np.concatenate(pieces).astype(np.float32)
        starts = np.cumsum([0, *map(len, pieces)])
        pairs = zip(self.parts, self.parts[1:], starts[1:], strict=False)
        seams = [
            start
            for before, part, start in pairs
            if (before.sentence, before.end) != (part.sentence, part.first)
            and 0 < start < len(rows)
        ]
        jumps = [rows[seam] - rows[seam - 1] for seam in seams]
        for seam, jump in zip(seams, jumps, strict=True):
            for by in range(_SEAM):
                moved = (0.5 - (by + 0.5) / (2 * _SEAM)) * jump
                rows[max(seam - 1 - by, 0)] += moved
                rows[min(seam + by, len(rows) - 1)] -= moved
        return rows


def cut_evenly(rows, count):
    """Return the edges of glosses that all take as long, int (count + 1,)."""
    return np.arange(count + 1) * rows // max(count, 1)


class Splicer:
    """Draws new sentences: from one gloss on as another sentence that has it, some glosses swapped.

    Args:
        labels: of each training sentence a list.
        rows: how many each has.
        share: probability that a sentence is put together anew.
        seed: of what is drawn, with the epoch and the sentence's place.
        pooled: rows of a step, of which a new sentence has as many as its labels need.

    Attributes:
        edges: of each sentence where its glosses begin and end, int (labels + 1,): evenly.
    """

    def __init__(self, labels, rows, share, seed, pooled):
        self.labels, self._share, self._seed, self._pooled = labels, share, seed, pooled
        self._most = max(map(len, labels)), max(rows)
        self.edges = [cut_evenly(*each) for each in zip(rows, map(len, labels), strict=True)]
        self._places = {}  # of a label, as (sentence, place in it)
        for sentence, own in enumerate(labels):
            for place, label in enumerate(own):
                self._places.setdefault(label, []).append((sentence, place))

    def _take(self, sentence, place):
        edges = self.edges[sentence]
        label = self.labels[sentence][place]
        return Part(label, sentence, int(edges[place]), int(edges[place + 1]))

    def _take_all(self, sentence):
        return [self._take(sentence, place) for place in range(len(self.labels[sentence]))]

    def draw(self, index, epoch):
        """Return the list of `Part`s of a sentence in an epoch; None where it stays as it is."""
        generator = np.random.default_rng([self._seed, epoch, index, 1])
        if not self.labels[index] or generator.uniform() >= self._share:
            return None
        own = self._take_all(index)
        place = int(generator.integers(len(own)))
        other, there = self._draw_place(own[place].label, generator)
        parts = [*own[:place], *self._take_all(other)[there:]]
        for at in np.flatnonzero(generator.uniform(size=len(parts)) < _SWAPPED):
            parts[at] = self._take(*self._draw_place(parts[at].label, generator))
        return parts if self._fits(parts) else None

    def _draw_place(self, label, generator):
        places = self._places[label]
        return places[int(generator.integers(len(places)))]

    def _fits(self, parts):
        """Whether there is room for a sentence, and it has as many steps as its labels need."""
        rows = sum(part.end - part.first for part in parts)
        needed = 2 * len(parts) * self._pooled  # a blank between any two, as speed changes too
        return len(parts) <= self._most[0] and needed <= rows <= self._most[1]

    def spell(self, index, parts):
        """Return the labels of a sentence that was drawn."""
        return self.labels[index] if parts is None else [part.label for part in parts]
