"""Networks, a row each: clips (batch, segments, frames, height, width, channels) to logits."""

from models import attention, vivit  # noqa: F401 (files of networks name their classes)
from models.backbones import BACKBONES
from models.choices import EMBEDDERS, FUSIONS, NETWORKS
from models.design import Design, choose
from models.layers import TimeDistributed, join_channels, side_by_side
from models.streams import CHANNELS, STREAMS

import keras
from keras import ops


def add_logits(build_one, shape, channels):
    """Build a head for each stream and add their logits (Carreira and Zisserman, section 2.4)."""
    total = sum(channels.values())
    heads = {
        stream: build_one((*shape[:-1], shape[-1] * count // total))
        for stream, count in channels.items()
    }
    return side_by_side(heads, lambda logits: ops.add(*logits), "head")


def find_backbone(name, embedder="flatten"):
    """Return the `Backbone` in a network, or None.

    Args:
        name: a key of `NETWORKS`.
        embedder: of the `Design`.

    Raises:
        ValueError: there is no such network or embedder.
    """
    row = choose(NETWORKS, "network", name)
    if row.build_on_maps:
        choose(EMBEDDERS | BACKBONES, "embedder", embedder)
        return BACKBONES.get(embedder)
    return BACKBONES.get(row.backbone)


def check_network(name, finetune="none", embedder="flatten"):
    """Raise a ValueError unless `name` is a network and `finetune` a part of its backbone."""
    backbone = find_backbone(name, embedder)
    if backbone:
        backbone.check_start(finetune)
    elif finetune not in ("none", "all"):
        raise ValueError(
            f"Cannot fine-tune from {finetune!r}; {name} has no backbone and is trained whole."
        )


def build(name, num_outputs, segments, frames, frame_size=224, stream="rgb", design=Design()):
    """Build a network.

    Args:
        name: a key of `NETWORKS`.
        num_outputs: number of logits.
        segments: segments per video.
        frames: frames per segment.
        frame_size: height and width in pixels.
        stream: a key of `STREAMS`; the channels of both are red, green, blue, x, y.
        design: a `Design`.

    Returns:
        A `keras.Model` from (batch, segments, frames, frame_size, frame_size, channels) to
        logits (batch, num_outputs). Its layers are "head" and, where there is a backbone, before
        it "backbone", a `TimeDistributed` around it; with both streams around two, whose features
        are joined.

    Raises:
        ValueError: unknown network, stream or choice of the design, or a clip that is too short
            or too small.
    """
    row, backbone = choose(NETWORKS, "network", name), find_backbone(name, design.embedder)
    channels = {each: CHANNELS[each] for each in choose(STREAMS, "stream", stream)}
    fuse = choose(FUSIONS, "fusion", design.fusion)
    shape = (segments, frames, frame_size, frame_size, sum(channels.values()))
    clips = keras.Input(shape, name="clips")
    features, build_one = clips, row.build_head
    if backbone:
        build_part = backbone.build
        if row.build_on_maps:
            build_part, build_one = backbone.build_maps, row.build_on_maps
        parts = {each: build_part(each, frames, frame_size) for each in channels}
        together = side_by_side(parts, join_channels, "two_streams")
        features = TimeDistributed(together, name="backbone")(clips)
        channels = dict.fromkeys(channels, 1)  # as many features each
    head = fuse(lambda part: build_one(part, num_outputs, design), features.shape[1:], channels)
    return keras.Model(clips, head(features), name=name)


def build_on_features(name, num_outputs, segments, length, stream="rgb", design=Design()):
    """Build a network without its backbone, from features of the segments to logits.

    Args:
        name: a key of `NETWORKS`, one of a backbone.
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
    if not row.backbone:
        known = ", ".join(name for name, row in NETWORKS.items() if row.backbone)
        raise ValueError(f"{name} takes clips, not features; networks that take features: {known}.")
    if length % len(streams):
        raise ValueError(
            f"The features have {length} channels, which cannot be halved for two streams."
        )
    features = keras.Input((segments, length), name="rows")

    def build_one(shape):
        return row.build_head(shape, num_outputs, design)

    fuse = choose(FUSIONS, "fusion", design.fusion)
    head = fuse(build_one, features.shape[1:], dict.fromkeys(streams, 1))
    return keras.Model(features, head(features), name=name)
