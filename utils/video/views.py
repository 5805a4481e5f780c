"""Views: the crops of a video and their mirror images, by the names that their files have."""

from typing import NamedTuple


class View(NamedTuple):
    """What of a video's pixels is looked at.

    Attributes:
        side: position of the crop along the longer side, from 0 to 1.
        flip: whether it is mirrored.
    """

    side: float
    flip: bool


CENTER = "centre"
# Of portrait videos left and right are the top and the bottom.
VIEWS = {
    CENTER: View(0.5, False),
    "left": View(0.0, False),
    "right": View(1.0, False),
    "flip": View(0.5, True),
    "left_flip": View(0.0, True),
    "right_flip": View(1.0, True),
}
BESIDE_CENTER = tuple(name for name in VIEWS if name != CENTER)
# Crops of a video that are averaged: their views.
CROPS = {1: (CENTER,), 3: ("left", CENTER, "right")}


def spread_views(clips, crops):
    """Return [(place in time, from 0 to 1; key of `VIEWS`)] of what is averaged of a video.

    Args:
        clips: places in time; one is the middle.
        crops: a key of `CROPS`.
    """
    return [((clip + 0.5) / clips, view) for clip in range(clips) for view in CROPS[crops]]


def place_crop(side, portrait=False):
    """Return a crop's position, from top left (0, 0) to bottom right (1, 1).

    Args:
        side: position along the longer side, from 0 to 1.
        portrait: whether that is the height.
    """
    return (side, 0.5) if portrait else (0.5, side)
