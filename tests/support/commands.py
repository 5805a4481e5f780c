"""Commands, run as a user runs them."""

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def work_in(folder):
    """Work in a folder; yield what takes up all that is printed."""
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()) as printed:
        yield printed


def run(command, cwd, **environment):
    """Run `python <command>` of the project in a folder; return the finished process."""
    return subprocess.run(
        [sys.executable, str(ROOT / command[0]), *map(str, command[1:])],
        cwd=cwd,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def run_in_process(monkeypatch, script):
    """Have a script call training.py and evaluate.py here: each in a process takes seconds more."""
    import evaluate
    import training
    from tasks.training_flags import parse_params
    from utils.system import commands

    def run_script(command, *arguments, shown=False):
        arguments = [*map(str, arguments)]
        if command == "training.py":
            training.train_run(parse_params(arguments))
        else:
            evaluate.evaluate(evaluate.COMMAND.parse(arguments))

    for module in (commands, script):
        monkeypatch.setattr(module, "run_script", run_script)
