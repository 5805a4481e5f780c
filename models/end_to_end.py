"""A recognizer with a backbone in front of it: frames to gloss logits, trained from a stage on.

What lies before the stage is frozen and runs without gradients; what lies behind it goes through
a few windows at a time, computed again for their gradients (`models.layers.InChunks`).
"""

from models.backbones import BACKBONES, FEATURES
from models.cutting import list_frozen
from models.dense import pool_maps
from models.layers import InChunks

import keras
from keras import layers

END_TO_END = "end_to_end"  # the networks' name


def build_windows(backbone, window, frame_size, endpoint):
    """Build a backbone for a window of frames, up to the row of an endpoint.

    Args:
        backbone: a `models.backbones.Backbone`.
        window: frames.
        frame_size: height and width in pixels.
        endpoint: of the backbone, up to "Features".

    Returns:
        A `keras.Model` from (batch, window, frame_size, frame_size, 3), values in [-1, 1], to
        rows (batch, dim), as `models.dense` weighs them.
    """
    model = backbone.build(
        "rgb", window, frame_size, FEATURES if endpoint in backbone.top else endpoint
    )
    rows = pool_maps(model)
    return model if rows is model.output else keras.Model(model.input, rows, name=model.name)


def freeze_windows(model, finetune):
    """Freeze a backbone before the stage where training begins ("all": nowhere), BatchNorm all."""
    frozen = list_frozen(model, BACKBONES[model.name], finetune)
    for layer in model.layers:
        is_batchnorm = isinstance(layer, layers.BatchNormalization)
        layer.trainable = layer.name not in frozen and not is_batchnorm


def _scale(model, output):
    """Return a backbone up to a tensor of it, from uint8 frames."""
    clips = keras.Input(model.input_shape[1:], dtype="uint8", name="clips")
    scaled = layers.Rescaling(1 / 127.5, offset=-1, dtype="float32", name="scale")(clips)
    return clips, keras.Model(model.input, output, name=model.name)(scaled)


def _cut(model, finetune):
    """Cut a backbone where training begins; return (frozen, None where nothing is; trained)."""
    stage, trained = BACKBONES[model.name].cut_before(finetune), f"trained_{model.name}"
    if not stage:
        return None, keras.Model(*_scale(model, model.output), name=trained)
    cut = model.get_layer(stage.layer).output
    clips, maps = _scale(model, cut)
    frozen = keras.Model(clips, layers.Flatten(name="flat")(maps), name=f"frozen_{model.name}")
    flat = keras.Input(frozen.output_shape[1:], name="maps")
    maps = layers.Reshape(cut.shape[1:], name="maps_again")(flat)
    rows = keras.Model(cut, model.output, name=model.name)(maps)
    return frozen, keras.Model(flat, rows, name=trained)


def build_end_to_end(model, recognizer, finetune, stride, size=8, again=True):
    """Put a backbone in front of a recognizer, and choose what of it is trained.

    Args:
        model: of `build_windows`.
        recognizer: of `models.recognizer.build_recognizer`.
        finetune: the stage from which on the backbone is trained, or "all".
        stride: frames from a row to the next.
        size: windows that go through the backbone at a time.
        again: whether to compute them again for gradients.

    Returns:
        A `keras.Model` from {"frames": uint8 (batch, frames, height, width, 3), "lengths": int
        (batch,) rows} to the recognizer's logits. Row i sees the window that begins with frame
        i x stride; frames beyond the last row change nothing.
    """
    freeze_windows(model, finetune)
    frozen, trained = _cut(model, finetune)
    frames = keras.Input((None, *model.input_shape[2:]), dtype="uint8", name="frames")
    lengths = keras.Input((), dtype="int32", name="lengths")
    x, view = frames, {"window": model.input_shape[1], "stride": stride}
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
    """Return {name: layer} of the backbone inside a network from `build_end_to_end`."""
    name = network.get_layer("trained").layer.name.removeprefix("trained_")
    parts = (layer.layer for layer in network.layers if isinstance(layer, InChunks))
    return {unit.name: unit for part in parts for unit in part.get_layer(name).layers}


def list_backbone(network):
    """Return the variables that are trained of the backbone in one from `build_end_to_end`."""
    return [v for unit in list_units(network).values() for v in unit.trainable_variables]


def copy_units(units, model):
    """Set the weights of a backbone's layers, or of its first ones, by those of another one.

    Args:
        units: {name: layer}.
        model: the backbone's that is set.

    Raises:
        ValueError: another backbone's layers.
    """
    for layer in model.layers:
        if layer.weights and layer.name not in units:
            raise ValueError(f"The weights for {model.name} have no layer {layer.name}.")
        if layer.weights:
            layer.set_weights(units[layer.name].get_weights())
