"""Locks between processes: the system frees them when their process ends, however it ends.

On file systems that have no locks (some of networks) nothing is kept apart.
"""

import fcntl
import os
import socket
from contextlib import contextmanager, suppress
from pathlib import Path

_held = {}  # {path: open file} of what `take_lock` keeps


def try_lock(file, wait=False):
    """Lock an open file or descriptor until it is closed; return whether no other has it locked.

    Raises:
        OSError: the file system has no locks.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def _open_locked(path, wait):
    """Return the open lock file, and whether this process has it locked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 (closing it frees the lock)
        try:
            locked = try_lock(file, wait)
        except OSError:  # a file system without locks
            return file, True
        # Who had it before may have deleted it meanwhile: then others lock another file.
        with suppress(FileNotFoundError):
            if not locked or os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file, locked
        file.close()


def _free(path, file):
    with suppress(FileNotFoundError):  # with its folder
        path.unlink()
    file.close()


@contextmanager
def wait_for_lock(path):
    """Go on when nobody else, in another process or thread, is in a block of this lock file."""
    path = Path(path)
    file, _ = _open_locked(path, wait=True)
    try:
        yield
    finally:
        _free(path, file)


def take_lock(path, what):
    """Lock a file for this process until `free_locks`, or its end; taken again it stays taken.

    Args:
        path: of the lock file; it says who has it.
        what: is kept to one process, for the error.

    Raises:
        ValueError: another process has it; `what` and that process are named.
    """
    path = Path(path).resolve()
    if path in _held:
        return
    file, locked = _open_locked(path, wait=False)
    if not locked:
        file.seek(0)
        holder = file.read() or "another process"
        file.close()
        raise ValueError(f"{what} is in use by {holder}. Wait until that has ended, or end it.")
    with suppress(OSError):  # a full disk; the lock is taken all the same
        file.truncate(0)
        os.write(file.fileno(), f"process {os.getpid()} on {socket.gethostname()}".encode())
    _held[path] = file


def free_locks():
    """Free what `take_lock` took."""
    while _held:
        _free(*_held.popitem())


def holds_locks():
    """Return whether this process has taken a lock."""
    return bool(_held)
