"""Compare runtimes and precisions of frozen networks: python -m scripts.benchmarks.runtimes.

Speed: the backbone on clips in memory, and extraction from files. Quality, on your videos: the
cosine of features, and the accuracy of heads on blocks of them that were held out.
"""

import statistics
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it starts from any folder

from models.later import later
from scripts.benchmarks import feature_views
from scripts.benchmarks.extraction import BACKBONE, SIZES, make_extractor, measure_share
from utils.checks import PRECISIONS
from utils.command_line import Command
from utils.features.blocks import RowFormat
from utils.params import Params
from utils.rendering.samples import render_video
from utils.system.commands import run_command
from utils.system.figures import Figures, make_row
from utils.system.timing import measure_seconds, summarize_seconds
from utils.system.words import print_line
from utils.video.listing import list_tree
from utils.video.reading import probe

import numpy as np

Asked = later("tasks.features.runtimes", "Asked")
Runtime = later("tasks.features.runtimes", "Runtime")
join_networks = later("tasks.features.networks", "join_networks")
open_network = later("tasks.features.runtimes", "open_network")
open_predictor = later("tasks.predictors", "open_predictor")
prepare = later("tasks.features.runtimes", "prepare")

_OWN = "keras float32"
_ALL = [f"{runtime} {each}" for runtime, own in PRECISIONS.items() for each in own[1:]]
_KINDS = tuple(kind for kind in _ALL if "mixed" not in kind)


@dataclass(frozen=True)
class Options:
    """What is compared, and on what."""

    parts: tuple[Literal["network", "files", "quality", "classes"], ...] = ("network", "files")
    """network: the backbone on clips in memory. files: extraction of rendered videos of 320x240.
    quality: features and heads on --data-path. classes: the top-1 of Kinetics on --clips."""
    kinds: tuple[Literal[_KINDS], ...] = (_OWN, "openvino float32", "openvino int8")
    """Runtimes and precisions. The first is compared with."""
    frames: int = 64
    """Frames of a clip."""
    repeats: int = 5
    """How often each is measured, in turns."""
    data_path: str = ""
    """Class folders or a .csv, numbered videos of two classes or more."""
    block: int = 30
    """Consecutive file numbers that are held out together."""
    seeds: int = 3
    """Number of random seeds of the head, from 0 on."""
    clips: str = ""
    """Folder of videos that the classes of Kinetics are predicted of."""
    cache_path: str = Params.cache_path
    """Folder of the cache, as in training."""
    output: Path | None = None
    """JSON file to write the figures to."""

    def __post_init__(self):
        for part, needed in (("quality", "data_path"), ("classes", "clips")):
            if part in self.parts and not getattr(self, needed):
                raise ValueError(f"{part} needs --{needed.replace('_', '-')}.")


def measure_network(kinds, frames, repeats):
    """Yield rows of the backbone's seconds a clip in each kind, and shares of the first."""
    model = BACKBONE.build("rgb", frames, BACKBONE.clip.frame_size)
    with suppress(ValueError):  # offline; random weights are as fast
        BACKBONE.load_published(model, "kinetics", "rgb")
    shape = (4, 1, *model.input_shape[1:])
    clips = np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")
    runs = {
        kind: prepare(model, Runtime(*kind.split()), lambda: [*clips]).model.predict_on_batch
        for kind in kinds
    }
    for run in runs.values():
        run(clips[0])  # compiled
    seconds = {kind: [] for kind in kinds}
    for _ in range(repeats):  # in turns: other work on the machine slows all of them alike
        for kind, run in runs.items():
            seconds[kind].append(measure_seconds(lambda run=run: run(clips[0])))
    for kind, own in seconds.items():
        what = {"part": "network", "kind": kind}
        value, spread = summarize_seconds(own)
        yield make_row(value, "s a clip", spread, **what)
        ratios = [a / b for a, b in zip(own, seconds[kinds[0]], strict=True)]
        yield make_row(statistics.median(ratios), f"times {kinds[0]}", **what)


