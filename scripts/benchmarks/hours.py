"""Estimate the hours of scripts.recognize_corpus on a corpus: python -m scripts.benchmarks.hours.

Measures on this computer I3D on a few windows, and a training step of each stage, all of random
numbers, and multiplies by what the corpus has of them. What it says of an H100 is computed from
docs/figures/gpu_h100.json. Reading files, validation and scoring are not counted.
"""

import os
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it starts from any folder

from models.backbones import BACKBONES, DEFAULT, FEATURES
from models.later import later
from scripts.benchmarks import recognition
from utils.command_line import Command
from utils.fitting.optimization import Optimization, make_optimizer
from utils.params import Params
from utils.presets import PRESETS
from utils.system.commands import ROOT, run_command
from utils.system.figures import Figures, read_figures
from utils.system.words import print_line

import numpy as np

build_windows = later("models.end_to_end", "build_windows")
RecognitionLoss = later("models.recognizer", "RecognitionLoss")
build_recognizer = later("models.recognizer", "build_recognizer")
choose_front = later("models.recognizer", "choose_front")
output_lengths = later("models.recognizer", "output_lengths")
choose_precision = later("utils.fitting.devices", "choose_precision")
compile_model = later("utils.fitting.devices", "compile_model")
number_format = later("utils.fitting.devices", "number_format")

_CARD = ROOT / "docs/figures/gpu_h100.json"
_CARD_WINDOW, _CARD_SIZE = 64, 224  # of the clips that were measured on it
_CARD_STEP = 0.1  # seconds of a step of stage 1 on it: assumed
_BATCH_FRAMES = 128
_ROW, _NUMBER = 1024, 4  # numbers of a row of features, and bytes of one
# Where a figure comes from.
_MEASURED = "a step of random numbers, measured, times the corpus"
_FORWARD = "extrapolated from the reading of video files and I3D's forward pass on 64 frames"
_TRAINED = "extrapolated from a training step of all of I3D on 64 frames"
_ASSUMED = f"assumed, {_CARD_STEP} s a step: no recognizer was trained on such a card"


