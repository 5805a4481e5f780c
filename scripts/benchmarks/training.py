"""Measure how fast this machine trains and reads videos: python -m scripts.benchmarks.training.

Numbers are medians of one run. Videos are rendered, a moving pattern in MPEG-4. Give your own to
measure how fast those are decoded.
"""

import functools
import itertools
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it starts from any folder

from models.backbones import BACKBONES, DEFAULT
from models.choices import ENCODERS, HEADS, SCHEMES
from models.design import Design
from models.later import later
from utils.clips.reading import Clip, ClipFormat, list_views, read_clip
from utils.command_line import Command
from utils.fitting.optimization import Optimization, make_optimizer
from utils.rendering.samples import render_video
from utils.system.commands import ROOT, run_command
from utils.system.figures import Figures, make_row
from utils.system.processes import measure_peak
from utils.system.timing import measure_seconds, time_call
from utils.video.reading import probe

import numpy as np

cut_network = later("models.cutting", "cut_network")
count_flops = later("models.flops", "count_flops")
build_head = later("models.heads", "build_head")
build = later("models.networks", "build")
Sequence = later("utils.clips.batches", "Sequence")
TrainingOrder = later("utils.clips.batches", "TrainingOrder")
ClipSource = later("utils.clips.inputs", "ClipSource")
compile_model = later("utils.fitting.devices", "compile_model")
number_format = later("utils.fitting.devices", "number_format")
prepare_steps = later("utils.fitting.devices", "prepare_steps")

SIZES = ((320, 240), (1280, 720), (1920, 1080))  # (width, height)
FORM = ClipFormat(segments=4, frames=16)
BACKBONE = BACKBONES[DEFAULT]
CLIP_FRAMES = FORM.segments * FORM.frames


def measure_matmul(dtype, repeats, size=3072):
    """Return the rate of a square matrix product in operations per second."""
    import keras

    matrix = keras.Input((size,), dtype=dtype)
    product = keras.Model(matrix, keras.layers.Dense(size, use_bias=False, dtype=dtype)(matrix))
    values = np.random.default_rng(0).normal(size=(size, size)).astype("float32")
    values = keras.ops.cast(values, dtype)
    return 2 * size**3 / time_call(lambda: product.predict_on_batch(values), repeats)[0]


def _measure_steps(name, precision, model, repeats, peak):
    """Yield rows of a network's forward pass and training step on one clip."""
    what = {"name": name, "precision": precision}
    calls = prepare_steps(model)
    # A training step does about three times the work of a forward pass.
    for step, call, work in (("forward", "forward", 1), ("training step", "train", 3)):
        seconds, spread = time_call(calls[call], repeats)
        yield make_row(seconds, "s a clip", spread, **what, step=step)
        share = 100 * work * count_flops(model) / seconds / peak
        yield make_row(share, "% of the matrix product", **what, step=step)


def measure_networks(parts, precision, frames, repeats):
    """Yield rows of networks: the backbone on `frames`, TimeSformer-B on 8 and ViViT-B on 32."""
    import keras

    with number_format(precision):
        peak = measure_matmul(keras.config.dtype_policy().compute_dtype, repeats)
        yield make_row(peak / 1e9, "GFLOP/s", name=f"{precision} matrix product")
        if "network" in parts:
            model = BACKBONE.build("rgb", frames, 224, BACKBONE.published.logits)
            name = f"{BACKBONE.title}, {frames} frames"
            yield from _measure_steps(name, precision, model, repeats, peak)
        for scheme in SCHEMES if "schemes" in parts else ():
            model = build("timesformer", 400, 1, 8, design=Design(size="base", attention=scheme))
            name = f"TimeSformer-B, {scheme}"
            yield from _measure_steps(name, precision, model, repeats, peak)
        for encoder in ENCODERS if "vivit" in parts else ():
            design = Design(0, 0, "class", "tubelet", encoder, "base")
            model = build("vivit", 400, 1, 32, design=design)
            name = f"ViViT-B, {encoder}"
            yield from _measure_steps(name, precision, model, repeats, peak)


def measure_heads(folder, repeats, videos=180, segments=4):
    """Yield rows of one training epoch of each head on features kept on disk, as `fit` runs it."""
    from utils.scores.labelings import LABELINGS

    features = np.random.default_rng(0).random((videos, segments, 1024), np.float32)
    paths = [folder / f"{index}.npy" for index in range(videos)]
    for path, array in zip(paths, features, strict=True):
        np.save(path, array)
    targets = np.eye(5)[np.arange(videos) % 5]
    labeling, order = LABELINGS["single"], TrainingOrder(0)
    for name, batch_size in itertools.product(HEADS, (8, 32)):
        batches = Sequence(lambda index, _: np.load(paths[index]), targets, batch_size, order)
        head = build_head(name, segments, 1024, 5)
        optimizer = make_optimizer(Optimization(), len(batches))
        compile_model(head, optimizer, labeling.make_loss(), labeling.metrics(5))
        fit = functools.partial(head.fit, batches, verbose=0)
        what = f"{name} head, epoch of {videos} cached videos, batch {batch_size}"
        seconds, spread = time_call(fit, repeats)
        yield make_row(seconds, "s", spread, name=what)
        if batch_size == 8:
            millions = head.count_params() / 1e6
            yield make_row(millions, "million parameters", name=f"{name} head")


