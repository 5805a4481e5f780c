"""Arrays in HDF5 files: written to disks that may be full, read from files of whatever origin.

HDF5 may spin, or die, of damaged bytes: read through `utils.system.guarded`. Nothing but the file
itself is read. HDF5 dies of a write that fails, too: write through `create_hdf5`.
"""

import fcntl
import io
import math
from contextlib import contextmanager, suppress

from utils.system.files import stamp_file

import h5py

_shared = {}  # {(path, its stamp): the open file} of the last one


class _Output(io.FileIO):
    """A file whose writes never fail: `error` says why it takes no more."""

    error = None

    def write(self, data):
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while left and not self.error:
                left = left[super().write(left) :]
        except OSError as error:
            self.error = error
        return size

    def truncate(self, size=None):
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size

    def check(self):
        """Raise the error of a write that failed."""
        if self.error:
            raise self.error


@contextmanager
def create_hdf5(path):
    """Yield (an HDF5 file to be written, a function that raises what went wrong so far).

    Raises:
        OSError: the disk is full.
    """
    with _Output(path, "w+") as output:
        with h5py.File(output, "w") as file:
            yield file, output.check
        output.check()


def share_hdf5(path):
    """Return an HDF5 file, open for reading until another one is; only for `call_guarded`.

    A file that has changed is opened again.
    """
    key = path, stamp_file(path)
    if key not in _shared:
        while _shared:  # HDF5 would go on with what it remembers of an open file
            _shared.popitem()[1].close()
        file = h5py.File(path)
        with suppress(OSError):  # others may write to it, as to one that is not open
            fcntl.flock(file.id.get_vfd_handle(), fcntl.LOCK_UN)
        _shared[key] = file
    return _shared[key]


def _refuse_link(name, link):
    if isinstance(link, h5py.ExternalLink):
        raise ValueError(f"{name} is stored in another file, {link.filename}")
    if not isinstance(link, h5py.HardLink):
        raise ValueError(f"{name} does not exist, or is a link, which is not followed")


def list_datasets(file):
    """Return the names of the arrays in an open file.

    Raises:
        ValueError: there is none, but a link; links are not followed.
    """
    names, links = [], {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and not name.startswith("#"):  # which MATLAB refers to
            names.append(name)

    file.visititems(visit)
    if not names:
        file.visititems_links(lambda name, link: links.update({name: link}))
    for name, link in links.items():
        _refuse_link(name, link)
    return names


def find_dataset(file, name, most):
    """Return an array in an open file, to be read.

    Args:
        file: open.
        name: of the array.
        most: bytes that a chunk of it may unfold to.

    Raises:
        ValueError: no such array, one of no numbers, one in another file, or absurd chunks.
    """
    found = file
    for part in name.strip("/").split("/"):
        link = found.get(part, getlink=True) if isinstance(found, h5py.Group) else None
        _refuse_link(name, link)
        found = found[part]
    if not isinstance(found, h5py.Dataset) or not found.shape:
        raise ValueError(f"{name} is not an array")
    if found.is_virtual or found.external:
        raise ValueError(f"{name} is stored in another file, which is not read")
    if found.dtype.kind not in "fiu":
        raise ValueError(f"{name} is an array of {found.dtype}; expected numbers")
    chunks = found.chunks or ()
    if chunks and len(chunks) != len(found.shape):  # HDF5 would search for ever
        raise ValueError(f"{name} has the shape {found.shape}, but its chunks have {chunks}")
    if math.prod(chunks) * found.dtype.itemsize > most:
        raise ValueError(f"{name} has chunks of {chunks}; at most {most:,} bytes are allowed")
    return found


def read_through(path, name, most):
    """Read all of an array in a file, row by row; only for `utils.system.guarded`.

    Args:
        path: of the file.
        name: of the array.
        most: bytes that a row may have.

    Returns:
        {"shape", "dtype", "attributes" of the file that are texts}.

    Raises:
        ValueError, OSError: as `find_dataset`, or damage.
    """
    with h5py.File(path) as file:
        array = find_dataset(file, name, most)
        if math.prod(array.shape[1:]) * array.dtype.itemsize > most:
            raise ValueError(f"{name} has the shape {array.shape}, with too large rows")
        if array.chunks:
            _check_chunks(array)
        for place in range(len(array)):
            array[place]
        texts = {key: value for key, value in file.attrs.items() if isinstance(value, str)}
        return {"shape": array.shape, "dtype": array.dtype.str, "attributes": texts}


def _check_chunks(array):
    """Raise a ValueError where a chunk is stored in more bytes than it can be: it may unfold."""
    stored, size = [], math.prod(array.chunks) * array.dtype.itemsize
    array.id.chunk_iter(lambda chunk: stored.append(chunk.size))
    if max(stored, default=0) > size + size // 100 + 1024:
        raise ValueError(f"a chunk of {size} bytes is stored in {max(stored)}")
