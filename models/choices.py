"""What a network can be made of, a row each: what the flags of training.py take.

Nothing here needs Keras. What does the work is a function of another module, imported when a
network is built (`later`).
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from models.backbones import BACKBONES
from models.later import later

# What turns the features of a video's segments into one embedding: function (normalized features
# (batch, segments, dim), boolean mask (batch, segments) that is False for padding, `Design`) ->
# (batch, units).
HEADS = {
    "average": later("models.heads", "average"),
    "lstm": later("models.heads", "run_lstms"),
    "transformer": later("models.heads", "query_slices"),
    "vivit": later("models.heads", "run_transformer"),
}


class Network(NamedTuple):
    """A network.

    Attributes:
        build_head: function (input_shape, num_outputs, design) -> the model "head".
        backbone: the key of `BACKBONES` whose features the head takes; "" where it takes clips.
        build_on_maps: the same function of the maps of the backbone that the design's embedder
            names, where it may name one.
    """

    build_head: Callable
    backbone: str = ""
    build_on_maps: Callable | None = None


# What follows a backbone's name in that of a network: the head, a key of `HEADS`.
_HEADS = {"": "average", "_lstm": "lstm", "_transformer": "transformer", "_vivit": "vivit"}
_build_head = later("models.heads", "build_head")


def list_networks(backbone):
    """Return {name: `Network`} of a backbone under each head."""
    return {
        f"{backbone}{suffix}": Network(
            lambda shape, *rest, head=head: _build_head(head, *shape, *rest), backbone
        )
        for suffix, head in _HEADS.items()
    }


NETWORKS = {
    **{name: row for backbone in BACKBONES for name, row in list_networks(backbone).items()},
    "vivit": Network(
        later("models.vivit", "build_vivit"),
        build_on_maps=later("models.vivit", "build_vivit_on_maps"),
    ),
    "timesformer": Network(later("models.timesformer", "build_timesformer")),
}

# How two streams become one decision: function (function of a shape that builds a head, shape of
# what all streams give, {stream: its share of the channels}) -> the model "head".
FUSIONS = {
    "logits": later("models.networks", "add_logits"),
    "features": lambda build_one, shape, channels: build_one(shape),
}

# How a sequence of tokens becomes one: function (tokens, mask, encoder, name) -> (batch, dim).
POOLINGS = {
    "class": later("models.transformer", "pool_class"),
    "fused": later("models.transformer", "pool_fused"),
}


class Size(NamedTuple):
    """Widths and depths of ViViT and TimeSformer.

    Attributes:
        dim: length of a token.
        depth, temporal_depth: blocks of the (spatial) encoder and of the temporal one.
        heads: attention heads.
        width: hidden width of a block's MLP.
        hidden: hidden width of the flatten embedder.
        head: width of the GELU layer before the logits; 0: none, as published.
        dropout: rate inside the blocks.
    """

    dim: int
    depth: int
    temporal_depth: int
    heads: int
    width: int
    hidden: int
    head: int
    dropout: float


SIZES = {
    "small": Size(128, 2, 2, 4, 256, 128, 128, 0.1),
    "base": Size(768, 12, 4, 12, 3072, 768, 0, 0.0),
}

# ViViT: function (frames (batch, frames, height, width, channels), `Size`, patch size) -> tokens
# (batch, time, [places,] dim).
EMBEDDERS = {
    "flatten": later("models.vivit", "flatten"),
    "patches": partial(later("models.vivit", "cut_patches"), depth=1),
    "tubelet": partial(later("models.vivit", "cut_patches"), depth=2),
}

# ViViT: function (tokens (batch, time, places, dim), (encoder, temporal encoder), pooling) ->
# (batch, dim).
ENCODERS = {
    "joint": later("models.vivit", "encode_jointly"),
    "factorised": later("models.vivit", "encode_factorised"),
}


class Window(NamedTuple):
    """Which tokens of a (time, height, width) grid attend to one another.

    A rule for each axis, a key of `models.token_windows.RULES`.
    """

    time: str
    height: str
    width: str


class Scheme(NamedTuple):
    """An attention scheme of TimeSformer.

    Attributes:
        windows: {name: `Window`} of a block, in order.
        frame_classes: whether each frame has a class token of its own, averaged at the end, and
            no time embedding, as when no window joins frames; else the video has one.
    """

    windows: dict[str, Window]
    frame_classes: bool = False


SCHEMES = {
    "space": Scheme({"space": Window("each", "all", "all")}, frame_classes=True),
    "joint": Scheme({"space_time": Window("all", "all", "all")}),
    "divided": Scheme(
        {"time": Window("all", "each", "each"), "space": Window("each", "all", "all")}
    ),
    "local_global": Scheme(
        {"local": Window("all", "half", "half"), "global": Window("second", "second", "second")}
    ),
    "axial": Scheme(
        {
            "time": Window("all", "each", "each"),
            "width": Window("each", "each", "all"),
            "height": Window("each", "all", "each"),
        }
    ),
}

# TimeSformer: functions (class tokens, patches) -> both with position embeddings added.
_add_space = later("models.timesformer", "add_space")
_add_time = later("models.timesformer", "add_time")
POSITIONS = {"none": (), "space": (_add_space,), "space_time": (_add_space, _add_time)}

# Recognition: the convolutions before the encoder: (kernel, pooling behind it) each, in steps.
FRONTS = {
    "none": ((1, 1),),
    "K5-K5": ((5, 1), (5, 1)),
    "K5-P2-K5": ((5, 2), (5, 1)),
    "K5-P2-K5-P2": ((5, 2), (5, 2)),
}

# Recognition: what auxiliary losses may read: rows averaged over a step, what the convolutions give
# (with the slow path, where there is one), the slow path alone, the encoder's first layer.
AUXILIARY_PLACES = ("rows", "front", "slow", "encoder")

# Recognition: function (steps (batch, steps, width), lengths, dropout) -> the same shape.
RECOGNIZERS = {
    "bilstm": later("models.recognizer", "run_lstms"),
    "transformer": later("models.recognizer", "run_transformer"),
}
