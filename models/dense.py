"""I3D over many overlapping windows at once: what they share is computed once.

Fully convolutional, as OverFeat (Sermanet et al., ICLR 2014, section 3.3) and, where strides do not
fit, shifted and stitched (Long et al., CVPR 2015, section 3.2). A chunk of frames goes once through
I3D's own layers, and each window reads its rows off the last map. Steps whose receptive field ends
inside the window are just what the window alone gives; nearer to its ends it alone sees the zeros
of the padding, and here its neighbors.
"""

from math import prod

from models.i3d import STAGES, TOP, build_i3d

import keras
import numpy as np
from keras import layers, ops

_LAST_MAP = STAGES[-1][0]
SHARED = "Mixed_4f"  # what lies behind it is little work
# Layers that halve time, in order. The others keep it, or do not touch it.
HALVING = tuple(
    f"{name}.conv_3d" if kind == "conv" else name
    for name, kind, arguments in STAGES
    if kind != "mixed" and np.ravel(arguments[-1])[0] == 2
)


def build_maps(stream, frame_size, endpoint):
    """Build I3D on clips of any length, up to the map that rows of an endpoint are read off.

    Args:
        stream, frame_size: as in `models.i3d.build_i3d`.
        endpoint: a key of `models.i3d.ENDPOINTS` up to "Features".

    Raises:
        ValueError: an endpoint behind "Features", or as `build_i3d`.
    """
    if endpoint in TOP[TOP.index("Features") + 1 :]:
        raise ValueError(f"Rows are features; {endpoint} lies behind them: give Features.")
    return build_i3d(stream, None, frame_size, _LAST_MAP if endpoint in TOP else endpoint)


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


def _weigh_steps(steps, endpoint):
    """Return the share of each step of a window in its row."""
    if endpoint not in TOP or steps == 1:
        return np.full(steps, 1 / steps, "float32")
    # The mean of the published top's averages of two neighbors.
    shares = np.full(steps, 1 / (steps - 1), "float32")
    shares[[0, -1]] /= 2
    return shares


def _unit(stage):
    """Return the name of the layer that gives a stage's map."""
    return f"{stage}.relu" if stage.startswith("Conv") else stage


def _call_again(model, clips, call=lambda layer, x, **settings: layer(x, **settings)):
    """Call a model's layers on other clips, the same layers with the same weights."""
    shared = {"clone_function": lambda layer: layer, "call_function": call}
    return keras.models.clone_model(model, input_tensors=clips, **shared)


def _share(maps, length, window, starts):
    """Build the steps that each window sees of the maps of a whole chunk.

    Returns:
        A model from (batch, length, height, width, channels) to (batch, windows, steps, ...).
    """
    found = [name for name in HALVING if name in {layer.name for layer in maps.layers}]
    factor = 2 ** len(found)
    if len(starts) > 1 and (window % factor or length % factor):
        raise ValueError(
            f"Windows of {window} frames in chunks of {length}: several of them share a chunk only "
            f"where both are multiples of {factor}, by which I3D divides time. Give such a window, "
            "or the route windows."
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


def build_dense(maps, length, window, stride, endpoint="Features", shared=SHARED):
    """Build the rows of a chunk from an I3D, using its layers themselves.

    Args:
        maps: from `build_maps`, or an I3D that ends in the same map, whatever its clips' length.
        length: frames of the chunk.
        window: frames of a row, from 8 up; a multiple of 8 where the chunk holds several rows.
        stride: frames from a row to the next.
        endpoint: what `maps` was built for: "AvgPool3d" and "Features" weigh the steps as the
            published top does, others are averaged over time and space. "": a row is the window's
            part of the map itself, flat.
        shared: the last stage that the chunk goes through as a whole; behind it each window goes
            alone.

    Returns:
        A `keras.Model` from (batch, length, height, width, channels), values in [-1, 1], to float32
        rows (batch, (length - window) // stride + 1, dim). A single row is I3D's of that window.

    Raises:
        ValueError: a window or chunk that does not fit the halvings of time.
    """
    if length < window or window < 8:
        raise ValueError(f"A window of {window} frames in {length}; it must be 8 to {length}.")
    starts = np.arange(0, length - window + 1, stride)
    units, cut = {layer.name: layer.output for layer in maps.layers}, _unit(shared)
    if cut not in units or units[cut] is maps.output or len(starts) == 1:
        first, rest = maps, None
    else:
        first, rest = keras.Model(maps.input, units[cut]), keras.Model(units[cut], maps.output)
    first = _share(first, length, window, starts)
    x = first.output
    if rest is not None:
        alone = keras.Input(x.shape[2:], name="alone")
        x = _call_again(rest, alone)(ops.reshape(x, (-1, *x.shape[2:])))
        x = ops.reshape(x, (-1, len(starts), *x.shape[1:]))
    x = ops.cast(x, "float32")  # (batch, rows, steps, height, width, channels)
    if not endpoint:
        rows = ops.reshape(x, (-1, len(starts), prod(x.shape[2:])))
        return keras.Model(first.input, rows, name="dense")
    x = ops.mean(x, axis=(3, 4))
    rows = ops.sum(x * _weigh_steps(x.shape[2], endpoint)[:, None], axis=2)
    return keras.Model(first.input, rows, name="dense")


class Extractor:
    """Rows of blocks of uint8 frames; a network for each length of them, with the same weights.

    Args:
        maps: {stream: from `build_maps`}; rows and channels are joined in this order.
        levels: {stream: (256,) float32, what each level of its channels means}.
        rows: window, stride, endpoint and shared, as in `build_dense`.
    """

    def __init__(self, maps, levels, *rows):
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
            dense = build_dense(maps, length, *self.rows)
            outputs.append(keras.Model(dense.input, dense.output, name=stream)(clips))
            begin += shape[-1]
        rows = outputs[0] if len(outputs) == 1 else ops.concatenate(outputs, axis=-1)
        return keras.Model(blocks, rows, name="extractor")

    def __call__(self, blocks):
        """Return float32 rows (batch, rows, dim) of blocks, a NumPy array as `build` takes it."""
        length = blocks.shape[1]
        if length not in self.networks:
            self.networks[length] = self.build(length)
        return np.asarray(self.networks[length].predict_on_batch(blocks))
