"""The walls of the house (see the README's tree), read from the syntax trees."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = [
    *ROOT.glob("*.py"),
    *(p for d in ("models", "utils", "tasks", "scripts") for p in (ROOT / d).glob("*.py")),
]
ENTRY_POINTS = ("training", "evaluate", "scripts")
FIRST = "__init__.py"  # of models: it sets what TensorFlow reads when it is imported
TURNED = "TF_ENABLE_ONEDNN_OPTS"
STANDARD = {"collections", "dataclasses", "functools", "itertools", "math", "typing"}
MODELS_MAY = {"keras", "numpy", "models"} | STANDARD
# Those read files and the network.
FILES_TOO = {FIRST, "checkpoints.py", "download.py", "pretrained.py", "published.py"}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split(".")[0]


def functions(path):
    tree = ast.parse(path.read_text())
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_walls(path):
    imported = set(imports(path))
    assert not imported & set(ENTRY_POINTS)
    if path.parent.name == "models" and path.name not in FILES_TOO:
        assert imported <= MODELS_MAY
    if path.parent.name == "utils":
        assert not imported & {"models", "tasks"}
    if path.name not in ("video.py", "pixels.py", "flow.py", "figures.py"):
        assert "cv2" not in imported


def ask(code, **wish):
    environment = {name: value for name, value in os.environ.items() if name != TURNED} | wish
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    return done.stdout.strip() or done.stderr


def test_one_dnn_is_on():
    """As TensorFlow's own tests ask it."""
    code = "import training; from tensorflow.python.util import _pywrap_util_port as port"
    assert ask(f"{code}; print(port.IsMklEnabled())") == "True"


# Says what TensorFlow is about to read, and ends.
WATCH = f"""
import os, sys
class Watcher:
    def find_spec(name, *_):
        if name == "tensorflow":
            print(os.environ.get("{TURNED}"), flush=True)
            os._exit(0)
sys.meta_path.insert(0, Watcher)
"""


@pytest.mark.parametrize(
    ("entry", "wish", "found"),
    [("training", {}, "1"), ("evaluate", {}, "1"), ("models", {TURNED: "0"}, "0")],
)
def test_one_dnn_is_chosen_before_tensorflow_begins(entry, wish, found):
    assert ask(f"{WATCH}import {entry}, tensorflow", **wish) == found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_sizes_and_docstrings(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree) or not path.read_text()
    assert len(path.read_text().splitlines()) <= 290
    for function in functions(path):
        arguments = function.args
        count = len(arguments.posonlyargs + arguments.args + arguments.kwonlyargs)
        assert count - (function.name == "__init__") <= 7, function.name
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name
