"""Networks: tensors in, tensors out.

Imported before keras (the linter sorts it there): TensorFlow reads once, when it begins, what is
set here. What the user has set stays. Nothing here imports it: that takes seconds.
"""

import ctypes
import logging
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path

# On CPUs without AVX-512 VNNI, TensorFlow leaves its oneDNN kernels off, with which the default
# backbone runs at twice the speed there and trains at three times.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def _finds_gpus():
    """Whether there is a driver of NVIDIA's GPUs."""
    try:
        return bool(ctypes.CDLL("libcuda.so.1"))
    except OSError:
        return False


# Its notes about the processor would stand above every message of ours. Without a GPU it also logs
# as errors that there is none, and each oneDNN kernel that the processor cannot run. What really
# fails raises an exception or ends the process, both of which are shown at any level.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if _finds_gpus() else "3")

# A notebook opens networks one after another, and each is traced once: no reason to warn of it.
logging.getLogger("tensorflow").addFilter(
    lambda record: "triggered tf.function retracing" not in record.getMessage()
)

# What TensorFlow logs while it is loaded, before it reads its level: its notes, no error of it.
_NOTES = r"^(WARNING: All log messages before absl::InitializeLog|I0000 )"


@contextmanager
def _without_notes():
    """Keep the notes from stderr. A process of its own does so, which outlives a crash of this."""
    command = ["grep", "--line-buffered", "-Eva", _NOTES]
    filtering = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=2)
    screen = os.dup(2)
    os.dup2(filtering.stdin.fileno(), 2)
    filtering.stdin.close()
    try:
        yield
    finally:
        os.dup2(screen, 2)
        os.close(screen)
        with suppress(subprocess.TimeoutExpired):  # something else holds the pipe
            filtering.wait(5)


# What Keras imports for parts of it that nothing here uses: a third of its seconds.
_UNUSED = ("sklearn", "matplotlib")


def _is_command():
    """Whether a command of this project runs, and not a program or notebook of the user's."""
    file = getattr(sys.modules["__main__"], "__file__", None)
    return bool(file) and Path(file).resolve().is_relative_to(Path(__file__).resolve().parents[1])


@contextmanager
def _without(names):
    """Let modules that are not imported yet seem to be missing."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


class _Quietly:
    """Finds Keras and TensorFlow as Python does; the one that is loaded first is without notes."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        """Return the spec of one of the two, None of others."""
        if name not in ("keras", "tensorflow"):
            return None
        sys.meta_path.remove(cls)
        try:
            spec = find_spec(name)
        finally:
            sys.meta_path.insert(0, cls)
        if spec:
            spec.loader.exec_module = partial(cls._load, spec.loader.exec_module)
        return spec

    @classmethod
    def _load(cls, load, module):
        sys.meta_path.remove(cls)
        unused = _UNUSED if _is_command() else ()
        with _without_notes(), _without(unused):
            load(module)


if os.environ["TF_CPP_MIN_LOG_LEVEL"] != "0" and sys.__stderr__ and shutil.which("grep"):
    sys.meta_path.insert(0, _Quietly)
