"""Downloads that show progress, resume, and never leave half a file under its final name."""

import contextlib
import errno
import fcntl
import os
import shutil
import socket
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

TIMEOUT = 10  # seconds without an answer; an unreachable source must not cost minutes
# What killed processes leave in a folder of weights; what a download begins with stays.
_LEFT = ("*.npz.part", "tmp*.part", "*/.part-*", "*/tmp*")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# What the errors of a connection mean.
_REASONS = {
    socket.gaierror: "no such host (is there a connection to the internet?)",
    TimeoutError: f"no answer within {TIMEOUT} seconds",
    ConnectionRefusedError: "the connection was refused",
}


class WeightsError(ValueError):
    """Pretrained weights that could not be fetched, or are not the published ones."""


class DamagedError(WeightsError):
    """Weights that came, but are not the published ones."""


class Bar(tqdm):
    """A bar of the bytes that came, on a terminal only; it is gone at the end."""

    def __init__(self, *arguments, **options):
        options |= {"disable": options.get("disable") or None, "leave": False}
        super().__init__(*arguments, **options)


def open_bar(name, size, start=0):
    """Return the `Bar` of a file of `size` bytes (None: unknown), of which `start` are there."""
    return Bar(total=size, initial=start, unit="B", unit_scale=True, desc=name)


def explain(error):
    """Say in plain words why a source could not be read."""
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}, {error.reason}"
    cause = getattr(error, "reason", error)
    return next((why for kind, why in _REASONS.items() if isinstance(cause, kind)), str(cause))


def fetch_first(title, sources, fetch):
    """Fetch from the first source that can be read; say where, and why the next one is tried.

    Args:
        title: what is fetched, and its size.
        sources: {place, in words: what `fetch` takes}, in the order tried.
        fetch: function that raises an OSError, an ImportError or a `WeightsError`.

    Returns:
        What `fetch` returned.

    Raises:
        WeightsError: none could be read; a line a source says why.
    """
    failures, places = [], [*sources]
    print(f"Fetching {title} from {places[0]}", flush=True)
    for place, following in zip(places, [*places[1:], ""], strict=True):
        try:
            return fetch(sources[place])
        except DamagedError:
            raise
        except (OSError, ImportError, WeightsError) as error:
            why = explain(error)
            failures.append(f"  {place}: {why}")
            advice = f"trying {following}" if following else "there is no other source"
            print(f"  Failed: {why}; {advice}", flush=True)
    raise WeightsError("\n".join(failures))


@contextlib.contextmanager
def wait_for_turn(folder):
    """Go on when no other process fetches into a folder; what killed ones left there is cleared."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "ab") as file:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        for left in [path for pattern in _LEFT for path in folder.glob(pattern)]:
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        yield


@contextlib.contextmanager
def open_to_write(path, mode="wb"):
    """Open a file; where the disk is full, the error names the file."""
    try:
        with open(path, mode) as file:
            yield file
    except OSError as error:
        if error.errno in _FULL:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise


def reachable(url):
    """Raise an OSError unless something answers at `url` within seconds."""
    with contextlib.suppress(urllib.error.HTTPError):  # an answer all the same
        urllib.request.urlopen(url, timeout=TIMEOUT).close()


def _open(url, start):
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        return urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and start:  # what is there does not fit the file: once more, whole
            return _open(url, 0)
        raise


def download(url, path):
    """Download `url` to `path` unless it is there; continue a `.part` left by an earlier try.

    Raises:
        OSError: not reachable, an HTTP error, or the connection broke; what came stays in
            `<path>.part`.
    """
    path = Path(path)
    if path.is_file():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = Path(f"{path}.part")
    start = part.stat().st_size if part.is_file() else 0
    with _open(url, start) as response:
        if response.status != 206:
            start = 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        with (
            open_to_write(part, "ab" if start else "wb") as file,
            open_bar(path.name, total, start) as bar,
        ):
            while chunk := response.read(1 << 16):
                file.write(chunk)
                bar.update(len(chunk))
    size = part.stat().st_size
    if total is not None and size != total:
        raise OSError(f"{url}: the connection broke after {size} of {total} bytes; run again.")
    os.replace(part, path)
