"""The cleaning of glosses: the worked examples of the official script, and -T's rule."""

from utils.signing.cleaning import (
    CLEANINGS,
    clean_hypothesis,
    clean_phoenix2014,
    clean_phoenix2014t,
    clean_reference,
)
from utils.signing.corpora import CORPORA

import pytest

# Of the official script of PHOENIX-2014, word by word.
OFFICIAL = {
    "loc-NORD cl-KOMMEN poss-MEIN qu-WAS lh-IX": "NORD KOMMEN MEIN WAS IX",
    "NORDRAUM WESTRAUM TRAUM RAUM WELTRAUM NORDRAUM-PLUSPLUS": "NORD WEST TRAUM RAUM WELT NORD",
    "ZEIGEN SONNE ZEIGEN": "ZEIGEN-BILDSCHIRM SONNE ZEIGEN-BILDSCHIRM",
    "__EMOTION__ REGEN __LEFTHAND__ __PU__ NORD": "REGEN NORD",
    "__ON__ MORGEN __OFF__": "__ON__ MORGEN __OFF__",
    "REGEN REGEN REGEN": "REGEN REGEN REGEN",
    "NICHT-cl-KOMMEN ANZEIGEN": "NICHT-KOMMEN ANZEIGEN-BILDSCHIRM",
    "S0NNE HABEN2 __EPENTHESIS__ NULL": "SONNE HABEN NULL",
    "ZEIGEN-PLUSPLUS WIE AUSSEHEN A B": "ZEIGEN WIE AUSSEHEN A B",  # in the order of the rules
    "__EMOTION__": "",
    "": "",
}
TRANSLATION = {
    "__ON__ loc-NORD cl-KOMMEN  REGEN-PLUSPLUS __PU__": "NORD KOMMEN REGEN",
    "NORDRAUM RAUM poss-MEIN": "NORD RAUM poss-MEIN",
    "REGEN REGEN-PLUSPLUS WIND REGEN": "REGEN WIND REGEN",
    "SEHEN M A SCH WETTER": "SEHEN M+A+SCH WETTER",
    "A+B C NULL D": "A+B+C NULL D",
    "WETTER loc-WIE AUSSEHEN AUSSEHEN": "WETTER WIE-AUSSEHEN AUSSEHEN",
    "WIE AUSSEHEN WIE-AUSSEHEN MORGEN": "WIE-AUSSEHEN MORGEN",  # one that follows itself
    "WIE MORGEN AUSSEHEN WIE": "WIE MORGEN AUSSEHEN WIE",
    "SOWIE AUSSEHEN2": "SOWIE-AUSSEHEN2",  # wherever they meet: the rule is one of letters
    "__EMOTION__": "",
}


@pytest.mark.parametrize(("raw", "clean"), OFFICIAL.items())
def test_official_cleaning(raw, clean):
    assert clean_phoenix2014(raw.split()) == clean.split()


@pytest.mark.parametrize(("raw", "clean"), TRANSLATION.items())
def test_cleaning_of_phoenix2014t(raw, clean):
    assert clean_phoenix2014t(raw.split()) == clean.split()
    assert clean_phoenix2014t(clean.split()) == clean.split()


@pytest.mark.parametrize(
    ("corpus", "said", "held_out"),
    [
        ("csv", "loc-NORD NORD", "loc-NORD NORD"),
        ("phoenix2014", "NORD NORD", "loc-NORD NORD"),  # references are as scored
        ("phoenix2014_si5", "NORD NORD", "loc-NORD NORD"),
        ("phoenix2014t", "NORD", "NORD"),
        ("phoenix2014t_corrnet", "NORD", "NORD"),
    ],
)
def test_what_each_side_becomes(corpus, said, held_out):
    glosses = ("loc-NORD", "NORD")
    assert clean_hypothesis(glosses, corpus) == said.split()
    assert clean_reference(glosses, "train", corpus) == said.split()
    assert clean_reference(glosses, "dev", corpus) == held_out.split()
    assert clean_reference(glosses, "test", corpus) == held_out.split()


def test_wie_aussehen_is_one_on_both_sides():
    said = ["WIE", "AUSSEHEN"]
    for cleaned in (
        clean_hypothesis(said, "phoenix2014t"),
        *(clean_reference(said, split, "phoenix2014t") for split in ("train", "dev", "test")),
    ):
        assert cleaned == ["WIE-AUSSEHEN"]
    assert clean_hypothesis(said, "phoenix2014t_corrnet") == said


def test_corrnet_leaves_repeats_with_a_hyphen():
    said = "NICHT-KOMMEN loc-NICHT-KOMMEN M A M A REGEN REGEN REGEN __PU__ WIND2 WIND2".split()
    assert clean_phoenix2014t(said) == "NICHT-KOMMEN M+A+M+A REGEN WIND2".split()
    left = "NICHT-KOMMEN NICHT-KOMMEN M+A+M+A REGEN WIND2 WIND2".split()
    assert clean_hypothesis(said, "phoenix2014t_corrnet") == left


def test_every_corpus_has_its_cleaning():
    assert CLEANINGS.keys() == CORPORA.keys()
