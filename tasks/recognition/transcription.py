"""From sentences' features to their glosses: what training and scoring of recognizers share."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from models.ctc import (
    decode_glosses,
    encode_glosses,
    find_impossible,
    measure_blanks,
)
from models.end_to_end import END_TO_END
from models.recognizer import output_lengths
from tasks.recognition.searching import GREEDY, Heard
from utils.data.inspection import inspect_features
from utils.features.gaps import Gaps
from utils.runs.networks import load_network
from utils.scores.caveats import say_worth
from utils.signing.batches import SentenceSequence, pad_rows, plan_lengths
from utils.signing.cleaning import clean_hypothesis, clean_reference
from utils.signing.corpora import leave_out
from utils.signing.row_changes import read_sentence
from utils.signing.wer import align_corpus, find_constant, measure_recall, score_corpus
from utils.system.progress import show_progress

import keras
import numpy as np


class Reading(NamedTuple):
    """How sentences become inputs.

    Attributes:
        read: function of a sentence's `VideoFeatures` or `SentenceFrames` -> its array.
        pad: function (arrays, lengths in rows) -> a batch of inputs.
    """

    read: Callable = read_sentence
    pad: Callable = pad_rows


FEATURES = Reading()


def find_gaps(params):
    """Return the `utils.features.gaps.Gaps` of a run's rows, or None."""
    if params.missing == "refuse":
        return None
    return Gaps(params.missing, params.coordinates or len(params.relative_to) or 1)


def read_features(sentences, params):
    """Read all sentences' features once.

    Returns:
        (sentences that have some, {path: `VideoFeatures`} of them, [(id or path, problem)]).
    """
    paths = [sentence.path for sentence in sentences]
    inputs, notes = inspect_features(paths, params.features, params.workers, find_gaps(params))
    reasons = {path: note for path, note in notes if path not in inputs}
    reasons = [reasons.get(path, "") for path in paths]
    kept, lost = leave_out(sentences, reasons, params.features)
    inputs = {path: features.thin(params.row_step) for path, features in inputs.items()}
    return kept, inputs, lost + [(path, note) for path, note in notes if path in inputs]


def read_logits(network, rows, front, path):
    """Return what a recognizer says of a sentence, float32 (steps, 1 + glosses), the blank first.

    Args:
        network: a recognizer.
        rows: float32 (rows, dim) of features.
        front: of the network, a key of `FRONTS`.
        path: of the video, for messages.

    Raises:
        ValueError: too few rows for a step.
    """
    steps = int(output_lengths(len(rows), front))
    if not steps:
        raise ValueError(f"{path}: {len(rows)} rows are too few for one step of the front {front}.")
    return network.predict_on_batch(pad_rows([rows], plan_lengths(len(rows))))[0, 0, :steps]


class Decoded(NamedTuple):
    """What a recognizer says of sentences.

    Attributes:
        classes: of each sentence a list, without blanks.
        blanks: share of blanks in all real steps.
        blanks_reference: what it would be with one step a gloss.
        loss: mean over the sentences that CTC can spell; None where it was not asked for, or there
            is none.
        paths: of each sentence the best class of each step, int (steps,).
    """

    classes: list
    blanks: float
    blanks_reference: float
    loss: float | None
    paths: tuple | list = ()


class _SentenceLoss(keras.layers.Layer):
    """Calls a loss on targets and outputs: a loss of each sentence."""

    def __init__(self, loss):
        super().__init__()
        self._loss = loss

    def call(self, targets, outputs):
        return self._loss.call(targets, outputs)

    def compute_output_shape(self, targets_shape, outputs_shape):
        return (targets_shape[0],)


class LossMeter:
    """Measures a loss of sentences by a compiled function: TensorFlow traces CTC at each call else.

    Args:
        loss: a `models.recognizer.RecognitionLoss`.
        outputs_shape: of a recognizer, (batch, 2, steps, classes), None where it varies.
    """

    def __init__(self, loss, outputs_shape):
        targets, outputs = keras.Input((None,)), keras.Input(outputs_shape[1:])
        self._model = keras.Model([targets, outputs], _SentenceLoss(loss)(targets, outputs))

    def measure(self, targets, outputs):
        """Return the loss of each sentence that has as many steps as its glosses need."""
        labels = [row[2 : 2 + row[1]] for row in targets.astype(int)]
        lost = find_impossible(labels, targets[:, 0])
        return np.delete(self._model.predict_on_batch([targets, outputs]), lost).tolist()


