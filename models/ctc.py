"""Connectionist temporal classification: classes, the loss with true lengths, decoding, alignment.

Graves et al., ICML 2006. Class 0 is the blank, so gloss i of a vocabulary is class i + 1. Sequences
of a batch are padded at their ends; what lies beyond the lengths given counts nowhere.
"""

import itertools
from collections import defaultdict
from math import inf, log

from models.language import END

import keras
import numpy as np

BLANK = 0
CANDIDATES = 20  # classes of a step that the beam search extends prefixes by


def name_classes(vocabulary):
    """Return the names of all classes in their order, the blank's first."""
    return ["<blank>", *vocabulary]


def encode_glosses(glosses, vocabulary):
    """Return the class of each gloss; one that is not in the vocabulary is left out."""
    classes = {gloss: place for place, gloss in enumerate(vocabulary, BLANK + 1)}
    return [classes[gloss] for gloss in glosses if gloss in classes]


def decode_glosses(classes, vocabulary):
    """Return the glosses of classes, as `encode_glosses` numbers them."""
    return [vocabulary[place - BLANK - 1] for place in classes]


def drop_blank(scores):
    """Return the scores (..., 1 + glosses) of the glosses alone, (..., glosses)."""
    return scores[..., BLANK + 1 :]


def ctc_loss(labels, label_lengths, logits, lengths):
    """Return the negative log-probability of each example's labels, over all alignments.

    Args:
        labels: int (batch, labels), padded with anything.
        label_lengths: int (batch,); may be 0.
        logits: (batch, steps, 1 + glosses), not normalized.
        lengths: int (batch,), steps of each example.

    Returns:
        float32 (batch,). About 710 or far more for what `find_impossible` finds: leave that out.
    """
    label_lengths, lengths = (keras.ops.cast(n, "int32") for n in (label_lengths, lengths))
    steps = keras.ops.arange(keras.ops.shape(logits)[1], dtype="int32")
    places = keras.ops.arange(keras.ops.shape(labels)[1], dtype="int32")
    # What is padded may be anything, NaN too: its gradient must be 0.
    real = keras.ops.expand_dims(steps < keras.ops.expand_dims(lengths, 1), -1)
    logits = keras.ops.where(real, keras.ops.cast(logits, "float32"), 0.0)
    labels = keras.ops.where(places < keras.ops.expand_dims(label_lengths, 1), labels, BLANK)
    return keras.ops.ctc_loss(labels, logits, label_lengths, lengths, mask_index=BLANK)


def count_needed_steps(labels):
    """Return the fewest steps that can spell a sequence: its labels, a blank between equal ones."""
    return len(labels) + sum(a == b for a, b in itertools.pairwise(labels))


def find_impossible(sequences, steps):
    """Return the positions of the examples that have too few steps for their labels.

    Args:
        sequences: list of sequences of labels, unpadded.
        steps: the number of steps of each.
    """
    pairs = enumerate(zip(sequences, steps, strict=True))
    return [place for place, (labels, count) in pairs if count < count_needed_steps(labels)]


def _mask(logits, lengths):
    """Whether each step is a real one, bool (batch, steps)."""
    logits, lengths = np.asarray(logits), np.asarray(lengths)
    if logits.ndim != 3 or lengths.shape != logits.shape[:1]:
        raise ValueError(
            f"Logits {logits.shape} and lengths {lengths.shape}; expected (batch, steps, classes) "
            "and (batch,)."
        )
    if lengths.size and not 0 <= lengths.min() <= lengths.max() <= logits.shape[1]:
        raise ValueError(
            f"The lengths go from {lengths.min()} to {lengths.max()}, but the logits have "
            f"{logits.shape[1]} steps."
        )
    return np.arange(logits.shape[1]) < lengths[:, None]


def measure_blanks(logits, lengths, label_lengths):
    """Return the share of real steps whose best class is the blank, and its reference value.

    Args:
        logits: (batch, steps, classes).
        lengths, label_lengths: int (batch,), steps and glosses of each example.

    Returns:
        (share, reference): 1 - glosses / steps is the share of blanks of a model that spends one
        step on each gloss.

    Raises:
        ValueError: shapes that do not fit, or no real step.
    """
    real = _mask(logits, lengths)
    if not real.any():
        raise ValueError("There is no time step to measure blanks on.")
    blank = np.argmax(np.asarray(logits), -1) == BLANK
    return float(blank[real].mean()), float(1 - np.sum(label_lengths) / real.sum())


def measure_prior(logits, lengths):
    """Return the mean probability of each class over all real steps, float (classes,).

    Args:
        logits, lengths: as in `decode`, of training data.

    Raises:
        ValueError: shapes that do not fit, or no real step.
    """
    real = _mask(logits, lengths)
    if not real.any():
        raise ValueError("There is no time step to measure the prior on.")
    chosen = keras.ops.softmax(np.asarray(logits, "float32")[real], -1)
    return keras.ops.convert_to_numpy(chosen).mean(0)


def _take_best(logits, lengths):
    """Decode by the best class of each step."""
    paths, _ = keras.ops.ctc_decode(logits, lengths, strategy="greedy", mask_index=BLANK)
    paths = keras.ops.convert_to_numpy(paths[0])
    return [[int(label) for label in path if label >= 0] for path in paths]


