"""What stands before and behind a network that is served: frames in, probabilities out."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("video", name="CentreCrop")  # as files call it
class CenterCrop(layers.Layer):
    """Frames of any size to what a network sees, as `utils.video.reading.read_rgb` makes it.

    Maps uint8 (batch, segments, frames, height, width, 3) to float32 in [-1, 1] with height and
    width `frame_size`: short side resized (bilinear), the center cut out. OpenCV rounds
    along the way, so that an eighth of the values differ, by one of 255 steps.

    Args:
        short_side: pixels of the shorter side before cropping; 0: all is stretched to the square.
        frame_size: height and width of the crop.
    """

    def __init__(self, short_side, frame_size, **kwargs):
        super().__init__(**kwargs)
        self.short_side, self.frame_size = short_side, frame_size

    def _locate(self, length, shortest):
        """Return the two pixels that each of the crop's lies between, and the second's share."""
        length, shortest = (ops.cast(n, "float32") for n in (length, shortest))
        resized = ops.maximum(ops.round(length * self.short_side / shortest), self.short_side)
        resized = resized if self.short_side else ops.cast(self.frame_size, "float32")
        start = ops.round((resized - self.frame_size) / 2)
        places = ops.arange(self.frame_size, dtype="float32") + start
        places = (places + 0.5) * (length / resized) - 0.5
        places = ops.minimum(ops.maximum(places, 0), length - 1)
        first = ops.floor(places)
        second = ops.minimum(first + 1, length - 1)
        return ops.cast(first, "int32"), ops.cast(second, "int32"), places - first

    def call(self, inputs):
        height, width = ops.shape(inputs)[3:5]
        shortest, x = ops.minimum(height, width), inputs
        for axis, length, aligned in ((3, height, (-1, 1, 1)), (4, width, (-1, 1))):
            *pair, share = self._locate(length, shortest)
            first, second = (ops.cast(ops.take(x, at, axis=axis), "float32") for at in pair)
            x = first + ops.reshape(share, aligned) * (second - first)
        return ops.round(x) / 127.5 - 1

    def compute_output_shape(self, input_shape):
        return (*input_shape[:3], self.frame_size, self.frame_size, input_shape[5])

    def get_config(self):
        sizes = {"short_side": self.short_side, "frame_size": self.frame_size}
        return super().get_config() | sizes


def serve_classifier(network, activation, crop=None):
    """Return a classifier with its ends.

    Args:
        network: from clips, or features, to logits.
        activation: "softmax" or "sigmoid".
        crop: (short side, frame size) to begin with whole frames; None for what the network takes.

    Returns:
        A `keras.Model` to {"probabilities": float32 (batch, classes)}, those of one output with
        the first class's before it. It takes {name: the network's input}, or {"frames": uint8
        (batch, segments, frames, any height, any width, 3)}.
    """
    x = inputs = network.inputs[0]
    if crop:
        shape = (*network.input_shape[1:3], None, None, 3)
        inputs = keras.Input(shape, dtype="uint8", name="frames")
        x = CenterCrop(*crop, dtype="float32", name="preprocessing")(inputs)
    # Called, so that names of what comes behind are not those of operations that were loaded.
    x = layers.Activation(activation, dtype="float32", name=activation)(network(x))
    if x.shape[-1] == 1:
        x = ops.concatenate([1 - x, x], axis=-1)
    return keras.Model({inputs.name: inputs}, {"probabilities": x}, name="served")


def serve_recognizer(network):
    """Return a recognizer that gives {"probabilities": (batch, steps, 1 + glosses)}, blank first.

    Args:
        network: of `models.recognizer.build_recognizer`; what goes in stays the same.
    """
    logits = network(network.input)[:, 0]
    x = layers.Activation("softmax", dtype="float32", name="softmax")(logits)
    return keras.Model(network.input, {"probabilities": x}, name="served")
