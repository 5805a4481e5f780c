"""Rows of features of a video, made as those were that a run was trained on."""

from models.backbones import BACKBONES
from models.dense import build_maps
from models.end_to_end import copy_units
from tasks.features.networks import find_units, make_extractor, open_extractor
from utils.features.blocks import read_blocks
from utils.features.extraction import batch_blocks
from utils.features.settings import read_settings
from utils.video.views import CENTER

import numpy as np

_BATCH_FRAMES = 128


def _copy_maps(network, settings):
    """Return {stream: `build_maps`} of the backbone inside a network."""
    found, backbone = {}, BACKBONES[settings.backbone]
    for stream, units in find_units(network).items():
        found[stream] = build_maps(backbone, stream, *settings.shape)
        copy_units(units, found[stream])
    return found


class RowReader:
    """Makes videos into the rows that a run's features are, by the settings kept in it.

    Args:
        run: the run's folder.
        step: from a row that is taken to the next.
        network: the run's, whose own backbone makes the rows; None for the one that made its
            features.

    Attributes:
        stride: frames from a row that is taken to the next.
        fps: frames per second after resampling; 0: the file's own.

    Raises:
        ValueError: features that `scripts.extract_features` did not write, or whose weights are
            not there or not the same.
    """

    def __init__(self, run, step=1, network=None):
        settings = read_settings(run)
        self.stride, self.fps = settings.stride * step, settings.fps
        self.dtype = "float32" if network else settings.dtype
        self.row_format = settings.make_row_format(step)
        self.thin = step // self.row_format.step
        self.extractor = (
            make_extractor(_copy_maps(network, settings), settings.in_keras())
            if network
            else open_extractor(settings, run)
        )

    def read(self, video, views=(CENTER,), on_progress=lambda done, total: None):
        """Read a video once and return its rows.

        Args:
            video: a `Video`; a folder of images at the `image_fps` of `row_format`.
            views: keys of `utils.video.views.VIEWS`.
            on_progress: function of the rows done and of all of them.

        Returns:
            ({view: float32 (rows, dim)}, seconds of the rows' centers, float (rows,)).

        Raises:
            VideoError: a frame that cannot be decoded; the file is named.
            ValueError: a video too short for a row.
        """
        blocks = read_blocks(video, "", self.row_format._replace(views=tuple(views)))
        parts, done = {view: [] for view in views}, 0
        for batch, frames in batch_blocks(blocks, _BATCH_FRAMES, None):
            for part, rows in zip(batch, self.extractor(frames), strict=False):
                rows = rows[: len(part.times)].astype(self.dtype).astype(np.float32)
                parts[part.view].append((part.first, part.times, rows))
                done += len(rows)
            on_progress(done, part.total * len(views))
        for found in parts.values():  # short chunks at the end may come in another batch
            found.sort(key=lambda each: each[0])
        times = np.concatenate([times for _, times, _ in parts[views[0]]])
        rows = {
            view: np.concatenate([each[2] for each in found])[:: self.thin]
            for view, found in parts.items()
        }
        return rows, times[:: self.thin]


def refuse_live(*_):
    """Raise the ValueError of a predictor that cannot follow a camera."""
    raise ValueError(
        "This run reads features of whole videos, so it cannot follow a camera. Give a "
        "video file, or a run that was trained on videos."
    )
