"""The release folders of PHOENIX-2014 and PHOENIX-2014-T: where what is, read line by line."""

import csv
import io
from dataclasses import dataclass
from typing import NamedTuple

from utils.system.tables import read_text

SPLITS = ("train", "dev", "test")
FRAMES = "features/fullFrame-210x260px"


@dataclass(frozen=True)
class Sentence:
    """A signed sentence.

    Attributes:
        id: its name, unique in the corpus.
        path: a folder of frames, or a video file.
        signer: "" where it is not known.
        split: one of `SPLITS`.
        raw: its glosses as they are written.
        glosses: its glosses cleaned: as they are trained on, or in dev and test, scored against.
    """

    id: str
    path: str
    signer: str
    split: str
    raw: tuple[str, ...]
    glosses: tuple[str, ...] = ()


class Release(NamedTuple):
    """Where a release keeps its sentences.

    Attributes:
        folder: its own.
        annotations: the tables in it, {} for the split.
        header: their columns.
        columns: those of the id, the glob of frames, the signer and the glosses.
    """

    folder: str
    annotations: str
    header: tuple[str, ...]
    columns: tuple[str, ...]


_HEADER = ("id", "folder", "signer", "annotation")
_T_HEADER = ("name", "video", "start", "end", "speaker", "orth", "translation")
RELEASES = {
    "phoenix2014": Release(
        "phoenix-2014-multisigner",
        "annotations/manual/{}.corpus.csv",
        _HEADER,
        _HEADER,
    ),
    "phoenix2014_si5": Release(
        "phoenix-2014-signerindependent-SI5",
        "annotations/manual/{}.SI5.corpus.csv",
        _HEADER,
        _HEADER,
    ),
    "phoenix2014t": Release(
        "PHOENIX-2014-T",
        "annotations/manual/PHOENIX-2014-T.{}.corpus.csv",
        _T_HEADER,
        ("name", "video", "speaker", "orth"),
    ),
}


def read_table(path, delimiter, quoting, errors="strict"):
    """Yield the line number and the cells of each line of a table; "" lines are left out.

    Args:
        path: of the file.
        delimiter, quoting: as in `csv.reader`.
        errors: as in `utils.system.tables.read_text`.

    Raises:
        ValueError: no such file, or no text.
    """
    try:
        text = io.StringIO(read_text(path, errors), "")
        reader = csv.reader(text, delimiter=delimiter, quoting=quoting)
        yield from ((reader.line_num, row) for row in reader if row)
    except FileNotFoundError as error:
        raise ValueError(
            f"{path}: no such file. The corpus is not complete; download and unpack it again."
        ) from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 ({error.reason} at byte {error.start}).") from error


def find_release(release, path):
    """Return the folder that holds a release's annotations: `path` or one below; else None."""
    for folder in (path, path / release.folder, path / "phoenix2014-release" / release.folder):
        if any((folder / release.annotations.format(split)).is_file() for split in SPLITS):
            return folder
    return None


def _locate_frames(root, pattern):
    """Return the folder of a glob of frames; of PHOENIX-2014-T's `<id>/1/*.png`, without the 1."""
    folder = (root / pattern).parent
    missing = folder.name == "1" and not folder.is_dir()
    return folder.parent if missing and folder.parent.is_dir() else folder


def read_release(release, root):
    """Yield the sentences of a release folder as they are written.

    Args:
        release: a `Release`.
        root: the `Path` that holds `annotations` and `features`.

    Raises:
        ValueError: a missing file, another header, or a line with more or fewer columns.
    """
    for split in SPLITS:
        path = root / release.annotations.format(split)
        rows = read_table(path, "|", csv.QUOTE_NONE)
        _, header = next(rows, (1, []))
        if tuple(header) != release.header:
            raise ValueError(
                f"{path}: the header is {'|'.join(header)!r}; "
                f"expected {'|'.join(release.header)!r}."
            )
        for number, row in rows:
            if len(row) != len(header):
                raise ValueError(
                    f"{path}, line {number}: the line has {len(row)} columns; expected "
                    f"{len(header)}: {'|'.join(header)}."
                )
            cells = dict(zip(header, row, strict=True))
            name, pattern, signer, glosses = (cells[column] for column in release.columns)
            folder = _locate_frames(root / FRAMES / split, pattern)
            yield Sentence(name, str(folder), signer, split, tuple(glosses.split()))
