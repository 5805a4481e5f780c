"""Worker processes that end with their parent; what a process takes."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool


# Not joblib's: with it workers went on for minutes after their parent was killed.
def start_worker(prepare):
    """Call `prepare`, and end when the parent ends or Ctrl-C is pressed."""
    prepare()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


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
    pool = ProcessPoolExecutor(workers, spawn, start_worker, (prepare,))
    try:
        tasks = {pool.submit(*call): key for key, call in calls.items()}
        for task in as_completed(tasks):
            try:
                outcome = task.result(), None
            except caught as error:
                outcome = None, error
            yield tasks[task], *outcome
    except BrokenProcessPool as error:
        raise ValueError(
            "A process was killed, perhaps for want of memory; the same command goes on, with "
            "fewer --workers."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def measure_peak(arguments, folder):
    """Run Python on arguments, in a folder; return the peak memory of its process in GiB.

    Linux lets a new process's peak begin with its parent's: measure before the parent is large.

    Raises:
        ValueError: it failed; its message is above.
    """
    command = [sys.executable, *map(str, arguments)]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise ValueError(f"{arguments[0]} {arguments[1]} failed; its message is above.")
    return usage.ru_maxrss / 2**20
