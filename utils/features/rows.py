"""Which frames of a video make a row of features, and when: pure functions of numbers."""

import numpy as np


def _check(window, stride):
    for name, value in (("window", window), ("stride", stride)):
        if value < 1:
            raise ValueError(f"{name} is {value}; it must be at least 1 frame.")


def _replicate(num_frames, window, stride):
    # The window's center on that of its frames, (i + 1/2) stride; half a frame early if need be.
    return np.arange(-(-num_frames // stride)) * stride + (stride - window) // 2


def _drop(num_frames, window, stride):
    if num_frames < window:
        raise ValueError(
            f"the video has {num_frames} frames after resampling, fewer than the window of "
            f"{window}. Give --edges replicate or a smaller --window."
        )
    return np.arange((num_frames - window) // stride + 1) * stride


# Edges: function (num_frames, window, stride) -> the windows' first places.
EDGES = {"replicate": _replicate, "drop": _drop}


def row_starts(num_frames, window, stride, edges):
    """Return where the windows of a video begin; before the video, or too late to fit, means edges.

    "replicate": ceil(num_frames / stride) rows, each for its own `stride` frames, in the middle of
    its window (half a frame before it where window - stride is odd). "drop": the windows that lie
    wholly in the video.

    Args:
        num_frames: of the resampled video.
        window: frames of a row.
        stride: frames from a row to the next.
        edges: a key of `EDGES`.

    Returns:
        int array (rows,) of places in the resampled video, `stride` apart.

    Raises:
        ValueError: unknown edges, or no window fits in.
    """
    _check(window, stride)
    if edges not in EDGES:
        raise ValueError(f"Unknown edges {edges!r}; known: {', '.join(EDGES)}.")
    return EDGES[edges](num_frames, window, stride)


def plan_rows(num_frames, window, stride, edges):
    """Return the places in the resampled video that each row sees, int (rows, window).

    Arguments and errors as in `row_starts`. What lies beyond the ends is the first or last frame.
    """
    starts = row_starts(num_frames, window, stride, edges)
    return np.clip(starts[:, None] + np.arange(window), 0, num_frames - 1)


def row_times(starts, window, fps, frame_times=None):
    """Return the center of each window in seconds.

    Args:
        starts: of `row_starts`.
        window: frames of a row.
        fps: frames per second of the resampled video.
        frame_times: seconds at which its frames begin, and at which the last one ends, where they
            are not evenly spaced; centers beyond the ends are at the ends.
    """
    centers = starts + window / 2
    if frame_times is None:
        return centers / fps
    return np.interp(centers, np.arange(len(frame_times)), frame_times)


def row_edges(times):
    """Return when each row begins, and the last one ends: half way to its neighbors.

    Args:
        times: the rows' centers in seconds, rising.

    Returns:
        (rows + 1,) seconds, from 0 up.
    """
    times = np.asarray(times, float)
    if len(times) == 1:
        return np.array([0, 2 * times[0]])
    middles = (times[1:] + times[:-1]) / 2
    ends = 2 * times[[0, -1]] - middles[[0, -1]]
    return np.concatenate([[max(ends[0], 0)], middles, ends[1:]])


def plan_chunks(num_rows, window, stride, lengths):
    """Cut a video into chunks of few lengths, each with all frames of as many rows as it holds.

    Rows are `stride` apart, so that the first row of every chunk begins with it. All chunks are of
    the greatest length but the last, which is of the smallest that holds what is left.

    Args:
        num_rows: rows of the video.
        window, stride: frames of a row, and from a row to the next.
        lengths: frames of a chunk, at least `window` each. A single one of `window` frames gives
            a chunk a row.

    Yields:
        (first row, number of rows, length).
    """
    holds = {length: (length - window) // stride + 1 for length in sorted(lengths)}
    greatest = max(holds)
    for first in range(0, num_rows, holds[greatest]):
        left = num_rows - first
        length = next((length for length, rows in holds.items() if rows >= left), greatest)
        yield first, min(left, holds[length]), length
