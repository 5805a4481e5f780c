"""Networks taken apart: their backbones, what of them is trained, and where they are cut."""

from models.i3d import CHANNELS, ENDPOINTS, stage_of
from models.layers import TimeDistributed, join_channels, side_by_side
from models.networks import _LAST_MAP, STREAMS, check_network

import keras
from keras import layers


def as_network(i3d):
    """Wrap an I3D that ends in its own logits as a network like those of `build`.

    Args:
        i3d: from `build_i3d`, of RGB, with the endpoint "Logits".

    Returns:
        A `keras.Model` from (batch, 1, frames, height, width, 3) to logits that shares its layers:
        "backbone", up to its last map, and "head", what follows.
    """
    last = i3d.get_layer(_LAST_MAP).output
    clips = keras.Input((1, *i3d.input_shape[1:]), name="clips")
    maps = TimeDistributed(keras.Model(i3d.input, last, name="i3d"), name="backbone")(clips)
    features = keras.Input(maps.shape[1:], name="maps")
    head = keras.Model(features, keras.Model(last, i3d.output)(features[:, 0]), name="head")
    return keras.Model(clips, head(maps), name="i3d_logits")


def streams_of(network):
    """Return the streams that a network takes."""
    if len(network.input_shape) == 3:  # features, whose channels do not tell
        parts = [part.name for part in network.get_layer("head").layers]
        return STREAMS["both"] if set(STREAMS["both"]) <= set(parts) else STREAMS["rgb"]
    count = network.input_shape[-1]
    return next(s for s in STREAMS.values() if sum(CHANNELS[each] for each in s) == count)


def backbones_of(network):
    """Return {stream: I3D} inside a network from `build`, empty where there is none."""
    if "backbone" not in [layer.name for layer in network.layers]:
        return {}
    streams, backbone = streams_of(network), network.get_layer("backbone").layer
    return {s: backbone.get_layer(s) if len(streams) > 1 else backbone for s in streams}


def freeze(network, finetune, train_batchnorm=False):
    """Choose what of the backbone is trained.

    Args:
        network: from `build`.
        finetune: "none", "all", or the endpoint from which on the backbone is trained.
        train_batchnorm: also train the BatchNorm layers there, and update their statistics.

    Raises:
        ValueError: unknown endpoint.
    """
    check_network(network.name, finetune)
    start = {"none": len(ENDPOINTS), "all": 0}.get(finetune)
    start = ENDPOINTS.index(finetune) if start is None else start
    for layer in (layer for i3d in backbones_of(network).values() for layer in i3d.layers):
        is_batchnorm = isinstance(layer, layers.BatchNormalization)
        layer.trainable = stage_of(layer.name) >= start and (train_batchnorm or not is_batchnorm)


def split(network, finetune):
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
    check_network(network.name, finetune)
    if finetune == "none":
        features = network.get_layer("backbone").output
        return keras.Model(network.input, features, name="frozen"), network.get_layer("head")
    start = ENDPOINTS.index(finetune)
    if start == 0:
        return None, network
    return cut_after(network, ENDPOINTS[start - 1])


def cut_after(network, endpoint):
    """Cut a network with an I3D after one of the I3D's stages.

    Args:
        network: from `build`.
        endpoint: name of a stage.

    Returns:
        (first, rest): models that share the network's layers, from clips to the stage's maps
        (batch, segments, time, height, width, channels), and from those to logits.
    """
    i3ds, head = backbones_of(network), network.get_layer("head")
    unit = f"{endpoint}.relu" if endpoint.startswith("Conv") else endpoint
    cuts = {stream: i3d.get_layer(unit).output for stream, i3d in i3ds.items()}
    if all(cut is i3ds[stream].output for stream, cut in cuts.items()):
        return keras.Model(network.input, network.get_layer("backbone").output), head
    first = {stream: keras.Model(i3ds[stream].input, cut) for stream, cut in cuts.items()}
    rest = {stream: keras.Model(cut, i3ds[stream].output) for stream, cut in cuts.items()}
    maps = TimeDistributed(side_by_side(first, join_channels, "first"))(network.input)
    features = keras.Input(maps.shape[1:], name="features")
    rest = side_by_side(rest, join_channels, "rest")
    rest = TimeDistributed(rest, name="trained_backbone")
    trained = keras.Model(features, head(rest(features)), name=network.name)
    return keras.Model(network.input, maps, name="frozen"), trained
