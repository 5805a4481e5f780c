"""Networks taken apart: their backbones, what of them is trained, and where they are cut."""

from models.backbones import BACKBONES
from models.layers import TimeDistributed, join_channels, side_by_side
from models.streams import CHANNELS, STREAMS

import keras
from keras import layers


def as_network(model):
    """Wrap a backbone that ends in its own logits as a network like those of `build`.

    Args:
        model: from `Backbone.build`, of RGB, with the endpoint of its published classes.

    Returns:
        A `keras.Model` from (batch, 1, frames, height, width, 3) to logits that shares its layers:
        "backbone", up to its last map, and "head", what follows.
    """
    last = model.get_layer(BACKBONES[model.name].stages[-1].layer).output
    clips = keras.Input((1, *model.input_shape[1:]), name="clips")
    body = keras.Model(model.input, last, name=model.name)
    maps = TimeDistributed(body, name="backbone")(clips)
    features = keras.Input(maps.shape[1:], name="maps")
    head = keras.Model(features, keras.Model(last, model.output)(features[:, 0]), name="head")
    return keras.Model(clips, head(maps), name=f"{model.name}_logits")


def streams_of(network):
    """Return the streams that a network takes."""
    if len(network.input_shape) == 3:  # features, whose channels do not tell
        parts = [part.name for part in network.get_layer("head").layers]
        return STREAMS["both"] if set(STREAMS["both"]) <= set(parts) else STREAMS["rgb"]
    count = network.input_shape[-1]
    return next(s for s in STREAMS.values() if sum(CHANNELS[each] for each in s) == count)


def backbones_of(network):
    """Return {stream: backbone's model} inside a network from `build`, {} where there is none."""
    if "backbone" not in [layer.name for layer in network.layers]:
        return {}
    streams, backbone = streams_of(network), network.get_layer("backbone").layer
    return {s: backbone.get_layer(s) if len(streams) > 1 else backbone for s in streams}


def list_backbone(network):
    """Return the variables that are trained of the backbones inside a network from `build`."""
    models = backbones_of(network).values()
    return [variable for model in models for variable in model.trainable_variables]


def name_backbone(network):
    """Return the key of `BACKBONES` of the backbone inside a network from `build`, or None."""
    for model in backbones_of(network).values():
        if model.name in BACKBONES:
            return model.name
        # One of two streams is named after its stream.
        names = {layer.name for layer in model.layers}
        return next(n for n, row in BACKBONES.items() if row.stages[-1].layer in names)
    return None


def list_frozen(model, backbone, finetune):
    """Return the names of a backbone's layers that lie before where training begins.

    Args:
        model: from `Backbone.build`, or a part of it from its input on.
        backbone: the `Backbone`.
        finetune: as in `freeze`.
    """
    if finetune == "none":
        return {layer.name for layer in model.layers}
    cut = backbone.cut_before(finetune)
    frozen = keras.Model(model.input, model.get_layer(cut.layer).output).layers if cut else ()
    return {layer.name for layer in frozen}


def freeze(network, finetune, train_batchnorm=False):
    """Choose what of the backbone is trained.

    Args:
        network: from `build`.
        finetune: "none", "all", or the stage from which on the backbone is trained.
        train_batchnorm: also train the BatchNorm layers there, and update their statistics.

    Raises:
        ValueError: no such stage, or none that training can begin with.
    """
    for model in backbones_of(network).values():
        backbone = BACKBONES[name_backbone(network)]
        backbone.check_start(finetune)
        frozen = list_frozen(model, backbone, finetune)
        for layer in model.layers:
            is_batchnorm = isinstance(layer, layers.BatchNormalization)
            layer.trainable = layer.name not in frozen and (train_batchnorm or not is_batchnorm)


def cut_network(network, finetune):
    """Cut a network where training begins, so that the frozen part need run only once a clip.

    Args:
        network: from `build`.
        finetune: as in `freeze`.

    Returns:
        (frozen, trained): models that share the network's layers. `frozen` maps clips to
        features (batch, segments, ...), `trained` maps those to logits. `frozen` is None, and
        `trained` the whole network, when the first stage is trained too.
    """
    if finetune == "all" or not backbones_of(network):
        return None, network
    if finetune == "none":
        features = network.get_layer("backbone").output
        return keras.Model(network.input, features, name="frozen"), network.get_layer("head")
    backbone = BACKBONES[name_backbone(network)]
    backbone.check_start(finetune)
    cut = backbone.cut_before(finetune)
    return cut_after(network, cut) if cut else (None, network)


def cut_after(network, stage):
    """Cut a network after a stage of its backbone.

    Args:
        network: from `build`.
        stage: a `Stage` of its backbone.

    Returns:
        (first, rest): models that share the network's layers, from clips to what the stage gives of
        each segment, (batch, segments, ...), and from that to logits.
    """
    models, head = backbones_of(network), network.get_layer("head")
    cuts = {stream: model.get_layer(stage.layer).output for stream, model in models.items()}
    if all(cut is models[stream].output for stream, cut in cuts.items()):
        return keras.Model(network.input, network.get_layer("backbone").output), head
    first = {stream: keras.Model(models[stream].input, cut) for stream, cut in cuts.items()}
    rest = {stream: keras.Model(cut, models[stream].output) for stream, cut in cuts.items()}
    maps = TimeDistributed(side_by_side(first, join_channels, "first"))(network.input)
    features = keras.Input(maps.shape[1:], name="features")
    rest = side_by_side(rest, join_channels, "rest")
    rest = TimeDistributed(rest, name="trained_backbone")
    trained = keras.Model(features, head(rest(features)), name=network.name)
    return keras.Model(network.input, maps, name="frozen"), trained
