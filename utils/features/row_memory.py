"""Arrays of features that training reads again every epoch, in memory as far as they fit."""

import threading

from utils.system.files import stamp_file

import numpy as np

# A quarter of a small laptop's memory. What does not fit is read from the disk each time, and the
# system keeps what it can of it.
MOST_BYTES = 2 << 30


class RowMemory:
    """Reads arrays of files and keeps them, so that each file is read once. Threads may share it.

    A copy in another process begins empty.

    Args:
        most: bytes that are kept; other arrays are read again.
    """

    def __init__(self, most=MOST_BYTES):
        self.most, self.left, self.lock = most, most, threading.Lock()
        self.kept, self.stamps = {}, {}

    def __reduce__(self):
        return RowMemory, (self.most,)

    def read(self, load, path, name=""):
        """Return an array, read-only.

        Args:
            load: function (path, name) -> the array, which is called unless it is kept.
            path: of its file.
            name: of the array in a file that holds several.

        Raises:
            ValueError: an array that is not kept, of a file that has changed since it was read;
                it is named. What `load` raises.
        """
        where = path, name
        if where in self.kept:
            return self.kept[where]
        stamp = stamp_file(path)
        if self.stamps.setdefault(path, stamp) != stamp:
            raise ValueError(
                f"{path}: the file was changed after it was first read. Let nothing write to it "
                "while it is used, and run the same command again."
            )
        array = load(path, name)
        with self.lock:
            fits = array.nbytes <= self.left and where not in self.kept
            self.left -= array.nbytes if fits else 0
        if fits:
            array = np.array(array)  # of a mapped file, which another may replace
            array.setflags(write=False)
            self.kept[where] = array
        return array
