"""Worker processes that end with their parent; what a process takes."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

# Ctrl-C, kill, and a closed terminal.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GRACE = 30.0  # seconds that a process has to end by itself
_FOLLOWS = "FOLLOWS_ITS_PARENT"  # in the environment of what `start_child` started


@contextmanager
def start_child(command, variables=None, **options):
    """Start a command that ends when the block is left, and when this process is killed.

    It is asked to by SIGTERM. That this process was killed it learns from the end of its standard
    input, by `follow_parent`.

    Args:
        command, options: as in `subprocess.Popen`, which is yielded.
        variables: {name: value} of the environment, besides this process's.
    """
    environment = os.environ | {_FOLLOWS: "1"} | (variables or {})
    process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdin.close()


def follow_parent():
    """Where `start_child` started this process, end it when that one ends; return whether."""
    follows = bool(os.environ.pop(_FOLLOWS, ""))  # what this one starts does not
    if follows:
        _end_after(lambda: os.read(sys.stdin.fileno(), 1))
    return follows


def _end_after(wait):
    """Ask this process to end, by SIGTERM, when a function returns, and end it after a while."""

    def end():
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # they are for the main thread
        wait()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_GRACE)
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=end, daemon=True).start()


class _Left(BaseException):
    """A worker is asked to end."""


_at_work, _leaving = threading.Event(), threading.Event()


def _leave(number, frame):
    if not _at_work.is_set():
        os._exit(1)
    if not _leaving.is_set():
        _leaving.set()
        raise _Left


def _call(function, *arguments):
    """Call a function in a worker; asked to leave, it tidies up, and the worker ends."""
    try:
        _at_work.set()
        return function(*arguments)
    finally:
        if _leaving.is_set():
            os._exit(1)
        _at_work.clear()


# Not joblib's: with it workers went on for minutes after their parent was killed.
def _start_worker(prepare):
    """Call `prepare`, and end when the parent ends, or when a signal asks for it."""
    prepare()
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _leave)
    _end_after(multiprocessing.parent_process().join)


def run_tasks(calls, workers, prepare, caught=()):
    """Run calls in worker processes, several at once.

    Args:
        calls: {key: (function, *arguments)}, begun in this order.
        workers: processes.
        prepare: function that each of them calls first, such as one that keeps it to one core.
        caught: errors of a call that are handed out; any other one ends all.

    Yields:
        (key, result, error), as calls are done; one of the two is None.

    Raises:
        ValueError: a process was killed.
    """
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, spawn, _start_worker, (prepare,))
    try:
        tasks = {pool.submit(_call, *call): key for key, call in calls.items()}
        for task in as_completed(tasks):
            try:
                outcome = task.result(), None
            except caught as error:
                outcome = None, error
            yield tasks[task], *outcome
    except BrokenProcessPool as error:
        raise ValueError(
            "A process was killed, perhaps because memory ran out. Run the same command "
            "again with fewer --workers; it continues where it stopped."
        ) from error
    except BaseException:  # nobody waits for what they are at
        for worker in multiprocessing.active_children():
            worker.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def open_threads(workers):
    """Yield a pool of threads; what they have not begun when the block is left is dropped."""
    pool = ThreadPoolExecutor(workers)
    try:
        yield pool
    finally:  # stopped by Ctrl-C too
        pool.shutdown(cancel_futures=True)


def measure_peak(arguments, folder):
    """Run Python on arguments, in a folder; return the peak memory of its process in GiB.

    Linux lets a new process's peak begin with its parent's: measure before the parent is large.

    Raises:
        ValueError: it failed; its message is above.
    """
    command = [sys.executable, *map(str, arguments)]
    home = {"VIDEO_HOME": "."}  # so that its runs lie in the folder
    with start_child(command, home, cwd=folder, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise ValueError(f"{arguments[0]} {arguments[1]} failed; its message is above.")
    return usage.ru_maxrss / 2**20
