"""I3D: Inception-v1 inflated to three dimensions.

Carreira and Zisserman, "Quo Vadis, Action Recognition? A New Model and the Kinetics Dataset",
CVPR 2017, figure 3. Layer for layer DeepMind's kinetics-i3d; every layer carries the name of
its published tensor with "/" written as ".", so that weights are matched by name.
"""

from models.i3d_stages import STAGES
from models.layers import FusedBatchNormalization

import numpy as np
from keras import layers, ops

_KERAS_NAMES = {"w": "kernel", "b": "bias"}  # a published tensor's last name: in Keras
NUM_CLASSES = 400  # of Kinetics


def _conv(inputs, name, width, kernel, stride):
    x = layers.Conv3D(
        width, kernel, strides=stride, padding="same", use_bias=False, name=f"{name}.conv_3d"
    )(inputs)
    # Momentum matters only when training from scratch: 0.9 settles within a small dataset's epoch.
    x = FusedBatchNormalization(momentum=0.9, epsilon=1e-3, scale=False, name=f"{name}.batch_norm")(
        x
    )
    return layers.Activation("relu", name=f"{name}.relu")(x)


def _pool(inputs, name, kernel, stride):
    return layers.MaxPooling3D(kernel, strides=stride, padding="same", name=name)(inputs)


def _mixed(inputs, name, *widths):
    # The published checkpoints misname one convolution.
    inner = "Conv3d_0a_3x3" if name == "Mixed_5b" else "Conv3d_0b_3x3"
    branch0 = _conv(inputs, f"{name}.Branch_0.Conv3d_0a_1x1", widths[0], 1, 1)
    branch1 = _conv(inputs, f"{name}.Branch_1.Conv3d_0a_1x1", widths[1], 1, 1)
    branch1 = _conv(branch1, f"{name}.Branch_1.Conv3d_0b_3x3", widths[2], 3, 1)
    branch2 = _conv(inputs, f"{name}.Branch_2.Conv3d_0a_1x1", widths[3], 1, 1)
    branch2 = _conv(branch2, f"{name}.Branch_2.{inner}", widths[4], 3, 1)
    branch3 = _pool(inputs, f"{name}.Branch_3.MaxPool3d_0a_3x3", 3, 1)
    branch3 = _conv(branch3, f"{name}.Branch_3.Conv3d_0b_1x1", widths[5], 1, 1)
    return layers.Concatenate(name=name)([branch0, branch1, branch2, branch3])


_BUILDERS = {"conv": _conv, "pool": _pool, "mixed": _mixed}


def _top(x, endpoint):
    x = ops.mean(x, axis=(2, 3))  # (batch, time, 1024): the 7x7 average pool of a 224 frame
    if x.shape[1] != 1:
        x = layers.AveragePooling1D(2, strides=1, name="AvgPool3d")(x)
    if endpoint == "AvgPool3d":
        return x
    if endpoint == "Features":
        return layers.GlobalAveragePooling1D(name="Features")(x)
    x = layers.Dropout(0.0, name="Dropout_0b")(x)
    x = layers.Dense(NUM_CLASSES, dtype="float32", name="Logits.Conv3d_0c_1x1.conv_3d")(x)
    x = layers.GlobalAveragePooling1D(name="Logits", dtype="float32")(x)
    if endpoint == "Logits":
        return x
    return layers.Activation("softmax", dtype="float32", name="Predictions")(x)


def apply_i3d(clips, endpoint, stages=STAGES):
    """Apply I3D to clips, up to an endpoint.

    Args:
        clips: a Keras tensor (batch, frames, height, width, channels), values in [-1, 1].
        endpoint: a stage's, or one of `models.i3d_stages.TOP`. The published names; besides them
            "AvgPool3d", the (batch, time, 1024) outputs of the (2, 7, 7) average pool, and
            "Features", their mean over time, (batch, 1024). The spatial pool averages whatever is
            left, so that any frame size works; at 224 that is the published 7x7.
        stages: as `models.i3d_stages.STAGES`.

    Returns:
        The endpoint's Keras tensor.
    """
    x = clips
    for name, kind, arguments in stages:
        x = _BUILDERS[kind](x, name, *arguments)
        if name == endpoint:
            return x
    return _top(x, endpoint)


def weigh_steps(steps):
    """Return the share of each step of the last map in "Features", float32 (steps,)."""
    if steps == 1:
        return np.ones(1, "float32")
    # The mean of the published top's averages of two neighbors.
    shares = np.full(steps, 1 / (steps - 1), "float32")
    shares[[0, -1]] /= 2
    return shares


def set_tensors(backbone, tensors):
    """Assign published tensors to an I3D; the top's are left out without a top."""
    units = {layer.name.replace(".", "/"): layer for layer in backbone.layers}
    for tensor, array in tensors.items():
        unit, last = tensor.rsplit("/", 1)
        if unit in units:
            variable = getattr(units[unit], _KERAS_NAMES.get(last, last))
            variable.assign(array.reshape(variable.shape))


def inflate(tensors, channels=2):
    """Make I3D weights for flow of RGB's: the first kernel's mean over its input channels.

    Cross-modality pre-training of Wang et al., Temporal Segment Networks, ECCV 2016, section 3.2.

    Args:
        tensors: published ones of an RGB checkpoint.
        channels: of the clips.

    Returns:
        The tensors, the first kernel's (7, 7, 7, channels, 64).
    """
    kernel = f"{STAGES[0][0]}/conv_3d/w"
    mean = tensors[kernel].mean(axis=3, keepdims=True)
    return tensors | {kernel: np.repeat(mean, channels, axis=3)}