@dataclass(frozen=True)
class Options:
    """What the hours are of. The defaults are PHOENIX-2014."""

    frames: int = 965_000
    """Frames of all sentences."""
    sentences: int = 6841
    """Sentences of all splits."""
    train: int = 5672
    """Training sentences."""
    stride: int = 2
    """Frames from one row to the next."""
    frame_size: int = 224
    """Height and width of frames in pixels."""
    window: int = 16
    """Frames that one row sees."""
    width: int = Params.width
    """Channels of the recognizer."""
    batch_size: int = Params.batch_size
    """Sentences of a step of stage 1."""
    glosses: int = 1100
    """Size of the vocabulary."""
    finetune: str = "Mixed_5b"
    """Stage from which I3D is trained in stage 2. none: there is no stage 2."""
    epochs: tuple[int, int] = (PRESETS["phoenix"].changes["epochs"], 20)
    """Epochs of stage 1, and of stage 2."""
    repeats: int = 1
    """Measurements after a first one; the median counts."""
    processor: bool = False
    """Take the processor's time, divided by its cores, in place of the clock's: for a CPU that
    others use, too. Where not all cores are busy it is too little."""
    output: Path | None = None
    """JSON file to write the figures to, such as docs/figures/hours.json."""

    def __post_init__(self):
        for name in ("frames", "sentences", "train", "stride", "batch_size", "repeats"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1.")

    @property
    def rows(self):
        """Rows of all sentences."""
        return self.frames / self.stride

    @property
    def rows_to_train(self):
        """Rows of training sentences, which are as long as others."""
        return self.rows * self.train / self.sentences


def _time(call, options):
    """Return the median seconds of a call after a first one, by the clock or by the processor."""
    call()
    clock, share = (
        (time.process_time, os.cpu_count()) if options.processor else (time.perf_counter, 1)
    )
    seconds = []
    for _ in range(options.repeats):
        begin = clock()
        call()
        seconds.append((clock() - begin) / share)
    return statistics.median(seconds)


def time_row(options):
    """Return the seconds of a row of features."""
    precision = {"bfloat16": "mixed_bfloat16"}.get(found := choose_precision("keras"), found)
    with number_format(precision):
        sizes = (options.window, options.frame_size, FEATURES)
        model = build_windows(BACKBONES[DEFAULT], *sizes)
    count = max(1, _BATCH_FRAMES // options.window)
    windows = np.zeros((count, *model.input_shape[1:]), np.float32)
    return _time(lambda: model.predict_on_batch(windows), options) / count


def time_sentences(options):
    """Return the seconds of a step of stage 1: a batch of sentences of the mean length."""
    front = choose_front(options.stride)
    rows = max(8, round(options.rows / options.sentences))
    model = build_recognizer(_ROW, options.glosses, front, width=options.width)
    generator, shape = np.random.default_rng(0), (options.batch_size, rows, _ROW)
    lengths = np.full(options.batch_size, rows, np.int32)
    steps = output_lengths(lengths, front)
    spelled = max(1, steps[0] // 3)
    labels = generator.integers(1, options.glosses + 1, (options.batch_size, spelled))
    heads = np.stack([steps, np.full(options.batch_size, spelled)], 1)
    target = np.concatenate([heads, labels], 1).astype(np.float32)
    inputs = {"features": generator.random(shape, np.float32), "lengths": lengths}
    optimizer = make_optimizer(Optimization(optimizer="adamw"), 1)
    compile_model(model, optimizer, RecognitionLoss(), [])
    return _time(lambda: model.train_on_batch(inputs, target), options)


def time_frames(options):
    """Return the seconds of a step of stage 2: one sentence of the mean length."""
    frames = max(options.window, round(options.frames / options.sentences))
    same = "frame_size window stride glosses width".split()
    chosen = recognition.Options(
        finetune=(options.finetune,),
        inputs=("frames" if options.finetune == "all" else "maps",),
        frames=frames,
        **{name: getattr(options, name) for name in same},
    )
    return _time(recognition.make_step(chosen), options)


def estimate_here(options):
    """Measure on this computer; yield (step, hours)."""
    row = time_row(options)
    yield "features", row * options.rows / 3600
    updates = options.train / options.batch_size * options.epochs[0]
    yield "stage 1", time_sentences(options) * updates / 3600
    if options.finetune != "none":
        if options.finetune != "all":
            yield "maps of stage 2", row * options.rows / 3600
        yield "stage 2", time_frames(options) * options.train * options.epochs[1] / 3600


def _read_card(**asked):
    """Return the highest rate a second of the card's rows that have such values."""
    rows = read_figures(_CARD)["rows"]
    same = [row for row in rows if all(row.get(name) == asked[name] for name in asked)]
    return max(row["per_second"] for row in same if "per_second" in row)


def estimate_on_card(options):
    """Compute for the H100; yield (step, hours, where that comes from)."""
    i3d = {"network": "i3d", "framework": "keras on jax", "precision": "float32"}
    clip = options.window / _CARD_WINDOW * (options.frame_size / _CARD_SIZE) ** 2  # of a row
    forward = options.rows * clip / _read_card(**i3d, step="forward")
    read = options.frames / _read_card(name="reading 320x240, 16 threads, windows")
    yield "features", max(forward, read) / 3600, _FORWARD
    updates = options.train / options.batch_size * options.epochs[0]
    yield "stage 1", _CARD_STEP * updates / 3600, _ASSUMED
    if options.finetune != "none":
        if options.finetune != "all":
            yield "maps of stage 2", max(forward, read) / 3600, _FORWARD
        seconds = options.rows_to_train * clip / _read_card(**i3d, step="train")
        yield "stage 2", seconds * options.epochs[1] / 3600, _TRAINED


def measure_disk(options):
    """Yield (step, GB that it leaves on the disk)."""
    backbone = BACKBONES[DEFAULT]
    yield "features", _ROW * _NUMBER * options.rows / 1e9
    if options.finetune not in ("none", "all"):
        cut = backbone.cut_before(options.finetune).name
        model = backbone.build("rgb", options.window, options.frame_size, cut)
        numbers = np.prod(model.output_shape[1:])
        yield "maps of stage 2", float(numbers) * _NUMBER * options.rows / 1e9


def estimate_hours(options):
    """Print and return the rows: the hours of each step here and on an H100, and of all.

    Args:
        options: `Options`.
    """
    figures = Figures(options.output)
    disk, card = dict(measure_disk(options)), list(estimate_on_card(options))
    here = dict(estimate_here(options))
    for step, hours, basis in card:
        figures.add(
            step=step,
            hours=here[step],
            hours_basis=_MEASURED,
            hours_h100=hours,
            hours_h100_basis=basis,
            gb=disk.get(step),
        )
    figures.add(
        step="all of it",
        hours=sum(here.values()),
        hours_basis="the sum",
        hours_h100=sum(hours for _, hours, _ in card),
        hours_h100_basis="the sum",
        gb=sum(disk.values()),
    )
    frames = f"{options.frames:,} frames, {options.sentences:,} sentences"
    print_line(f"Estimate for {frames}; reading, validation and scoring come on top:")
    for row in figures.rows:
        size = "" if row["gb"] is None else f", {row['gb']:.3g} GB on disk"
        print_line(
            f"  {row['step']:<16} {row['hours']:8.3g} hours on this computer "
            f"({row['hours_basis']}){size}",
            f"  {'':<16} {row['hours_h100']:8.3g} on one H100 ({row['hours_h100_basis']})",
        )
    sys.stdout.flush()
    return figures.rows


COMMAND = Command(__doc__, Options)

if __name__ == "__main__":
    run_command(lambda: estimate_hours(COMMAND.parse()))
