"""TensorFlow begins with oneDNN's kernels and without chatter, unless the user says otherwise."""

import os
import subprocess
import sys

from support.commands import ROOT

import pytest

TURNED, LEVEL = "TF_ENABLE_ONEDNN_OPTS", "TF_CPP_MIN_LOG_LEVEL"


def start(code, **wish):
    """Run code where neither variable is set, but for wishes; return (its stdout, its stderr)."""
    kept = {name: value for name, value in os.environ.items() if name not in (TURNED, LEVEL)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=kept | wish, capture_output=True, text=True)
    return done.stdout.strip(), done.stderr


def test_one_dnn_is_on_and_nothing_is_said():
    """As TensorFlow's own tests ask it; without a GPU it would log that as an error."""
    code = "import training, keras; from tensorflow.python.util import _pywrap_util_port as port"
    code += "; keras.ops.ones(1) + 1; print(port.IsMklEnabled())"
    assert start(code) == ("True", "")


NOTES = "WARNING: All log messages before absl::InitializeLog() is called\nI0000 12 a.cc:1] Note\n"
FAULT = "E0000 12 b.cc:2] A real error\nF0000 12 c.cc:3] Its end\n"


@pytest.mark.parametrize("end", ["pass", "os.abort()"])
def test_errors_while_tensorflow_is_loaded_are_shown(end):
    code = f"import models, os\nwith models._without_notes():\n os.write(2, {NOTES + FAULT!r}"
    assert start(f"{code}.encode())\n {end}", **{LEVEL: "0"}) == ("", FAULT)


def test_who_wants_the_notes_gets_them():
    assert start("import models, sys; print('keras' in sys.modules)", **{LEVEL: "0"})[0] == "False"


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
    assert start(f"{WATCH}import {entry}, tensorflow", **wish)[0] == found
