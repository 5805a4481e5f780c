"""Files that are either whole or not there."""

import os
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path


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
    """Write a text file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def clear_leftovers(folder, age=3600):
    """Delete what killed processes left unfinished below a folder: unchanged for `age` seconds."""
    for part in list(Path(folder).rglob(".part-*")):
        with suppress(FileNotFoundError):  # it was finished just now
            touched = max(path.stat().st_mtime for path in (part, *part.iterdir()))
            if time.time() - touched > age:
                shutil.rmtree(part)
