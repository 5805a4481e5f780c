"""Rows of several folders of features as one: behind a row those of the others at its time."""

from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from utils.features.layouts import load_features
from utils.features.lookup import find_length
from utils.features.row_memory import RowMemory
from utils.features.rows import row_edges
from utils.features.store import JOINED, MANIFEST, find_manifest
from utils.features.video_features import VideoFeatures
from utils.system.hashing import hash_bytes
from utils.video.views import CENTER

import numpy as np

_NEAR = 1e-4  # seconds: records round times to this
_WHEN = ("window", "stride", "edges", "fps", "image_fps")  # settings that say when rows are


class Source(NamedTuple):
    """A folder of features, or a file of many, and when its rows are.

    Attributes:
        features: its path.
        manifest: its settings; {} where there are none.
        stride: frames from a row to the next.
        fps: frames per second, of which the stride is.
        channels: of a row.
    """

    features: str
    manifest: dict
    stride: int
    fps: float
    channels: int

    def describe(self):
        """Return all that its rows depend on, as JSON; of another program's the folder's name."""
        own = self.manifest or {"folder": Path(self.features).resolve().name}
        return {"fps": self.fps} | own | {"stride": self.stride, "channels": self.channels}

    @property
    def window(self):
        """Frames of a row's window, where its settings say them, otherwise of its step."""
        return self.manifest.get("window") or self.stride

    def find_middles(self, times):
        """Return the middle of the frames that each row is for, in seconds.

        It is the center of the row's window, or half a frame behind (see `row_starts`).

        Args:
            times: the centers in seconds.
        """
        early = self.manifest.get("edges") == "replicate" and (self.window - self.stride) % 2
        return times + early / 2 / self.fps

    def find_end(self, middles):
        """Return the seconds that a video has by its rows: it may be shorter by a stride.

        Args:
            middles: of `find_middles`.
        """
        behind = self.stride / 2
        if self.manifest.get("edges") == "drop":  # one window more would not have fitted
            behind = self.window / 2 + self.stride - 1
        return middles[-1] + behind / self.fps

    def read(self, views):
        """Return ({view: array (rows, channels)}, centers of the rows in seconds) of a video.

        Args:
            views: {view: (file, name of the array in it)}.

        Raises:
            ValueError: a file that cannot be read, or of another shape; it is named.
        """
        arrays = {view: load_features(*place) for view, place in views.items()}
        rows = len(arrays[CENTER])
        for view, array in arrays.items():
            if array.shape != (rows, self.channels):
                raise ValueError(
                    f"{' '.join(views[view]).strip()}: its shape is {array.shape}; expected "
                    f"{(rows, self.channels)}, as of the center view and of most others."
                )
        features = VideoFeatures("", views, rows, self.channels, "", RowMemory())
        return arrays, features.find_times(self.stride, self.fps)[0]


def open_source(features, row_stride, fps):
    """Return the `Source` of a folder of features.

    Args:
        features: as in `utils.features.lookup.index_features`.
        row_stride: frames from a row to the next; 0: as its manifest says.
        fps: frames per second, where no manifest says them.

    Raises:
        ValueError: nothing tells its stride, or a manifest another one; no features in it.
    """
    manifest, channels = find_manifest(features), find_length(None, features)
    told = manifest.get("stride")
    if told and row_stride not in (0, told):
        raise ValueError(
            f"row_strides gives {row_stride} for {features}, but its {MANIFEST} says {told}. "
            "Give 0 for it."
        )
    if not (told or row_stride):
        raise ValueError(
            f"{features} is no store: no {MANIFEST} says which stride its rows have. Give "
            "--row-strides, the frames from a row to the next in each folder, and 0 for a store."
        )
    return Source(features, manifest, told or row_stride, manifest.get("fps") or fps, channels)


def describe_joined(sources, others):
    """Return the settings of a store of joined rows.

    Args:
        sources: list of `Source`.
        others: a key of `OTHERS`.
    """
    parts = [source.describe() for source in sources]
    when = {name: parts[0][name] for name in _WHEN if name in parts[0]}
    return {"version": 1, **when, "dtype": "float32", "others": others, JOINED: parts}


