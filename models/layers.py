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


_UNROLLED = 32  # steps: of more, tracing them takes longer than the loop


class _InputsAtOnce(layers.RNN):
    """The loop of `LSTM`, which Keras' own class calls where cuDNN has none."""

    def inner_loop(self, sequences, initial_state, mask, training=False):
        cell = self.cell
        inputs = ops.matmul(sequences, cell.kernel) + cell.bias
        if mask is not None:  # as a last number, since Keras' scan takes one tensor
            inputs = ops.concatenate([inputs, ops.cast(mask, inputs.dtype)[..., None]], axis=-1)

        def step(states, given):
            hidden, carry = states
            gates = given if mask is None else given[:, :-1]
            gates = gates + ops.matmul(hidden, cell.recurrent_kernel)
            enter, forget, new, output = ops.split(gates, 4, axis=-1)
            new = ops.sigmoid(forget) * carry + ops.sigmoid(enter) * ops.tanh(new)
            states = [ops.sigmoid(output) * ops.tanh(new), new]
            if mask is not None:
                pairs = zip(states, (hidden, carry), strict=True)
                states = [ops.where(given[:, -1:] > 0, *pair) for pair in pairs]
            return states, states  # Keras' scan puts out what it carries

        count, states = sequences.shape[1], list(initial_state)
        if count and count <= _UNROLLED:
            outputs = []
            for given in ops.unstack(inputs, axis=1):
                states, _ = step(states, given)
                outputs.append(states[0])
            return states[0], ops.stack(outputs, axis=1), states
        states, outputs = ops.scan(step, states, ops.swapaxes(inputs, 0, 1))
        return states[0], ops.swapaxes(outputs[0], 0, 1), states


@keras.saving.register_keras_serializable("video")
class LSTM(layers.LSTM, _InputsAtOnce):
    """`keras.layers.LSTM` whose inputs meet the kernel in one product, not one a step.

    Same weights and outputs, for the defaults of its constructor: a product of few rows takes
    about as long as one of many.
    """


def map_in_turn(function, elements, like):
    """Do what `ops.map` does, a step at a time; `like` are tensors of the results' shapes.

    TensorFlow runs ten steps of `ops.map` at once, and a hundred of one inside another: all that
    they hold would be held together.
    """

    if keras.tree.flatten(elements)[0].shape[0] == 1:  # no loop, and no copies for it
        only = function(keras.tree.map_structure(lambda x: x[0], elements))
        return keras.tree.map_structure(lambda x: ops.expand_dims(x, 0), only)

    def step(_, index):  # Keras' scan takes several tensors only if it knows their length
        element = keras.tree.map_structure(lambda x: ops.take(x, index, axis=0), elements)
        result = function(element)
        return result, result

    zeros = keras.tree.map_structure(ops.zeros_like, like)
    return ops.scan(step, zeros, ops.arange(ops.shape(keras.tree.flatten(elements)[0])[0]))[1]


