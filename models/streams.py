"""Streams of a clip, and how many channels each has."""

CHANNELS = {"rgb": 3, "flow": 2}
# A clip's streams share its channels in this order.
STREAMS = {"rgb": ("rgb",), "flow": ("flow",), "both": ("rgb", "flow")}
