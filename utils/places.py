"""Where the project is, and the folders in it that hold what it makes."""

import os
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[1]  # the folder with training.py


def _find_home():
    """Return the folder of weights/ and data/: the project, as its paths begin from here."""
    if home := os.environ.get("VIDEO_HOME"):
        return Path(home)
    return Path() if ROOT.samefile(Path.cwd()) else ROOT


HOME = _find_home()
WEIGHTS = HOME / "weights"
PRETRAINED = WEIGHTS / "pretrained"
DATA = HOME / "data"


def name_command(module):
    """Return how a command begins in a shell, as it works in the current folder.

    Args:
        module: such as "evaluate" or "scripts.predict".
    """
    file = f"{module.replace('.', '/')}.py"
    if not ROOT.samefile(Path.cwd()):
        return f"python {shlex.quote(str(ROOT / file))}"
    return f"python -m {module}" if "." in module else f"python {file}"


def find_path(path):
    """Return a path of weights/ as it begins from here: in the current folder, or in the project.

    Args:
        path: any path, as text or `Path`; what does not begin with weights/, or is in neither
            folder, is returned as it is, of the same type.
    """
    there = HOME / path
    if Path(path).parts[:1] == ("weights",) and not Path(path).exists() and there.exists():
        return type(path)(there)
    return path
