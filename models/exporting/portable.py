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

    Same constructor, weights and outputs; with "same" padding.
    """

    def call(self, inputs):
        steps = _take_steps(inputs, self.kernel_size[0], self.strides[0], _pad_zeros)
        x = ops.concatenate(steps, axis=-1)
        _, time, *size, channels = x.shape
        kernel = ops.transpose(self.kernel, (1, 2, 0, 3, 4))
        kernel = ops.reshape(kernel, (*self.kernel_size[1:], channels, self.filters))
        x = ops.reshape(x, (-1, *size, channels))
        x = ops.conv(x, kernel, self.strides[1:], "same")
        x = self.activation(x + self.bias if self.use_bias else x)
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
        return layers.LSTM.from_config(config)
    return type(layer).from_config(config)


_FLAT = {layers.Conv3D: FlatConv3D, layers.MaxPooling3D: FlatMaxPooling3D}


def _is_flattened(layer):
    return type(layer) in _FLAT and layer.padding == "same"


def _list_taken(model):
    """Return {convolution: the BatchNorm, activation or both behind it, that it takes along}.

    They alone read it. Of models inside the model too.
    """
    taken, readers = {}, {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            taken |= _list_taken(layer)
        for tensor in keras.tree.flatten(layer.input):
            readers.setdefault(id(tensor), []).append(layer)
    for layer in model.layers:
        if isinstance(layer, layers.Conv3D) and _is_flattened(layer):
            taken[layer], last = [], layer
            for kind in (layers.BatchNormalization, layers.Activation):
                reading = readers.get(id(last.output), [])
                if _is_linear(layer) and len(reading) == 1 and isinstance(reading[0], kind):
                    last = reading[0]
                    taken[layer].append(last)
    return taken


def _is_linear(convolution):
    return convolution.activation is keras.activations.linear


def _make_flat(taken):
    """Return a function that flattens a layer of a backbone, of what `_list_taken` found."""
    behind = {follower for followers in taken.values() for follower in followers}

    def flatten(layer):
        if layer in behind:
            return Passage(name=layer.name)
        if not _is_flattened(layer):
            return _plain(layer, unroll=False)
        config = layer.get_config() | {"dtype": "float32"}
        for follower in taken.get(layer, ()):
            change = next(each for kind, each in _CHANGES.items() if isinstance(follower, kind))
            config |= change(follower)
        return _FLAT[type(layer)].from_config(config)

    return flatten


# What a layer that a convolution takes along changes in the convolution's configuration.
_CHANGES = {
    layers.BatchNormalization: lambda norm: {"use_bias": True},
    layers.Activation: lambda layer: {"activation": layer.get_config()["activation"]},
}


def _clone(model, change, change_backbone):
    def clone(layer):
        if not isinstance(layer, TimeDistributed):
            return change(layer)
        inside = change_backbone if layer.name == "backbone" else change
        return TimeDistributed(_clone(layer.layer, inside, inside), name=layer.name)

    return keras.models.clone_model(model, clone_function=clone, recursive=True)


def _fold(convolution, norms):
    """Return the weights of a convolution together with the BatchNorm behind it, if there is."""
    kernel, bias = convolution.kernel, convolution.bias if convolution.use_bias else 0
    for norm in norms:
        scale = ops.rsqrt(norm.moving_variance + norm.epsilon)
        scale = scale * norm.gamma if norm.scale else scale
        kernel, bias = kernel * scale, (bias - norm.moving_mean) * scale
        bias = bias + norm.beta if norm.center else bias
    return [kernel, bias] if norms or convolution.use_bias else [kernel]


def _copy_weights(source, target, taken):
    for layer in target.layers:
        if not layer.weights:  # inputs have names of their own
            continue
        known = source.get_layer(layer.name)
        if isinstance(layer, keras.Model):
            _copy_weights(known, layer, taken)
        elif isinstance(layer, TimeDistributed):
            _copy_weights(known.layer, layer.layer, taken)
        elif isinstance(layer, FlatConv3D):
            norms = [each for each in taken[known] if isinstance(each, layers.BatchNormalization)]
            layer.set_weights([ops.convert_to_numpy(x) for x in _fold(known, norms)])
        else:
            layer.set_weights(known.get_weights())


def make_portable(network, flat=False):
    """Copy a network into one that other runtimes take: float32, and without cuDNN.

    LSTMs over a known number of steps become as many steps in a row, without a loop.

    Args:
        network: of `models.networks` or `models.recognizer`.
        flat: whether a backbone's convolutions and poolings are to be 2-D, BatchNorm part of them.

    Returns:
        A `keras.Model` with the same inputs and outputs, its weights its own.
    """
    unroll = not isinstance(network.input, dict)  # sentences have any length
    change = partial(_plain, unroll=unroll)
    taken = {}
    for layer in network.layers if flat else ():
        if layer.name == "backbone":
            taken = _list_taken(layer.layer)
    copy = _clone(network, change, _make_flat(taken) if flat else change)
    _copy_weights(network, copy, taken)
    return copy
