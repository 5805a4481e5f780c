"""Networks, a row each: clips (batch, segments, frames, height, width, channels) to logits."""

from collections.abc import Callable
from typing import NamedTuple

from models.design import Design, choose
from models.heads import build_head
from models.i3d import CHANNELS, STAGES, build_i3d
from models.layers import TimeDistributed, join_channels, side_by_side
from models.timesformer import build_timesformer
from models.vivit import build_vivit

import keras
from keras import ops

# A clip's streams share its channels in this order.
STREAMS = {"rgb": ("rgb",), "flow": ("flow",), "both": ("rgb", "flow")}


class Network(NamedTuple):
    """A network.

    Attributes:
        build_head: function (input_shape, num_outputs, design) -> the model "head".
        endpoint: of the I3D that comes first, or "" where the head takes clips.
    """

    build_head: Callable
    endpoint: str = ""


def _on_i3d(head):
    return Network(lambda shape, *rest: build_head(head, *shape, *rest), "Features")


_LAST_MAP = STAGES[-1][0]
NETWORKS = {
    "i3d": _on_i3d("average"),
    "i3d_lstm": _on_i3d("lstm"),
    "i3d_transformer": _on_i3d("transformer"),
    "i3d_vivit": _on_i3d("vivit"),
    "vivit": Network(build_vivit),
    "timesformer": Network(build_timesformer),
}


def _add_logits(build_one, shape, channels):
    """Build a head for each stream and add their logits (Carreira and Zisserman, section 2.4)."""
    total = sum(channels.values())
    heads = {
        stream: build_one((*shape[:-1], shape[-1] * count // total))
        for stream, count in channels.items()
    }
    return side_by_side(heads, lambda logits: ops.add(*logits), "head")


# How two streams become one decision: function (function of a shape that builds a head, shape of
# what all streams give, {stream: its share of the channels}) -> the model "head".
FUSIONS = {
    "logits": _add_logits,
    "features": lambda build_one, shape, channels: build_one(shape),
}


def check_network(name, finetune="none"):
    """Raise a ValueError unless `name` is a network and `finetune` a part of its backbone."""
    choose(NETWORKS, "network", name)
    starts = [stage for stage, kind, _ in STAGES if kind != "pool"]
    if finetune not in ("none", "all", *starts):
        raise ValueError(
            f"Cannot fine-tune from {finetune!r}; give none, all or one of {', '.join(starts)}."
        )


def build(name, num_outputs, segments, frames, frame_size=224, stream="rgb", design=Design()):
    """Build a network.

    Args:
        name: a key of `NETWORKS`.
        num_outputs: number of logits.
        segments: segments per video.
        frames: frames per segment, for I3D from 8 up.
        frame_size: height and width in pixels, for I3D from 112 up.
        stream: a key of `STREAMS`; the channels of both are red, green, blue, x, y.
        design: a `Design`.

    Returns:
        A `keras.Model` from (batch, segments, frames, frame_size, frame_size, channels) to
        logits (batch, num_outputs). Its layers are "head" and, where there is an I3D, before it
        "backbone", a `TimeDistributed` around it; with both streams around two, whose features
        are joined.

    Raises:
        ValueError: unknown network, stream or choice of the design, or a clip that is too short
            or too small.
    """
    row = choose(NETWORKS, "network", name)
    channels = {each: CHANNELS[each] for each in choose(STREAMS, "stream", stream)}
    fuse = choose(FUSIONS, "fusion", design.fusion)
    endpoint = row.endpoint or (_LAST_MAP if name == "vivit" and design.embedder == "i3d" else "")
    shape = (segments, frames, frame_size, frame_size, sum(channels.values()))
    clips = keras.Input(shape, name="clips")
    features = clips
    if endpoint:
        i3ds = {each: build_i3d(each, frames, frame_size, endpoint) for each in channels}
        backbone = side_by_side(i3ds, join_channels, "two_streams")
        features = TimeDistributed(backbone, name="backbone")(clips)
        channels = dict.fromkeys(channels, 1)  # as many features each
    head = fuse(
        lambda part: row.build_head(part, num_outputs, design), features.shape[1:], channels
    )
    return keras.Model(clips, head(features), name=name)


def build_on_features(name, num_outputs, segments, length, stream="rgb", design=Design()):
    """Build a network without its I3D, from features of the segments to logits.

    Args:
        name: a key of `NETWORKS`, one with an I3D.
        num_outputs, segments, design: as in `build`.
        length: channels of a segment's features, whatever they were made by.
        stream: both for features of RGB and of flow, joined in this order.

    Returns:
        A `keras.Model` from (batch, segments, length) to logits (batch, num_outputs); its only
        layer is "head".

    Raises:
        ValueError: a network that takes clips, or features that do not suit its head.
    """
    row, streams = choose(NETWORKS, "network", name), choose(STREAMS, "stream", stream)
    if not row.endpoint:
        known = ", ".join(name for name, row in NETWORKS.items() if row.endpoint)
        raise ValueError(f"{name} takes clips, not features; networks that take features: {known}.")
    if length % len(streams):
        raise ValueError(f"Features of {length} channels are not two streams'; one has half.")
    features = keras.Input((segments, length), name="rows")

    def build_one(shape):
        return row.build_head(shape, num_outputs, design)

    fuse = choose(FUSIONS, "fusion", design.fusion)
    head = fuse(build_one, features.shape[1:], dict.fromkeys(streams, 1))
    return keras.Model(features, head(features), name=name)
