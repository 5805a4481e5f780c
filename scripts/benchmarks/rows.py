"""Measure training on features, from files to epochs: python -m scripts.benchmarks.rows.

files: looking at all arrays once, and an epoch of reading them, from each kind of file. epochs: an
epoch of the LSTM head in batches of 8 and 32; with `--peer`, in turns with the same LSTMs in
PyTorch. videos: time and memory by the number of videos. All rows are random numbers.
"""

import functools
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it starts from any folder

from models.later import later
from utils.clips.augmentation import Augmentation
from utils.clips.reading import random_clip
from utils.command_line import Command
from utils.data.examples import Example
from utils.data.inspection import inspect_features
from utils.data.splits import assign_splits
from utils.features.extraction import list_missing
from utils.features.store import open_store, save_features, settings_hash
from utils.fitting.optimization import Optimization, make_optimizer
from utils.system.commands import ROOT, run_command
from utils.system.figures import Figures, make_row
from utils.system.processes import start_child
from utils.system.timing import measure_seconds, summarize_seconds
from utils.video.image_folders import digest_video

import h5py
import numpy as np

build_head = later("models.heads", "build_head")
Sequence = later("utils.clips.batches", "Sequence")
TrainingOrder = later("utils.clips.batches", "TrainingOrder")
FeatureSource = later("utils.clips.inputs", "FeatureSource")
compile_model = later("utils.fitting.devices", "compile_model")
plot_scaling = later("utils.pictures.scaling", "plot_scaling")

SIZE = (8, 2048)  # rows and channels of a video: 16 frames of Inception-v3, averaged in pairs
CLASSES = 12
_SMALL = (8, 16)  # of many videos: what counts is how many there are
_GROUP = 10  # videos of a group, such as clips of one recording
_SETTINGS = {"version": 1}
# An epoch for each line that it reads; it answers with the seconds.
_PEER = """
import json, sys, time
import torch
from torch import nn
videos, segments, channels, classes = json.loads(sys.argv[1])
class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.normalize = nn.LayerNorm(channels, elementwise_affine=False)
        self.lstm_1 = nn.LSTM(channels, 512, batch_first=True)
        self.lstm_2 = nn.LSTM(512, 256, batch_first=True)
        self.end = nn.Sequential(nn.Dropout(0.5), nn.Linear(256, classes))
    def forward(self, x):
        return self.end(self.lstm_2(self.lstm_1(self.normalize(x))[0])[0][:, -1])
head, loss = Head(), nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(head.parameters(), 1e-2, momentum=0.9)
rows = torch.rand(videos, segments, channels).half()
labels = torch.arange(videos) % classes
for line in sys.stdin:
    begin, order, batch = time.perf_counter(), torch.randperm(videos), int(line)
    for chosen in order.split(batch):
        optimizer.zero_grad()
        loss(head(rows[chosen].float()), labels[chosen]).backward()
        optimizer.step()
    print(time.perf_counter() - begin, flush=True)
"""


def _write_npy(folder, arrays):
    folder.mkdir()
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)


def _write_hdf5(path, arrays):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array


# Kind of file: (its name, function (path, arrays) that writes them).
FILES = {
    ".npy files": ("rows", _write_npy),
    "one .npz": ("rows.npz", lambda path, arrays: np.savez(path, **arrays)),
    "one .h5": ("rows.h5", _write_hdf5),
}


def _draw_rows(videos, size, dtype="float16"):
    generator = np.random.default_rng(0)
    return {
        f"v{number}": generator.random(size, np.float32).astype(dtype) for number in range(videos)
    }


def _make_batches(found, size, batch_size):
    """Return training batches of features, as a run makes them."""
    source, videos = FeatureSource(*size), list(found.values())
    augmentation, targets = Augmentation(), np.eye(CLASSES)[np.arange(len(videos)) % CLASSES]

    def read(index, epoch):
        generator = np.random.default_rng([0, epoch, index])
        return source.read(random_clip(videos[index], size[0], generator, augmentation))

    return Sequence(read, targets, batch_size, TrainingOrder(0), workers=2)


def _read_epoch(batches):
    for step in range(len(batches)):
        batches[step]


def _time_processor(call):
    """Return (what a call returns, the seconds of the processor that this process took for it)."""
    begin = time.process_time()
    result = call()
    return result, time.process_time() - begin


def measure_files(folder, videos, repeats):
    """Yield rows of the processor time of a look at all arrays, and of reading an epoch of them."""
    arrays = _draw_rows(videos, SIZE)
    for kind, (name, write) in FILES.items():
        write(folder / name, arrays)
        looks, epochs = [], []
        for _ in range(repeats):
            paths = [f"{each}.mp4" for each in arrays]
            (found, _), seconds = _time_processor(
                lambda p=paths, n=name: inspect_features(p, folder / n)
            )
            looks.append(seconds)
            batches = _make_batches(found, SIZE, 32)
            epochs.append(_time_processor(lambda b=batches: _read_epoch(b))[1])
        for what, seconds in (("first look", looks), ("epoch of reading", epochs)):
            median, spread = summarize_seconds(seconds)
            yield make_row(median, "s of one core", spread, name=f"{kind}, {videos} videos, {what}")


