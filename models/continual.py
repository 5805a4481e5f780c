"""A backbone over a stream that does not end: each frame is computed once.

Continual convolutions (Hedegaard and Iosifidis, "Continual 3D Convolutional Neural Networks for
Real-time Processing of Videos", ECCV 2022): a layer that looks along time keeps the last frames of
its input, so that a few new frames give the next step of the last map. The layers and the weights
are the backbone's own. The maps are exactly those of the whole stream as one clip.

Layers with "same" padding look ahead, so their outputs are late. A step takes `count` new frames
of a tensor; of one that is `lag` frames late, these are frames `step * count - lag` and the
following. Frames before the first one of the stream and behind the last are padding.

Heads that were trained on several segments of a clip know each as it is alone: `Segments`.
"""

from collections.abc import Callable
from itertools import accumulate, chain
from typing import NamedTuple

import keras
import numpy as np
from keras import layers, ops

_ENDLESS = 2**27  # steps, more than a year: the end of a stream that goes on


def _convolve(layer, x):
    x = ops.conv(x, layer.kernel, list(layer.strides), "valid")
    return layer.activation(x + layer.bias if layer.use_bias else x)


def _take_largest(layer, x):
    return ops.max_pool(x, layer.pool_size, layer.strides, "valid")


class Kernel(NamedTuple):
    """How a kind of layer, of "same" padding, looks at its neighborhood.

    Attributes:
        size: the name of its size along (time, height, width).
        padding: the value of what lies outside.
        apply: function (layer, padded frames) -> outputs.
    """

    size: str
    padding: float
    apply: Callable


KERNELS = {  # other kinds of layers see each frame alone
    layers.Conv3D: Kernel("kernel_size", 0.0, _convolve),
    layers.MaxPooling3D: Kernel("pool_size", -np.inf, _take_largest),
}


