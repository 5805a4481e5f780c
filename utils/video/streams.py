"""Streams: RGB, optical flow or both, and what the channels of their clips are."""

from typing import NamedTuple


class Stream(NamedTuple):
    """What a clip shows.

    Attributes:
        parts: {"rgb" or "flow": its slice of the channels}, in their order.
        values: what the numbers of a clip mean, in words.
    """

    parts: dict[str, slice]
    values: str

    @property
    def channels(self):
        """Numbers of a pixel."""
        return max(part.stop for part in self.parts.values())

    @property
    def has_flow(self):
        """Whether optical flow is among the parts."""
        return "flow" in self.parts


STREAMS = {
    "rgb": Stream({"rgb": slice(0, 3)}, "red, green, blue / 127.5 - 1"),
    "flow": Stream(
        {"flow": slice(0, 2)}, "optical flow, x and y, in pixels, cut at 20 and divided by 20"
    ),
    "both": Stream(
        {"rgb": slice(0, 3), "flow": slice(3, 5)},
        "red, green, blue / 127.5 - 1, then optical flow, cut at 20 pixels and divided by 20",
    ),
}
