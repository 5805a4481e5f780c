"""Optical flow between neighboring frames, by several methods, in 8 bits.

TV-L1: Zach, Pock and Bischof, DAGM 2007, what the published weights were trained on. DIS: Kroeger
et al., ECCV 2016.
Farneback, SCIA 2003.
"""

from utils.video.frames import to_gray
from utils.video.reading import resized_frames
from utils.video.video import VideoError

import cv2
import numpy as np

FLOW_LIMIT = 20.0  # pixels
_LEVELS = 127  # of 8 bits for each direction; 128 is no motion
_VERSION = 1  # of the store's format

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
    """Return a function of two uint8 gray frames (height, width).

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


def limit_threads(count=1):
    """Let OpenCV use `count` threads in this process, for all that it does."""
    cv2.setNumThreads(count)


def to_levels(flow):
    """Cut flow in pixels at +-20 and round it to uint8: 128 is 0, a step is 20 / 127 pixels."""
    steps = np.clip(flow, -FLOW_LIMIT, FLOW_LIMIT) * (_LEVELS / FLOW_LIMIT)
    return (np.round(steps) + 128).astype(np.uint8)


def to_pixels(levels):
    """Return the float32 flow in pixels that `to_levels` rounded."""
    return (levels.astype(np.float32) - 128) * np.float32(FLOW_LIMIT / _LEVELS)


def compute_flow(video, kind, places=None, estimate=None, batch=1):
    """Compute the flow from frames of a resampled video to the next ones; the last one's is zero.

    Args:
        video: a `Video`.
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
    frames = video.timeline(kind["fps"])
    pairs = np.column_stack([frames, np.append(frames[1:], frames[-1])])
    pairs = pairs if places is None else pairs[places]
    shown = resized_frames(video, np.unique(pairs), kind["short_side"])
    method, gray = make_method(kind["method"]), {}
    estimate = estimate or (lambda *frames: list(map(method, *frames)))
    for start in range(0, len(pairs), batch):
        chunk = pairs[start : start + batch].tolist()
        gray = {index: frame for index, frame in gray.items() if index >= chunk[0][0]}
        for index in np.unique(chunk).tolist():
            if index not in gray:  # the next one wanted, for neither column ever falls
                gray[index] = to_gray(next(shown))
            if gray[index].shape != gray[chunk[0][0]].shape:
                raise VideoError(
                    f"{video.path}: the frame size changes at frame {index}; re-encode the "
                    "file with ffmpeg."
                )
        moving = [(gray[first], gray[second]) for first, second in chunk if first != second]
        flows = iter(estimate(*map(np.stack, zip(*moving, strict=True)))) if moving else ()
        for first, second in chunk:
            if first == second:
                yield np.full((*gray[first].shape, 2), 128, np.uint8)
            else:
                yield to_levels(next(flows))
