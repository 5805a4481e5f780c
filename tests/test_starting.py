"""Commands begin at once, and from any folder.

--help and what is refused need neither Keras nor TensorFlow. Runs lie in the project.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from support.commands import ROOT, run
from utils import places
from utils.command_line import Command, list_commands

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


@pytest.mark.parametrize(
    "script",
    [
        "scripts/explain.py",
        "scripts/benchmarks/flow.py",
        "scripts/benchmark_flow.py",
        "training.py",
    ],
)
def test_a_file_starts_from_any_folder(script, tmp_path):
    done = run([script, "--zzz"], tmp_path)
    assert done.returncode == 2 and done.stderr.startswith("Error: Unknown flag --zzz")


@pytest.mark.parametrize(
    ("folder", "home", "command"),
    [
        (ROOT, Path(), "python -m scripts.predict"),
        (Path("/"), ROOT, f"python {ROOT}/scripts/predi"),
    ],
)
def test_runs_lie_in_the_project(folder, home, command, monkeypatch):
    monkeypatch.delenv("VIDEO_HOME")
    monkeypatch.chdir(folder)
    assert places._find_home() == home
    assert places.name_command("scripts.predict").startswith(command)


@dataclass(frozen=True)
class Options:
    """What is asked."""

    run: Path = Path()
    """A run."""
    weights: tuple[str, ...] = ()
    """Weights."""


def test_runs_of_the_project_are_found(tmp_path, monkeypatch):
    project, here = tmp_path / "project", tmp_path / "here"
    for folder in (project / "weights/both", project / "weights/one", here / "weights/both"):
        folder.mkdir(parents=True)
    monkeypatch.setattr(places, "HOME", project)
    monkeypatch.chdir(here)
    command = Command("Do it.", Options)
    line = "--run weights/one --weights weights/both weights/none none one"
    found = command.parse(line.split())
    assert found.run == project / "weights/one"
    assert found.weights == ("weights/both", "weights/none", "none", "one")
