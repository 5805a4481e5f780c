"""Commands begin at once: --help and what is refused need neither Keras nor TensorFlow."""

import json
import subprocess
import sys

from support.commands import ROOT
from utils.command_line import list_commands

import pytest

COMMANDS = [
    "training",
    "evaluate",
    *(f"scripts.{name}" for name in list_commands(ROOT / "scripts")),
    *(f"scripts.benchmarks.{name}" for name in list_commands(ROOT / "scripts/benchmarks")),
]
# What takes longer to import than all else together that a command line is read with.
SLOW = ("keras", "tensorflow", "sklearn", "matplotlib.pyplot", "scipy", "gradio", "ray")
# Parses both lines with each command; prints {command: [what was raised, slow modules so far]}.
CODE = f"""
import contextlib, importlib, io, json, sys
found = {{}}
for name in {COMMANDS}:
    module = importlib.import_module(name)
    parse = module.parse_params if name == "training" else module.COMMAND.parse
    ends = []
    for line in (["--help"], ["--zzz"]):
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                parse(line)
        except (SystemExit, ValueError) as error:
            ends.append(str(error))
    found[name] = [ends, [slow for slow in {SLOW} if slow in sys.modules]]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found():
    """Of all commands, one after another in one process: each alone imports no more."""
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_line_is_read_without_what_is_slow(found, command):
    (asked, refused), slow = found[command]
    assert slow == [] and asked == "0"
    assert refused.startswith("Unknown flag --zzz") or "is missing: " in refused
