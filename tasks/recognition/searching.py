"""How a run searches: the language model of its training sentences, and its templates."""

import json
from pathlib import Path
from typing import NamedTuple

from models.ctc import align, decode, encode_glosses
from models.language import Language, NgramModel
from tasks.recognition.templates import Splicer, open_templates
from utils.runs.folders import load_data
from utils.signing.corpora import load_sentences
from utils.system.files import write_atomically
from utils.system.settings_files import read_kind

import numpy as np

FILE = "language.json"
BEAM = 10
# What is tried on dev, of the weight and of the bonus of a `Language`.
WEIGHTS = (0.0, 0.5, 1.0, 1.5, 2.0)
BONUSES = (0.0, 1.0, 2.0, 3.0)
UNWEIGHED = (1.0, 1.0)  # where there is no dev
MOST = 200  # sentences of dev that they are chosen on
_KEPT = {"order": (int,), "beam": (int,), "weight": (int, float), "bonus": (int, float)}


class Heard(NamedTuple):
    """What a recognizer says of a sentence.

    Attributes:
        logits: (steps, 1 + glosses), of the steps that are real.
        rows: float (rows, dim), as they are stored; None where they are frames.
    """

    logits: np.ndarray
    rows: np.ndarray | None = None


def locate_labels(logits, labels):
    """Return [(class, first step, step behind the last)] of the most probable alignment of labels.

    Args:
        logits: (steps, 1 + glosses).
        labels: classes.

    Raises:
        ValueError: fewer steps than the labels need.
    """
    spans = align(logits, labels).tolist()
    return [(label, *span) for label, span in zip(labels, spans, strict=True)]


class Search(NamedTuple):
    """How sequences of glosses are searched for.

    Attributes:
        beam: width; 1 takes the best class of each step.
        language: a `models.language.Language`, or None.
        splicer: a `tasks.recognition.templates.Splicer` that searches in place of a beam, or None.
    """

    beam: int = 1
    language: Language | None = None
    splicer: Splicer | None = None

    @property
    def name(self):
        """What files of its answers are called after; "" for the best class of each step."""
        if self.splicer:
            return "templates"
        return "" if self.beam == 1 else f"beam{self.beam}"

    def name_scores(self, split):
        """Return what the scores of a split are called."""
        return "-".join(filter(None, [split, self.name]))

    def find(self, heard):
        """Return the classes of each of a list of `Heard`."""
        if self.splicer:
            return [self.splicer.find(each.logits, each.rows)[0] for each in heard]
        return [
            decode(each.logits[None], [len(each.logits)], self.beam, language=self.language)[0]
            for each in heard
        ]

    def locate(self, heard):
        """Return [(class, first step, step behind the last)] of what is found in a `Heard`.

        By templates a gloss lasts until the next one begins, else as long as the steps say it.
        """
        if not self.splicer:
            return locate_labels(heard.logits, self.find([heard])[0])
        found, firsts = self.splicer.find(heard.logits, heard.rows)
        ends = [*firsts, len(heard.logits)][1:]
        return list(zip(found, firsts, ends, strict=False))

    def __str__(self):
        if self.splicer:
            return str(self.splicer)
        if self.language:
            return (
                f"beam {self.beam}, language model of order {self.language.model.order}, "
                f"weight {self.language.weight:g}, bonus {self.language.bonus:g}"
            )
        return "greedy" if self.beam == 1 else f"beam {self.beam}"


GREEDY = Search()


def list_searches(model):
    """Return what is tried of an `NgramModel`: each weight with each bonus, the lowest first."""
    every = (Language(model, weight, bonus) for weight in WEIGHTS for bonus in BONUSES)
    return [Search(BEAM, language) for language in every]


def build_model(sentences, vocabulary, order):
    """Learn an `NgramModel` of the classes of training sentences."""
    training = [encode_glosses(s.glosses, vocabulary) for s in sentences if s.split == "train"]
    return NgramModel(training, order, len(vocabulary))


def save_search(folder, search):
    """Keep in a run how its language model is weighed."""
    language = search.language
    kept = {"order": language.model.order, "weight": language.weight, "bonus": language.bonus}
    write_atomically(Path(folder, FILE), json.dumps(kept | {"beam": search.beam}, indent=1) + "\n")


def open_search(folder, front, beam=0, network=None):
    """Return the `Search` of a run.

    Args:
        folder: the run's.
        front: its, a key of `FRONTS`.
        beam: width. 0: as the run keeps it, with its templates if it has some, or 1 if it keeps
            none. Above 1 with its language model if it has one.
        network: the recognizer of rows, with which templates search.

    Raises:
        ValueError: no run, or a damaged file of how it searches.
    """
    path = Path(folder, FILE)
    if not beam and (splicer := open_templates(folder, network, front)):
        return Search(splicer=splicer)
    if beam == 1 or not path.is_file():
        return Search(beam or 1)
    kept = read_kind(path)
    if any(type(kept.get(name)) not in kinds for name, kinds in _KEPT.items()):
        raise ValueError(f"{path} is damaged: it needs numbers {', '.join(_KEPT)}.")
    model = build_model(*load_data(folder, load_sentences), kept["order"])
    return Search(beam or kept["beam"], Language(model, kept["weight"], kept["bonus"]))
