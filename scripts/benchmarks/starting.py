"""Measure how long commands take to begin: python -m scripts.benchmarks.starting.

The processor time from the start of Python to the first batch of training, the first answer of
predicting, and the page in the browser, by what is done in it. Each is measured in a process of its
own, on rendered videos and the published weights.
"""

import functools
import json
import os
import runpy
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it starts from any folder

from models.later import later
from utils.command_line import Command
from utils.rendering.samples import render_video
from utils.system.commands import ROOT, run_command
from utils.system.figures import Figures, make_row
from utils.system.timing import summarize_seconds

fetch = later("models.pretrained.i3d_weights", "fetch")

_REST = "all else"
_IMPORTS = "imports"
_NETWORK = {
    "models.i3d:apply_i3d": "building the network",
    "models.pretrained.i3d_weights:load_pretrained": "reading and checking the weights",
}


class Start(NamedTuple):
    """A command, and what is told apart until it has begun.

    Attributes:
        arguments: of Python, in a folder with `videos/a` and `videos/b`.
        stages: {"module:function", called on the way: what it does}; what one of them does inside
            another counts for the inner one.
        end: "module:function" after which it has begun.
        needs: a library without which it is left out; "" for none.
    """

    arguments: tuple[str, ...]
    stages: dict[str, str]
    end: str
    needs: str = ""


STARTS = {
    "training.py": Start(
        ("training.py", "--data-path", "videos", "--epochs", "1"),
        _NETWORK
        | {
            "tasks.classification.training:inspect_data": "looking at the videos",
            "tasks.classification.training:make_sequences": "features of the frozen network",
            "keras:Model.fit": "tracing and the first batch",
        },
        "utils.fitting.progress:EpochLines.on_train_batch_end",
    ),
    "scripts.predict": Start(
        ("scripts/predict.py", "videos/a/0.mp4"),
        _NETWORK
        | {"tasks.classification.predicting:Classifier.predict_video": "tracing and the answer"},
        "tasks.classification.predicting:Classifier.predict_video",
    ),
    "scripts.demo": Start(
        ("scripts/demo.py",),
        _NETWORK | {"gradio:Blocks.launch": "starting the server"},
        "gradio:Blocks.launch",
        needs="gradio",
    ),
}


class _BegunError(BaseException):
    """The command has begun."""


class Clock:
    """The processor time of this process since it began, by what is done; stages may be nested.

    Attributes:
        spent: {stage: seconds}.
    """

    def __init__(self):
        self.spent, self.stages, self.last = {}, [_REST], 0.0

    def _turn(self):
        now, stage = time.process_time(), self.stages[-1]
        self.spent[stage] = self.spent.get(stage, 0.0) + now - self.last
        self.last = now

    @contextmanager
    def stage(self, name):
        """Count what is done in the block for a stage."""
        self._turn()
        self.stages.append(name)
        try:
            yield
        finally:
            self._turn()
            self.stages.pop()

    def wrap(self, place, name="", last=False):
        """Count a function for a stage, wherever it is called from.

        Args:
            place: "module:function" or "module:class.method".
            name: of the stage; "" for none.
            last: whether `_BegunError` is raised when the function returns.
        """
        module, _, path = place.partition(":")
        *outer, function = path.split(".")
        owner = functools.reduce(getattr, outer, import_module(module))
        call = getattr(owner, function)

        @functools.wraps(call)
        def timed(*args, **kwargs):
            with self.stage(name or self.stages[-1]):
                result = call(*args, **kwargs)
            if last:
                raise _BegunError
            return result

        setattr(owner, function, timed)


def measure_start(name):
    """Return {stage: seconds of the processor} of a command, run in this process until it began."""
    start, clock = STARTS[name], Clock()
    with clock.stage(_IMPORTS):
        for place in (*start.stages, start.end):
            import_module(place.partition(":")[0])
    for place, stage in start.stages.items():
        clock.wrap(place, stage)
    clock.wrap(start.end, last=True)
    script, *sys.argv[1:] = start.arguments
    sys.argv[0] = str(ROOT / script)
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except _BegunError:
        clock.spent["all of it"] = time.process_time()
    return clock.spent


def _lay_out(folder):
    """Write what the commands need into a folder: videos, and weights without a cache."""
    for number in range(8):
        path = Path(folder, "videos", "ab"[number % 2], f"{number}.mp4")
        path.parent.mkdir(parents=True, exist_ok=True)
        render_video(path, 320, 240, frames=64 + number)
    Path(folder, "weights").mkdir()
    (ROOT / "weights/pretrained").mkdir(exist_ok=True)
    fetch("rgb_scratch", ROOT / "weights/pretrained")  # the first download is no part of it
    Path(folder, "weights/pretrained").symlink_to(ROOT / "weights/pretrained")


def _take_turn(names):
    """Measure commands, one after another, in a folder where nothing is cached yet."""
    with tempfile.TemporaryDirectory() as folder:
        _lay_out(folder)
        return {name: _ask(name, folder) for name in names}


def measure_starts(names, repeats):
    """Yield the rows of commands, in turns; those whose library is missing are left out."""
    names = [name for name in names if not STARTS[name].needs or find_spec(STARTS[name].needs)]
    found = [_take_turn(names) for _ in range(repeats)]
    for name in names:
        for stage in found[0][name]:
            median, spread = summarize_seconds([turn[name].get(stage, 0.0) for turn in found])
            yield make_row(median, "s", spread, command=name, stage=stage)


def _ask(name, folder):
    """Measure a command in a process of its own, in a folder."""
    command = [sys.executable, __file__, "--child", name]
    home = os.environ | {"VIDEO_HOME": "."}
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, cwd=folder, env=home, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


@dataclass(frozen=True)
class Options:
    """What is measured."""

    commands: tuple[Literal[tuple(STARTS)], ...] = tuple(STARTS)
    """Commands; scripts.demo needs requirements-demo.txt and is left out without."""
    repeats: int = 5
    """Measurements of each number; the median counts."""
    output: Path | None = None
    """JSON file to write the figures to, such as docs/figures/starting.json."""

    def __post_init__(self):
        if self.repeats < 1:
            raise ValueError(f"repeats is {self.repeats}; it must be at least 1.")


def benchmark(options):
    """Measure how commands begin, and print a row for each stage.

    Args:
        options: `Options`.
    """
    figures = Figures(options.output, libraries=["gradio"])
    figures.take(measure_starts(options.commands, options.repeats))


COMMAND = Command(__doc__, Options)

if __name__ == "__main__":
    if "--child" in sys.argv:
        print(json.dumps(measure_start(sys.argv[-1])))
    else:
        run_command(lambda: benchmark(COMMAND.parse()))
