"""Corpora of continuous signing: release folders and plain CSVs as sentences of glosses."""

import csv
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from utils.data.examples import find_split
from utils.signing.cleaning import clean_reference
from utils.signing.releases import (
    RELEASES,
    SPLITS,
    Sentence,
    find_release,
    read_release,
    read_table,
)
from utils.system.files import whole_path
from utils.system.tables import is_text, read_cell, write_csv

BAD_SENTENCES = {  # its id, and why it is left out
    "13April_2011_Wednesday_tagesschau_default-14": "known to have more glosses than frames allow"
}


def read_csv(path):
    """Yield the sentences of a CSV `path,glosses,split`, and perhaps `id` and `signer`.

    A path is a video or a folder of frames, beside the CSV where it is not absolute; glosses are
    separated by blanks; the split is train, dev (or val) or test.

    Raises:
        ValueError: a missing column, or an unknown split; the line is named.
    """
    rows = read_table(path, ",", csv.QUOTE_MINIMAL, "surrogateescape")
    header = [cell.strip() for cell in next(rows, (1, []))[1]]
    if not {"path", "glosses", "split"} <= set(header):
        raise ValueError(
            f"{path}: the header is {','.join(header)!r}; expected path,glosses,split."
        )
    for number, row in rows:
        cells = dict(zip(header, (read_cell(cell.strip()) for cell in row), strict=False))
        split = find_split(cells.get("split", ""), SPLITS)
        if not is_text(cells.get("glosses", "")):
            raise ValueError(
                f"{path}, line {number}: its glosses are not UTF-8: {cells['glosses']}."
            )
        if split not in SPLITS or len(row) != len(header) or not cells["path"]:
            raise ValueError(
                f"{path}, line {number}: {','.join(row)}; expected {','.join(header)}, "
                f"with a path, and a split of {', '.join(SPLITS)}."
            )
        name = cells.get("id") or cells["path"]
        where, glosses = path.parent / cells["path"], tuple(cells["glosses"].split())
        yield Sentence(name, str(where), cells.get("signer", ""), split, glosses)


class Corpus(NamedTuple):
    """How a corpus is read.

    Attributes:
        find: function of a path -> what `read` takes, or None if the corpus is not there.
        read: generator of `Sentence`, raw.
        named: whether it is taken only where it is asked for by its name.
    """

    find: Callable
    read: Callable
    named: bool = False


_RELEASED = {
    name: Corpus(partial(find_release, release), partial(read_release, release))
    for name, release in RELEASES.items()
}
CORPORA = {
    **_RELEASED,
    "phoenix2014t_corrnet": _RELEASED["phoenix2014t"]._replace(named=True),
    "csv": Corpus(
        lambda path: path if path.suffix.lower() == ".csv" and path.is_file() else None,
        read_csv,
    ),
}


def find_corpora(data_path, corpus=""):
    """Return {key of `CORPORA`: path that its reader takes} of what a path holds.

    Args:
        data_path, corpus: as in `find_corpus`; "" for all but those that must be named.
    """
    asked = {
        name: row for name, row in CORPORA.items() if name == corpus or not (corpus or row.named)
    }
    found = {name: row.find(Path(data_path)) for name, row in asked.items()}
    return {name: root for name, root in found.items() if root}


def find_corpus(data_path, corpus=""):
    """Find out which corpus a path holds.

    Args:
        data_path: a release folder, the folder that holds it, or a CSV.
        corpus: a key of `CORPORA`, where the folder holds several; "" for the only one.

    Returns:
        (key of `CORPORA`, the path that its reader takes).

    Raises:
        ValueError: no such corpus there, several, or an unknown key.
    """
    if corpus and corpus not in CORPORA:
        raise ValueError(f"Unknown corpus {corpus!r}; known: {', '.join(CORPORA)}.")
    found = find_corpora(data_path, corpus)
    if not found:
        raise ValueError(
            f"{data_path} contains no corpus{' ' + corpus if corpus else ''}. Give the "
            "release folder of PHOENIX-2014 or PHOENIX-2014-T (with annotations/manual in "
            "it), or a CSV with the header path,glosses,split."
        )
    if len(found) > 1:
        raise ValueError(
            f"{data_path} contains {' and '.join(found)}. Give --corpus, or the folder of one "
            "of them."
        )
    return next(iter(found.items()))


