"""Folders of features, an array (rows, channels) a video: written with a record, or read as found.

A store mirrors the data's tree: `a.npy` and its other views `a.<view>.npy` are a video's, `a.json`
is their record, written last, and `manifest.json` says what all rows depend on.
"""

import json
import re
from collections import Counter
from pathlib import Path

from utils.system.files import atomic_path, check_chunks, fit_name, write_atomically
from utils.system.hashing import hash_text
from utils.system.settings_files import open_kind, read_kind
from utils.video.views import BESIDE_CENTER, CENTER

import h5py
import numpy as np

MANIFEST = "manifest.json"
_KEY = "features"  # the array's name in files that may hold several
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
            f"{folder} holds no {MANIFEST}; give a folder that scripts.extract_features wrote."
        )
    return read_kind(path)


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
    names, root = {}, Path(root).resolve()
    for path in paths:
        try:
            names[path] = Path(path).resolve().relative_to(root)
        except ValueError as error:
            raise ValueError(
                f"{path} is not in {root}, so it has no place in a tree like that one's."
            ) from error
    whole = {name.as_posix() for name in names.values()}
    short = {path: name.with_suffix("").as_posix() for path, name in names.items()}
    counts = Counter({names[path]: short[path] for path in paths}.values())
    called = {}
    for path, name in names.items():
        own, brief = name.as_posix(), short[path]
        alike = counts[brief] > 1 or (brief in whole and brief != own)
        called[path] = fit_features(own if alike or _is_view(name) else brief)
    return called


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
        record = json.loads(_record_path(folder, name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def is_done(folder, name, digest, settings):
    """Return whether a video's features are in a store, whole.

    Args:
        folder: the store.
        name: of `name_features`.
        digest: of the video's content.
        settings: dict, as in `open_store`.
    """
    record = read_record(folder, name)
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
        raise ValueError(f"{name}: views of several shapes, {shapes}; one is expected.")
    for view, array in views.items():
        with atomic_path(array_path(folder, name, view)) as temporary:
            np.save(temporary, array, allow_pickle=False)
    record = record | {"views": list(views), "shape": shape}
    write_atomically(_record_path(folder, name), json.dumps(record) + "\n")


def _pick_array(names):
    if _KEY in names or len(names) == 1:
        return _KEY if _KEY in names else names[0]
    raise ValueError(
        f"it holds {len(names)} arrays ({', '.join(names[:5])}); expected one, or one that is "
        f"called {_KEY}"
    )


def _list_datasets(file):
    names = []

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and not name.startswith("#"):  # which MATLAB refers to
            names.append(name)

    file.visititems(visit)
    return names


def list_arrays(path):
    """Return the names of the arrays in a .npz, .h5 or .hdf5 file."""
    try:
        if Path(path).suffix.lower() == ".npz":
            with np.load(path) as file:
                return list(file.files)
        with h5py.File(path) as file:
            return _list_datasets(file)
    except Exception as error:  # parsers raise whatever damaged bytes lead to
        raise ValueError(f"{path}: cannot be read ({error}).") from error


# NumPy reads headers with `ast`, whose parser in two threads at once fails before Python 3.11.8
# (CPython issue 106905): what NumPy itself writes is read without.
_HEADER = re.compile(
    r"\{'descr': '([<>|][a-z]\d+)', 'fortran_order': (False|True), 'shape': \(([\d, ]*)\), \} *\n"
)


def _read_header(file):
    """Return (dtype, order, shape) of an open .npy file; None where NumPy is to read it."""
    if file.read(8) != b"\x93NUMPY\x01\x00":
        return None
    found = _HEADER.fullmatch(file.read(int.from_bytes(file.read(2), "little")).decode("latin1"))
    if found is None:
        return None
    order = "F" if found[2] == "True" else "C"
    return np.dtype(found[1]), order, tuple(int(n) for n in found[3].split(",") if n.strip())


def read_npy(path, name=""):
    """Map the array of a .npy file into memory, read-only; it may be called in any thread."""
    with open(path, "rb") as file:
        header, start = _read_header(file), file.tell()
    if header is None:
        return np.lib.format.open_memmap(path, mode="r")  # which knows no pickle at all
    dtype, order, shape = header
    return np.memmap(path, dtype, "r", start, shape, order)


def _read_npz(path, name):
    with np.load(path) as file:
        name = name or _pick_array(file.files)
        with file.zip.open(name if name in file.zip.namelist() else f"{name}.npy") as member:
            header = _read_header(member)
            if header is None:
                return file[name]
            dtype, order, shape = header
            array = np.frombuffer(member.read(), dtype)
        return array.reshape(shape, order=order)


def _read_hdf5(path, name):
    with h5py.File(path) as file:
        array = file[name or _pick_array(_list_datasets(file))]
        check_chunks(array)
        return array[()]


def _read_mat(path, name):
    from scipy.io import loadmat  # slow, and rarely wanted

    try:
        arrays = {key: array for key, array in loadmat(path).items() if not key.startswith("__")}
        array = arrays[name or _pick_array(list(arrays))]
    except NotImplementedError:  # MATLAB 7.3 writes HDF5, the last axis first
        array = np.transpose(_read_hdf5(path, name))
    return array.T if array.ndim == 2 and array.shape[1] == 1 else array  # MATLAB has no (D,)


# Suffix: function (path, name of the array or "") -> the array. None of them runs what it reads.
READERS = {
    ".npy": read_npy,
    ".npz": _read_npz,
    ".mat": _read_mat,
    ".h5": _read_hdf5,
    ".hdf5": _read_hdf5,
}


def load_features(path, name=""):
    """Read the features of a video from a file of any known layout.

    Args:
        path: a `.npy` (which is mapped into memory, not read), `.npz`, `.mat` (MATLAB's v5 to
            v7.3), `.h5` or `.hdf5` file.
        name: of the array in a file that holds several; "" for the only one, or "features".

    Returns:
        Array (rows, channels) of numbers, of the file's dtype; (channels,) is one row, and axes
        of length 1 are left out of a larger one.

    Raises:
        ValueError: no such file, none of these layouts, damaged, or no such array; the file is
            named. An array of Python objects is never loaded.
    """
    path = Path(path)
    read = READERS.get(path.suffix.lower())
    if read is None:
        raise ValueError(f"{path}: not features; known files: {', '.join(READERS)}.")
    try:
        array = read(path, name)
    except Exception as error:  # as above
        raise ValueError(f"{path}: no array of numbers can be read from it ({error}).") from error
    shape, kind = np.shape(array), getattr(array, "dtype", np.dtype(object))
    if kind.kind not in "fiu":
        raise ValueError(f"{path}: an array of {kind}; expected numbers, (rows, channels).")
    if array.ndim > 2:
        array = array.reshape(*(n for n in shape[:-1] if n != 1), shape[-1])
    array = array[None] if array.ndim == 1 else array
    if array.ndim != 2 or not array.size:
        raise ValueError(f"{path}: an array of shape {shape}; expected (rows, channels).")
    return array
