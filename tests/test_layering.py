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
    if path.name not in ("video.py", "flow.py", "figures.py"):
        assert "cv2" not in imported


@pytest.mark.parametrize(
    ("entry", "wish", "found"),
    [("training", {}, "True"), ("evaluate", {}, "True"), ("models", {TURNED: "0"}, "False")],
)
def test_one_dnn_is_on_unless_the_user_says_no(entry, wish, found):
    """Whether TensorFlow has oneDNN's kernels on, as its own tests ask it."""
    ask = f"import {entry}; from tensorflow.python.util import _pywrap_util_port as port"
    environment = {k: v for k, v in os.environ.items() if k != TURNED} | wish
    command = [sys.executable, "-c", f"{ask}; print(port.IsMklEnabled())"]
    said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert said.stdout.strip() == found, said.stderr


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