def find_nearest(times, wanted):
    """Return the place of the nearest of some times to each wanted one, of two the earlier.

    Args:
        times, wanted: seconds, rising.
    """
    return np.searchsorted((times[1:] + times[:-1]) / 2 + _NEAR, wanted)


def take_nearest(rows, times, wanted):
    """Return the row nearest to each wanted time, float32 (wanted times, channels).

    Args:
        rows: numbers (rows, channels).
        times: their middles in seconds, rising.
        wanted: seconds, rising.
    """
    return rows[find_nearest(times, wanted)].astype(np.float32)


def average_steps(rows, times, wanted):
    """Return the mean of the rows in the step around each wanted time; in none: the nearest row.

    A step reaches half way to the neighbors (`row_edges`); what lies on its end belongs to it. One
    NaN makes a mean NaN. Arguments and what is returned are as in `take_nearest`.
    """
    edges = row_edges(wanted)
    if edges[0] < _NEAR:
        edges[0] = -1  # what lies at the very beginning is in the first step
    bounds = np.searchsorted(times, edges + _NEAR)
    found = take_nearest(rows, times, wanted)
    for place, (first, end) in enumerate(pairwise(bounds)):
        if end > first:
            found[place] = rows[first:end].mean(0, dtype=np.float64)
    return found


# How rows are chosen for a row of another folder: function (rows, times, wanted) -> rows.
OTHERS = {"mean": average_steps, "nearest": take_nearest}


class JoinedVideo(NamedTuple):
    """A video's rows in several folders, read.

    Attributes:
        arrays: of each folder, {view: array (rows, channels)}.
        times: of each folder, centers of the rows in seconds.
        middles: of each folder, `Source.find_middles`.
    """

    arrays: list
    times: list
    middles: list

    @property
    def digest(self):
        """The hash of all that is joined."""
        pieces = []
        for arrays, times in zip(self.arrays, self.times, strict=True):
            for view, array in arrays.items():
                kind = f"{view} {array.shape} {array.dtype}".encode()
                pieces += [kind, np.ascontiguousarray(array).tobytes()]
            pieces.append(times.tobytes())
        return hash_bytes(pieces)

    def has_nan(self):
        """Return whether any number is NaN."""
        return any(np.isnan(array).any() for arrays in self.arrays for array in arrays.values())

    def join(self, others):
        """Return {view: float32 (rows of the first folder, all channels)} of the common views.

        Args:
            others: a key of `OTHERS`.
        """
        first, choose = self.arrays[0], OTHERS[others]
        return {
            view: np.concatenate(
                [
                    first[view].astype(np.float32),
                    *(
                        choose(arrays[view], middles, self.middles[0])
                        for arrays, middles in zip(self.arrays[1:], self.middles[1:], strict=True)
                    ),
                ],
                axis=1,
            )
            for view in first
            if all(view in arrays for arrays in self.arrays)
        }


def read_joined(sources, views):
    """Read a video's rows in several folders.

    Args:
        sources: list of `Source`.
        views: of each, {view: (file, name of the array in it)}.

    Returns:
        The `JoinedVideo`.

    Raises:
        ValueError: a file that cannot be read, or two whose lengths differ by more than the
            greater of their steps; it is named.
    """
    read = [source.read(own) for source, own in zip(sources, views, strict=True)]
    arrays, times = (list(each) for each in zip(*read, strict=True))
    middles = [source.find_middles(t) for source, t in zip(sources, times, strict=True)]
    ends = [source.find_end(each) for source, each in zip(sources, middles, strict=True)]
    steps = [source.stride / source.fps for source in sources]
    for own, end, step in zip(views, ends, steps, strict=True):
        if abs(end - ends[0]) > max(step, steps[0]) + _NEAR:
            raise ValueError(
                f"{views[0][CENTER][0]} covers {ends[0]:.2f} s, but {own[CENTER][0]} {end:.2f} s. "
                "Are they of the same video, and --row-strides and --fps right?"
            )
    return JoinedVideo(arrays, times, middles)
