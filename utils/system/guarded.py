"""Calls in a process of their own: what damage kills or holds up is that process, not this one.

The processes are kept for the next calls and end with this one.
"""

import atexit
import contextlib
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

SECONDS = 10.0  # of the processor that reading a file may take, at least
_BYTES_A_SECOND = 1 << 22  # of a file that are read in a second of the processor, at least
_MEMORY = 9 << 30  # bytes that such a process may take
_ROOT = str(Path(__file__).parents[2])
_BEGIN = "import sys; sys.path.insert(0, sys.argv[1]); from utils.system import guarded; "
_idle = []  # processes that wait for a call
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # they are the parent's


class _EndedError(Exception):
    """A process ended before it answered; its exit status."""


def allow_seconds(path):
    """Return the seconds of the processor that reading a file may take, by its size."""
    return SECONDS + Path(path).stat().st_size / _BYTES_A_SECOND


def call_guarded(function, *arguments, seconds):
    """Call a function in another process; return what it returns. Threads may call at once.

    Args:
        function: of a module of the project, which that process imports.
        arguments: for it, as JSON knows them.
        seconds: of the processor that the call may take.

    Returns:
        An array, or what JSON knows.

    Raises:
        ValueError: the function raised an error, took longer, or killed its process.
    """
    call = json.dumps([function.__module__, function.__name__, arguments, seconds]).encode()
    try:
        try:
            return _ask(_idle.pop(), call)
        except IndexError:
            pass
        except _EndedError as error:
            if error.args[0] == -signal.SIGPROF:
                raise
        return _ask(_start(), call)  # what a call before left may have ended the other one
    except _EndedError as error:
        (status,) = error.args
        late = status == -signal.SIGPROF
        why = f"took more than {seconds:.0f} s" if late else f"ended its process ({status})"
        raise ValueError(f"reading it {why}") from error


def _start():
    return subprocess.Popen(
        [sys.executable, "-c", f"{_BEGIN}guarded.serve()", _ROOT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _ask(process, call):
    """Return what a process answers; it is kept unless it has ended."""
    answer = None
    try:
        with contextlib.suppress(BrokenPipeError, EOFError):
            answer = _exchange(process, call)
    finally:  # stopped by Ctrl-C too
        status = _idle.append(process) if answer else _end(process)
    if not answer:
        raise _EndedError(status)
    if "error" in answer:
        raise ValueError(answer["error"])
    return answer["result"]


def _exchange(process, call):
    process.stdin.write(call + b"\n")
    process.stdin.flush()
    answer = json.loads(process.stdout.readline() or "null")
    if answer is None:
        raise EOFError
    if "dtype" in answer:
        array = np.empty(answer["shape"], answer["dtype"])
        if process.stdout.readinto(array.reshape(-1).view(np.uint8).data) < array.nbytes:
            raise EOFError
        answer["result"] = array
    return answer


def _end(process):
    """End a process where it has not ended; return its exit status."""
    process.kill()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(BrokenPipeError):
            pipe.close()
    return process.wait()


@atexit.register
def _end_all():
    while _idle:
        _end(_idle.pop())


def _answer(function, arguments):
    """Return (what is answered as JSON, the bytes that follow)."""
    try:
        result = function(*arguments)
    except Exception as error:  # parsers raise whatever damaged bytes lead to
        return {"error": str(error) or type(error).__name__}, b""
    if not isinstance(result, np.ndarray):
        return {"result": result}, b""
    array = np.ascontiguousarray(result)
    return {"dtype": array.dtype.str, "shape": result.shape}, array.reshape(-1).view(np.uint8).data


def serve():
    """Answer calls from standard input, until it ends: what `call_guarded` starts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the caller, and that ends this
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with os.fdopen(os.dup(1), "wb") as channel:
        os.dup2(2, 1)  # what libraries print
        for line in sys.stdin.buffer:
            module, name, arguments, seconds = json.loads(line)
            function = getattr(importlib.import_module(module), name)
            signal.setitimer(signal.ITIMER_PROF, seconds)  # which ends it, in C too
            answer, content = _answer(function, arguments)
            signal.setitimer(signal.ITIMER_PROF, 0)
            channel.write(json.dumps(answer).encode() + b"\n")
            channel.write(content)
            channel.flush()
