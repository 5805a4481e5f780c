"""A backbone over many overlapping windows at once: what they share is computed once.

Fully convolutional, as OverFeat (Sermanet et al., ICLR 2014, section 3.3) and, where strides do not
fit, shifted and stitched (Long et al., CVPR 2015, section 3.2). A chunk of frames goes once through
the backbone's own layers, and each window reads its rows off the last map. Steps whose receptive
field ends inside the window are just what the window alone gives; nearer to its ends it alone sees
the zeros of the padding, and here its neighbors.
"""

from math import prod
from typing import NamedTuple

from models.backbones import BACKBONES, FEATURES

import keras
import numpy as np
from keras import layers, ops


class Rows(NamedTuple):
    """What rows are made of.

    Attributes:
        window: frames of a row.
        stride: frames from a row to the next.
        endpoint: what a row is of a window: "Features" or another endpoint before it, a stage's
            maps averaged over time and space; "" for what the backbone ends in itself, flat.
        shared: the last stage that a chunk goes through as a whole; behind it each window goes
            alone. "" for the backbone's default.
    """

    window: int
    stride: int
    endpoint: str = FEATURES
    shared: str = ""


def build_maps(backbone, stream, window, frame_size, endpoint):
    """Build a backbone up to what rows of an endpoint are read off.

    Args:
        backbone: a `models.backbones.Backbone`.
        stream, frame_size: as in `Backbone.build`.
        window: frames of a row; the model of a backbone that can share them takes any number.
        endpoint: of the backbone, up to "Features".

    Raises:
        ValueError: an endpoint behind "Features", or as `Backbone.build`.
    """
    if endpoint in backbone.endpoints and endpoint not in backbone.row_endpoints:
        raise ValueError(f"{endpoint} lies behind the features. Give {FEATURES}.")
    if endpoint in backbone.top:
        endpoint = backbone.stages[-1].name if backbone.dense else FEATURES
    return backbone.build(stream, None if backbone.dense else window, frame_size, endpoint)


def pool_maps(model):
    """Return the row (batch, dim) of a model from `Backbone.build`: its maps' mean, or features."""
    backbone = BACKBONES[model.name]
    if len(model.output.shape) == 2:
        return model.output
    maps = backbone.lay_out(model.output, model.input_shape[1:4])
    return ops.mean(maps, axis=(1, 2, 3))


def plan_phases(starts, halvings):
    """Plan which steps of the last map a window sees that begins at a frame of the chunk.

    Where windows begin at odd steps of a map that is halved, it is halved twice: as it is, and
    begun a step later, a phase each.

    Args:
        starts: int array, frames of the chunk.
        halvings: how often time is halved.

    Returns:
        (whether each halving is done twice, phase of each window, first step in it).
    """
    splits, phases, count = [], np.zeros_like(starts), 1
    for _ in range(halvings):
        splits.append(bool((starts % 2).any()))
        if splits[-1]:
            phases, count = phases + count * (starts % 2), 2 * count
        starts = starts // 2
    return splits, phases, starts


def _split_phases(x):
    """Put a map that begins a step later behind the map, along the batch."""
    later = ops.pad(x[:, 1:], [[0, 0], [0, 1], [0, 0], [0, 0], [0, 0]])
    return ops.concatenate([x, later], axis=0)


def _weigh_steps(backbone, steps, endpoint):
    """Return the share of each step of a window in its row."""
    if endpoint in backbone.top:
        return backbone.dense.weigh_steps(steps)
    return np.full(steps, 1 / steps, "float32")


def _call_again(model, clips, call=lambda layer, x, **settings: layer(x, **settings)):
    """Call a model's layers on other clips, the same layers with the same weights."""
    shared = {"clone_function": lambda layer: layer, "call_function": call}
    return keras.models.clone_model(model, input_tensors=clips, **shared)