def measure_epochs(folder, videos, repeats, peer):
    """Yield rows of an epoch of the LSTM head, and of PyTorch's in turns with it."""
    from utils.scores.labelings import LABELINGS

    labeling, path = LABELINGS["single"], folder / "rows.npz"
    arrays = _draw_rows(videos, SIZE)
    np.savez(path, **arrays)
    found, _ = inspect_features([f"{each}.mp4" for each in arrays], path)
    command = [peer, "-c", _PEER, json.dumps([videos, *SIZE, CLASSES])]
    with start_child(command, stdout=subprocess.PIPE) if peer else nullcontext() as child:
        for batch_size in (8, 32):
            batches = _make_batches(found, SIZE, batch_size)
            head = build_head("lstm", *SIZE, CLASSES)
            optimizer = make_optimizer(Optimization(), len(batches))
            compile_model(head, optimizer, labeling.make_loss(), labeling.metrics(CLASSES))
            run = {"ours": functools.partial(_fit_epoch, head, batches)}
            if peer:
                run["PyTorch"] = functools.partial(_ask_epoch, child, batch_size)
            first = {who: call() for who, call in run.items()}  # compiles
            turns = [{who: call() for who, call in run.items()} for _ in range(repeats)]
            name = f"LSTM head, epoch of {videos} videos, batches of {batch_size}"
            yield make_row(first["ours"], "s", name=f"{name}, ours, the first one")
            for who in run:
                median, spread = summarize_seconds([turn[who] for turn in turns])
                yield make_row(median, "s", spread, name=f"{name}, {who}")
            if peer:
                ratios = [turn["ours"] / turn["PyTorch"] for turn in turns]
                yield make_row(statistics.median(ratios), "times PyTorch's", name=name)


def _fit_epoch(head, batches):
    return measure_seconds(lambda: head.fit(batches, verbose=0, shuffle=False))


def _ask_epoch(child, batch_size):
    child.stdin.write(f"{batch_size}\n".encode())
    child.stdin.flush()
    return float(child.stdout.readline())


def _write_videos(count, folder):
    """Write a store of so many small videos, and them; return {path: name in the store}."""
    names = {
        str(folder / f"videos/{n % 100:02d}/{n}.mp4"): f"{n % 100:02d}/{n}" for n in range(count)
    }
    store, rows = folder / "features", np.ones(_SMALL, np.float32)
    open_store(store, _SETTINGS)
    for number, (path, name) in enumerate(names.items()):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(str(number))
        record = {"source": digest_video(path), "settings": settings_hash(_SETTINGS)}
        if not number:
            save_features(store, name, {"centre": rows}, record)
            whole = json.loads((store / f"{name}.json").read_text())
        (store / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(store / f"{name}.npy", rows + number)
        (store / f"{name}.json").write_text(json.dumps(whole | record))
    return names


def measure_videos(count, folder):
    """Return rows of what is done with so many videos; for a process of its own."""
    import utils.clips.inputs  # noqa: F401

    import sklearn.model_selection  # noqa: F401 (what is imported later is not measured)

    names, store = _write_videos(count, folder), folder / "features"
    paths, found, rows = list(names), {}, []
    calls = {
        "extraction: what is missing": lambda: list_missing(names, store, _SETTINGS),
        "training: a look at all": lambda: found.update(inspect_features(paths, store)[0]),
        "training: splits": lambda: assign_splits(
            [Example(p, str(n % 10), group=str(n // _GROUP)) for n, p in enumerate(paths)], 0.2
        ),
        "training: batches of an epoch": lambda: _read_epoch(_make_batches(found, _SMALL, 32)),
    }
    for name, call in calls.items():
        rows.append(make_row(measure_seconds(call), "s", name=name, videos=count))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return [*rows, make_row(peak, "GiB", name="peak memory", videos=count)]


def measure_scaling(counts):
    """Yield the rows of each number of videos, measured in a process of its own."""
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            command = [
                sys.executable,
                "-m",
                "scripts.benchmarks.rows",
                "--child",
                str(count),
                folder,
            ]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, check=True)
        yield from json.loads(done.stdout.splitlines()[-1])


PARTS = ("files", "epochs", "videos")


@dataclass(frozen=True)
class Options:
    """What is measured."""

    parts: tuple[Literal[PARTS], ...] = PARTS
    """Parts of the benchmark."""
    rows: int = 1576
    """files, epochs: videos."""
    videos: tuple[int, ...] = (100, 1000, 10_000, 100_000)
    """videos: how many; 100,000 take 1.3 GB of disk for a while."""
    repeats: int = 5
    """files, epochs: measurements of each number; the median counts."""
    peer: str = ""
    """epochs: Python with PyTorch, to measure the same LSTMs there as well."""
    output: Path | None = None
    """JSON file to write the figures to, such as docs/figures/rows.json."""
    picture: Path | None = None
    """videos: PNG to draw them to, such as docs/rows.png."""

    def __post_init__(self):
        for name in ("rows", "repeats"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1.")


def benchmark(options):
    """Measure the parts, one after another, and print a row for each.

    Args:
        options: `Options`.
    """
    figures = Figures(options.output, libraries=["h5py"])
    measures = {
        "files": lambda folder: measure_files(folder, options.rows, options.repeats),
        "epochs": lambda folder: measure_epochs(
            folder, options.rows, options.repeats, options.peer
        ),
        "videos": lambda folder: measure_scaling(options.videos),
    }
    for part in options.parts:
        with tempfile.TemporaryDirectory() as folder:
            figures.take(measures[part](Path(folder)))
    if options.picture:
        plot_scaling([row for row in figures.rows if "videos" in row], options.picture)


COMMAND = Command(__doc__, Options)

if __name__ == "__main__":
    if "--child" in sys.argv:
        print(json.dumps(measure_videos(int(sys.argv[-2]), Path(sys.argv[-1]))))
    else:
        run_command(lambda: benchmark(COMMAND.parse()))
