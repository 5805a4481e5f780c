"""How commands run and end: what a user can mend is one sentence, anything else a traceback."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


class IncompleteError(ValueError):
    """Part of what was asked for is done: some videos failed, or a training broke off."""


def run_command(command, resuming="--resume goes on from the last finished epoch"):
    """Call `command`; print a ValueError or OSError as one message and exit with status 2.

    After an `IncompleteError` the status is 1. When it is stopped, `resuming` says how to go on.
    DEBUG=1 in the environment shows the traceback too. Names that the screen cannot show are
    printed with backslashes.
    """
    for screen in (sys.stdout, sys.stderr):
        if hasattr(screen, "reconfigure"):
            screen.reconfigure(errors="backslashreplace")
    try:
        command()
    except (ValueError, OSError) as error:
        if os.environ.get("DEBUG"):
            raise
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(1 if isinstance(error, IncompleteError) else 2)
    except KeyboardInterrupt:
        sys.exit(f"Stopped; {resuming}.")


def run_script(script, *arguments):
    """Run an entry point of the project in a process of its own; only its errors are shown.

    Args:
        script: its path from the project's root.
        arguments: what follows it on the command line.

    Raises:
        ValueError: its input was refused; the command is named.
        IncompleteError: it failed otherwise.
    """
    command = [sys.executable, str(ROOT / script), *map(str, arguments)]
    status = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
    if status:
        kind = ValueError if status == 2 else IncompleteError
        raise kind(f"This failed; its message is above: {shlex.join(command)}")


def train_run(run, *flags):
    """Train weights/<run>, or go on with it where it was begun; see `run_script`."""
    resume = ["--resume"] if Path("weights", run, "params.json").is_file() else []
    run_script("training.py", *flags, "--run", run, *resume)