@keras.saving.register_keras_serializable("video")
class InChunks(layers.Wrapper):
    """Apply a layer to every step of a sequence, a few steps at a time, at bounded memory.

    Maps (batch, steps, ...) to (batch, steps, ...); or frames (batch, frames, ...), of which each
    step sees a window. For gradients a chunk is computed again, so that what the layer holds is
    only held of one chunk (Chen et al., Training Deep Nets with Sublinear Memory Cost, 2016).

    Args:
        layer: from (batch, ...) to (batch, ...), the same in training and inference.
        size: steps at a time.
        again: whether to compute chunks again for gradients.
        window, stride: frames of a step, and from a step to the next; window 0: inputs are steps.
    """

    def __init__(self, layer, size, again=True, window=0, stride=1, **kwargs):
        super().__init__(layer, **kwargs)
        self.size, self.again, self.window, self.stride = size, again, window, stride

    def _inner_shape(self, shape):
        return (shape[0], *((self.window,) if self.window else ()), *shape[2:])

    def build(self, input_shape):
        super().build(self._inner_shape(input_shape))

    def _count_steps(self, length):
        return (length - self.window) // self.stride + 1 if self.window else length

    def compute_output_shape(self, input_shape):
        """Return the shape of what comes out."""
        shape = self.layer.compute_output_shape(self._inner_shape(input_shape))
        length = input_shape[1]
        return (shape[0], None if length is None else self._count_steps(length), *shape[1:])

    def call(self, inputs):
        batch, length = ops.shape(inputs)[:2]
        steps = self._count_steps(length)
        count = batch * steps
        places = ops.arange(-(-count // self.size) * self.size, dtype="int32")
        places = ops.minimum(places, count - 1)  # the last chunk is filled up
        if self.window:
            places = places // steps * length + places % steps * self.stride
            places = ops.expand_dims(places, 1) + ops.arange(self.window, dtype="int32")
        places = ops.reshape(places, (-1, self.size, *places.shape[1:]))
        folded = ops.reshape(inputs, (-1, *inputs.shape[2:]))

        # TensorFlow cannot read variables where it computes a step of a loop again.
        weights, others = (
            [ops.copy(variable) for variable in variables]
            for variables in (self.layer.trainable_variables, self.layer.non_trainable_variables)
        )

        def run(chunk, *weights):
            outputs, _ = self.layer.stateless_call(weights, others, chunk)
            return ops.cast(outputs, self.compute_dtype)

        run = keras.remat(run) if self.again else run
        rest = self.compute_output_shape(inputs.shape)[2:]
        like = ops.zeros((self.size, *rest), self.compute_dtype)
        x = map_in_turn(lambda chunk: run(ops.take(folded, chunk, axis=0), *weights), places, like)
        return ops.reshape(ops.reshape(x, (-1, *rest))[:count], (-1, steps, *rest))

    def get_config(self):
        return super().get_config() | {
            "size": self.size,
            "again": self.again,
            "window": self.window,
            "stride": self.stride,
        }


def multiply(x, kernel, bias):
    """Return x kernel + bias, for x (batch, ..., dim), as one product of two matrices.

    TensorFlow's product on a CPU then adds the bias, and applies an activation, where it writes.
    """
    folded = ops.matmul(ops.reshape(x, (-1, x.shape[-1])), kernel)
    return ops.reshape(ops.add(folded, bias), (*ops.shape(x)[:-1], kernel.shape[-1]))


@keras.saving.register_keras_serializable("video")
class FoldedDense(layers.Dense):
    """`keras.layers.Dense` that folds all axes but the last into the batch, as `multiply` does.

    Same constructor, weights and outputs.
    """

    def call(self, inputs, training=None):
        outputs = super().call(ops.reshape(inputs, (-1, inputs.shape[-1])), training=training)
        return ops.reshape(outputs, (*ops.shape(inputs)[:-1], self.units))


@keras.saving.register_keras_serializable("video")
class FusedBatchNormalization(layers.BatchNormalization):
    """`keras.layers.BatchNormalization` of the last axis, in one kernel where it learns.

    Same constructor, weights and outputs. On TensorFlow, Keras' own passes over all values some
    twenty times in a training step, in bfloat16 over copies of them in float32.
    """

    def call(self, inputs, training=None, mask=None):
        if not (training and self.trainable) or keras.backend.backend() != "tensorflow":
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        channels = inputs.shape[-1]
        frames = ops.reshape(inputs, (-1, *inputs.shape[-3:]))
        scale = ops.cast(self.gamma, "float32") if self.scale else tf.ones(channels)
        shift = ops.cast(self.beta, "float32") if self.center else tf.zeros(channels)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=frames, scale=scale, offset=shift, mean=[], variance=[], epsilon=self.epsilon
        )
        count = ops.cast(ops.size(frames) // channels, "float32")
        found = (mean, variance * (count - 1) / count)  # its variance is that of a sample
        for moving, value in zip((self.moving_mean, self.moving_variance), found, strict=True):
            moving.assign(moving * self.momentum + value * (1 - self.momentum))
        return ops.reshape(outputs, (-1, *inputs.shape[1:]))


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
        return multiply(x, kernel, self.bias)


@keras.saving.register_keras_serializable("video")
class LearnedTokens(layers.Layer):
    """Learned tokens, randomly initialized and the same for every example.

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
