"""The templates of a run: its training sentences, that a search puts together anew.

They are compared as a recognizer's first convolution sees them, averaged over each of its steps.
"""

import json
from itertools import product
from pathlib import Path
from zipfile import BadZipFile

from models.ctc import count_needed_steps, encode_glosses
from models.language import END
from models.recognizer import count_pooled, see_rows
from utils.clips.sampling import spread
from utils.signing.row_changes import read_sentence
from utils.signing.templates import (
    LanguageCosts,
    Templates,
    TemplateSearch,
    Weights,
    cut_sentences,
)
from utils.signing.wer import align, count_errors
from utils.system.files import atomic_path, write_atomically
from utils.system.progress import show_progress
from utils.system.settings_files import read_kind

import numpy as np

FILE, WEIGHTS_FILE = "templates.npz", "templates.json"
MOST_NUMBERS = 2**26  # of all steps: a quarter of a GiB
# What is tried of each of `Weights`: the network's on dev, the others on training sentences.
NETWORKS, LANGUAGES, JUMPS = (0.0, 0.03, 0.1, 0.3, 1.0), (0.05, 0.1, 0.2), (0.2, 0.4, 0.6, 0.8)
UNWEIGHED = 0.1  # the network, where there is no dev
MOST = 200  # training sentences that are left out in turn


def average_steps(network, front, rows):
    """Return the rows of a sentence as a recognizer sees them, averaged over each of its steps.

    Args:
        network: a recognizer.
        front: its, a key of `FRONTS`.
        rows: float (rows, dim).

    Returns:
        float32 (steps, other dim).
    """
    pooled = count_pooled(front)
    seen = see_rows(network, rows)[: len(rows) // pooled * pooled]
    return seen.reshape(-1, pooled, seen.shape[-1]).mean(1)


def make_templates(network, front, sentences, inputs, vocabulary):
    """Return the `Templates` of training sentences; each of their glosses takes as long.

    Args:
        network, front: as `average_steps` takes them.
        sentences: list of `Sentence`.
        inputs: {path: `VideoFeatures`} of them.
        vocabulary: list of glosses.

    Raises:
        ValueError: more than can be searched through.
    """
    parts = []
    for sentence in (s for s in sentences if s.split == "train"):
        labels = [label - 1 for label in encode_glosses(sentence.glosses, vocabulary)]
        rows = average_steps(network, front, read_sentence(inputs[sentence.path]))
        if 0 < len(labels) <= len(rows):
            parts.append((rows, labels, np.arange(len(labels)) * len(rows) // len(labels)))
    numbers = sum(rows.size for rows, *_ in parts)
    if numbers > MOST_NUMBERS:
        raise ValueError(
            f"The {len(parts)} training sentences have {numbers:,} numbers, more than the "
            f"{MOST_NUMBERS:,} that can be searched through. Leave out --templates: with so many, "
            "the network is what to rely on."
        )
    return cut_sentences(parts)


def measure_costs(model, num_labels):
    """Return the `LanguageCosts` of a bigram `NgramModel` of classes from 1 on."""
    labels = range(1, num_labels + 1)
    first = [model.probability(label, ()) for label in labels]
    last = [model.probability(END, (label,)) for label in labels]
    after = [[model.probability(label, (before,)) for label in labels] for before in labels]
    return LanguageCosts(*(-np.log(np.array(each, "float32")) for each in (first, last, after)))


class Splicer:
    """Searches for sentences among `Templates`.

    Args:
        network, front: as `average_steps` takes them.
        templates: `Templates`.
        costs: `LanguageCosts`.
        weights: `Weights`.
    """

    def __init__(self, network, front, templates, costs, weights):
        self._see = network, front
        self._kept = templates, costs
        self.weights, self._search = weights, TemplateSearch(templates, costs, weights)

    def weigh(self, weights):
        """Return the same with other `Weights`."""
        return Splicer(*self._see, *self._kept, weights)

    def find(self, logits, rows):
        """Return (the classes of a sentence, the steps with which they begin).

        Args:
            logits: (steps, 1 + glosses).
            rows: float (rows, dim), as they are stored.
        """
        scores = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
        steps = average_steps(*self._see, rows)[: len(scores)]
        labels, firsts = self._search.find(steps, scores)
        found = [label + 1 for label in labels]
        while count_needed_steps(found) > len(scores):  # no blank fits between two that are equal
            twice = next(i for i in range(1, len(found)) if found[i] == found[i - 1])
            del found[twice], firsts[twice]
        return found, firsts

    def save(self, folder):
        """Keep the templates, the costs and their weights in a run's folder."""
        templates, costs = self._kept
        with atomic_path(Path(folder, FILE)) as temporary, open(temporary, "wb") as file:
            np.savez(file, **templates._asdict(), **costs._asdict())
        kept = json.dumps(self.weights._asdict(), indent=1)
        write_atomically(Path(folder, WEIGHTS_FILE), kept + "\n")

    def __str__(self):
        words = ", ".join(f"{name} {value:g}" for name, value in self.weights._asdict().items())
        return f"templates of {self._kept[0].begins.sum()} sentences, {words}"


def make_splicer(network, front, sentences, inputs, vocabulary, model, weights=()):
    """Return the `Splicer` of training sentences.

    Args:
        network, front, sentences, inputs, vocabulary: as `make_templates` takes them.
        model: a bigram `NgramModel` of their classes.
        weights: `Weights`; () to choose those beside the network's on these sentences.

    Raises:
        ValueError: as in `make_templates`.
    """
    templates = make_templates(network, front, sentences, inputs, vocabulary)
    costs = measure_costs(model, len(vocabulary))
    chosen = Weights(*weights) if weights else _choose_weights(templates, costs)
    return Splicer(network, front, templates, costs, chosen)


def _choose_weights(templates, costs):
    tried = [Weights(UNWEIGHED, *each) for each in product(LANGUAGES, JUMPS)]
    errors = [
        _count_errors(TemplateSearch(templates, costs, each))
        for each in show_progress("Weighing templates", "weight", tried)
    ]
    return tried[int(np.argmin(errors))]


def _count_errors(search):
    """Return the errors in training sentences, each found among the others."""
    templates = search.templates
    cuts = np.flatnonzero(templates.begins)[1:]
    references = np.split(templates.labels, cuts)
    pairs = ((references[i], search.find_own(i)) for i in spread(len(references), MOST))
    return sum(count_errors(align(*([*map(str, each)] for each in pair))).errors for pair in pairs)


def open_templates(folder, network, front):
    """Return the `Splicer` of a run, or None.

    Args:
        folder: the run's.
        network, front: as `average_steps` takes them.

    Raises:
        ValueError: a damaged file; it is named.
    """
    path = Path(folder, WEIGHTS_FILE)
    if not path.is_file():
        return None
    kept = read_kind(path)
    if {*kept} != {*Weights._fields} or any(type(n) not in (int, float) for n in kept.values()):
        raise ValueError(f"{path} is damaged: it needs numbers {', '.join(Weights._fields)}.")
    path = Path(folder, FILE)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            kinds = (Templates, LanguageCosts)
            parts = [kind(*(arrays[name] for name in kind._fields)) for kind in kinds]
    except (OSError, KeyError, ValueError, EOFError, BadZipFile) as error:
        raise ValueError(f"{path} is damaged or missing: {error}. Train the run again.") from error
    return Splicer(network, front, *parts, Weights(**kept))
