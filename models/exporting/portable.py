"""A network rewritten for other runtimes: the same function of the same weights, simpler parts."""

from functools import partial, reduce

from models.layers import TimeDistributed

import keras
from keras import layers, ops


def _take_steps(x, kernel, stride, pad):
    """Return what each step of a kernel along time sees of (batch, time, ...), "same" padding."""
    count = -(-x.shape[1] // stride)
    missing = max((count - 1) * stride + kernel - x.shape[1], 0)
    x = pad(x, missing // 2, missing - missing // 2)
    return [x[:, step : step + (count - 1) * stride + 1 : stride] for step in range(kernel)]


def _pad_zeros(x, before, after):
    return ops.pad(x, ((0, 0), (before, after), (0, 0), (0, 0), (0, 0)))


def _pad_edges(x, before, after):
    return ops.concatenate([x[:, :1]] * before + [x] + [x[:, -1:]] * after, axis=1)


class FlatConv3D(layers.Conv3D):
    """`keras.layers.Conv3D` as one 2-D convolution of each time and its neighbors' channels.

    Same constructor, weights and outputs; with a bias, "same" padding.
    """

    def call(self, inputs):
        steps = _take_steps(inputs, self.kernel_size[0], self.strides[0], _pad_zeros)
        x = ops.concatenate(steps, axis=-1)
        _, time, *size, channels = x.shape
        kernel = ops.transpose(self.kernel, (1, 2, 0, 3, 4))
        kernel = ops.reshape(kernel, (*self.kernel_size[1:], channels, self.filters))
        x = ops.reshape(x, (-1, *size, channels))
        x = self.activation(ops.conv(x, kernel, self.strides[1:], "same") + self.bias)
        return ops.reshape(x, (-1, time, *x.shape[1:]))


class FlatMaxPooling3D(layers.MaxPooling3D):
    """`keras.layers.MaxPooling3D` as 2-D pooling, then the largest of neighboring times.

    Same constructor and outputs, with "same" padding.
    """

    def call(self, inputs):
        _, time, *size, channels = inputs.shape
        x = ops.reshape(inputs, (-1, *size, channels))
        x = ops.max_pool(x, self.pool_size[1:], self.strides[1:], "same")
        x = ops.reshape(x, (-1, time, *x.shape[1:]))
        return reduce(ops.maximum, _take_steps(x, self.pool_size[0], self.strides[0], _pad_edges))


class Passage(layers.Layer):
    """What stands in for a layer that another took along; it takes a mask as BatchNorm does."""

    def call(self, inputs, mask=None):
        return inputs


def gelu(x):
    """Return the exact GELU; Keras computes it by the complement of erf, which ONNX lacks."""
    return 0.5 * x * (1 + ops.erf(x * 0.5**0.5))


def _plain(layer, unroll):
    config = layer.get_config()
    if config.get("activation") == "gelu":
        config["activation"] = gelu
    if isinstance(layer, layers.Layer):
        config["dtype"] = "float32"
    if isinstance(layer, layers.LSTM):  # cuDNN's runs where cuDNN is
        config |= {"unroll": unroll, "use_cudnn": False}
    return type(layer).from_config(config)


# What I3D's layers become: their type, and what changes in their configuration.
_FLAT = {
    layers.Conv3D: (FlatConv3D, {"use_bias": True, "activation": "relu"}),
    layers.MaxPooling3D: (FlatMaxPooling3D, {}),
}


def _flat(layer):
    """Flatten a layer of I3D; a convolution takes what follows it, BatchNorm and ReLU, along."""
    if isinstance(layer, layers.BatchNormalization | layers.Activation):
        return Passage(name=layer.name)
    if type(layer) not in _FLAT:
        return _plain(layer, unroll=False)
    kind, changes = _FLAT[type(layer)]
    return kind.from_config(layer.get_config() | changes | {"dtype": "float32"})


def _clone(model, change, change_i3d):
    def clone(layer):
        if not isinstance(layer, TimeDistributed):
            return change(layer)
        inside = change_i3d if layer.name == "backbone" else change
        return TimeDistributed(_clone(layer.layer, inside, inside), name=layer.name)

    return keras.models.clone_model(model, clone_function=clone, recursive=True)


def _fold(convolution, norm):
    """Return kernel and bias of a convolution together with the BatchNorm behind it."""
    scale = ops.rsqrt(norm.moving_variance + norm.epsilon)
    return [convolution.kernel * scale, norm.beta - norm.moving_mean * scale]


def _copy_weights(source, target):
    for layer in target.layers:
        if not layer.weights:  # inputs have names of their own
            continue
        known = source.get_layer(layer.name)
        if isinstance(layer, keras.Model):
            _copy_weights(known, layer)
        elif isinstance(layer, TimeDistributed):
            _copy_weights(known.layer, layer.layer)
        elif isinstance(layer, FlatConv3D):
            norm = source.get_layer(layer.name.replace(".conv_3d", ".batch_norm"))
            layer.set_weights([ops.convert_to_numpy(x) for x in _fold(known, norm)])
        else:
            layer.set_weights(known.get_weights())


def make_portable(network, flat=False):
    """Copy a network into one that other runtimes take: float32, and without cuDNN.

    LSTMs over a known number of steps become as many steps in a row, without a loop.

    Args:
        network: of `models.networks` or `models.recognizer`.
        flat: whether I3D's convolutions and poolings are to be 2-D, its BatchNorm part of them.

    Returns:
        A `keras.Model` with the same inputs and outputs, its weights its own.
    """
    unroll = not isinstance(network.input, dict)  # sentences have any length
    change = partial(_plain, unroll=unroll)
    copy = _clone(network, change, _flat if flat else change)
    _copy_weights(network, copy)
    return copy
