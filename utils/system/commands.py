"""How commands run and end: an error that you can fix is one line, any other is a traceback."""

import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from utils.places import ROOT, WEIGHTS
from utils.system.files import describe_error
from utils.system.processes import SIGNALS, follow_parent, start_child
from utils.system.words import print_line


class IncompleteError(ValueError):
    """Part of what was asked for is done: some videos failed, or a training broke off."""


class Stopped(KeyboardInterrupt):
    """A signal ends the command: Ctrl-C, SIGTERM, or SIGHUP, which a closed terminal sends."""


_AGAIN = 2.0  # seconds in which the same end may be asked for twice, say of a group and its parent


@contextmanager
def _stoppable():
    """Raise `Stopped` when a signal comes; a later one ends the process at once.

    Signals that are ignored, as by nohup, stay so.
    """
    stopped = []

    def stop(number, frame):
        if not stopped:
            stopped.append(time.monotonic())
            raise Stopped(number)
        if time.monotonic() - stopped[0] > _AGAIN:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, stop)
    try:
        yield
    finally:
        if not stopped:
            for number, handler in before.items():
                signal.signal(number, handler)


def run_command(command, resuming="run the same command to start again"):
    """Call `command`; print a ValueError or OSError as one message and exit with status 2.

    After an `IncompleteError` the status is 1. When a signal stops it, it is 128 and the signal's
    number, and `resuming`, or the last note of the exception, says how to go on. What another
    command started ends with that one, which says so itself. DEBUG=1 in the environment shows the
    traceback too. Names that the screen cannot show are printed with backslashes.
    """
    for screen in (sys.stdout, sys.stderr):
        if hasattr(screen, "reconfigure"):
            screen.reconfigure(errors="backslashreplace")
    with _stoppable():
        alone = not follow_parent()
        try:
            command()
            sys.stdout.flush()
        except BrokenPipeError:  # nobody reads what is printed any more, as after `| head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the last flush
            sys.exit(128 + signal.SIGPIPE)
        except (ValueError, OSError, SyntaxError) as error:
            if os.environ.get("DEBUG"):
                raise
            print_line(f"Error: {describe_error(error)}", file=sys.stderr)
            sys.exit(1 if isinstance(error, IncompleteError) else 2)
        except KeyboardInterrupt as stop:
            if alone:
                advice = getattr(stop, "__notes__", [resuming])[-1]
                print_line(f"Stopped; {advice}.", file=sys.stderr)
            sys.exit(128 + (stop.args[0] if stop.args else signal.SIGINT))


def run_script(script, *arguments, shown=False):
    """Run an entry point of the project in a process of its own.

    Args:
        script: its path from the project's root.
        arguments: what follows it on the command line.
        shown: whether all that it prints is shown, or its errors alone.

    Raises:
        ValueError: its input was refused; the command is named.
        IncompleteError: it failed otherwise.
    """
    command = [sys.executable, str(ROOT / script), *map(str, arguments)]
    with start_child(command, stdout=None if shown else subprocess.DEVNULL) as process:
        status = process.wait()
    if status < 0 or status > 128:
        raise IncompleteError(f"A signal ended this command: {shlex.join(command)}")
    if status:
        kind = ValueError if status == 2 else IncompleteError
        raise kind(f"This command failed, see its message above: {shlex.join(command)}")


def train_run(run, *flags, shown=False):
    """Train weights/<run>, or go on with it where it was begun; see `run_script`."""
    resume = ["--resume"] if Path(WEIGHTS, run, "params.json").is_file() else []
    print_line(f"Training {WEIGHTS / run}", flush=True)
    run_script("training.py", *flags, "--run", run, *resume, shown=shown)
