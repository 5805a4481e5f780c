"""A recognizer with I3D in front of it: frames to gloss logits, trained from an endpoint on.

What lies before the endpoint is frozen and runs without gradients; what lies behind it goes through
a few windows at a time, computed again for their gradients (`models.layers.InChunks`).
"""

from models.i3d import ENDPOINTS, TOP, build_i3d, stage_of
from models.layers import InChunks

import keras
from keras import layers, ops

END_TO_END = "end_to_end"  # the networks' name


def build_windows(window, frame_size, endpoint):
    """Build I3D for a window of frames, up to the row of an endpoint.

    Args:
        window: frames.
        frame_size: height and width in pixels.
        endpoint: of `models.i3d.ENDPOINTS`, up to "Features".

    Returns:
        A `keras.Model` from (batch, window, frame_size, frame_size, 3), values in [-1, 1], to
        rows (batch, dim), as `models.dense` weighs them.
    """
    i3d = build_i3d("rgb", window, frame_size, "Features" if endpoint in TOP else endpoint)
    if endpoint in TOP:
        return i3d
    return keras.Model(i3d.input, ops.mean(i3d.output, axis=(1, 2, 3)), name="i3d")


def freeze_windows(i3d, finetune):
    """Freeze an I3D before the endpoint where training begins ("all": nowhere), BatchNorm all."""
    start = 0 if finetune == "all" else ENDPOINTS.index(finetune)
    for layer in i3d.layers:
        is_batchnorm = isinstance(layer, layers.BatchNormalization)
        layer.trainable = stage_of(layer.name) >= start and not is_batchnorm


def _scale(i3d, output):
    """Return I3D up to a tensor of it, from uint8 frames."""
    clips = keras.Input(i3d.input_shape[1:], dtype="uint8", name="clips")
    scaled = layers.Rescaling(1 / 127.5, offset=-1, dtype="float32", name="scale")(clips)
    return clips, keras.Model(i3d.input, output, name="i3d")(scaled)


def _cut(i3d, finetune):
    """Cut I3D where training begins; return (frozen, None where nothing is; trained)."""
    start = 0 if finetune == "all" else ENDPOINTS.index(finetune)
    if start == 0:
        return None, keras.Model(*_scale(i3d, i3d.output), name="trained_i3d")
    endpoint = ENDPOINTS[start - 1]
    cut = i3d.get_layer(f"{endpoint}.relu" if endpoint.startswith("Conv") else endpoint).output
    clips, maps = _scale(i3d, cut)
    frozen = keras.Model(clips, layers.Flatten(name="flat")(maps), name="frozen_i3d")
    flat = keras.Input(frozen.output_shape[1:], name="maps")
    maps = layers.Reshape(cut.shape[1:], name="maps_again")(flat)
    rows = keras.Model(cut, i3d.output, name="i3d")(maps)
    return frozen, keras.Model(flat, rows, name="trained_i3d")


def build_end_to_end(i3d, recognizer, finetune, stride, size=8, again=True):
    """Put I3D in front of a recognizer, and choose what of it is trained.

    Args:
        i3d: of `build_windows`.
        recognizer: of `models.recognizer.build_recognizer`.
        finetune: the endpoint from which on I3D is trained, or "all".
        stride: frames from a row to the next.
        size: windows that go through I3D at a time.
        again: whether to compute them again for gradients.

    Returns:
        A `keras.Model` from {"frames": uint8 (batch, frames, height, width, 3), "lengths": int
        (batch,) rows} to the recognizer's logits. Row i sees the window that begins with frame
        i x stride; frames beyond the last row change nothing.
    """
    freeze_windows(i3d, finetune)
    frozen, trained = _cut(i3d, finetune)
    frames = keras.Input((None, *i3d.input_shape[2:]), dtype="uint8", name="frames")
    lengths = keras.Input((), dtype="int32", name="lengths")
    x, view = frames, {"window": i3d.input_shape[1], "stride": stride}
    if frozen is not None:
        x, view = InChunks(frozen, size, False, **view, dtype="float32", name="frozen")(x), {}
    rows = InChunks(trained, size, again, **view, dtype="float32", name="trained")(x)
    logits = recognizer({"features": rows, "lengths": lengths})
    return keras.Model({"frames": frames, "lengths": lengths}, logits, name=END_TO_END)


def trained_part(network):
    """Return what of a network from `build_end_to_end` lies behind the maps of its frozen part.

    Returns:
        A `keras.Model` from {"features": (batch, rows, numbers of a window's map), "lengths": int
        (batch,)} to logits, of the same layers.
    """
    trained = network.get_layer("trained")
    maps = keras.Input((None, *trained.layer.input_shape[1:]), name="features")
    lengths = keras.Input((), dtype="int32", name="lengths")
    recognizer = network.get_layer("recognizer")
    logits = recognizer({"features": trained(maps), "lengths": lengths})
    return keras.Model({"features": maps, "lengths": lengths}, logits, name="trained_part")


def list_units(network):
    """Return {name: layer} of the I3D inside a network from `build_end_to_end`."""
    parts = (layer.layer for layer in network.layers if isinstance(layer, InChunks))
    return {unit.name: unit for part in parts for unit in part.get_layer("i3d").layers}


def copy_units(units, model):
    """Set the weights of an I3D's layers, or of its first ones, by those of another one.

    Args:
        units: {name: layer}.
        model: the I3D that is set.
    """
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(units[layer.name].get_weights())
