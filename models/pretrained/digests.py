"""SHA-256 of weights: the published one, or where none is known the first that was seen."""

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from models.pretrained.download import WeightsError

import numpy as np


class Pinned(NamedTuple):
    """A file of which every byte is known.

    Attributes:
        name: of the file.
        size: in bytes.
        sha256: in hexadecimal digits.
    """

    name: str
    size: int
    sha256: str


def hash_file(path):
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_tensors(tensors):
    """Return the SHA-256 of float32 tensors, whatever kind of file they come from.

    Args:
        tensors: {name: array}; each in the order of names as "<name> <shape>", a line break, and
            its little-endian numbers.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name], "<f4")
        digest.update(f"{name} {array.shape}\n".encode())
        digest.update(array)
    return digest.hexdigest()


def read_pinned(path, pinned):
    """Return the bytes of a file that must be the pinned one.

    Raises:
        WeightsError: any other; no more of it is read than the pinned one has.
    """
    with open(path, "rb") as file:
        content = file.read(pinned.size + 1)
    check_pinned(content, pinned, path)
    return content


def check_pinned(content, pinned, where):
    """Raise a WeightsError that names `where`, unless bytes are those of the pinned file."""
    found = hashlib.sha256(content).hexdigest()
    if found != pinned.sha256:
        raise WeightsError(
            f"{where} is not {pinned.name} with {pinned.size} bytes and the SHA-256 "
            f"{pinned.sha256}, the only file of this kind that is read."
        )


def check_first(path, found):
    """Compare what is in a cache with what was there first, kept in `<path>.sha256`.

    Args:
        path: of the cached file.
        found: its SHA-256, or that of the tensors in it.

    Raises:
        WeightsError: it is another; the file is named.
    """
    record = Path(f"{path}.sha256")
    first = record.read_text(encoding="utf-8", errors="replace").strip() if record.exists() else ""
    if not first:
        with suppress(PermissionError):  # a cache that somebody else keeps
            record.write_text(f"{found}\n", encoding="utf-8")
    elif found != first:
        raise WeightsError(
            f"{path}: the weights have changed since they were first used: their SHA-256 "
            f"is {found}, not {first}. If you trust the new ones, delete {record}."
        )
