"""oneDNN's kernels are on, unless the user says otherwise."""

import os
import subprocess
import sys

from support.commands import ROOT

import pytest

TURNED = "TF_ENABLE_ONEDNN_OPTS"


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
