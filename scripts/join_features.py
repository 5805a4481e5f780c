"""Join rows of several folders of features: python -m scripts.join_features A B --output J.

Each row of the first folder is followed by those of the others at the same time, as further
columns. After a stop, the same command continues with the videos that are missing.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it starts from any folder

from utils.command_line import Command
from utils.features.extraction import FAILURES
from utils.features.joining import OTHERS, describe_joined, open_source, read_joined
from utils.features.lookup import index_features, locate_features
from utils.features.store import (
    MANIFEST,
    fit_features,
    is_done,
    open_store,
    save_features,
    settings_hash,
)
from utils.system.commands import IncompleteError, run_command
from utils.system.files import clear_leftovers
from utils.system.progress import show_progress
from utils.system.tables import write_csv
from utils.system.words import list_some, print_line
from utils.video.resampling import FPS
from utils.video.views import BESIDE_CENTER, CENTER

import tyro


@dataclass(frozen=True)
class Options:
    """Which rows are joined, and how."""

    folders: tyro.conf.Positional[tuple[str, ...]]
    """Two or more folders of features of the same videos, or files that hold many. The first one
    says when rows are."""
    output: str
    """Folder to write to, outside the others."""
    others: Literal[tuple(OTHERS)] = "mean"
    """Rows of the other folders. mean: of those that lie in a row's step, and where none does, the
    nearest. nearest: always that one."""
    row_strides: tuple[int, ...] = ()
    """Frames from a row to the next in each folder, such as 2 1. 0: as its manifest says. Needed
    for rows of other programs."""
    fps: float = FPS
    """Frames per second of the videos, for folders whose manifest does not say them."""

    def __post_init__(self):
        if len({Path(folder).resolve() for folder in self.folders}) < max(2, len(self.folders)):
            raise ValueError(
                f"The folders are {' '.join(self.folders) or 'none'}; give two or more, each once."
            )
        if self.row_strides and len(self.row_strides) != len(self.folders):
            raise ValueError(
                f"row_strides gives {len(self.row_strides)} numbers for {len(self.folders)} "
                "folders. Give one for each, and 0 for a store."
            )
        if min(self.row_strides, default=0) < 0 or not self.fps > 0:
            raise ValueError(
                f"row_strides are {self.row_strides} and fps is {self.fps}; row_strides must be at "
                "least 0, fps more than 0."
            )
        output = Path(self.output).resolve()
        for folder in map(Path, self.folders):
            root = folder.resolve()
            if output.is_relative_to(root) or root.is_relative_to(output):
                raise ValueError(
                    f"output {self.output} and {folder} lie inside one another. Give an output "
                    "folder outside the others."
                )


def list_videos(features):
    """Return {name: (file, name of the array)} of the center views in a folder of features.

    Raises:
        ValueError: no features there.
    """
    index = index_features(features) or {}
    own = {
        name: place
        for name, place in index.items()
        if not any(name.endswith(f".{v}") and name[: -len(v) - 1] in index for v in BESIDE_CENTER)
    }
    if not own:
        raise ValueError(
            f"{features} contains no features. Give a folder of arrays, one for each video, or "
            "an .npz or HDF5 file of many."
        )
    return own


def locate_all(folders):
    """Find the features of all videos.

    Videos have the names of the folder whose names are longest; the others may have their ends.

    Args:
        folders: as in `utils.features.lookup.index_features`.

    Returns:
        ({name: [views in each folder, {} for none]}, {name: why it is left out} of videos that
        the folder whose names are longest lacks).

    Raises:
        ValueError: a folder without features of the videos, or two videos have the same.
    """
    listed = {folder: list_videos(folder) for folder in folders}
    base = max(folders, key=lambda folder: max(name.count("/") for name in listed[folder]))
    located = {folder: locate_features(list(listed[base]), folder) for folder in folders}
    lost = {}
    for folder, videos in listed.items():
        used = {views[CENTER] for views in located[folder].values()}
        lost |= {name: _say_missing([base]) for name, place in videos.items() if place not in used}
    return {name: [located[f].get(name, {}) for f in folders] for name in listed[base]}, lost


def _say_missing(folders):
    return f"no features in {list_some(folders)}"


def _check_name(name):
    """Raise a ValueError where a store cannot have a video of this name."""
    path = Path(name)
    if path.is_absolute() or ".." in path.parts or f"{name}.json" == MANIFEST:
        raise ValueError(f"{name}: no name for features; rename it.")


def join_features(options):
    """Join the features of videos; list what is left out on screen and in failures.csv.

    Args:
        options: `Options`.

    Raises:
        ValueError: no such folder, no stride, a store of other settings, or nothing was joined.
        IncompleteError: some of the videos are left out.
        OSError: the store cannot be written.
    """
    videos, failed = locate_all(options.folders)
    strides = options.row_strides or (0,) * len(options.folders)
    sources = [
        open_source(folder, stride, options.fps)
        for folder, stride in zip(options.folders, strides, strict=True)
    ]
    folder, settings = Path(options.output), describe_joined(sources, options.others)
    open_store(folder, settings)
    clear_leftovers(folder)
    joined, done, gaps = 0, 0, False
    for name, views in show_progress("Joining features", "video", videos.items(), len(videos)):
        try:
            _check_name(name)
            if not all(views):
                lacking = zip(options.folders, views, strict=True)
                raise ValueError(_say_missing([each for each, found in lacking if not found]))
            video, kept = read_joined(sources, views), fit_features(name)
            gaps, digest = gaps or video.has_nan(), video.digest
            if is_done(folder, kept, digest, settings):
                done += 1
                continue
            record = {"source": digest, "settings": settings_hash(settings)}
            record["times"] = video.times[0].round(4).tolist()
            save_features(folder, kept, video.join(options.others), record)
            joined += 1
        except ValueError as error:
            failed[name] = str(error)
    write_csv(folder / FAILURES, ["path", "reason"], failed.items())
    print_line(f"{joined} videos were joined, {done} were done already.")
    first = 0
    for source in sources:
        print_line(f"  columns {first} to {first + source.channels - 1}: {source.features}")
        first += source.channels
    for name, reason in failed.items():
        print_line(f"  left out: {name}: {reason}")
    if joined or done:
        missing = " --missing nan, as some numbers are NaN" if gaps else ""
        print_line(f"Train on them with --features {folder}{missing}.")
    if failed:
        kind = IncompleteError if joined or done else ValueError
        raise kind(f"{len(failed)} videos were left out; see {folder}/{FAILURES}.")


COMMAND = Command(__doc__, Options)

if __name__ == "__main__":
    run_command(
        lambda: join_features(COMMAND.parse()),
        "run the same command to continue with the videos that are not done yet",
    )
