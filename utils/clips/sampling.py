"""Which frames of a video make a clip: pure functions from numbers to index arrays.

Segments as in temporal segment networks (Wang et al., ECCV 2016). All samplings share one
signature: (num_frames, segments, length, place), where `place` holds one number in [0, 1) per
draw, random when training, 0.5 for the center when testing.
"""

import numpy as np


def sample_segments(num_frames, segments, length, place=0.5):
    """Take `length` consecutive frames from each of `segments` places spread over the video.

    The starts that fit into the video are cut into equal bins, one a segment; each segment
    starts `place` into its bin. A video shorter than `length` is looped.

    Args:
        num_frames: frames of the video.
        segments: number of segments.
        length: frames per segment.
        place: a number in [0, 1), or an array of one per segment.

    Returns:
        int array (segments, length) of frame indices.
    """
    bins = np.arange(segments) + np.broadcast_to(place, (segments,))
    starts = np.floor(bins * max(num_frames - length + 1, 1) / segments).astype(int)
    return (starts[:, None] + np.arange(length)) % num_frames


def sample_uniform(num_frames, segments, length, place=0.5):
    """Take segments x length frames spread evenly over the whole video.

    Same arguments and result as `sample_segments`; `place` is the position inside the stretch
    of video that each frame stands for, one per segment.
    """
    count = segments * length
    place = np.repeat(np.broadcast_to(place, (segments,)), length)
    indices = np.floor((np.arange(count) + place) * num_frames / count).astype(int)
    return indices.reshape(segments, length)


SAMPLINGS = {"segments": sample_segments, "uniform": sample_uniform}


def spread(length, count):
    """Return at most `count` indices, distinct, spread evenly over `length` from end to end."""
    return np.unique(np.linspace(0, length - 1, count).round().astype(int))
