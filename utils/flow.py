"""Optical flow between neighbouring frames, by several methods, in 8 bits; computed or stored.

TV-L1: Zach, Pock and Bischof, DAGM 2007, what I3D was trained on. DIS: Kroeger et al., ECCV 2016.
Farneback, SCIA 2003. A store is a folder of one kind of flow: `flow.json` says which, and
`<digest>.h5` holds a video's, found by the content of its file.
"""

import json
from pathlib import Path

from utils.system.files import atomic_path, write_atomically
from utils.system.settings_files import check_kind, read_kind
from utils.video import VideoError, crop_frame, resized_frames, timeline

import cv2
import h5py
import numpy as np

FLOW_LIMIT = 20.0  # pixels
_LEVELS = 127  # of 8 bits for each direction; 128 is no motion
_VERSION = 1  # of the store's format
# A twelfth of the size; lzf reads no quicker and gives a ninth. Shuffling has no use for bytes.
_COMPRESSION = {"compression": "gzip", "compression_opts": 1, "fletcher32": True}

# Method: (its maker in OpenCV, what is set there). All is written out: it is what a store holds.
FLOWS = {
    "tvl1": (
        cv2.optflow.createOptFlow_DualTVL1,
        {
            "tau": 0.25,
            "lambda": 0.15,
            "theta": 0.3,
            "gamma": 0.0,
            "epsilon": 0.01,
            "scales_number": 5,
            "scale_step": 0.8,
            "warpings_number": 5,
            "outer_iterations": 10,
            "inner_iterations": 30,
            "median_filtering": 5,
        },
    ),
    "dis": (  # the preset "medium"
        cv2.DISOpticalFlow_create,
        {
            "finest_scale": 1,
            "patch_size": 8,
            "patch_stride": 3,
            "gradient_descent_iterations": 25,
            "use_mean_normalization": True,
            "use_spatial_propagation": True,
            "variational_refinement_iterations": 5,
            "variational_refinement_alpha": 20.0,
            "variational_refinement_delta": 5.0,
            "variational_refinement_gamma": 10.0,
        },
    ),
    "farneback": (
        cv2.FarnebackOpticalFlow_create,
        {
            "num_levels": 5,
            "pyr_scale": 0.5,
            "win_size": 13,
            "num_iters": 10,
            "poly_n": 5,
            "poly_sigma": 1.1,
        },
    ),
}


def flow_kind(method, fps=25.0, short_side=256):
    """Return all that decides a video's flow, ready for JSON and to be compared.

    Args:
        method: a key of `FLOWS`.
        fps: frames per second after resampling; 0 keeps the file's own frames.
        short_side: pixels of the frames' shorter side.

    Raises:
        ValueError: an unknown method.
    """
    if method not in FLOWS:
        raise ValueError(f"Unknown flow {method!r}; known: {', '.join(FLOWS)}.")
    return {
        "version": _VERSION,
        "method": method,
        "parameters": FLOWS[method][1],
        "fps": float(fps),
        "short_side": short_side,
    }


def make_method(method):
    """Return a function of two uint8 grey frames (height, width).

    It gives float32 (height, width, 2): the (x, y) displacement of each pixel of the first frame
    in pixels. One function is for one thread.

    Args:
        method: a key of `FLOWS`.
    """
    make, parameters = FLOWS[method]
    estimator = make()
    for name, value in parameters.items():
        getattr(estimator, "set" + name.title().replace("_", ""))(value)
    return lambda first, second: estimator.calc(first, second, None)


def limit_threads(count):
    """Let OpenCV use `count` threads in this process, for all that it does."""
    cv2.setNumThreads(count)


def to_levels(flow):
    """Cut flow in pixels at +-20 and round it to uint8: 128 is 0, a step is 20 / 127 pixels."""
    steps = np.clip(flow, -FLOW_LIMIT, FLOW_LIMIT) * (_LEVELS / FLOW_LIMIT)
    return (np.round(steps) + 128).astype(np.uint8)


def to_pixels(levels):
    """Return the float32 flow in pixels that `to_levels` rounded."""
    return (levels.astype(np.float32) - 128) * np.float32(FLOW_LIMIT / _LEVELS)