def measure_reading(videos, repeats):
    """Yield rows of one thread's frames per second, decoded, resized, cropped and scaled."""
    for video in videos:
        view = list_views(video)[0]
        seconds, spread = time_call(lambda view=view: read_clip(view, FORM), repeats)
        name = f"reading {CLIP_FRAMES} of {video.num_frames} frames, {video.width}x{video.height}"
        yield make_row(CLIP_FRAMES / seconds, "frames/s", name=name)
        yield make_row(seconds, "s a clip", spread, name=name)


def measure_pipeline(videos, clips, repeats):
    """Yield rows of the frozen backbone over clips in memory, then over files in two threads."""
    network = build("i3d_lstm", 2, FORM.segments, FORM.frames, FORM.frame_size)
    frozen, _ = cut_network(network, "none")
    clip = read_clip(list_views(videos[0])[0], FORM)
    memory = Sequence(lambda *_: clip, np.zeros((clips, 1)), 1)
    frozen.predict(memory, verbose=0)
    for video in videos:
        # Distinct places: the same clip would be run only once.
        views = [Clip(video, place) for place in np.linspace(0.3, 0.7, clips).tolist()]
        alone, whole = [], []
        for _ in range(repeats):
            alone.append(measure_seconds(lambda: frozen.predict(memory, verbose=0)))
            with tempfile.TemporaryDirectory() as cache:
                source = ClipSource(FORM, frozen, cache, workers=2)
                whole.append(
                    measure_seconds(lambda source=source, views=views: source.prepare(views))
                )
        name = f"frozen {BACKBONE.title} over {video.width}x{video.height} files"
        yield make_row(clips / statistics.median(whole), "clips/s", name=name)
        shares = [100 * a / w for a, w in zip(alone, whole, strict=True)]
        yield make_row(statistics.median(shares), "% of the network alone", name=name)


def measure_memory(folder):
    """Yield the peak memory of training on the frozen backbone, the process and all it loads."""
    for index in range(12):
        path = folder / "videos" / "ab"[index % 2] / f"{index}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        render_video(path, *SIZES[0], frames=64 + index)
    (folder / "weights").mkdir()
    (ROOT / "weights/pretrained").mkdir(exist_ok=True)
    (folder / "weights/pretrained").symlink_to(ROOT / "weights/pretrained")
    flags = ["--data-path", "videos", "--frames-per-segment", str(FORM.frames), "--epochs", "2"]
    peak = measure_peak([ROOT / "training.py", *flags], folder)
    yield make_row(peak, "GiB", name=f"training a frozen {BACKBONE.title}-LSTM, peak memory")


PARTS = ("network", "schemes", "vivit", "heads", "reading", "pipeline", "memory")


@dataclass(frozen=True)
class Options:
    """What is measured."""

    parts: tuple[Literal[PARTS], ...] = PARTS
    """Parts of the benchmark."""
    precisions: tuple[Literal["float32", "mixed_bfloat16"], ...] = ("float32", "mixed_bfloat16")
    """network, schemes: number formats."""
    frames: int = 64
    """network: frames per clip, at least 8."""
    clips: int = 8
    """pipeline: clips per measurement."""
    repeats: int = 3
    """Measurements of each number; the median counts."""
    videos: tuple[Path, ...] = ()
    """reading, pipeline: your videos instead of rendered ones."""
    output: Path | None = None
    """JSON file to write the figures to, such as docs/figures/training.json."""

    def __post_init__(self):
        for name, low in (("frames", 8), ("clips", 1), ("repeats", 1)):
            if getattr(self, name) < low:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least {low}.")


def benchmark(options):
    """Measure the parts, one after another, and print a row for each.

    Args:
        options: `Options`.
    """
    parts, repeats, figures = options.parts, options.repeats, Figures(options.output)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        found = [probe(path) for path in options.videos]
        if not found and {"reading", "pipeline"} & set(parts):
            found = [render_video(folder / f"{w}x{h}.mp4", w, h) for w, h in SIZES]
        measures = {
            "heads": lambda: measure_heads(folder, repeats),
            "reading": lambda: measure_reading(found, repeats),
            "pipeline": lambda: measure_pipeline(found, options.clips, repeats),
        }
        chosen = [measures[part]() for part in parts if part in measures]
        if {"network", "schemes", "vivit"} & set(parts):
            measured = [
                measure_networks(parts, p, options.frames, repeats) for p in options.precisions
            ]
            chosen = measured + chosen
        if "memory" in parts:  # first, see `measure_peak`
            chosen.insert(0, measure_memory(folder))
        figures.take(itertools.chain(*chosen))


COMMAND = Command(__doc__, Options)

if __name__ == "__main__":
    run_command(lambda: benchmark(COMMAND.parse()))
