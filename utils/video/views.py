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
CROPS = {1: (CENTER,), 3: ("left", CENTER, "right")}  # of eval_crops: the views that are averaged


def place_crop(side, portrait=False):
    """Return a crop's position, from top left (0, 0) to bottom right (1, 1).

    Args:
        side: position along the longer side, from 0 to 1.
        portrait: whether that is the height.
    """
    return (side, 0.5) if portrait else (0.5, side)
