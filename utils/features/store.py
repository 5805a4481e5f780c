"""Folders of features, an array (rows, channels) a video, written with a record.

A store mirrors the data's tree: `a.npy` and its other views `a.<view>.npy` are a video's, `a.json`
is their record, written last, and `manifest.json` says what all rows depend on.
"""

import json
import os
from collections import Counter
from pathlib import Path

from utils.features.layouts import READERS, read_npy
from utils.system.files import atomic_path, fit_name, read_json, whole_path, write_atomically
from utils.system.hashing import hash_text
from utils.system.settings_files import open_kind, read_kind
from utils.video.views import BESIDE_CENTER, CENTER

import numpy as np

MANIFEST = "manifest.json"
JOINED = (
    "joined"  # in a manifest: of which kinds of rows those are that scripts.join_features wrote
)
# Of a manifest: (type, least and greatest value); foreign ones may lack any.
_NUMBERS = {
    "window": (int, 1, 1e6),
    "stride": (int, 1, 1e6),
    "fps": (int | float, 0, 1e4),
    "image_fps": (int | float, 0.01, 1e4),
    "short_side": (int, 0, 1e5),
    "frame_size": (int, 1, 1e5),
}
_ROOM = max(len(f".{view}.npy") for view in BESIDE_CENTER)  # bytes of what a name is followed by


def open_store(folder, settings):
    """Make a folder a store of features; one that is a store already is checked.

    Args:
        folder: the store.
        settings: dict of everything that rows depend on.

    Raises:
        ValueError: a store with other settings; each that differs is named.
    """
    open_kind(Path(folder, MANIFEST), settings, "features")


def read_manifest(folder):
    """Return the settings of a store.

    Raises:
        ValueError: the folder is no store, or its manifest is damaged.
    """
    path = Path(folder, MANIFEST)
    if not path.is_file():
        raise ValueError(
            f"{folder} contains no {MANIFEST}. Give a folder that scripts.extract_features wrote."
        )
    found = read_kind(path)
    for name, (kind, low, high) in _NUMBERS.items():
        value = found.get(name)
        if value is not None and not (isinstance(value, kind) and low <= value <= high):
            raise ValueError(
                f"{path} is damaged: its {name} is {value!r}; expected a number from "
                f"{low:g} to {high:g}."
            )
    return found


def find_manifest(folder):
    """Return the settings of a store; {} of features without a manifest.

    Raises:
        ValueError: the manifest is damaged.
    """
    return read_manifest(folder) if Path(folder, MANIFEST).is_file() else {}


def settings_hash(settings):
    """Return a hash of settings, whatever their order."""
    return hash_text(json.dumps(settings, sort_keys=True))


def name_features(paths, root):
    """Return {path: its name in a store}: relative to a folder, without the suffix.

    The suffix stays where names would be alike (a.mp4, a.avi), or be a view's (a.flip.mp4). Names
    that are too long for files end in a hash.

    Args:
        paths: all videos of the data.
        root: the folder that the store mirrors.

    Raises:
        ValueError: a path that is not under the root.
    """
    names = {path: _place_in(path, root) for path in paths}
    whole = {name.as_posix() for name in names.values()}
    short = {path: name.with_suffix("").as_posix() for path, name in names.items()}
    counts = Counter({names[path]: short[path] for path in paths}.values())
    called = {}
    for path, name in names.items():
        own, brief = name.as_posix(), short[path]
        alike = counts[brief] > 1 or (brief in whole and brief != own)
        called[path] = fit_features(own if alike or _is_view(name) else brief)
    return called


def _place_in(path, root):
    """Return a path relative to a folder that it lies in: by its name, or where links lead."""
    own, base = Path(whole_path(path)), os.path.realpath(root)
    for where, below in (
        (own, whole_path(root)),
        (Path(os.path.realpath(own.parent), own.name), base),
        (Path(os.path.realpath(own)), base),
    ):
        if where.is_relative_to(below):
            return where.relative_to(below)
    raise ValueError(f"{path} is not inside {root}.")


def fit_features(name):
    """Return the name in a store of a video of this name: shorter where no file could have it."""
    return fit_name(name, _ROOM)


def _is_view(name):
    return name.with_suffix("").suffix[1:] in BESIDE_CENTER


def leave_records(paths):
    """Return which of some paths are a video's own, where all are files of features.

    Records and further views are left out; where any path is something else, all are returned.
    """
    suffixes = {Path(path).suffix.lower() for path in paths}
    if not suffixes & set(READERS) or suffixes - {*READERS, ".json"}:
        return list(paths)
    whole = set(map(str, paths))
    return [
        path
        for path in paths
        if Path(path).suffix.lower() in READERS
        and not (
            _is_view(Path(path))
            and str(Path(path).with_suffix("").with_suffix(Path(path).suffix)) in whole
        )
    ]


def array_path(folder, name, view=CENTER):
    """Return where a store keeps a view of a video."""
    return Path(folder, f"{name}.npy" if view == CENTER else f"{name}.{view}.npy")


def _record_path(folder, name):
    return Path(folder, f"{name}.json")


def read_record(folder, name):
    """Return the record of a video's features; {} where there is none, or none that can be read."""
    try:
        record = read_json(_record_path(folder, name))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def is_done(folder, name, digest, settings, record=None):
    """Return whether a video's features are in a store, whole.

    Args:
        folder: the store.
        name: of `name_features`.
        digest: of the video's content.
        settings: dict, as in `open_store`.
        record: of `read_record`, where that was read already.
    """
    record = read_record(folder, name) if record is None else record
    if (record.get("source"), record.get("settings")) != (digest, settings_hash(settings)):
        return False
    try:
        arrays = [
            read_npy(array_path(folder, name, view))  # fails where the file is cut short
            for view in record["views"]
        ]
    except Exception:  # as in `load_features`
        return False
    return all(list(array.shape) == record.get("shape") for array in arrays)


def save_features(folder, name, views, record):
    """Write the features of a video: the arrays, then the record, each atomically.

    Args:
        folder: an open store.
        name: of `name_features`.
        views: {view: array (rows, channels)}, of one shape; the dtype is kept.
        record: {"source": digest of the content, "settings": of `settings_hash`, "times": centers
            of the rows in seconds, ...}; the views and the shape are added.

    Raises:
        ValueError: views of several shapes; nothing is written.
        OSError: the disk is full or may not be written; no record is, and no half array.
    """
    shapes = {view: list(array.shape) for view, array in views.items()}
    shape = next(iter(shapes.values()))
    if any(other != shape for other in shapes.values()):
        raise ValueError(
            f"{name}: its views have different shapes, {shapes}; expected the same shape."
        )
    for view, array in views.items():
        with atomic_path(array_path(folder, name, view)) as temporary:
            np.save(temporary, array, allow_pickle=False)
    record = record | {"views": list(views), "shape": shape}
    write_atomically(_record_path(folder, name), json.dumps(record) + "\n")
