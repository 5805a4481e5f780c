"""Layers that Keras lacks, or has too slow, and models side by side; all others are its own."""

from itertools import accumulate

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("video")
class TimeDistributed(layers.TimeDistributed):
    """`keras.layers.TimeDistributed` that folds the segments into the batch.

    Same constructor, weights and outputs. Keras' own unrolls a static segment axis, which is
    slow to trace and lets BatchNorm see every segment as a batch of its own.
    """

    def call(self, inputs, training=None, mask=None):
        folded = ops.reshape(inputs, (-1, *inputs.shape[2:]))
        outputs = self.layer(folded, training=training)
        return ops.reshape(outputs, (-1, inputs.shape[1], *outputs.shape[1:]))


@keras.saving.register_keras_serializable("video")
class PatchProjection(layers.Conv3D):
    """`keras.layers.Conv3D` with strides of the kernel's size, as one matrix product.

    Same constructor, weights and outputs. TensorFlow's convolution takes a hundred times longer
    for the gradient of such a kernel on a CPU.
    """

    def call(self, inputs):
        depth, height, width = self.kernel_size
        time, rows, columns = (
            n // m for n, m in zip(inputs.shape[1:4], self.kernel_size, strict=True)
        )
        x = ops.reshape(inputs, (-1, depth, rows, height, columns, width * inputs.shape[-1]))
        x = ops.transpose(x, (0, 2, 4, 1, 3, 5))
        kernel = ops.reshape(self.kernel, (-1, self.filters))
        x = ops.reshape(x, (-1, time, rows, columns, kernel.shape[0]))
        return ops.matmul(x, kernel) + self.bias


@keras.saving.register_keras_serializable("video")
class LearnedTokens(layers.Layer):
    """Learned tokens, randomly initialised and the same for every example.

    Maps any (batch, ...) tensor to (batch, count, dim).

    Args:
        count: number of tokens.
        dim: length of a token.
        stddev: of the normal distribution that the tokens begin with.
    """

    def __init__(self, count, dim, stddev=0.02, **kwargs):
        super().__init__(**kwargs)
        self.count, self.dim, self.stddev = count, dim, stddev

    def build(self, input_shape):
        self.tokens = self.add_weight(
            (1, self.count, self.dim),
            keras.initializers.RandomNormal(stddev=self.stddev),
            name="tokens",
        )

    def call(self, inputs):
        return ops.repeat(ops.cast(self.tokens, self.compute_dtype), ops.shape(inputs)[0], axis=0)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.count, self.dim)

    def get_config(self):
        return super().get_config() | {
            "count": self.count,
            "dim": self.dim,
            "stddev": self.stddev,
        }


def side_by_side(models, join, name):
    """Return one model that gives each of several its own channels, and joins their outputs.

    Args:
        models: {name: model}; a single one is returned itself.
        join: function of the list of outputs.
        name: of the result.
    """
    if len(models) == 1:
        return next(iter(models.values()))
    counts = [model.input_shape[-1] for model in models.values()]
    inputs = keras.Input((*next(iter(models.values())).input_shape[1:-1], sum(counts)))
    outputs = []
    for (stream, model), count, end in zip(models.items(), counts, accumulate(counts), strict=True):
        named = keras.Model(model.input, model.output, name=stream)
        outputs.append(named(inputs[..., end - count : end]))
    return keras.Model(inputs, join(outputs), name=name)


def join_channels(outputs):
    """Concatenate tensors along their last axis."""
    return ops.concatenate(outputs, axis=-1)
