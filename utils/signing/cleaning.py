"""When glosses are cleaned, and how: officially for PHOENIX-2014, as usual for -T, else never.

What a recognizer says is cleaned before it is shown or scored: `clean_hypothesis`. What it learns
from and is scored against is cleaned when the corpus is read: `clean_reference`. Only
`--vocabulary raw` trains on the glosses as they are written.

PHOENIX-2014's evaluation script cleans the hypothesis word by word, so its rules about neighboring
words never apply; its references of dev and test are clean already, its training labels are not.
For PHOENIX-2014-T all are cleaned, by the rule of Camgoz et al. (neccam/slt), or by that of Hu et
al. (hulianyuyy/CorrNet), which leaves repeats of glosses with more than capitals in them.
"""

import re
from collections.abc import Callable
from itertools import groupby
from typing import NamedTuple

# (pattern, replacement), in this order, within one word.
PHOENIX2014_RULES = (
    ("loc-|cl-|qu-|poss-|lh-", ""),
    ("S0NNE", "SONNE"),  # a zero
    ("HABEN2", "HABEN"),
    ("__EMOTION__|__PU__|__LEFTHAND__|^__EPENTHESIS__$", ""),
    ("ZEIGEN$", "ZEIGEN-BILDSCHIRM"),
    ("([A-Z][A-Z])RAUM", r"\1"),
    ("-PLUSPLUS", ""),
)
PHOENIX2014T_RULES = (
    (r"\b__[^_ ]*__\b", ""),
    (r"\b(loc|cl)-", ""),
    (r"-PLUSPLUS\b", ""),
    (r"\b([A-Z]+)RAUM$", r"\1"),
)
_PLAIN = re.compile(r"[A-Z]+")
_SPELLED = re.compile(r"[A-Z](\+[A-Z])*|SCH|NN")


def _apply(rules, words):
    for pattern, replacement in rules:
        words = [re.sub(pattern, replacement, word) for word in words]
    return [word for word in words if word]


def _join_letters(glosses):
    """Join neighbors that are spelled letters: A B C becomes A+B+C."""
    for spelled, run in groupby(glosses, lambda gloss: bool(_SPELLED.fullmatch(gloss))):
        words = list(run)
        yield from ["+".join(words)] if spelled else words


def _join_wie(glosses):
    """Join WIE and AUSSEHEN where they are neighbors, also as the end and the start of glosses."""
    return " ".join(glosses).replace("WIE AUSSEHEN", "WIE-AUSSEHEN").split()


def clean_phoenix2014(words):
    """Clean glosses by the official rules of PHOENIX-2014, each by itself.

    Args:
        words: sequence of glosses.

    Returns:
        List of glosses; those that the rules leave nothing of are gone.
    """
    return _apply(PHOENIX2014_RULES, words)


def clean_phoenix2014t(words):
    """Clean the glosses of a PHOENIX-2014-T sentence; the arguments are `clean_phoenix2014`'s.

    Besides tags and marks within a word, neighbors count: WIE AUSSEHEN becomes WIE-AUSSEHEN,
    spelled letters are joined with "+", and a gloss that follows itself is one.
    """
    joined = _join_letters(_join_wie(_apply(PHOENIX2014T_RULES, words)))
    return [word for word, _ in groupby(joined)]


def clean_corrnet(words):
    """Clean the glosses of a PHOENIX-2014-T sentence as CorrNet does.

    As `clean_phoenix2014t`, but WIE and AUSSEHEN stay two, and a gloss that follows itself is one
    only if it is of capitals alone: glosses with a hyphen, "+" or a digit stay twice.
    """
    joined = groupby(_join_letters(_apply(PHOENIX2014T_RULES, words)))
    runs = ((word, list(run)) for word, run in joined)
    return [each for word, run in runs for each in (run[:1] if _PLAIN.fullmatch(word) else run)]


class Cleaning(NamedTuple):
    """What becomes of glosses of a corpus: of hypotheses and training labels, of dev and test."""

    hypothesis: Callable
    held_out: Callable


CLEANINGS = {  # of each of `utils.signing.corpora.CORPORA`
    "phoenix2014": Cleaning(clean_phoenix2014, list),
    "phoenix2014_si5": Cleaning(clean_phoenix2014, list),
    "phoenix2014t": Cleaning(clean_phoenix2014t, clean_phoenix2014t),
    "phoenix2014t_corrnet": Cleaning(clean_corrnet, clean_corrnet),
    "csv": Cleaning(list, list),
}


def clean_hypothesis(glosses, corpus):
    """Return the glosses that a recognizer says, cleaned, as a list.

    Args:
        glosses: sequence of them.
        corpus: a key of `CLEANINGS`.
    """
    return CLEANINGS[corpus].hypothesis(glosses)


def clean_reference(glosses, split, corpus):
    """Return the glosses that a sentence is labeled with, cleaned, as a list.

    Args:
        glosses: sequence of them.
        split: of the sentence; "train" is cleaned as hypotheses are.
        corpus: a key of `CLEANINGS`.
    """
    if split == "train":
        return clean_hypothesis(glosses, corpus)
    return CLEANINGS[corpus].held_out(glosses)