def compute_flow(path, info, kind, places=None, estimate=None, batch=1):
    """Compute the flow from frames of a resampled video to the next ones; the last one's is zero.

    Args:
        path, info: a video and its `VideoInfo`.
        kind: of `flow_kind`.
        places: in the resampled video, sorted and distinct; None for all.
        estimate: function of the first and the second frames, uint8 (pairs, height, width) each,
            that gives float32 (pairs, height, width, 2) in pixels; None: OpenCV's, one by one.
        batch: pairs that `estimate` is given at once, at most.

    Returns:
        A generator of uint8 (height, width, 2), as `to_levels` gives.

    Raises:
        VideoError: a frame that cannot be decoded or has another size; the file is named.
    """
    frames = timeline(info, kind["fps"])
    pairs = np.column_stack([frames, np.append(frames[1:], frames[-1])])
    pairs = pairs if places is None else pairs[places]
    shown = resized_frames(path, np.unique(pairs), kind["short_side"])
    method, grey = make_method(kind["method"]), {}
    estimate = estimate or (lambda *frames: list(map(method, *frames)))
    for start in range(0, len(pairs), batch):
        chunk = pairs[start : start + batch].tolist()
        grey = {index: frame for index, frame in grey.items() if index >= chunk[0][0]}
        for index in np.unique(chunk).tolist():
            if index not in grey:  # the next one wanted, for neither column ever falls
                grey[index] = cv2.cvtColor(next(shown), cv2.COLOR_BGR2GRAY)
            if grey[index].shape != grey[chunk[0][0]].shape:
                raise VideoError(f"{path}: the size of the picture changes at frame {index}.")
        moving = [(grey[first], grey[second]) for first, second in chunk if first != second]
        flows = iter(estimate(*map(np.stack, zip(*moving, strict=True)))) if moving else ()
        for first, second in chunk:
            if first == second:
                yield np.full((*grey[first].shape, 2), 128, np.uint8)
            else:
                yield to_levels(next(flows))


def default_store(cache_path, kind):
    """Return the folder where flow of a kind is stored unless another is given."""
    return Path(cache_path, "flow", f"{kind['method']}_{kind['short_side']}_{kind['fps']:g}")


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
            f"{folder} holds no optical flow (flow.json is missing); give a folder that "
            "scripts.extract_flow wrote."
        )
    _check_kind(folder, read_kind(path), kind)


def open_store(folder, kind):
    """Make a folder the store of a kind of flow; one that is a store already is checked."""
    if Path(folder, "flow.json").is_file():
        check_store(folder, kind)
    else:
        write_atomically(Path(folder, "flow.json"), json.dumps(kind, indent=1) + "\n")


def is_stored(folder, info, kind):
    """Return whether a video's flow is in a store, whole and of a kind."""
    try:
        with h5py.File(Path(folder, f"{info.digest}.h5")) as file:
            whole = len(file["flow"]) == len(timeline(info, kind["fps"]))
            return whole and json.loads(file.attrs["kind"]) == kind
    except (OSError, KeyError):
        return False


def store_flow(folder, path, info, kind, estimate=None, batch=1):
    """Compute a whole video's flow and write it: one chunk a frame, so that few can be read.

    Args:
        folder: the store.
        path, info: a video and its `VideoInfo`.
        kind, estimate, batch: as `compute_flow` takes them.

    Raises:
        VideoError: a frame that cannot be decoded; nothing is written.
    """
    count = len(timeline(info, kind["fps"]))
    with (
        atomic_path(Path(folder, f"{info.digest}.h5")) as temporary,
        h5py.File(temporary, "w") as file,
    ):
        for place, levels in enumerate(compute_flow(path, info, kind, None, estimate, batch)):
            if not place:
                shape, chunks = (count, *levels.shape), (1, *levels.shape)
                file.create_dataset("flow", shape, np.uint8, chunks=chunks, **_COMPRESSION)
            file["flow"][place] = levels
        file.attrs.update(kind=json.dumps(kind), source=info.digest)


def _read_stored(path, places, kind):
    """Yield the stored flow of places in a resampled video."""
    try:
        with h5py.File(path) as file:
            _check_kind(path, json.loads(file.attrs["kind"]), kind)
            for place in places:
                yield file["flow"][place]
    except (OSError, KeyError, IndexError) as error:
        raise ValueError(
            f"{path} is damaged ({error}); delete it and run scripts.extract_flow again."
        ) from error


def flow_frames(path, info, kind, folder, places):
    """Return a generator of the flow of a video, stored or else computed, as `compute_flow` gives.

    Args:
        path, info, kind, places: as of `compute_flow`.
        folder: a store; flow that is not there, or all for "", is computed.

    Raises:
        VideoError: a frame that cannot be decoded; the file is named.
        ValueError: a stored file that is damaged or of another kind.
    """
    stored = Path(folder, f"{info.digest}.h5")
    if folder and stored.is_file():
        return _read_stored(stored, places.tolist(), kind)
    return compute_flow(path, info, kind, places)


def read_flow(clip, places, kind, folder="", frame_size=224):
    """Read the flow from chosen frames of a resampled video to the next ones.

    Args:
        clip: with the `path`, `info` and `transform.crop` of a video (`utils.clips.reading.Clip`).
        places: 1-D array of frames of the resampled video, in any order, repeats allowed.
        kind: of `flow_kind`.
        folder: as of `flow_frames`.
        frame_size: height and width of the crop.

    Returns:
        float32 (len(places), frame_size, frame_size, 2), (x, y) displacement in pixels, at most
        20 and rounded to steps of 20 / 127; zero for the video's last frame.

    Raises:
        VideoError, ValueError: as of `flow_frames`.
    """
    wanted, order = np.unique(places, return_inverse=True)
    frames = flow_frames(clip.path, clip.info, kind, folder, wanted)
    levels = [crop_frame(frame, frame_size, clip.transform.crop) for frame in frames]
    return to_pixels(np.stack(levels))[order]
