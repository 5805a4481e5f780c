"""Files of features: what NumPy, MATLAB and HDF5 write, of whatever origin.

Only what lies in the file itself is read, of a size that is checked first. HDF5 and SciPy may die
of damaged bytes, or spin, and so they read in a process of their own. A file of many arrays stays
open for the next one of them.
"""

import io
import math
import os
import re
import threading
import zipfile
from functools import lru_cache
from pathlib import Path

from utils.system.files import stamp_file
from utils.system.guarded import allow_seconds, call_guarded
from utils.system.hdf5 import find_dataset, list_datasets, share_hdf5

import numpy as np

MOST_BYTES = 4 << 30  # of a video's array: 11 hours of two streams of 1024 numbers, 25 a second
COORDINATES = (2, 3, 4)  # of a point, where a row is one of points
_KEY = "features"  # the array's name in files that may hold several
# NumPy reads headers with `ast`, whose parser in two threads at once fails before Python 3.11.8
# (CPython issue 106905): what NumPy itself writes is read without.
_HEADER = re.compile(
    r"\{'descr': '([<>|][a-z]\d+)', 'fortran_order': (False|True), 'shape': \(([\d, ]*)\), \} *\n"
)
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_PARSER = threading.Lock()
# MATLAB's kinds of arrays that hold numbers.
_MAT_NUMBERS = set("double single int8 uint8 int16 uint16 int32 uint32 int64 uint64".split())


def _pick_array(names):
    if _KEY in names or len(names) == 1:
        return _KEY if _KEY in names else names[0]
    raise ValueError(
        f"it contains {len(names)} arrays ({', '.join(names[:5])}); expected a single one, "
        f"or one named {_KEY}"
    )


def _tell(error):
    return str(error) or type(error).__name__


def _check_size(shape, itemsize):
    if math.prod(shape) * itemsize > MOST_BYTES:
        raise ValueError(
            f"its shape is {shape}; at most {MOST_BYTES:,} bytes are allowed for a video"
        )


def _read_header(file):
    """Return (dtype, order, shape) of an array of NumPy's format, at whose beginning a file is."""
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"version {version} of NumPy's format is not for plain numbers")
    start = file.tell()
    length = int.from_bytes(file.read(2), "little")
    found = _HEADER.fullmatch(file.read(length).decode("latin1")) if version == (1, 0) else None
    if found:
        dtype, shape = np.dtype(found[1]), tuple(int(n) for n in found[3].split(",") if n.strip())
        order = "F" if found[2] == "True" else "C"
    else:
        file.seek(start)
        with _PARSER:
            shape, fortran, dtype = _HEADERS[version](file)
        order = "F" if fortran else "C"
    if dtype.hasobject:
        raise ValueError("it contains Python objects")
    _check_size(shape, dtype.itemsize)
    return dtype, order, shape


def read_npy(path, name=""):
    """Map the array of a .npy file into memory, read-only; it may be called in any thread."""
    with open(path, "rb") as file:
        dtype, order, shape = _read_header(file)
        return np.memmap(path, dtype, "r", file.tell(), shape, order)


class _Archive:
    """An open .npz file, whose directory is read once; threads may read its arrays at once."""

    def __init__(self, path):
        self.file, self.lock = zipfile.ZipFile(path), threading.Lock()
        found = self.file.infolist()
        self.members = {member.filename.removesuffix(".npy"): member for member in found}

    def read(self, member):
        """Return the bytes of a member."""
        with self.lock:  # ZipFile locks what is read, but not its count of readers
            opened = self.file.open(member)
        try:
            return opened.read(member.file_size)  # more is not unfolded, whatever there is
        finally:
            with self.lock:
                opened.close()


# The last one is kept, and is closed when no thread reads it any longer.
_open_stamped = lru_cache(maxsize=1)(lambda path, _stamp: _Archive(path))
_OPENING = threading.Lock()
os.register_at_fork(after_in_child=_open_stamped.cache_clear)  # its place in the file is shared


def _open_npz(path):
    with _OPENING:
        return _open_stamped(path, stamp_file(path))


def _read_npz(path, name):
    archive = _open_npz(path)
    member = archive.members[name or _pick_array(list(archive.members))]
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError("its compression is not one of NumPy's")
    _check_size((member.file_size,), 1)
    content = archive.read(member)
    file = io.BytesIO(content)
    dtype, order, shape = _read_header(file)
    array = np.frombuffer(content, dtype, math.prod(shape), file.tell())
    return array.reshape(shape, order=order)