def _find_problem(sentence, needs_frames):
    if sentence.id in BAD_SENTENCES:
        return BAD_SENTENCES[sentence.id]
    if not sentence.glosses:
        return f"no glosses{f' (only {sentence.raw})' if sentence.raw else ''}"
    missing = needs_frames and not Path(sentence.path).exists()
    return f"{sentence.path} does not exist" if missing else ""


def leave_out(sentences, reasons, where):
    """Leave out sentences that cannot be used.

    Args:
        sentences: list of `Sentence`.
        reasons: what is against each; "" for nothing.
        where: they are from, for the error.

    Returns:
        (the sentences without a reason against them, [(id, reason)] of the others).

    Raises:
        ValueError: nothing is left of a split.
    """
    problems = [(s.id, reason) for s, reason in zip(sentences, reasons, strict=True) if reason]
    left = [s for s, reason in zip(sentences, reasons, strict=True) if not reason]
    lost = sorted({s.split for s in sentences} - {s.split for s in left})
    if lost:
        name, reason = next((s.id, r) for s, r in zip(sentences, reasons, strict=True) if r)
        raise ValueError(
            f"{where}: no sentence of {' and '.join(lost)} can be used. {len(problems)} of "
            f"{len(sentences)} sentences are left out, such as {name}: "
            f"{reason.rstrip('.')}."
        )
    return left, problems


def list_sentences(data_path, corpus="", needs_frames=True):
    """List the sentences of a corpus.

    Args:
        data_path, corpus: as in `find_corpus`.
        needs_frames: whether a sentence without frames is left out; features may do without.

    Returns:
        (list of `Sentence`, [(id, reason)] of those left out: `BAD_SENTENCES`, empty ones, and
        those whose frames are not there).

    Raises:
        ValueError: as `find_corpus` and the readers; an id twice; no training sentence; or nothing
            left of a split.
    """
    name, root = find_corpus(data_path, corpus)
    sentences = [
        replace(sentence, glosses=tuple(clean_reference(sentence.raw, sentence.split, name)))
        for sentence in CORPORA[name].read(root)
    ]
    twice = [name for name, count in Counter(s.id for s in sentences).items() if count > 1]
    if twice:
        raise ValueError(f"{root}: {len(twice)} ids occur twice, such as {twice[0]}.")
    if not any(sentence.split == "train" for sentence in sentences):
        raise ValueError(f"{root}: there is no training sentence.")
    return leave_out(sentences, [_find_problem(s, needs_frames) for s in sentences], root)


def drop_unreadable(sentences, cache_path, workers=2):
    """Decode every frame of the sentences once, and remember it; see `utils.data.inspection`.

    Args:
        sentences: list of `Sentence`.
        cache_path: folder of what is remembered.
        workers: threads.

    Returns:
        (those that decode, [(id, reason)] of the others).

    Raises:
        ValueError: nothing is left of a split.
    """
    from utils.data.inspection import inspect_videos  # slow, and the names of corpora need none

    videos, problems = inspect_videos([s.path for s in sentences], cache_path, workers)
    reasons = {path: reason for path, reason in problems if path not in videos}
    return leave_out(sentences, [reasons.get(s.path, "") for s in sentences], "The corpus")


def load_sentences(path):
    """Return the sentences that `save_sentences` wrote, their glosses as they were."""
    return [replace(sentence, glosses=sentence.raw) for sentence in read_csv(Path(path))]


def save_sentences(sentences, path):
    """Write sentences as a CSV that `read_csv` reads, with their glosses as they are.

    Args:
        sentences: list of `utils.signing.releases.Sentence`.
        path: of the file.
    """
    rows = ((whole_path(s.path), " ".join(s.glosses), s.split, s.id, s.signer) for s in sentences)
    write_csv(path, ("path", "glosses", "split", "id", "signer"), rows)
