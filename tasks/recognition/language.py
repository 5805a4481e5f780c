"""The language model of a run: learned from training sentences, weighed on dev sentences."""

import json
from pathlib import Path
from typing import NamedTuple

from models.ctc import decode, encode_glosses
from models.language import Language, NgramModel
from utils.runs.folders import load_data
from utils.signing.corpora import load_sentences
from utils.system.files import write_atomically
from utils.system.settings_files import read_kind

FILE = "language.json"
BEAM = 10
# What is tried on dev, of the weight and of the bonus of a `Language`.
WEIGHTS = (0.0, 0.5, 1.0, 1.5, 2.0)
BONUSES = (0.0, 1.0, 2.0, 3.0)
UNWEIGHED = (1.0, 1.0)  # where there is no dev
MOST = 200  # sentences of dev that they are chosen on
_KEPT = {"order": (int,), "beam": (int,), "weight": (int, float), "bonus": (int, float)}


class Search(NamedTuple):
    """How sequences of glosses are searched for.

    Attributes:
        beam: width; 1 takes the best class of each step.
        language: a `models.language.Language`, or None.
    """

    beam: int = 1
    language: Language | None = None

    def find(self, logits, lengths):
        """Return the classes of each example, as `models.ctc.decode`."""
        return decode(logits, lengths, self.beam, language=self.language)

    def __str__(self):
        if self.language:
            return (
                f"beam {self.beam}, language model of order {self.language.model.order}, "
                f"weight {self.language.weight:g}, bonus {self.language.bonus:g}"
            )
        return "greedy" if self.beam == 1 else f"beam {self.beam}"


GREEDY = Search()


def list_languages(model):
    """Return what is tried of an `NgramModel`: each weight with each bonus."""
    return [Language(model, weight, bonus) for weight in WEIGHTS for bonus in BONUSES]


def build_model(sentences, vocabulary, order):
    """Learn an `NgramModel` of the classes of training sentences."""
    training = [encode_glosses(s.glosses, vocabulary) for s in sentences if s.split == "train"]
    return NgramModel(training, order, len(vocabulary))


def save_search(folder, search):
    """Keep in a run how its language model is weighed."""
    language = search.language
    kept = {"order": language.model.order, "weight": language.weight, "bonus": language.bonus}
    write_atomically(Path(folder, FILE), json.dumps(kept | {"beam": search.beam}, indent=1) + "\n")


def open_search(folder, beam=0):
    """Return the `Search` of a run.

    Args:
        folder: the run's.
        beam: width. 0: as the run keeps it, or 1 if it keeps none. Above 1 with its language model
            if it has one.

    Raises:
        ValueError: no run, or a damaged file of how its language model is weighed.
    """
    path = Path(folder, FILE)
    if beam == 1 or not path.is_file():
        return Search(beam or 1)
    kept = read_kind(path)
    if any(type(kept.get(name)) not in kinds for name, kinds in _KEPT.items()):
        raise ValueError(f"{path} is damaged: it needs numbers {', '.join(_KEPT)}.")
    model = build_model(*load_data(folder, load_sentences), kept["order"])
    return Search(beam or kept["beam"], Language(model, kept["weight"], kept["bonus"]))
