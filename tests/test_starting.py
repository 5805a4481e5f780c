"""Commands begin at once, and from any folder.

--help and what is refused need neither Keras nor TensorFlow. Runs lie in the project.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from support.commands import ROOT, run
from support.runs import save_run
from utils import places
from utils.command_line import Command, list_commands
from utils.data.examples import Example
from utils.params import Params

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
    ("main", "imported"), [(str(ROOT / "scripts/predict.py"), False), ("/elsewhere/own.py", True)]
)
def test_keras_is_imported_without_what_commands_do_not_need(main, imported):
    """A program of a user's finds Keras whole; and what was left out can be imported after it."""
    code = (
        f"import sys; sys.modules['__main__'].__file__ = {main!r}; import models, keras\n"
        "print([name in sys.modules for name in ('sklearn', 'matplotlib')])\n"
        "import sklearn.base, matplotlib.pyplot"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [f"[{imported},", f"{imported}]"]


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


# What is given in place of what is wanted: (the command, what is said of it).
MISTAKEN = [
    ("training papr", "Unknown --preset papr. Did you mean paper?"),
    ("training videos", "videos is not a preset. Give your data as --data-path videos."),
    ("training ../gone", "../gone is neither a preset nor a file or folder that is there."),
    ("training weights/mine", "weights/mine is a run, not a preset. To go on with it: --run mine"),
    ("training --data-path gone", "data_path gone: no such file or folder. Give class folders"),
    ("training --data-path weights/mine", "weights/mine is a run, not data. The videos that"),
    ("training phoenix --data-path videos", "videos contains no corpus. Give the release folder"),
    (
        "evaluate videos",
        "videos: not a run (params.json is missing). Give the folder of a run",
    ),
    ("evaluate a.mp4", "a.mp4: not a run (params.json is missing), but a file. Give the folder"),
    ("evaluate weights/mien", "(params.json is missing). Did you mean weights/mine?"),
    ("scripts.predict weights/mine", "weights/mine is a run, not a video. Give the video first"),
    ("scripts.predict a.mp4 --run videos", "videos: not a run (params.json is missing)."),
    ("scripts.explain weights/mine --run weights/mine", "weights/mine is a run, not a video."),
    ("scripts.explain a.mp4 --run a.mp4", "a.mp4: not a run (params.json is missing), but a file"),
    ("scripts.extract_embeddings videos", "videos: not a run (params.json is missing)."),
    ("scripts.export_model videos --format keras", "videos: not a run (params.json is missing)."),
    ("scripts.check_data weights/mine", "weights/mine is a run, not data. The videos that"),
    ("scripts.analyze_dataset weights/mine", "weights/mine is a run, not data. The videos that"),
    ("scripts.browse gone", "data_path gone: no such file or folder. Give class folders"),
]
# Runs the lines as the commands do, in one process; prints [[what was raised, slow modules]].
MISTAKES = f"""
import importlib, json, sys
found = []
for line in {[line for line, _ in MISTAKEN]}:
    name, *words = line.split()
    module = importlib.import_module(name)
    try:
        if name == "training":
            module.train_run(module.check_data(module.parse_params(words)))
        elif name == "scripts.browse":
            module.main(words)
        else:
            getattr(module, name.removeprefix("scripts."))(module.COMMAND.parse(words))
    except ValueError as error:
        slow = [name for name in ("keras", "tensorflow") if name in sys.modules]
        found.append([str(error), slow])
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    """What the commands say of the mistaken lines, where there are videos, a video and a run."""
    folder = tmp_path_factory.mktemp("mistaken")
    (folder / "videos/walk").mkdir(parents=True)
    (folder / "a.mp4").touch()
    save_run(folder / "weights/mine", Params(), data=[Example("a.avi", "x")])
    done = subprocess.run(
        [sys.executable, "-c", MISTAKES],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(zip([line for line, _ in MISTAKEN], json.loads(done.stdout), strict=True))


@pytest.mark.parametrize(("line", "said"), MISTAKEN)
def test_what_is_mistaken_is_named_before_keras_is_imported(refused, line, said):
    message, slow = refused[line]
    assert said in message and slow == []
