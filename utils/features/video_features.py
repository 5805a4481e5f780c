"""A video's features on disk: where they are, and their rows and times."""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from utils.features.gaps import Gaps
from utils.features.layouts import load_features
from utils.features.row_memory import RowMemory
from utils.features.store import read_record
from utils.video.resampling import FPS
from utils.video.views import CENTER

import numpy as np


@dataclass(frozen=True)
class VideoFeatures:
    """The features of a video, which need not be there, read once.

    Attributes:
        path: of the video.
        views: {view: (file, name of the array in it)}, the center among them.
        num_rows, channels: of each view.
        digest: BLAKE2b of the center's numbers.
        memory: the `RowMemory` that the videos read together share.
        step: from a row that is read to the next; 1 reads all of them.
        gaps: how it is told that points of positions were not found; None: nothing is filled in.
    """

    path: str
    views: dict
    num_rows: int
    channels: int
    digest: str
    memory: RowMemory = field(compare=False, repr=False)
    step: int = 1
    gaps: Gaps | None = None

    def thin(self, step):
        """Return the features of which only every `step`th row is read, the first to begin with.

        Its rows are those of an extraction at `step` times the stride.
        """
        return replace(self, num_rows=-(-self.num_rows // step), step=self.step * step)

    def load(self, view=CENTER):
        """Return the rows of a view, (num_rows, channels), in the file's dtype or filled in.

        Raises:
            ValueError: the file cannot be read, or has changed since; it is named.
        """
        rows = self.memory.read(load_features, *self.views[view])
        return (self.gaps.fill(rows) if self.gaps else rows)[:: self.step]

    def find_times(self, stride=4, fps=FPS):
        """Return the centers of the rows in seconds, and whether their record tells them.

        Args:
            stride, fps: of the rows in frames, and of the video, where it does not.
        """
        file = Path(self.views[CENTER][0])
        times = read_record(file.parent, file.stem).get("times")
        with suppress(TypeError, ValueError):  # another program's record, or a damaged one
            times = np.atleast_1d(np.array(times, float))[:: self.step]
            if times.shape == (self.num_rows,) and np.all(np.diff(times) >= 0):
                return times, True
        return (np.arange(self.num_rows) + 0.5) * stride / fps, False
