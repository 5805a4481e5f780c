"""How large a network is and how much arithmetic it does, counted from its layers."""

from models.attention import WindowAttention
from models.continual import GivenFrames

import keras
import numpy as np
from keras import layers


def _size(shape):
    if None in shape:
        raise ValueError(
            f"The multiply-adds of an output of unknown size {shape} cannot be counted."
        )
    return int(np.prod(shape))


def _count_kernel(layer):
    """Count a convolution or dense layer: every output place sees the whole kernel."""
    return _size(layer.output.shape[1:-1]) * _size(layer.kernel.shape)


def _count_given(layer):
    """Count a convolution that is called by another layer; pooling does less than 1 %."""
    kernel = getattr(layer.layer, "kernel", None)
    return 0 if kernel is None else _size(layer.output.shape[1:-1]) * _size(kernel.shape)


def _count_lstm(layer):
    steps = _size(keras.tree.flatten(layer.input)[0].shape[1:-1])  # beside it, a mask
    return steps * (_size(layer.cell.kernel.shape) + _size(layer.cell.recurrent_kernel.shape))


def _count_attention(layer):
    """Count the four projections, the scores and the sums they weigh."""
    shapes = [tensor.shape for tensor in layer.input[:2]]
    (queries, dim), (keys, _) = (shape[1:] for shape in shapes)
    width = layer.num_heads * layer.key_dim
    projections = 2 * queries * dim * width + 2 * keys * shapes[1][-1] * width
    return projections + 2 * queries * keys * width


def _count_windows(layer):
    """Count attention within windows: three projections, the scores and sums, one or two more."""
    tokens = layer.plan.windows * (layer.plan.tokens + layer.joined)
    dim = layer.output.shape[-1]
    scores = 2 * tokens * (layer.plan.tokens + layer.joined)
    return tokens * dim * dim * (4 if layer.joined else 5) + scores * dim


def _count_each(layer):
    """Count what a TimeDistributed layer runs once a segment."""
    return layer.input.shape[1] * _count(layer.layer)


def _count_model(model):
    return sum(_count(layer) for layer in model.layers)


# Multiply-adds of one example; layers that are not here do less than 1 % of the work.
_COUNTS = {
    keras.Model: _count_model,
    layers.TimeDistributed: _count_each,
    layers.Conv2D: _count_kernel,
    layers.Conv3D: _count_kernel,
    GivenFrames: _count_given,
    layers.Dense: _count_kernel,
    layers.LSTM: _count_lstm,
    layers.MultiHeadAttention: _count_attention,
    WindowAttention: _count_windows,
}


def _count(layer):
    return next((count(layer) for kind, count in _COUNTS.items() if isinstance(layer, kind)), 0)


def count_flops(layer):
    """Return the floating-point operations of one example's forward pass.

    Two per multiply-add, as the hardware counts; papers mostly count one. Padding counts as if
    it were multiplied.

    Args:
        layer: a layer or `keras.Model` whose shapes are known but for the batch, each layer
            used once.

    Raises:
        ValueError: a layer whose output has another unknown size.
    """
    return 2 * _count(layer)


def list_parts(model, depth=1):
    """List the parts of a model that have weights or do arithmetic, in order.

    Args:
        model: a `keras.Model`.
        depth: how many levels of models inside models to open.

    Returns:
        A list of (name, parameters, floating-point operations of one example); the names of
        parts inside parts are joined with "/".
    """
    parts = []
    for layer in model.layers:
        if depth and isinstance(layer, keras.Model):
            parts += [
                (f"{layer.name}/{name}", *rest) for name, *rest in list_parts(layer, depth - 1)
            ]
        elif layer.count_params() or _count(layer):
            parts.append((layer.name, layer.count_params(), count_flops(layer)))
    return parts
