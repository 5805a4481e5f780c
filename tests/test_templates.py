"""Sentences from parts of training sentences: against a search that goes through every step."""

from itertools import product

from utils.signing.templates import (
    STAY,
    LanguageCosts,
    TemplateSearch,
    Weights,
    cut_sentences,
)

import numpy as np
import pytest

LABELS = 3


def make(rng, sentences=4, most=3, dim=2):
    """Return made-up sentences of `cut_sentences`, and `LanguageCosts`."""
    found = []
    for _ in range(sentences):
        labels = rng.integers(0, LABELS, rng.integers(1, most + 1)).tolist()
        lengths = rng.integers(1, 4, len(labels))
        firsts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        found.append((rng.normal(size=(lengths.sum(), dim)), labels, firsts))
    costs = [rng.uniform(0, 2, shape) for shape in (LABELS, LABELS, (LABELS, LABELS))]
    return found, LanguageCosts(*costs)


def search_slowly(sentences, costs, weights, rows, scores):
    """Return (cost, [(label, its first row)]) of the cheapest path, state after state."""
    parts = [
        (sentence, place, label, rows_of[first:end])
        for sentence, (rows_of, labels, firsts) in enumerate(sentences)
        for place, (label, first, end) in enumerate(
            zip(labels, firsts, [*firsts[1:], len(rows_of)], strict=True)
        )
    ]
    ends = {(s, len(sentences[s][1]) - 1) for s in range(len(sentences))}
    said = -weights.network * scores

    def apart(row, part, step):
        gap = rows[row] - parts[part][3][step]
        return np.sqrt((gap**2).sum() / (2 * len(gap)))

    def begin(part):
        jump = 0 if parts[part][1] == 0 else weights.jump
        return weights.language * costs.first[parts[part][2]] + jump

    def follow(part, other):
        on = parts[other][0] == parts[part][0] and parts[other][1] == parts[part][1] + 1
        after = weights.language * costs.next[parts[part][2], parts[other][2]]
        return after + (0 if on else weights.jump)

    # {(part, step, whether its label has been said): (cost, labels)}
    states = {}

    def offer(new, state, cost, labels):
        if cost < new.get(state, (np.inf,))[0]:
            new[state] = cost, labels

    for row in range(len(rows)):
        new, blank = {}, said[row, 0]
        for part, (_, _, label, steps) in enumerate(parts):
            gloss = said[row, 1 + label]
            ways = [(begin(part), [(label, row)])] if row == 0 else []
            for (other, step, spoken), (cost, labels) in states.items():
                if spoken and step == len(parts[other][3]) - 1:
                    ways.append((cost + follow(other, part), [*labels, (label, row)]))
            for cost, labels in ways:
                offer(new, (part, 0, False), cost + blank + apart(row, part, 0), labels)
                offer(new, (part, 0, True), cost + gloss + apart(row, part, 0), labels)
            for by, step in product(range(3), range(len(steps))):
                for spoken in (False, True):
                    if (part, step - by, spoken) not in states:
                        continue
                    cost, labels = states[part, step - by, spoken]
                    cost += apart(row, part, step) + (STAY if by != 1 else 0)
                    if spoken:
                        offer(new, (part, step, True), cost + min(blank, gloss), labels)
                    else:
                        offer(new, (part, step, False), cost + blank, labels)
                        offer(new, (part, step, True), cost + gloss, labels)
        states = new
    final = []
    for (part, step, spoken), (cost, labels) in states.items():
        if spoken and step == len(parts[part][3]) - 1:
            jump = 0 if parts[part][:2] in ends else weights.jump
            final.append((cost + weights.language * costs.last[parts[part][2]] + jump, labels))
    return min(final)


@pytest.mark.parametrize("seed", range(12))
def test_the_cheapest_path_is_found(seed):
    rng = np.random.default_rng(seed)
    sentences, costs = make(rng)
    weights = Weights(*rng.uniform(0.05, 1, 3))
    rows = rng.normal(size=(rng.integers(1, 8), 2))
    scores = np.log(rng.dirichlet(np.ones(1 + LABELS), len(rows)))
    search = TemplateSearch(cut_sentences(sentences), costs, weights)
    found = search_slowly(sentences, costs, weights, rows, scores)[1]
    assert search.find(rows, scores) == tuple(map(list, zip(*found, strict=True)))


def test_answers_are_put_together_from_parts():
    """Three signs are three places; no sentence has all of them in the order that is asked for."""
    places = np.eye(3) * 4
    sentences = [
        (places[np.repeat(own, 4)], own, [0, 4]) for own in ([0, 1], [1, 0], [2, 0], [0, 2])
    ]
    costs = LanguageCosts(np.zeros(3), np.zeros(3), np.zeros((3, 3)))
    search = TemplateSearch(cut_sentences(sentences), costs, Weights(0.5, 0.1, 0.3))
    asked, silence = places[np.repeat([1, 0, 2], 4)], np.zeros((12, 4))
    assert search.find(asked, silence) == ([1, 0, 2], [0, 4, 8])  # and when each begins
    stiff = TemplateSearch(search.templates, costs, Weights(0.5, 0.1, 1e6))
    assert stiff.find(asked, silence)[0] in [own for _, own, _ in sentences]
    assert search.find_own(0) == [0, 1]  # from the others
    said = np.full((12, 4), -20.0)  # the network is sure of something else in the middle
    said[:, 0], said[5, 3], said[5, 0] = 0, 0, -20
    loud = TemplateSearch(search.templates, costs, Weights(5, 0.1, 0.3))
    assert loud.find(asked, said) == ([2], [0])
    assert search.find(asked[:0], silence[:0]) == ([], [])
