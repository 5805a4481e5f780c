"""Word error rates that others published for PHOENIX-2014 and PHOENIX-2014-T; none was run here."""

from typing import NamedTuple

# Sentences of the releases that the rates are of.
SENTENCES = {"phoenix2014": 5672 + 540 + 629, "phoenix2014t": 7096 + 519 + 642}
# What a corpus of another name shares its sentences with.
_SAME = {"phoenix2014t_corrnet": "phoenix2014t"}


class Published(NamedTuple):
    """A system and what it reached.

    Attributes:
        what: is known of it.
        phoenix2014, phoenix2014t: (WER on dev, on test) in percent, as they were written; "" where
            it is not known.
        source: where the figures were read.
    """

    what: str
    phoenix2014: tuple[str, str] = ("", "")
    phoenix2014t: tuple[str, str] = ("", "")
    source: str = "tables of papers"


_FILES = "the system's own files or paper"
_I3D = "windows of 16 frames; the figure is not said to be of dev or of test"
# The highest rates first.
PUBLISHED = {
    "I3D, Kinetics": Published(_I3D, phoenix2014t=("45.07", "")),
    "I3D and CTC, frozen up to Mixed_5c": Published(_I3D, phoenix2014t=("41.5", "")),
    "I3D and CTC, all layers trained": Published(_I3D, phoenix2014t=("39.5", "")),
    "I3D, pretrained on signs": Published(_I3D, phoenix2014t=("39.49", "")),
    "SubUNets": Published("", ("40.8", "40.7")),
    "staged optimization": Published("", ("39.4", "38.7")),
    "iterative alignment": Published("a 3D-ResNet", ("37.1", "36.7")),
    "dynamic pseudo labels": Published("", ("35.6", "34.5")),
    "dilated convolutions and CTC": Published(
        "on features of a 3D-ResNet on disk, after the official cleaning", ("32.2", "31.9")
    ),
    "ResNet-18 and CTC": Published("temporal convolutions and a BiLSTM", ("23.8", "25.4")),
    "VAC": Published(
        "the same with an auxiliary CTC and distillation",
        ("21.2", "22.3"),
        source="https://github.com/VIPL-SLP/VAC_CSLR",
    ),
    "MSKA": Published(
        "keypoints alone, four streams of them", ("", "21.2"), ("", "19.8"), source=_FILES
    ),
    "SMKD": Published("", ("20.8", "21.0")),
    "CorrNet": Published("", ("18.8", "19.4")),
    "CorrNet+": Published(
        "ResNet-18 and correlation",
        ("18.0", "18.2"),
        ("17.2", "19.1"),
        source="https://github.com/hulianyuyy/CorrNet_Plus",
    ),
    "SlowFastSign": Published(
        "SlowFast-R101, an auxiliary CTC a pathway",
        ("18.01", "18.28"),
        ("17.66", "18.71"),
        source="https://github.com/kaistmm/SlowFastSign",
    ),
    "SignGraph": Published(
        "graphs of patches",
        ("17.13", "18.17"),
        ("17.00", "19.44"),
        source="https://github.com/gswycf/SignGraph",
    ),
    "USTM": Published("", ("17.9", "17.6")),
    "SignDAGC": Published(
        "a graph-style ResNet-34 with VAC's head",
        ("17.00", "17.76"),
        ("15.96", "18.48"),
        source=_FILES,
    ),
}


def list_published(corpus):
    """Return [(system, WER on dev, on test, what it is, source)] that are known of a corpus.

    Args:
        corpus: a key of `utils.signing.corpora.CORPORA`; [] for one without published figures.
    """
    corpus = _SAME.get(corpus, corpus)
    found = ((name, row, getattr(row, corpus, ("", ""))) for name, row in PUBLISHED.items())
    if corpus not in SENTENCES:
        return []
    return [(name, *wer, row.what, row.source) for name, row, wer in found if any(wer)]


def is_whole(corpus, sentences):
    """Return whether a release has as many sentences as the one that published figures are of."""
    return SENTENCES.get(_SAME.get(corpus, corpus)) == sentences
