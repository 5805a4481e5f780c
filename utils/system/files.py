"""Files that are either whole or not there, and what is wrong with those that are not."""

import csv
import json
import os
import re
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from utils.system.hashing import hash_bytes

_NAME_BYTES = 255  # of a file's name, on nearly all file systems


@contextmanager
def atomic_path(path):
    """Yield a temporary path beside `path`, with its suffixes, that replaces it at the end."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".part-") as folder:
        temporary = Path(folder, path.name)
        yield temporary
        os.replace(temporary, path)


def write_atomically(path, text):
    r"""Write a text file atomically; bytes in names that are not UTF-8 as \udc.., as in JSON."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


@contextmanager
def name_damaged(path):
    """Turn what readers of text, CSV and JSON raise into a ValueError that names the file."""
    try:
        yield
    except (UnicodeDecodeError, csv.Error, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is damaged, or of another kind: {error}.") from error


def check_chunks(array):
    """Raise an OSError, as h5py does, for an array whose chunks have other axes than itself.

    HDF5 would search them for ever.
    """
    if array.chunks and len(array.chunks) != len(array.shape):
        raise OSError(f"its shape is {array.shape}, that of its chunks {array.chunks}")


def fit_name(name, room):
    """Return a path whose last part leaves room for a suffix, of 255 bytes that a name may have.

    Args:
        name: a string; slashes separate its parts.
        room: bytes of the longest suffix.

    Returns:
        The name itself, or its beginning and a hash of all of it.
    """
    folder, last = os.path.split(name)
    if len(os.fsencode(last)) + room <= _NAME_BYTES:
        return name
    mark = f"-{hash_bytes([os.fsencode(last)])[:12]}"
    begin = os.fsencode(last)[: _NAME_BYTES - room - len(mark)].decode("utf-8", "ignore")
    return f"{folder}/{begin}{mark}" if folder else begin + mark


def is_address(path):
    """Return whether a path is one on the internet, such as https://example.org/a.mp4."""
    return re.match(r"[A-Za-z][\w+.-]+:/", str(path)) is not None  # a drive has one letter


def explain_missing(path, otherwise=""):
    """Say why nothing could be made of a path: it is an address, or what is given as `otherwise`.

    Without the latter: that it is of another kind, or not there.
    """
    if is_address(path):
        return "an address; download the file first, and give its path"
    return otherwise or ("of no known kind" if Path(path).exists() else "not there")


def clear_leftovers(folder, age=3600):
    """Delete what killed processes left unfinished below a folder: unchanged for `age` seconds."""
    for part in list(Path(folder).rglob(".part-*")):
        with suppress(FileNotFoundError):  # it was finished just now
            touched = max(path.stat().st_mtime for path in (part, *part.iterdir()))
            if time.time() - touched > age:
                shutil.rmtree(part)
