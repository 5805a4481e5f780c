"""Files that are either whole or not there, and what is wrong with those that are not."""

import csv
import errno
import json
import os
import re
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from utils.system.hashing import hash_bytes
from utils.system.locks import try_lock

_NAME_BYTES = 255  # of a file's name, on nearly all file systems
_PART = ".part-"  # begins the names of folders of what is not yet whole
_YOUNG = 3  # seconds in which a folder is surely locked by who made it
_OLD = 3600  # seconds after which one without locks is taken to be left over
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# What HDF5, NumPy and TensorFlow say of a full disk, whose errors have no number.
_SAID_FULL = re.compile(r"No space left|quota exceeded|\d+ requested and \d+ written", re.I)
_BARRED = {errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENOENT}
_TAKEN = {errno.ENOTEMPTY, errno.EEXIST}


def stamp_file(path):
    """Return what tells that a file was changed or replaced: its size, and when it last changed."""
    found = Path(path).stat()
    return found.st_size, found.st_mtime_ns


@contextmanager
def atomic_path(path, size=0):
    """Yield a temporary path beside `path`, with its suffixes, that replaces it at the end.

    What killed processes left in the folder is cleared.

    Args:
        path: of a file, or of a folder that is not there or empty.
        size: bytes that must be free, for writers that do not survive a full disk.

    Raises:
        FileExistsError: a folder that is there already, with something in it.
        OSError: the disk is full, or the folder may not be written; it is named.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear_once(path.parent)
        with (
            tempfile.TemporaryDirectory(dir=path.parent, prefix=_PART) as folder,
            marked_alive(folder),
        ):
            temporary = Path(folder, path.name)
            if size:
                _try_size(temporary, size)
            yield temporary
            os.replace(temporary, path)
    except Exception as error:  # of any library
        if reason := _explain_failure(error, path):
            kind = FileExistsError if reason is _IS_THERE else OSError
            raise kind(reason.format(path=path, folder=path.parent.resolve())) from error
        raise


@contextmanager
def marked_alive(folder):
    """Hold the lock of a folder, by which others see that it is no leftover."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without such locks
            try_lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def describe_error(error):
    """Return what an error says: of a full disk without a name where it is, of code the line."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}: {error.msg}: {(error.text or '').strip()}"
    if getattr(error, "errno", None) in _FULL and not error.filename:
        return f"{error}: {Path.cwd()}, {tempfile.gettempdir()}, or where the output goes"
    return str(error)


def _try_size(path, size):
    """Raise an OSError where a file of so many bytes has no room."""
    with open(path, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)


_IS_THERE = "{path} exists already, perhaps made by another process just now. It was not changed."


def _explain_failure(error, path):
    """Return a message for the error of a write, with {path} and {folder}; "" for none."""
    while error:
        number = getattr(error, "errno", None)
        if number in _FULL or _SAID_FULL.search(str(error)):
            why = os.strerror(number) if number in _FULL else "the disk is full"
            return (
                f"{{path}} was not written: no space is left in {{folder}} ({why}). Free "
                "some space, then run the command again."
            )
        if number in _TAKEN and path.exists() and _PART in str(error):
            return _IS_THERE
        if number in _BARRED and _PART in str(error):
            return f"{{path}} was not written: {os.strerror(number)}, in {{folder}}."
        error = error.__cause__ or error.__context__
    return ""


def write_atomically(path, text):
    r"""Write a text file atomically; bytes in names that are not UTF-8 as \udc.., as in JSON."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def read_json(path):
    """Return what a JSON file holds.

    Raises:
        ValueError: it is no JSON, or nested too deep; it is named.
        OSError: it cannot be read.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged or not a file of this kind: {error}.") from error


@contextmanager
def name_damaged(path):
    """Turn what readers of text and CSV raise into a ValueError that names the file."""
    try:
        yield
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is damaged or not a file of this kind: {error}.") from error


def fit_name(name, room):
    """Return a path whose last part leaves room for a suffix, of 255 bytes that a name may have.

    Args:
        name: a string; slashes separate its parts.
        room: bytes of the longest suffix.

    Returns:
        The name itself, or its beginning and a hash of all of it.
    """
    folder, _, last = name.rpartition("/")
    if len(os.fsencode(last)) + room <= _NAME_BYTES:
        return name
    mark = f"-{hash_bytes([os.fsencode(last)])[:12]}"
    begin = os.fsencode(last)[: _NAME_BYTES - room - len(mark)].decode("utf-8", "ignore")
    return f"{folder}/{begin}{mark}" if folder else begin + mark


def whole_path(path):
    """Return a path from the root of the disk, without "..", as text; links stay as they are."""
    return os.path.abspath(path)  # noqa: PTH100 (the other way follows links)


def is_address(path):
    """Return whether a path is one on the internet, such as https://example.org/a.mp4."""
    return re.match(r"[A-Za-z][\w+.-]+:/", str(path)) is not None  # a drive has one letter


def explain_missing(path, otherwise=""):
    """Say why nothing could be made of a path: it is an address, or what is given as `otherwise`.

    Without the latter: that it is of another kind, or not there.
    """
    if is_address(path):
        return "this is an address on the internet; download the file first and give its path"
    return otherwise or (
        "unknown kind of file" if Path(path).exists() else "no such file or folder"
    )


def clear_leftovers(folder, pattern=f"**/{_PART}*"):
    """Delete what killed processes left unfinished in a folder and below it.

    What a process is at work on is locked. Where the file system has no locks, it is what was
    touched within an hour.
    """
    for part in list(Path(folder).glob(pattern)):
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            if not part.is_symlink() and _is_left(part):
                shutil.rmtree(part)


_clear_once = cache(lambda folder: clear_leftovers(folder, f"{_PART}*"))


def _is_left(part):
    age = time.time() - max(path.stat().st_mtime for path in (part, *part.iterdir()))
    descriptor = os.open(part, os.O_RDONLY)
    try:
        return age > _YOUNG and try_lock(descriptor)
    except OSError:  # no locks here
        return age > _OLD
    finally:
        os.close(descriptor)