def pad_same(length, size, stride):
    """Return (before, behind), what "same" pads an axis with."""
    total = max((-(-length // stride) - 1) * stride + size - length, 0)
    return total // 2, total - total // 2


@keras.saving.register_keras_serializable("video")
class GivenFrames(layers.Wrapper):
    """A layer of `KERNELS` that pads height and width, but sees no other frames than those given.

    Maps (batch, frames, height, width, channels) to the outputs of which all frames are there.
    """

    def call(self, inputs):
        kernel = KERNELS[type(self.layer)]
        sizes = getattr(self.layer, kernel.size)[1:]
        space = map(pad_same, inputs.shape[2:4], sizes, self.layer.strides[1:])
        x = ops.pad(inputs, [(0, 0), (0, 0), *space, (0, 0)], constant_values=kernel.padding)
        return kernel.apply(self.layer, x)


class _Delays:
    """Calls a backbone's layers on the frames of a step, behind what they have kept.

    Args:
        frames: Keras tensor (batch, count, height, width, channels).
        step, end: Keras tensors, int32 (batch,), the number of the step, and of steps in all.

    Attributes:
        held, kept: {name: Keras tensor}, what was kept, and what is kept for the next step.
        lags: {id of a Keras tensor: how many of its frames it is late}.
    """

    def __init__(self, frames, step, end):
        self.step, self.end = step, end
        self.held, self.kept, self.lags = {}, {}, {id(frames): 0}

    def call(self, layer, inputs):
        """Return the outputs of a layer: as many frames as its strides leave of `count`."""
        branches, lag = self._wait(layer.name, keras.tree.flatten(inputs))
        x = keras.tree.pack_sequence_as(inputs, branches)
        kernel = KERNELS.get(type(layer))
        if kernel and (getattr(layer, kernel.size)[0], layer.strides[0]) != (1, 1):
            x, lag = self._slide(layer, kernel, x, lag)
        else:
            x = layer(x)
        self.lags[id(x)] = lag
        return x

    def _keep(self, name, x, count):
        """Return the frames x with the `count` frames before them, and keep as many."""
        if not count:
            return x
        name = f"{name}.held"
        self.held[name] = keras.Input((count, *x.shape[2:]), dtype=x.dtype, name=name)
        joined = ops.concatenate([self.held[name], x], axis=1)
        self.kept[name] = joined[:, -count:]
        return joined

    def _slide(self, layer, kernel, x, lag):
        """Return the outputs of a layer that looks along time, and their lag."""
        count, stride = x.shape[1], layer.strides[0]
        before, behind = pad_same(count, getattr(layer, kernel.size)[0], stride)
        late = -(-(lag + behind) // stride)
        held = stride * late + before - lag
        joined = self._keep(layer.name, x, held)
        places = count * self.step[:, None] + np.arange(-held - lag, count - lag, dtype="int32")
        inside = ops.logical_and(places >= 0, places < count * self.end[:, None])
        joined = ops.where(inside[:, :, None, None, None], joined, kernel.padding)
        given = GivenFrames(layer, dtype=layer.dtype_policy, name=f"{layer.name}.given")
        return given(joined), late

    def _wait(self, name, branches):
        """Return branches, each delayed until the latest is there, and the lag of that one."""
        latest, waited = max(self.lags[id(x)] for x in branches), []
        for place, x in enumerate(branches):
            delay = latest - self.lags[id(x)]
            joined = self._keep(f"{name}.{place}", x, delay)
            waited.append(joined[:, : x.shape[1]] if delay else x)
        return waited, latest


def build_step(model, count):
    """Build a step of a backbone over a stream from its layers themselves.

    Args:
        model: from clips to the last map, of a backbone with `Backbone.dense`.
        count: frames of a step, its `Backbone.time_stride`.

    Returns:
        (a `keras.Model`, how many steps late its maps are). The model takes a dict: "frames"
        (batch, count, height, width, channels); int32 (batch,) "step" and "end", the number of the
        step and of steps in all; and what the layers have kept, zeros before the first step. It
        returns a dict: "maps" (batch, height, width, channels), and what they keep.
    """
    given = {"frames": keras.Input((count, *model.input_shape[2:]), name="frames")}
    given |= {name: keras.Input((), dtype="int32", name=name) for name in ("step", "end")}
    delays = _Delays(*given.values())
    found = {id(model.input): given["frames"]}
    for layer in model.layers[1:]:
        x = keras.tree.map_structure(lambda x: found[id(x)], layer.input)
        found[id(layer.output)] = delays.call(layer, x)
    maps = found[id(model.output)]
    outputs = {"maps": maps[:, 0], **delays.kept}
    return keras.Model(given | delays.held, outputs, name=model.name), delays.lags[id(maps)]


class Stream:
    """The last maps of one or several backbones over a stream, as its frames come.

    Args:
        models: {stream: as `build_step` takes it}; channels of frames and maps are in this order.
        count: frames of a step.

    Attributes:
        lag: how many steps late the maps are.
        shape: of the frames of a step, (count, height, width, channels).
    """

    def __init__(self, models, count):
        steps = [build_step(model, count) for model in models.values()]
        self.models, lags = zip(*steps, strict=True)
        self.lag = max(lags)
        shapes = [model.input["frames"].shape[1:] for model in self.models]
        *self._splits, channels = accumulate(shape[-1] for shape in shapes)
        self.shape = (*shapes[0][:-1], channels)
        self.reset()

    def reset(self):
        """Begin a new stream."""
        self._step = 0
        self._kept = [
            {name: np.zeros((1, *x.shape[1:]), x.dtype) for name, x in model.input.items()}
            for model in self.models
        ]

    def _run(self, frames, end):
        """Return the map of a step in a list, which is empty in the first `lag` steps."""
        counts = {"step": np.full(1, self._step, "int32"), "end": np.full(1, end, "int32")}
        parts, maps = np.split(frames[None], self._splits, axis=-1), []
        for model, kept, part in zip(self.models, self._kept, parts, strict=True):
            kept |= model.predict_on_batch(kept | counts | {"frames": part})
            maps.append(kept.pop("maps")[0])
        self._step += 1
        return [np.concatenate(maps, axis=-1)] if self._step > self.lag else []

    def push(self, frames):
        """Take the frames of a step.

        Args:
            frames: float32, of `shape`, values in [-1, 1].

        Returns:
            A list of the map (height, width, channels) of `lag` steps before; empty where the
            stream had not begun.
        """
        return self._run(frames, _ENDLESS)

    def finish(self):
        """Return a list of the maps of the last `lag` steps: the stream has no more frames."""
        end, nothing = self._step, np.zeros(self.shape, "float32")
        return list(chain.from_iterable(self._run(nothing, end) for _ in range(self.lag)))


class Segments:
    """The features of a stream's segments, each seen alone, as the frames come; as a `Stream`.

    Args:
        model: from clips (batch, frames, height, width, channels) to their features.
    """

    lag = 0

    def __init__(self, model):
        self.models, self.shape = (model,), model.input_shape[1:]

    def reset(self):
        """Begin a new stream; nothing was kept."""

    def push(self, frames):
        """Take the frames of a segment; return a list of its features."""
        return [self.models[0].predict_on_batch(frames[None])[0]]

    def finish(self):
        """Return what is late: nothing."""
        return []
