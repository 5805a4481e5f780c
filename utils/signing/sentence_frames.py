"""Sentences whose rows are computed from their frames: which frames, changed at random."""

from dataclasses import dataclass

from utils.clips.augmentation import UNCHANGED, apply_rgb, draw_transform, restore_rgb
from utils.features.blocks import RowFormat
from utils.signing.row_changes import draw_places
from utils.video.reading import read_rgb
from utils.video.video import Video

import numpy as np


@dataclass(frozen=True)
class SentenceFrames:
    """A sentence's video, and how its rows see it.

    Attributes:
        video: the `Video`.
        row_format: a `RowFormat` of RGB.
    """

    video: Video
    row_format: RowFormat

    @property
    def digest(self):
        """BLAKE2b of the video."""
        return self.video.digest

    @property
    def num_rows(self):
        """Rows that are computed from the frames.

        Raises:
            ValueError: too few frames for a row.
        """
        return len(self.row_format.place_rows(len(self.video.timeline(self.row_format.fps))))


def read_frames(sentence, chosen=None, transform=UNCHANGED):
    """Read the frames of a sentence, row after row.

    Args:
        sentence: `SentenceFrames`.
        chosen: places in the resampled video that are shown, int array; None for all.
        transform: a `utils.clips.augmentation.Transform`.

    Returns:
        uint8 (frames, frame_size, frame_size, 3): row i is the window that begins with frame
        i x `row_format.row_stride`; what lies beyond the ends is the first or last frame.

    Raises:
        VideoError: a frame that cannot be decoded; the file is named.
    """
    row_format, frames = sentence.row_format, sentence.video.timeline(sentence.row_format.fps)
    frames = frames if chosen is None else frames[chosen]
    starts = row_format.place_rows(len(frames))
    places = np.arange(starts[0], starts[-1] + row_format.window).clip(0, len(frames) - 1)
    shown = read_rgb(
        sentence.video,
        frames[places],
        row_format.short_side,
        row_format.frame_size,
        transform.crop,
    )
    if transform[1:] == UNCHANGED[1:]:
        return shown
    return restore_rgb(apply_rgb(shown, transform))


def change_frames(sentence, least, generator, changes, augmentation):
    """Read a sentence at another speed, without some of its frames, cropped and colored at random.

    Args:
        sentence: `SentenceFrames`.
        least: rows that stay at least, at most as many as there are.
        generator: a `numpy.random.Generator`.
        changes: `utils.signing.row_changes.RowChanges`, of frames.
        augmentation: an `utils.clips.augmentation.Augmentation`.
    """
    count, row_format = len(sentence.video.timeline(sentence.row_format.fps)), sentence.row_format
    needed = min(count, (least - 1) * row_format.row_stride + row_format.window)
    places = draw_places(count, changes, needed, generator)
    transform = draw_transform(generator, **vars(augmentation))
    return read_frames(sentence, places.round().astype(int), transform)