def _run_batches(network, sequence):
    """Yield (inputs, outputs, targets) of the real sentences of each batch."""
    for batch in show_progress("Recognizing", "batch", range(len(sequence))):
        inputs, targets, weights = sequence[batch]
        real = weights > 0
        outputs = network.predict(inputs, batch_size=len(real), verbose=0)
        yield {name: each[real] for name, each in inputs.items()}, outputs[real], targets[real]


def _part(inputs, logits, lengths):
    """Return the `Heard` of each sentence of a batch."""
    rows = [None] * len(logits)
    if "features" in inputs:
        pairs = zip(inputs["features"], inputs["lengths"], strict=True)
        rows = [each[: int(count)] for each, count in pairs]
    return [
        Heard(own[:length], each) for own, length, each in zip(logits, lengths, rows, strict=True)
    ]


def recognize(network, sequence, search=GREEDY, loss=None):
    """Return what is `Decoded` of sentences.

    Args:
        network: a recognizer.
        sequence: `SentenceSequence` without an order.
        search: a `tasks.recognition.searching.Search`.
        loss: a `LossMeter`; None to measure none.
    """
    found, losses, paths, blanks, steps, glosses = [], [], [], 0.0, 0, 0
    for inputs, outputs, targets in _run_batches(network, sequence):
        logits = outputs[:, 0]
        losses += loss.measure(targets, outputs) if loss else []
        lengths, counts = targets[:, 0].astype(int), targets[:, 1]
        found += search.find(_part(inputs, logits, lengths))
        paths += [own[:length].argmax(-1) for own, length in zip(logits, lengths, strict=True)]
        if lengths.any():
            blanks += measure_blanks(logits, lengths, counts)[0] * lengths.sum()
        steps, glosses = steps + lengths.sum(), glosses + counts.sum()
    shares = float(blanks / max(steps, 1)), float(1 - glosses / max(steps, 1))
    return Decoded(found, *shares, float(np.mean(losses)) if losses else None, paths)


def clean_all(sentences, corpus):
    """Return {id: reference} of sentences, cleaned.

    Args:
        sentences: list of `Sentence`.
        corpus: a key of `utils.signing.cleaning.CLEANINGS`, whose rules hold.
    """
    return {s.id: clean_reference(s.glosses, s.split, corpus) for s in sentences}


def spell(found, sentences, vocabulary, corpus):
    """Return ({id: reference}, {id: hypothesis}), cleaned, of decoded sentences.

    Args:
        found: class sequences.
        sentences: what they were found in.
        vocabulary: list of glosses.
        corpus: a key of `utils.signing.cleaning.CLEANINGS`, whose rules hold.
    """
    hypotheses = {
        s.id: clean_hypothesis(decode_glosses(classes, vocabulary), corpus)
        for s, classes in zip(sentences, found, strict=True)
    }
    return clean_all(sentences, corpus), hypotheses


class Transcript(NamedTuple):
    """What sentences say and what is recognized of them, cleaned.

    Attributes:
        references, hypotheses: {id: glosses}.
        decoded: `Decoded`.
    """

    references: dict
    hypotheses: dict
    decoded: Decoded

    def count_empty(self):
        """Return of how many sentences nothing is recognized."""
        return sum(not words for words in self.hypotheses.values())

    def align(self):
        """Return {id: alignment} of `utils.signing.wer.align`."""
        return align_corpus(self.references, self.hypotheses)


class Trial(NamedTuple):
    """Sentences that a recognizer is tried on.

    Attributes:
        network: a recognizer.
        sequence: of `make_sequence`.
        sentences: list of `Sentence`.
        vocabulary: list of glosses.
        corpus: a key of `utils.signing.cleaning.CLEANINGS`, whose rules hold.
        loss: a `LossMeter`; None to measure none.
    """

    network: keras.Model
    sequence: SentenceSequence
    sentences: list
    vocabulary: list
    corpus: str
    loss: LossMeter | None = None

    def transcribe(self, search=GREEDY):
        """Return the `Transcript` of a `tasks.recognition.searching.Search`."""
        decoded = recognize(self.network, self.sequence, search, self.loss)
        said = spell(decoded.classes, self.sentences, self.vocabulary, self.corpus)
        return Transcript(*said, decoded)

    def weigh(self, searches):
        """Choose the `tasks.recognition.searching.Search` with the lowest WER of what is tried.

        Args:
            searches: list of them.

        Returns:
            (the search, its WER); of equal ones the first.
        """
        heard = [
            each
            for inputs, outputs, targets in _run_batches(self.network, self.sequence)
            for each in _part(inputs, outputs[:, 0], targets[:, 0].astype(int))
        ]
        tried = []
        for search in searches:
            said = spell(search.find(heard), self.sentences, self.vocabulary, self.corpus)
            tried.append((search, score_corpus(align_corpus(*said)).wer))
        return min(tried, key=lambda pair: pair[1])