def _search_prefixes(probabilities, beam_width, language=None):
    """Return the most probable labels of one example, (steps, classes), among the prefixes kept.

    A language model weighs prefixes as they grow (Hannun et al., 2014, algorithm 1).
    """
    beams = {(): (1.0, 0.0)}  # prefix: probability of ending in a blank, in its last label
    weights = {(): 0.0}  # prefix: logarithm that the language model adds
    count = min(CANDIDATES, probabilities.shape[1])

    def rate(item):
        prefix, chances = item
        if language and prefix not in weights:
            before = prefix[:-1]
            weights[prefix] = weights[before] + language.weigh(prefix[-1], before)
        total = sum(chances)
        return (log(total) if total else -inf) + weights.get(prefix, 0.0)

    def rate_whole(item):
        return rate(item) + (language.weigh(END, item[0]) if language else 0.0)

    for step in probabilities:
        found = defaultdict(lambda: [0.0, 0.0])
        chosen = np.argpartition(-step, count - 1)[:count].tolist()
        step = step.tolist()
        for prefix, (blank, label) in beams.items():
            last = prefix[-1] if prefix else BLANK
            found[prefix][0] += (blank + label) * step[BLANK]
            found[prefix][1] += label * step[last]
            for choice in chosen:
                if choice != BLANK:  # the same label again needs a blank between
                    before = blank if choice == last else blank + label
                    found[(*prefix, choice)][1] += before * step[choice]
        best = sorted(found.items(), key=rate, reverse=True)[:beam_width]
        total = max(sum(chances) for _, chances in best)
        beams = {prefix: (blank / total, label / total) for prefix, (blank, label) in best}
    return list(max(beams.items(), key=rate_whole)[0])


def align(logits, labels):
    """Return which steps each label takes in the most probable alignment (Viterbi, 1967).

    Args:
        logits: (steps, classes) of the real steps of one example.
        labels: its classes, without blanks.

    Returns:
        int array (labels, 2): the first step, and the one behind the last. What lies between two
        labels is blank.

    Raises:
        ValueError: too few steps for the labels.
    """
    needed = count_needed_steps(labels)
    if len(logits) < needed:
        raise ValueError(
            f"{len(labels)} labels need {needed} time steps, but there are {len(logits)}."
        )
    if not needed:
        return np.zeros((0, 2), int)
    states = np.full(2 * len(labels) + 1, BLANK)
    states[1::2] = labels
    logs = keras.ops.convert_to_numpy(keras.ops.log_softmax(np.asarray(logits, "float32"), -1))
    scores, came = np.full(len(states), -np.inf), np.zeros((len(logs), len(states)), int)
    scores[:2] = logs[0, states[:2]]
    skipped = np.append([False, False], states[2:] != states[:-2])  # the blank between them
    for step in range(1, len(logs)):
        padded = np.append([-np.inf, -np.inf], scores)
        before = np.stack([scores, padded[1:-1], np.where(skipped, padded[:-2], -np.inf)])
        came[step], scores = before.argmax(0), before.max(0) + logs[step, states]
    path = [len(states) - 2 + int(np.argmax(scores[-2:]))]
    for step in range(len(logs) - 1, 0, -1):
        path.append(path[-1] - came[step, path[-1]])
    path = np.array(path[::-1])
    steps = [np.flatnonzero(path == 2 * place + 1) for place in range(len(labels))]
    return np.array([(own[0], own[-1] + 1) for own in steps])


def decode(logits, lengths, beam_width=1, prior=None, prior_weight=0.0, language=None):
    """Return the label sequence of each example; outside a compiled graph.

    Args:
        logits: array (batch, steps, 1 + glosses).
        lengths: int (batch,), steps of each example; 0 gives an empty sequence.
        beam_width: 1 takes the best class of each step; above, so many label prefixes are kept
            at each step, each with the sum over its alignments, and extended by the `CANDIDATES`
            best classes. (With 1200 classes `keras.ops.ctc_decode` finds the same in ten times the
            time, on JAX in two hundred times.)
        prior: probability of each class, of `measure_prior`.
        prior_weight: how much of the prior's logarithm is subtracted: that makes frequent classes,
            the blank first, less likely.
        language: a `models.language.Language` that weighs the prefixes of a beam; None for none.

    Returns:
        List of lists of labels, without blanks.

    Raises:
        ValueError: shapes that do not fit, or a logit of a real step that is no number.
    """
    real = _mask(logits, lengths)
    logits = np.where(real[..., None], np.asarray(logits, "float32"), 0)
    if not np.isfinite(logits).all():
        raise ValueError(
            "The logits contain NaN or infinity, so nothing can be decoded. Did the "
            "training diverge?"
        )
    if prior is not None:
        logits = logits - prior_weight * np.log(np.maximum(prior, 1e-8)).astype("float32")
    lengths = np.asarray(lengths, "int32")
    if beam_width > 1:
        probabilities = keras.ops.convert_to_numpy(keras.ops.softmax(logits, -1)).astype(float)
        return [
            _search_prefixes(example[:length], beam_width, language)
            for example, length in zip(probabilities, lengths, strict=True)
        ]
    return _take_best(logits, lengths)
