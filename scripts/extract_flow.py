"""Compute optical flow once, for training: python -m scripts.extract_flow my_videos.

After a stop, the same command continues with the videos that are missing.
"""

import os
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it starts from any folder

from utils.command_line import Command
from utils.data.datasets import list_examples
from utils.data.inspection import inspect_flow, inspect_videos
from utils.params import Params
from utils.system.commands import IncompleteError, run_command
from utils.system.files import clear_leftovers
from utils.system.processes import run_tasks
from utils.system.progress import show_progress
from utils.system.tables import write_csv
from utils.system.words import print_line
from utils.video.flow import FLOWS, flow_kind, limit_threads
from utils.video.flow_store import default_store, is_stored, open_store, store_flow
from utils.video.video import VideoError

import numpy as np
import tyro


@dataclass(frozen=True)
class Options:
    """Which optical flow is computed, of which videos."""

    data_path: tyro.conf.Positional[str]
    """What --data-path of training.py takes: a folder of class folders, a .csv or a UCF101 list."""
    method: Literal[tuple(FLOWS)] = Params.flow
    """tvl1: what the published flow weights were trained on, slow. dis and farneback are fast."""
    output: str = ""
    """Folder to write to. Empty: <cache_path>/flow/<method>_<short_side>_<fps>/, where training
    finds it."""
    fps: float = Params.fps
    """Frame rate that videos are resampled to, as in training. 0: keep every frame of the file."""
    short_side: int = Params.short_side
    """Pixels of the frames' shorter side, as in training."""
    workers: int = 0
    """Processes. 0: one per core."""
    batch: int = 0
    """tvl1: pairs of frames per batch in Keras, for a GPU. 0: use OpenCV on the CPU."""
    video_root: str = Params.video_root
    """Folder that the paths in a .csv or UCF101 list start from. Empty: the folder of the list."""
    cache_path: str = Params.cache_path
    """Folder of the cache; flow is stored here by default."""

    def __post_init__(self):
        for name, low in (("fps", 0), ("short_side", 1), ("workers", 0), ("batch", 0)):
            if getattr(self, name) < low:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least {low}.")
        if self.batch and self.method != "tvl1":
            raise ValueError(
                f"method is {self.method}, but only tvl1 is computed in batches. Leave out --batch."
            )


def make_estimate(batch):
    """Return a function of at most `batch` pairs of frames, for `utils.video.flow.compute_flow`."""
    from models.tvl1 import build_tvl1  # not above: each worker would start TensorFlow

    networks = {}

    def estimate(*frames):
        size = frames[0].shape[1:]
        if size not in networks:
            networks[size] = build_tvl1(*size)
        missing = batch - len(frames[0])  # one shape, traced once
        filled = [np.pad(each, ((0, missing), (0, 0), (0, 0)), "edge") for each in frames]
        inputs = [each[..., None].astype(np.float32) for each in filled]
        return networks[size].predict_on_batch(inputs)[: len(frames[0])]

    return estimate


def extract_batched(videos, folder, kind, batch):
    """Store the flow of videos by TV-L1 for whole batches, one after the other.

    Args:
        videos, folder, kind: as in `extract_videos`.
        batch: pairs at once.

    Returns:
        [(path, reason)] of the videos that could not be done.
    """
    failures, estimate = [], make_estimate(batch)
    lengths = [len(video.timeline(kind["fps"])) for video in videos]
    with show_progress("Computing optical flow", "frame", total=sum(lengths)) as bar:
        for video, length in zip(videos, lengths, strict=True):
            try:
                store_flow(folder, video, kind, estimate, batch)
            except VideoError as error:
                failures.append((video.path, str(error).removeprefix(f"{video.path}: ")))
            bar.update(length)
    return failures


def extract_videos(videos, folder, kind, workers):
    """Store the flow of videos, several at once, the longest first.

    Args:
        videos: list of `Video`.
        folder: an open store.
        kind: of `utils.video.flow.flow_kind`.
        workers: processes.

    Returns:
        [(path, reason)] of the videos that could not be done.

    Raises:
        ValueError: a process was killed.
    """
    lengths = {video.path: len(video.timeline(kind["fps"])) for video in videos}
    calls = {
        video.path: (store_flow, folder, video, kind)
        for video in sorted(videos, key=lambda video: -lengths[video.path])
    }
    failures = []
    with (
        closing(run_tasks(calls, workers, limit_threads, VideoError)) as done,
        show_progress("Computing optical flow", "frame", total=sum(lengths.values())) as bar,
    ):
        for path, _, error in done:
            if error:
                failures.append((path, str(error).removeprefix(f"{path}: ")))
            bar.update(lengths[path])
    return failures


def extract_flow(options):
    """Store the flow of a dataset's videos; list what failed on screen and in failures.csv.

    Args:
        options: `Options`.

    Raises:
        ValueError: no such data, a folder of another kind of flow, or all videos failed.
        IncompleteError: some of the videos failed.
    """
    kind = flow_kind(options.method, options.fps, options.short_side)
    examples = list_examples(options.data_path, options.video_root)
    folder = Path(options.output or default_store(options.cache_path, kind))
    open_store(folder, kind)
    clear_leftovers(folder)
    workers = options.workers or os.cpu_count() or 1
    paths = list(dict.fromkeys(example.path for example in examples))
    found, problems = inspect_videos(paths, options.cache_path, workers)
    failures = [
        (path, reason.removeprefix(f"{path}: ")) for path, reason in problems if path not in found
    ]
    problems += inspect_flow(found, kind, str(folder), options.cache_path, workers)
    for path, reason in problems:
        if path in found:
            print_line(f"  warning: {reason}")
    videos = {video.digest: video for video in found.values()}
    missing = [video for video in videos.values() if not is_stored(folder, video, kind)]
    print_line(f"{len(videos) - len(missing)} of {len(videos)} videos are done already", flush=True)
    if missing and options.batch:
        failures += extract_batched(missing, folder, kind, options.batch)
    elif missing:
        failures += extract_videos(missing, folder, kind, workers)
    write_csv(folder / "failures.csv", ("path", "reason"), failures)
    size = sum(path.stat().st_size for path in folder.glob("*.h5")) / 2**20
    print_line(
        f"{folder} contains the optical flow of {len(list(folder.glob('*.h5')))} videos, "
        f"{size:.1f} MiB"
    )
    for path, reason in failures:
        print_line(f"  failed: {path}: {reason}")
    if failures:
        kind = IncompleteError if len(failures) < len(paths) else ValueError
        raise kind(f"{len(failures)} of {len(paths)} videos failed; see {folder}/failures.csv.")


COMMAND = Command(__doc__, Options)

if __name__ == "__main__":
    run_command(
        lambda: extract_flow(COMMAND.parse()),
        "run the same command to continue with the videos that are not done yet",
    )
