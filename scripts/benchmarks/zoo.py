"""Measure what each network costs: python -m scripts.benchmarks.zoo --output docs/figures/zoo.json.

Parameters, multiply-adds, seconds and peak memory of a forward pass over one clip (a sentence, for
recognizers), float32, with random weights: those of published ones take the same time. Each network
is a process of its own. Accuracies are the publishers'.
"""

import json
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it starts from any folder

from models.choices import SCHEMES
from models.later import later
from tasks.training_flags import parse_params
from utils.command_line import Command
from utils.system.commands import ROOT, run_command
from utils.system.figures import Figures
from utils.system.timing import measure_seconds, summarize_seconds

import numpy as np

count_flops = later("models.flops", "count_flops")
build_recognizer = later("models.recognizer", "build_recognizer")
choose_front = later("models.recognizer", "choose_front")
build_network = later("tasks.classification.training", "build_network")
choose_devices = later("utils.fitting.devices", "choose_devices")
prepare_steps = later("utils.fitting.devices", "prepare_steps")

CLASSES = 400  # Kinetics-400's
SENTENCE, CHANNELS, GLOSSES, STRIDE = 200, 1024, 1100, 4  # frames of a sentence; of I3D's rows
_LONG = 20.0  # seconds of a first call that stands for all
_TRAINED_HERE = "train it on your videos"
_SMALL = "small: for training from scratch"
_PAPER = "accuracy of the paper, whose weights cannot be loaded here"


class Entry(NamedTuple):
    """A network of the zoo.

    Attributes:
        flags: of training.py that build it.
        what: it is.
        checkpoint: its published weights, a key of `PRETRAINED` or `PUBLISHED`.
        note: what is to be said where there are none.
        accuracy, protocol: of papers, where there are no weights.
        published: billions of multiply-adds as the paper counts them.
    """

    flags: str
    what: str
    checkpoint: str = ""
    note: str = ""
    accuracy: tuple[float, ...] | None = None
    protocol: str = ""
    published: float | None = None


_SEGMENTS = "--num-segments 4 --frames-per-segment 16"
_VIEWS = "validation set; 4 clips x 3 crops"
ZOO = {
    "i3d": Entry("--preset paper", "3-D Inception", "rgb_scratch", published=107.9),
    "i3d_lstm": Entry(
        f"--network i3d_lstm {_SEGMENTS}", "I3D, two LSTMs (default)", note=_TRAINED_HERE
    ),
    "i3d_transformer": Entry(
        f"--network i3d_transformer {_SEGMENTS}",
        "I3D, Transformer with class queries, for isolated signs",
        note=_TRAINED_HERE,
    ),
    "i3d_vivit": Entry(
        f"--network i3d_vivit {_SEGMENTS}", "I3D, Transformer over the segments", note=_TRAINED_HERE
    ),
    "vivit": Entry("--preset vivit", "small ViViT, a token a frame", note=_SMALL),
    "vivit_b16x2": Entry(
        "--preset vivit_b16x2",
        "ViViT-B/16x2, joint attention",
        note=_PAPER,
        accuracy=(80.0,),
        protocol=_VIEWS,
        published=455.2,
    ),
    "vivit_b16x2_factorised": Entry(
        "--preset vivit_b16x2_factorised",
        "ViViT-B/16x2, space, then time",
        note=_PAPER,
        accuracy=(78.8,),
        protocol=_VIEWS,
        published=284.4,
    ),
    "timesformer": Entry("--preset timesformer", "small TimeSformer", note=_SMALL),
    "timesformer_base": Entry(
        "--preset timesformer_base",
        "TimeSformer, divided attention",
        "timesformer_base_k400",
        published=590 / 3,
    ),
    "timesformer_hr": Entry(
        "--preset timesformer_hr",
        "TimeSformer, larger frames",
        "timesformer_hr_k400",
        published=5110 / 3,
    ),
    "timesformer_l": Entry(
        "--preset timesformer_l",
        "TimeSformer, more frames",
        "timesformer_l_k400",
        published=7140 / 3,
    ),
    "bilstm": Entry(
        "--preset phoenix", "recognizer of signing: convolution, BiLSTM", note=_TRAINED_HERE
    ),
    "transformer": Entry(
        "--preset phoenix --network transformer",
        "recognizer of signing: convolution, Transformer",
        note=_TRAINED_HERE,
    ),
}
# Scheme: the tokens that attend to one another, and TimeSformer's paper (tables 1 and 3): top-1 on
# Kinetics-400 and on Something-Something V2.
_SCHEMES = {
    "space": ("one frame", 76.9, 36.6),
    "joint": ("everything", 77.4, 58.5),
    "divided": ("one place at all times; one frame", 78.0, 59.5),
    "local_global": (
        "a quarter of the picture at all times; every second token in time and space",
        75.9,
        56.3,
    ),
    "axial": ("one place at all times; a row; a column", 73.5, 56.2),
}


def describe_weights(entry):
    """Return {key: value} of what is published of an `Entry`."""
    from models.pretrained.i3d_weights import PRETRAINED
    from models.pretrained.timesformer_weights import PUBLISHED

    keys = ("accuracy", "protocol", "megabytes", "license")
    published = PRETRAINED | {name: row._asdict() for name, row in PUBLISHED.items()}
    if entry.checkpoint:
        row = {key: published[entry.checkpoint][key] for key in keys}
        weights = f"{row['megabytes']} MB, {row['license']}"
        return {**row, "accuracy": list(row["accuracy"]), "weights": weights, "note": None}
    accuracy = list(entry.accuracy) if entry.accuracy else None
    row = dict.fromkeys(keys) | {"accuracy": accuracy, "protocol": entry.protocol or None}
    return {**row, "weights": "none published", "note": entry.note}