def _share(maps, length, window, starts, title):
    """Build the steps that each window sees of the maps of a whole chunk.

    Returns:
        A model from (batch, length, height, width, channels) to (batch, windows, steps, ...).
    """
    # The other layers keep time, or do not touch it.
    found = [layer.name for layer in maps.layers if getattr(layer, "strides", (1,))[0] == 2]
    factor = 2 ** len(found)
    if len(starts) > 1 and (window % factor or length % factor):
        raise ValueError(
            f"The window has {window} frames and the chunk {length}. Both must be "
            f"multiples of {factor}, by which {title} divides time. Give such a window, or "
            "the route windows."
        )
    splits, phases, places = plan_phases(starts, len(found))
    twice = {name for name, split in zip(found, splits, strict=True) if split}

    def call(layer, x, **settings):
        return layer(_split_phases(x) if layer.name in twice else x, **settings)

    clips = keras.Input((length, *maps.input_shape[2:]), name="clips")
    x = _call_again(maps, clips, call).output
    steps, *rest = x.shape[1:]
    x = ops.moveaxis(ops.reshape(x, (2 ** len(twice), -1, steps, *rest)), 0, 1)
    x = ops.reshape(x, (-1, 2 ** len(twice) * steps, *rest))
    indices = (phases * steps + places)[:, None] + np.arange(-(-window // factor))
    return keras.Model(clips, ops.take(x, indices.astype("int32"), axis=1), name="shared")


def build_alone(maps, rows):
    """Build the row of a window of a backbone of which windows share nothing.

    Args:
        maps: from `build_maps`.
        rows: a `Rows`.

    Returns:
        A `keras.Model` from (batch, window, height, width, channels), values in [-1, 1], to float32
        rows (batch, 1, dim).
    """
    x = ops.cast(pool_maps(maps) if rows.endpoint else maps.output, "float32")
    return keras.Model(maps.input, ops.reshape(x, (-1, 1, prod(x.shape[1:]))), name="alone")


def build_dense(maps, length, rows):
    """Build the rows of a chunk from a backbone, using its layers themselves.

    Args:
        maps: from `build_maps`, or a model that ends in the same map, whatever its clips' length.
        length: frames of the chunk.
        rows: a `Rows`; the window is a multiple of `Backbone.time_stride` where the chunk holds
            several. Its endpoint is what `maps` was built for.

    Returns:
        A `keras.Model` from (batch, length, height, width, channels), values in [-1, 1], to float32
        rows (batch, (length - window) // stride + 1, dim). A single row is the backbone's of that
        window.

    Raises:
        ValueError: a window or chunk that does not fit the halvings of time.
    """
    backbone, window = BACKBONES[maps.name], rows.window
    least = backbone.clip.least_frames
    if not least <= window <= length:
        raise ValueError(f"The window has {window} frames; it must have {least} to {length}.")
    starts = np.arange(0, length - window + 1, rows.stride)
    units = {layer.name: layer.output for layer in maps.layers}
    cut = backbone.get_stage(rows.shared or backbone.dense.shared).layer
    if cut not in units or units[cut] is maps.output or len(starts) == 1:
        first, rest = maps, None
    else:
        first, rest = keras.Model(maps.input, units[cut]), keras.Model(units[cut], maps.output)
    first = _share(first, length, window, starts, backbone.title)
    x = first.output
    if rest is not None:
        alone = keras.Input(x.shape[2:], name="alone")
        x = _call_again(rest, alone)(ops.reshape(x, (-1, *x.shape[2:])))
        x = ops.reshape(x, (-1, len(starts), *x.shape[1:]))
    x = ops.cast(x, "float32")  # (batch, rows, steps, height, width, channels)
    if rows.endpoint:
        x = ops.mean(x, axis=(3, 4))
        x = ops.sum(x * _weigh_steps(backbone, x.shape[2], rows.endpoint)[:, None], axis=2)
    else:
        x = ops.reshape(x, (-1, len(starts), prod(x.shape[2:])))
    return keras.Model(first.input, x, name="dense")


class Extractor:
    """Rows of blocks of uint8 frames; a network for each length of them, with the same weights.

    Args:
        maps: {stream: from `build_maps`}; rows and channels are joined in this order.
        levels: {stream: (256,) float32, what each level of its channels means}.
        rows: a `Rows`.
    """

    def __init__(self, maps, levels, rows):
        self.maps, self.levels, self.rows = maps, levels, rows
        self.networks = {}

    def build(self, length):
        """Build the network for blocks of a length, uint8 (batch, length, height, width, channels).

        Returns:
            A `keras.Model` to float32 (batch, rows, dim).
        """
        shapes = [each.input_shape for each in self.maps.values()]
        total = sum(shape[-1] for shape in shapes)
        blocks = layers.Input((length, *shapes[0][2:4], total), dtype="uint8", name="blocks")
        outputs, begin = [], 0
        for (stream, maps), shape in zip(self.maps.items(), shapes, strict=True):
            levels = ops.cast(blocks[..., begin : begin + shape[-1]], "int32")
            clips = ops.take(self.levels[stream], levels, axis=0)
            if BACKBONES[maps.name].dense:
                part = build_dense(maps, length, self.rows)
            else:
                part = build_alone(maps, self.rows)
            outputs.append(keras.Model(part.input, part.output, name=stream)(clips))
            begin += shape[-1]
        rows = outputs[0] if len(outputs) == 1 else ops.concatenate(outputs, axis=-1)
        return keras.Model(blocks, rows, name="extractor")

    def __call__(self, blocks):
        """Return float32 rows (batch, rows, dim) of blocks, a NumPy array as `build` takes it."""
        length = blocks.shape[1]
        if length not in self.networks:
            self.networks[length] = self.build(length)
        return np.asarray(self.networks[length].predict_on_batch(blocks))
