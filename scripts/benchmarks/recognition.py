"""Measure training a recognizer through its backbone: python -m scripts.benchmarks.recognition.

Each measurement runs in a process of its own: a step of AdamW on one random sentence, with random
weights.
"""

import itertools
import json
import statistics
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it starts from any folder

from models.backbones import BACKBONES, DEFAULT, FEATURES
from models.later import later
from utils.command_line import Command
from utils.fitting.optimization import Optimization, make_optimizer
from utils.params import Params
from utils.system.commands import ROOT, run_command
from utils.system.figures import Figures
from utils.system.files import write_atomically
from utils.system.processes import measure_peak
from utils.system.timing import limit_memory, measure_seconds

import numpy as np

build_end_to_end = later("models.end_to_end", "build_end_to_end")
build_windows = later("models.end_to_end", "build_windows")
trained_part = later("models.end_to_end", "trained_part")
RecognitionLoss = later("models.recognizer", "RecognitionLoss")
build_recognizer = later("models.recognizer", "build_recognizer")
choose_front = later("models.recognizer", "choose_front")
output_lengths = later("models.recognizer", "output_lengths")
compile_model = later("utils.fitting.devices", "compile_model")
number_format = later("utils.fitting.devices", "number_format")


@dataclass(frozen=True)
class Options:
    """What is measured."""

    finetune: tuple[str, ...] = ("Mixed_5b", "all")
    """Stages from which the backbone is trained."""
    inputs: tuple[Literal["maps", "frames"], ...] = ("maps", "frames")
    """maps: cached maps of the frozen part. frames: whole frames."""
    gradients: tuple[Literal["again", "held"], ...] = ("again", "held")
    """again: windows are computed again for their gradients. held: everything is held in memory."""
    frames: int = 200
    """Frames of the sentence."""
    frame_size: int = 224
    """Height and width of frames in pixels."""
    window: int = 16
    """Frames that one row sees."""
    stride: int = 4
    """Frames from one row to the next."""
    windows: int = 8
    """Windows computed at a time."""
    glosses: int = 1100
    """Size of the vocabulary."""
    width: int = Params.width
    """Channels of the recognizer."""
    precision: Literal["float32", "mixed_bfloat16"] = "float32"
    """Number format."""
    repeats: int = 1
    """Steps after a first one; the median counts."""
    memory: float = 0
    """Memory limit of a measurement in GiB. 0: none."""
    output: Path | None = None
    """JSON file to write the figures to, such as docs/figures/recognition.json."""


def make_step(options):
    """Return a function that does a training step, with the first of each choice of `Options`."""
    rows, front = -(-options.frames // options.stride), choose_front(options.stride)
    sizes = (options.window, options.frame_size)
    windows = build_windows(BACKBONES[DEFAULT], *sizes, FEATURES)
    dim, glosses = windows.output_shape[-1], options.glosses
    recognizer = build_recognizer(dim, glosses, front, width=options.width)
    sizes = (options.finetune[0], options.stride, options.windows, options.gradients[0] == "again")
    model = build_end_to_end(windows, recognizer, *sizes)
    generator, inputs = np.random.default_rng(0), {"lengths": np.array([rows], np.int32)}
    if options.inputs[0] == "maps":
        model = trained_part(model)
        shape = (1, rows, model.input["features"].shape[-1])
        inputs["features"] = generator.random(shape, np.float32)
    else:
        shape = (1, (rows - 1) * options.stride + options.window, *windows.input_shape[2:])
        inputs["frames"] = generator.integers(0, 256, shape, np.uint8)
    steps = int(output_lengths(np.array([rows]), front)[0])
    labels = generator.integers(1, options.glosses + 1, steps // 4)
    target = np.array([[steps, len(labels), *labels]], np.float32)
    optimizer = make_optimizer(Optimization(optimizer="adamw", learning_rates=(1e-5,) * 3), 1)
    compile_model(model, optimizer, RecognitionLoss(), [])

    def step():
        return model.train_on_batch(inputs, target)

    return step


def _time_steps(options):
    step = make_step(options)
    first = measure_seconds(step)
    seconds = [measure_seconds(step) for _ in range(options.repeats)] or [first]
    return statistics.median(seconds)


def measure(options, path):
    """Measure the first of each choice; write the median seconds of a step to a file."""
    limit_memory(options.memory)
    with number_format(options.precision):
        write_atomically(path, json.dumps(_time_steps(options)))


def benchmark_recognition(options):
    """Measure every choice in a process of its own; print and return the rows.

    Args:
        options: `Options`.
    """
    figures = Figures(options.output)
    for chosen in itertools.product(options.finetune, options.inputs, options.gradients):
        row = dict(zip(("finetune", "inputs", "gradients"), chosen, strict=True))
        if (row["finetune"], row["inputs"]) == ("all", "maps"):
            continue
        one = replace(options, output=None, **{name: (value,) for name, value in row.items()})
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "seconds")
            command = ["-m", "scripts.benchmarks.recognition", "--child", path]
            try:
                row["gib"] = measure_peak([*command, json.dumps(asdict(one))], ROOT)
                row["seconds"] = json.loads(path.read_text())
                result = f"{row['seconds']:8.2f} s {row['gib']:7.2f} GiB"
            except ValueError:
                row["failure"] = result = (
                    "failed, for want of memory unless another reason is above"
                )
        figures.add(**row)
        print(f"{chosen[0]:<9} {chosen[1]:<7} {chosen[2]:<6} {result}", flush=True)
    return figures.rows


COMMAND = Command(__doc__, Options)

if __name__ == "__main__":
    if "--child" in sys.argv:
        measure(Options(**json.loads(sys.argv[-1])), sys.argv[-2])
    else:
        run_command(lambda: benchmark_recognition(COMMAND.parse()))