def measure(trial, recalls, steps, epoch):
    """Return what an epoch shows of a `Trial`'s sentences, as `sum_up` does.

    Args:
        trial: `Trial`.
        recalls: `utils.signing.recall.RecallTable`, which keeps the recall of each gloss.
        steps: `utils.signing.recall.PathTable`, which keeps what is said of one of them.
        epoch: its number, from 1.
    """
    found = trial.transcribe()
    alignments = found.align()
    recalls.keep(epoch, measure_recall(alignments))
    path = found.decoded.paths[trial.sentences.index(steps.sentence)]
    names = ["", *trial.vocabulary]  # of the blank first
    steps.keep(epoch, [names[place] for place in path])
    return sum_up(found, alignments)


def sum_up(found, alignments):
    """Return what sentences show: the WER, how many answers are empty, how many glosses differ.

    The most frequent gloss has no share while nothing is recognized: then its number is left out.

    Args:
        found: `Transcript`.
        alignments: of its `align`.
    """
    said, given = (
        Counter(gloss for words in texts.values() for gloss in words)
        for texts in (found.hypotheses, found.references)
    )
    numbers = {
        "val_wer": score_corpus(alignments).wer,
        "val_blanks": found.decoded.blanks,
        "val_blanks_reference": found.decoded.blanks_reference,
        "val_empty": found.count_empty() / len(found.hypotheses),
        "val_glosses": len(said) / len(given),
        "val_top_gloss_reference": max(given.values()) / given.total(),
    }
    if said:
        numbers["val_top_gloss"] = max(said.values()) / said.total()
    return numbers if found.decoded.loss is None else numbers | {"val_loss": found.decoded.loss}


def list_caveats(found, wer):
    """Return sentences on what a WER is worth, and whether it is no better than a constant answer.

    Args:
        found: `Transcript`.
        wer: its, in percent.
    """
    count, words = len(found.references), sum(map(len, found.references.values()))
    what = f"Only {count} sentences of {words} glosses"
    said = say_worth(count, what, "gloss", "WER", words)
    gloss, constant = find_constant(found.references)
    if found.count_empty() == count:
        said.append(
            "Every hypothesis is empty: the network has not learned more than the blank yet. Give "
            "more --epochs."
        )
    elif wer >= constant:
        said.append(
            f"The network does no better than always answering {gloss} (WER {constant:.2f} % on "
            "these sentences). If the training loss still falls, give more --epochs; if it stays "
            "high, other --learning-rates; if it is low, more sentences."
        )
    return said


def make_sequence(sentences, inputs, vocabulary, front, reading=FEATURES, **batches):
    """Return the batches of sentences as they are, in order.

    Args:
        sentences: list of `Sentence`.
        inputs: {path: `VideoFeatures`, or what `reading` takes}.
        vocabulary: list of glosses.
        front: a key of `FRONTS`.
        reading: a `Reading`.
        batches: batch_size, workers, replicas, most of `SentenceSequence`.
    """
    chosen = [inputs[sentence.path] for sentence in sentences]
    rows = [each.num_rows for each in chosen]
    labels = [encode_glosses(sentence.glosses, vocabulary) for sentence in sentences]
    to_steps = partial(output_lengths, front=front)

    def read(index, epoch):
        return reading.read(chosen[index])

    return SentenceSequence(read, labels, rows, max(rows), to_steps, reading.pad, **batches)


def load_recognizer(run, features):
    """Load what reads rows of features in a run: of a run through its backbone, the part behind it.

    Args:
        run: its folder.
        features: where the rows are; "" where a run has none of its own.

    Raises:
        ValueError: no features given for a run through its backbone, or no such network.
    """
    if not features:
        raise ValueError(
            f"{run} reads frames. Extract their features (python -m "
            f"scripts.extract_features --weights {run}, window and stride as in its "
            "rows.json), and give --features."
        )
    network = load_network(run, ("logits", "recognizer"))
    return network.get_layer("recognizer") if network.name == END_TO_END else network
