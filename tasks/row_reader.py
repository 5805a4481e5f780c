"""Rows of features of a video, made as those were that a run was trained on."""

from pathlib import Path

from models.dense import SHARED, Extractor, build_maps
from models.pretrained import INFLATED, PRETRAINED
from tasks.backbones import start_maps
from utils.augmentation import list_levels
from utils.blocks import RowFormat, read_blocks
from utils.extraction import batch_blocks
from utils.feature_store import CENTRE
from utils.features import fingerprint
from utils.manifest import read_kind

import keras
import numpy as np

_BATCH_FRAMES = 128
_NEEDED = set(
    "window stride edges route chunk shared endpoint stream fps image_fps short_side frame_size "
    "dtype precision flow weights fingerprint".split()
)


def _find_start(name):
    """Return what `start_maps` takes, of the name that it gave."""
    if name in PRETRAINED:
        return PRETRAINED[name]["weights"]
    return INFLATED if f" {INFLATED} " in name else name


class RowReader:
    """Makes videos into the rows that a run's features are, by its features.json.

    Args:
        run: the run's folder.
        step: from a row that is taken to the next.

    Attributes:
        stride: frames from a row that is taken to the next.
        fps: frames per second after resampling; 0: the file's own.

    Raises:
        ValueError: features that `scripts.extract_features` did not write, or whose weights are
            not there or not the same.
    """

    def __init__(self, run, step=1):
        manifest = read_kind(Path(run, "features.json")).get("manifest") or {}
        if missing := sorted(_NEEDED - set(manifest)):
            raise ValueError(
                f"{run} was trained on features that scripts.extract_features did not write "
                f"({missing[0]} is not in its features.json), so no video can be made into them; "
                "extract features with it and train on those."
            )
        self.stride, self.step = manifest["stride"] * step, step
        self.fps, self.dtype = manifest["fps"], manifest["dtype"]
        same = {name: manifest[name] for name in RowFormat._fields if name in manifest}
        lengths = tuple(manifest["chunk"] or (manifest["window"],))
        flow = {"flow": manifest["flow"]["method"]} if manifest["flow"] else {"flow": "tvl1"}
        self.form = RowFormat(**same | flow | {"lengths": lengths, "views": (CENTRE,)})
        self.extractor = self._load(run, manifest)

    def _load(self, run, manifest):
        policy = keras.config.dtype_policy()
        keras.config.set_dtype_policy(manifest["precision"])
        keras.utils.set_random_seed(0)
        maps = {}
        for stream, name in manifest["weights"].items():
            maps[stream] = build_maps(stream, manifest["frame_size"], manifest["endpoint"])
            start_maps(maps[stream], _find_start(name), stream)
            if fingerprint(maps[stream]) != manifest["fingerprint"][stream]:
                raise ValueError(
                    f"{run} was trained on features of the weights {name} ({stream}), and they are "
                    "not the same now; put back those that the features were made with."
                )
        keras.config.set_dtype_policy(policy)
        rows = (manifest[name] for name in ("window", "stride", "endpoint"))
        levels = {stream: list_levels(stream) for stream in maps}
        return Extractor(maps, levels, *rows, manifest["shared"] or SHARED)

    def read(self, path, info, views=(CENTRE,), on_progress=lambda done, total: None):
        """Read a video once and return its rows.

        Args:
            path, info: a video and its `VideoInfo`.
            views: keys of `utils.blocks.VIEWS`.
            on_progress: function of the rows done and of all of them.

        Returns:
            ({view: float32 (rows, dim)}, seconds of the rows' centres, float (rows,)).

        Raises:
            VideoError: a frame that cannot be decoded; the file is named.
            ValueError: a video too short for a row.
        """
        blocks = read_blocks(path, info, "", self.form._replace(views=tuple(views)))
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
            view: np.concatenate([each[2] for each in found])[:: self.step]
            for view, found in parts.items()
        }
        return rows, times[:: self.step]
