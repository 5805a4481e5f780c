"""Optical flow on disk: `flow.json` in a folder says of which kind, `<digest>.h5` is a video's."""

import json
from pathlib import Path

from utils.system.files import atomic_path
from utils.system.guarded import allow_seconds, call_guarded
from utils.system.hashing import hash_text
from utils.system.hdf5 import create_hdf5, read_through
from utils.system.settings_files import check_kind, read_kind, write_first
from utils.video.flow import compute_flow, to_pixels
from utils.video.frames import crop_frame
from utils.video.pixels import MOST_PIXELS

import h5py
import numpy as np

# A twelfth of the size; lzf reads no quicker and gives a ninth. Shuffling has no use for bytes.
_COMPRESSION = {"compression": "gzip", "compression_opts": 1, "fletcher32": True}


_checked = {}  # of `stamp_stored`: what is wrong with the file


def default_store(cache_path, kind):
    """Return the folder where flow of a kind is stored unless another is given."""
    return Path(cache_path, "flow", f"{kind['method']}_{kind['short_side']}_{kind['fps']:g}")


def find_store(cache_path, kind):
    """Return the default folder of a kind of flow where it is there, else ""."""
    store = default_store(cache_path, kind)
    return str(store) if Path(store, "flow.json").is_file() else ""


def _check_kind(path, found, kind):
    if found.get("method") != kind["method"]:  # each has its own parameters
        found, kind = ({**each, "parameters": None} for each in (found, kind))
    check_kind(path, found, kind, "flow")


def check_store(folder, kind):
    """Check that a folder holds flow of a kind.

    Args:
        folder: of `scripts.extract_flow`.
        kind: of `flow_kind`.

    Raises:
        ValueError: no store there, or one of another kind; both kinds are named.
    """
    path = Path(folder, "flow.json")
    if not path.is_file():
        raise ValueError(
            f"{folder} contains no optical flow (flow.json is missing). Give a folder that "
            "scripts.extract_flow wrote."
        )
    _check_kind(folder, read_kind(path), kind)


def open_store(folder, kind):
    """Make a folder the store of a kind of flow; one that is a store already is checked."""
    write_first(Path(folder, "flow.json"), kind)
    check_store(folder, kind)


def _check_stored(path, count, kind):
    try:
        most = 2 * MOST_PIXELS
        found = call_guarded(read_through, path, "flow", most, seconds=allow_seconds(path))
        _check_kind(path, json.loads(found["attributes"].get("kind", "{}")), kind)
        length, *_, channels = found["shape"]
        if (found["dtype"], len(found["shape"]), length, channels) != ("|u1", 4, count, 2):
            raise ValueError(f"its shape is {found['shape']}; expected the flow of {count} frames")
    except (ValueError, AttributeError, OSError, RecursionError) as error:
        return f"{path} ({error})"
    return ""


def stamp_stored(folder, video, kind):
    """Return (path of a video's stored flow, a text of all that its check depends on), or None.

    Args:
        folder: a store; "" for none.
        video: a `Video`.
        kind: of `flow_kind`.
    """
    path = Path(folder, f"{video.digest}.h5")
    if not folder or not path.is_file():
        return None
    stat, asked = path.stat(), hash_text(json.dumps(kind, sort_keys=True))
    count = len(video.timeline(kind["fps"]))
    return str(path.resolve()), f"{stat.st_size} {stat.st_mtime_ns} {count} {asked}"


def find_damage(folder, video, kind, known=None):
    """Return what is wrong with a video's stored flow; "" for nothing, None where there is none.

    All of it is read, in another process; once, as long as the file does not change.

    Args:
        folder, video, kind: as in `stamp_stored`.
        known: its text where the flow was found whole before.
    """
    stamp = stamp_stored(folder, video, kind)
    if stamp is None:
        return None
    if stamp[1] == known:
        _checked[stamp] = ""
    elif stamp not in _checked:
        _checked[stamp] = _check_stored(stamp[0], len(video.timeline(kind["fps"])), kind)
    return _checked[stamp]


def is_stored(folder, video, kind):
    """Return whether a video's flow is in a store, whole and of a kind."""
    return find_damage(folder, video, kind) == ""


def store_flow(folder, video, kind, estimate=None, batch=1):
    """Compute a whole video's flow and write it: one chunk a frame, so that few can be read.

    Args:
        folder: the store.
        video: a `Video`.
        kind, estimate, batch: as `compute_flow` takes them.

    Raises:
        VideoError: a frame that cannot be decoded; nothing is written.
        OSError: the disk is full, or may not be written; nothing is.
    """
    count = len(video.timeline(kind["fps"]))
    with (
        atomic_path(Path(folder, f"{video.digest}.h5")) as temporary,
        create_hdf5(temporary) as (file, check),
    ):
        for place, levels in enumerate(compute_flow(video, kind, None, estimate, batch)):
            if not place:
                shape, chunks = (count, *levels.shape), (1, *levels.shape)
                file.create_dataset("flow", shape, np.uint8, chunks=chunks, **_COMPRESSION)
            file["flow"][place] = levels
            check()
        file.attrs.update(kind=json.dumps(kind), source=video.digest)


def _read_stored(path, places):
    """Yield the stored flow of places in a resampled video."""
    try:
        with h5py.File(path) as file:
            for place in places:
                yield file["flow"][place]
    except (OSError, KeyError, IndexError) as error:
        raise ValueError(
            f"{path} is damaged ({error}). Delete the file and run scripts.extract_flow again."
        ) from error


def flow_frames(video, kind, folder, places):
    """Return a generator of the flow of a video, stored or else computed, as `compute_flow` gives.

    Args:
        video, kind, places: as in `compute_flow`.
        folder: a store; flow that is not there or damaged, or all for "", is computed.

    Raises:
        VideoError: a frame that cannot be decoded; the file is named.
        ValueError: a stored file that was damaged just now.
    """
    if folder and is_stored(folder, video, kind):
        return _read_stored(Path(folder, f"{video.digest}.h5"), places.tolist())
    return compute_flow(video, kind, places)


def read_flow(video, places, kind, folder="", frame_size=224, crop=(0.5, 0.5)):
    """Read the flow from chosen frames of a resampled video to the next ones.

    Args:
        video: a `Video`.
        places: 1-D array of frames of the resampled video, in any order, repeats allowed.
        kind: of `flow_kind`.
        folder: as in `flow_frames`.
        frame_size: height and width of the crop.
        crop: its position, from top left (0, 0) to bottom right (1, 1).

    Returns:
        float32 (len(places), frame_size, frame_size, 2), (x, y) displacement in pixels, at most
        20 and rounded to steps of 20 / 127; zero for the video's last frame.

    Raises:
        VideoError, ValueError: as in `flow_frames`.
    """
    wanted, order = np.unique(places, return_inverse=True)
    frames = flow_frames(video, kind, folder, wanted)
    levels = [crop_frame(frame, frame_size, crop) for frame in frames]
    return to_pixels(np.stack(levels))[order]