def _compare(first, second):
    return first @ second / np.linalg.norm(first) / np.linalg.norm(second)


def measure_files(kinds, repeats):
    """Yield rows of extraction from files in each kind, against its network alone."""
    row_format = RowFormat(16, 4)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{index}.mp4") for index in range(4)]
        for path in paths:
            render_video(path, *SIZES[0], frames=75)
        videos = [probe(path) for path in paths]
        for kind in kinds:
            runtime, precision = kind.split()
            extractor = make_extractor(row_format)
            if runtime == "openvino":
                rng = np.random.default_rng(0)
                shape = (1, 16, row_format.frame_size, row_format.frame_size, 3)
                blocks = [rng.integers(0, 256, shape, np.uint8) for _ in range(4)]
                network, _ = open_network(extractor.build(16), precision, lambda own=blocks: own)
                extractor = join_networks(extractor, {16: network})
            what = {"part": "files", "kind": kind}
            for row in measure_share("windows", extractor, row_format, [videos], 2, repeats):
                yield what | row


def measure_quality(options):
    """Yield rows of features in each kind: their cosine, and what heads make of them."""
    first = None
    for kind in options.kinds:
        runtime, precision = kind.split()
        own = feature_views.Options(
            options.data_path,
            views=1,
            block=options.block,
            seeds=options.seeds,
            cache_path=options.cache_path,
        )
        clip = {"num_segments": 1, "frames_per_segment": options.frames}
        changes = {"runtime": runtime, "precision": precision, **clip}
        head, data = feature_views.open_data(own, **changes)
        rows = np.concatenate([views[0].reshape(-1, views[0].shape[-1]) for views in data.views])
        first = rows if first is None else first
        cosines = [_compare(a, b) for a, b in zip(rows, first, strict=True)]
        what = {"part": "quality", "kind": kind}
        yield make_row(np.mean(cosines), "cosine of features, mean", **what)
        yield make_row(min(cosines), "cosine of features, least", **what)
        for name, learner in feature_views.list_learners(head, options.seeds).items():
            for row in feature_views.measure(name, learner, data, 1):
                if row["views"] == "1":
                    folds = [round(each, 3) for each in row["folds"]]
                    spread = row["spread_over_seeds"]
                    yield make_row(row["mean"], f"accuracy, {name}", spread, **what, folds=folds)


def measure_classes(options):
    """Yield rows of the classes of Kinetics in each kind, against the first."""
    paths, told = list_tree(options.clips).videos, {}
    for kind in options.kinds:
        predictor = open_predictor(asked=Asked(*kind.split(), tuple(paths)))
        found = [predictor.predict_video(path) for path in paths]
        told[kind] = [each.top[0] for each in found]
        for path, (label, share) in zip(paths, told[kind], strict=True):
            print_line(f"{kind}, {path.name}: {label} {share:.3f}")
        pairs = [*zip(told[kind], told[options.kinds[0]], strict=True)]
        what = {"part": "classes", "kind": kind}
        equal = sum(own[0] == other[0] for own, other in pairs)
        yield make_row(equal, f"of {len(pairs)} top-1 classes are the same", **what)
        most = max(abs(own[1] - other[1]) for own, other in pairs)
        yield make_row(most, "largest difference of its probability", **what)


def measure(options):
    """Measure what is asked for; print and write it.

    Args:
        options: `Options`.
    """
    kinds, figures = options.kinds, Figures(options.output, 0, ("openvino", "nncf"))
    parts = {
        "network": lambda: measure_network(kinds, options.frames, options.repeats),
        "files": lambda: measure_files(kinds, options.repeats),
        "quality": lambda: measure_quality(options),
        "classes": lambda: measure_classes(options),
    }
    for part in options.parts:
        figures.take(parts[part]())


COMMAND = Command(__doc__, Options)

if __name__ == "__main__":
    run_command(lambda: measure(COMMAND.parse()))
