"""Sentences put together from parts of training sentences: templates, compared by time warping.

The one-stage search of Ney (1984, "The use of a one-stage dynamic programming algorithm for
connected word recognition"), in which a path may go on through a training sentence, or jump from
the end of one gloss to the beginning of another. What a network says of each step counts as well:
a path says each of its glosses once, as an alignment of CTC does.
"""

from typing import NamedTuple

import numpy as np

STAY = 0.05  # what it costs to compare a template's step with another step, or to skip one
_NEVER = np.float32(1e9)
_BEGIN = -1  # in place of the node before: a part begins; less the step it comes from


class Weights(NamedTuple):
    """How costs are weighed, beside the distance of two steps: 1 where they are independent.

    Attributes:
        network: of the negative logarithm of what the network says.
        language: of the language model's.
        jump: what a jump to another template costs, more than going on.
    """

    network: float
    language: float
    jump: float


class Templates(NamedTuple):
    """Training sentences, one behind another, in parts of a gloss each.

    Attributes:
        steps: float32 (steps, dim), each channel of unit variance.
        starts: int (parts,), the first step of each part, rising from 0.
        labels: int (parts,), their glosses' places in the vocabulary.
        begins: bool (parts,), whether a part is the first of its sentence.
    """

    steps: np.ndarray
    starts: np.ndarray
    labels: np.ndarray
    begins: np.ndarray


def cut_sentences(sentences):
    """Return the `Templates` of sentences.

    Args:
        sentences: list of (float (steps, dim), labels, the first step of each label: rising, of
            which the first counts as 0); at least as many steps as labels, at least one label.
    """
    steps, starts, labels, begins, count = [], [], [], [], 0
    for rows, own, firsts in sentences:
        steps.append(rows)
        starts += [count + first for first in (0, *firsts[1:])]
        labels += own
        begins += [place == 0 for place in range(len(own))]
        count += len(rows)
    arrays = np.concatenate(steps).astype("float32"), *map(np.array, (starts, labels, begins))
    return Templates(*arrays)


class LanguageCosts(NamedTuple):
    """Negative logarithms of a bigram's probabilities.

    Attributes:
        first, last: float32 (labels,), of a sentence that begins, or ends, with a label.
        next: float32 (labels, labels), of what comes after a label.
    """

    first: np.ndarray
    last: np.ndarray
    next: np.ndarray


class TemplateSearch:
    """Finds sentences by `Templates`.

    Args:
        templates: `Templates`.
        costs: `LanguageCosts`.
        weights: `Weights`.
    """

    def __init__(self, templates, costs, weights):
        self.templates, self.weights = templates, weights
        steps, starts, labels, begins = templates
        self._first, self._last = starts, np.append(starts[1:], len(steps)) - 1
        self._ends = np.append(begins[1:], True)
        self._labels = labels[np.repeat(np.arange(len(starts)), self._last - starts + 1)]
        self._inside = np.ones(len(steps), bool)  # whether the step before is of the same part
        self._inside[starts] = False
        self._squares = np.square(steps).sum(1)
        first, last, after = (weights.language * each for each in costs)
        self._begin = first[labels] + np.where(begins, 0, weights.jump)
        self._end = last[labels] + np.where(self._ends, 0, weights.jump)
        self._after = after
        self._on = np.flatnonzero(~begins)  # parts that follow one of the same sentence
        self._go_on = after[labels[self._on - 1], labels[self._on]]

    def _measure(self, rows):
        """Return how far each row is from each step, float32 (rows, steps)."""
        steps = self.templates.steps
        squares = np.square(rows).sum(1)[:, None] + self._squares - 2 * (rows @ steps.T)
        return np.sqrt(np.maximum(squares, 0) / (2 * steps.shape[1]))

    def _enter(self, reached):
        """Return (cost, the step before) of beginning each part, from what it costs to be there."""
        labels, count = self.templates.labels, len(self._after)
        ends = reached[self._last]
        best, place = np.full(count, _NEVER), np.zeros(count, int)
        order = np.argsort(-ends, kind="stable")  # of one label's parts the cheapest comes last
        best[labels[order]], place[labels[order]] = ends[order], self._last[order]
        ways = best[:, None] + self._after
        before = ways.argmin(0)
        cost = ways[before, np.arange(count)][labels] + self.weights.jump
        source = place[before][labels]
        on = ends[self._on - 1] + self._go_on
        cheaper = on <= cost[self._on]
        cost[self._on[cheaper]] = on[cheaper]
        source[self._on[cheaper]] = self._last[self._on - 1][cheaper]
        return cost, source

    def _go(self, costs):
        """Return (cost, the step before) of being at each step without beginning a part."""
        best, source = costs + STAY, np.arange(len(costs))
        for by in (1, 2):
            moved = np.full(len(costs), _NEVER)
            moved[by:] = costs[:-by] + STAY * (by - 1)
            for back in range(by):
                moved[back:][~self._inside[: len(costs) - back]] = _NEVER
            cheaper = moved < best
            best = np.where(cheaper, moved, best)
            source = np.where(cheaper, np.arange(len(costs)) - by, source)
        return best, source

    def find_own(self, sentence):
        """Return the labels of a template's sentence, by its place, from the other templates."""
        edges = [*self._first[self.templates.begins], len(self.templates.steps)]
        own = slice(*edges[sentence : sentence + 2])
        silence = np.zeros((own.stop - own.start, 1 + len(self._after)), "float32")
        return self.find(self.templates.steps[own], silence, own)[0]

    def find(self, rows, scores, without=slice(0)):
        """Return (the labels of a sentence, the step with which each of them begins): lists.

        Args:
            rows: float (steps, dim), as the templates' steps are.
            scores: float (steps, 1 + labels), logarithms of the network's probabilities, the
                blank's first.
            without: the templates' steps that are left out.
        """
        if not len(rows):
            return [], []
        apart, count = self._measure(np.asarray(rows, "float32")), len(self.templates.steps)
        apart[:, without] = _NEVER
        said = -self.weights.network * scores
        blank, gloss = said[:, :1], said[:, 1:][:, self._labels]
        entry = np.full(count, _NEVER)
        entry[self._first] = self._begin
        # Two layers: the gloss of the part has not been said yet, or it has.
        silent, spoken = entry + blank[0] + apart[0], entry + gloss[0] + apart[0]
        sources = np.full((len(rows), 2, count), _BEGIN, np.int32)
        for row in range(1, len(rows)):
            cost, source = self._enter(spoken)
            fresh, came = self._go(silent)
            begun = cost < fresh[self._first]
            fresh[self._first[begun]] = cost[begun]
            came[self._first[begun]] = _BEGIN - source[begun]
            old, stayed = self._go(spoken)
            old += np.minimum(blank[row], gloss[row])
            new = fresh + gloss[row]
            now = new < old
            sources[row, 0], sources[row, 1] = came, np.where(now, came, count + stayed)
            silent = fresh + blank[row] + apart[row]
            spoken = np.where(now, new, old) + apart[row]
        place = int((spoken[self._last] + self._end).argmin())
        return self._trace(sources, count + int(self._last[place]))

    def _trace(self, sources, node):
        """Return the labels and the first rows of the parts of the path that ends at a node."""
        count, found, firsts = sources.shape[2], [], []
        for row in reversed(range(len(sources))):
            before = int(sources[row].reshape(-1)[node])
            if before <= _BEGIN:
                found.append(int(self._labels[node % count]))
                firsts.append(row)
                node = count + _BEGIN - before
            else:
                node = before
        return found[::-1], firsts[::-1]