def count_recognizer(network, rows):
    """Return the multiply-adds of a recognizer without pooling over so many rows.

    Each kernel is applied once a row, that of the logits twice; attention compares all rows with
    all. What has no weights does less than 1 % of the work.
    """
    import keras

    kernels = [weight for weight in network.weights if weight.name.endswith("kernel")]
    work = rows * sum(int(np.prod(kernel.shape)) for kernel in kernels)
    work += rows * int(np.prod(network.get_layer("logits").kernel.shape))
    for layer in network.layers:
        if isinstance(layer, keras.layers.MultiHeadAttention):
            work += 2 * rows * rows * layer.num_heads * layer.key_dim
    return work


def _open_recognizer(params):
    rows, front = SENTENCE // STRIDE, choose_front(STRIDE)
    network = build_recognizer(CHANNELS, GLOSSES, front, params.network, params.width)
    features = np.random.default_rng(0).random((1, rows, CHANNELS), np.float32)
    inputs = {"features": features, "lengths": np.array([rows], np.int32)}
    clip = f"{rows} rows of {SENTENCE} frames"
    work = count_recognizer(network, rows)
    return network, work, clip, lambda: network.predict_on_batch(inputs)


def _open_classifier(params):
    network = build_network(params, CLASSES)
    segments, frames, size = network.input_shape[1:4]
    clip = f"{segments} x {frames}" if segments > 1 else f"{frames}"
    work = count_flops(network) // 2
    return network, work, f"{clip} x {size}", prepare_steps(network)["forward"]


# Task: function (params) -> (network, multiply-adds, what a clip is, call of a forward pass).
_OPENERS = {"classification": _open_classifier, "recognition": _open_recognizer}


def measure_entry(name, repeats):
    """Measure a network of `ZOO` in this process.

    Args:
        name: its key.
        repeats: calls after a first one, which stands for all where it takes long; 0 for none.

    Returns:
        {"clip", "parameters", "multiply_adds" (billions), "seconds", "seconds_spread", "gib"}.
    """
    params = parse_params(ZOO[name].flags.split())
    network, work, clip, call = _OPENERS[params.task](params)
    row = {"clip": clip, "parameters": network.count_params() / 1e6, "multiply_adds": work / 1e9}
    row |= {"seconds": None, "gib": None}
    if repeats:
        seconds = [measure_seconds(call)]
        if seconds[0] < _LONG:
            seconds = [measure_seconds(call) for _ in range(repeats)]
        row["seconds"], row["seconds_spread"] = summarize_seconds(seconds)
        row["gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return row


def count_scheme(name):
    """Return a row of the parameters (millions) of a ViT-B with an attention scheme."""
    flags = f"--preset timesformer_base --attention {name}".split()
    counts = [build_network(parse_params(flags), classes).count_params() for classes in (400, 174)]
    millions = (count / 1e6 for count in counts)
    keys = ("windows", "kinetics", "ssv2", "parameters", "parameters_174")
    return dict(zip(keys, (*_SCHEMES[name], *millions), strict=True))


def _run(arguments, limit):
    """Run a measuring process; return what it printed, or what became of it."""
    command = [sys.executable, "-m", "scripts.benchmarks.zoo", "--child", *arguments]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        return {"failure": f"over {limit:.0f} s"}
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or ["killed, perhaps for want of memory"]
        return {"failure": said[0][:200]}
    return json.loads(done.stdout.splitlines()[-1])


@dataclass(frozen=True)
class Options:
    """What is measured."""

    networks: tuple[Literal[tuple(ZOO)], ...] = tuple(ZOO)
    """Networks of the zoo."""
    schemes: tuple[Literal[tuple(SCHEMES)], ...] = tuple(SCHEMES)
    """Attention schemes of TimeSformer whose parameters are counted."""
    repeats: int = 5
    """Calls after a first one; the median counts. If the first call takes over 20 s, it is the
    result. 0: count parameters only."""
    limit: float = 900
    """Seconds after which a measurement is stopped."""
    output: Path | None = None
    """JSON file to write the figures to, such as docs/figures/zoo.json."""


def benchmark_zoo(options):
    """Measure each network in a process of its own; print and return the rows.

    Args:
        options: `Options`.
    """
    figures = Figures(options.output)
    for name in options.networks:
        entry = ZOO[name]
        row = {"group": "networks", "name": name, "flags": entry.flags, "what": entry.what}
        row |= describe_weights(entry) | {"published": entry.published}
        row |= _run([name, str(options.repeats)], options.limit)
        figures.add(**row)
        print(json.dumps(row), flush=True)
    for name in options.schemes:
        row = {"group": "schemes", "name": name} | _run([name], options.limit)
        figures.add(**row)
        print(json.dumps(row), flush=True)
    return figures.rows


def _measure_alone(name, repeats=None):
    choose_devices(0)  # of two CPU cores
    print(json.dumps(measure_entry(name, int(repeats)) if repeats else count_scheme(name)))


COMMAND = Command(__doc__, Options)

if __name__ == "__main__":
    if "--child" in sys.argv:
        _measure_alone(*sys.argv[2:])
    else:
        run_command(lambda: benchmark_zoo(COMMAND.parse()))