def load_hdf5(path, name):
    """Return an array of an HDF5 file; only for `call_guarded`."""
    file = share_hdf5(path)
    array = find_dataset(file, name or _pick_array(list_datasets(file)), MOST_BYTES)
    _check_size(array.shape, array.dtype.itemsize)
    return array[()]


def load_mat(path, name):
    """Return an array of a .mat file; only for `call_guarded`."""
    from scipy.io import loadmat, whosmat  # slow, and rarely wanted

    try:
        told = whosmat(path, appendmat=False)
    except NotImplementedError:  # MATLAB 7.3 writes HDF5, the last axis first
        array = np.transpose(load_hdf5(path, name))
    else:
        arrays = {key: rest for key, *rest in told if not key.startswith("__")}
        name = name or _pick_array(list(arrays))
        shape, kind = arrays[name]
        if kind not in _MAT_NUMBERS:
            raise ValueError(f"an array of {kind}; expected numbers")
        _check_size(shape, 8)
        array = loadmat(path, appendmat=False, variable_names=[name])[name]
    return array.T if array.ndim == 2 and array.shape[1] == 1 else array  # MATLAB has no (D,)


def list_hdf5(path):
    """Return the names of the arrays of an HDF5 file; only for `call_guarded`."""
    return list_datasets(share_hdf5(path))


def list_arrays(path):
    """Return the names of the arrays in a .npz, .h5 or .hdf5 file."""
    try:
        if Path(path).suffix.lower() == ".npz":
            return list(_open_npz(Path(path)).members)
        return call_guarded(list_hdf5, str(path), seconds=allow_seconds(path))
    except Exception as error:  # parsers raise whatever damaged bytes lead to
        raise ValueError(f"{path}: the file cannot be read ({error}).") from error


def _guard(load):
    return lambda path, name: call_guarded(load, str(path), name, seconds=allow_seconds(path))


# Suffix: function (path, name of the array or "") -> the array. None of them runs what it reads.
READERS = {
    ".npy": read_npy,
    ".npz": _read_npz,
    ".mat": _guard(load_mat),
    ".h5": _guard(load_hdf5),
    ".hdf5": _guard(load_hdf5),
}


def is_stored(path):
    """Return whether a path is a file of features, by its suffix."""
    return Path(path).suffix.lower() in READERS and Path(path).is_file()


def load_features(path, name=""):
    """Read the features of a video from a file of any known layout.

    Args:
        path: a `.npy` (which is mapped into memory, not read), `.npz`, `.mat` (MATLAB's v5 to
            v7.3), `.h5` or `.hdf5` file.
        name: of the array in a file that holds several; "" for the only one, or "features".

    Returns:
        Array (rows, channels) of numbers, of the file's dtype; (channels,) is one row, and axes
        of length 1 are left out of a larger one. Points, (rows, points, 2 to 4 coordinates), lie
        one behind the other in a row.

    Raises:
        ValueError: no such file, none of these layouts, damaged, or no such array; the file is
            named. An array of Python objects is never loaded.
    """
    path = Path(path)
    read = READERS.get(path.suffix.lower())
    if read is None:
        raise ValueError(f"{path}: not a file of features; known suffixes: {', '.join(READERS)}.")
    if path.exists() and not path.is_file():
        raise ValueError(f"{path}: not a regular file.")
    try:
        array = read(path, name)
    except Exception as error:  # as above
        raise ValueError(
            f"{path}: no array of numbers can be read from the file ({_tell(error)})."
        ) from error
    shape, kind = np.shape(array), getattr(array, "dtype", np.dtype(object))
    if kind.kind not in "fiu":
        raise ValueError(
            f"{path}: the array has the type {kind}; expected numbers, (rows, channels)."
        )
    if array.ndim > 2:
        points = shape[-1] in COORDINATES
        *before, last = (*shape[:-2], shape[-2] * shape[-1]) if points else shape
        array = array.reshape(*([n for n in before if n != 1] or [1]), last)
    array = array[None] if array.ndim == 1 else array
    if array.ndim != 2 or not array.size:
        raise ValueError(
            f"{path}: the array has the shape {shape}; expected (rows, channels), or (rows, "
            "points, coordinates)."
        )
    return array
