"""Networks, a row each: clips (batch, segments, frames, height, width, channels) to logits."""

import keras
from keras import layers

from models.design import Design, choose
from models.heads import build_head
from models.i3d import CHANNELS, ENDPOINTS, STAGES, build_i3d, stage_of
from models.layers import TimeDistributed
from models.vivit import build_vivit

# Network: the head on I3D's features; None for ViViT, which takes clips (or I3D's maps).
NETWORKS = {
    "i3d": "average",
    "i3d_lstm": "lstm",
    "i3d_transformer": "transformer",
    "i3d_vivit": "vivit",
    "vivit": None,
}
_LAST_MAP = STAGES[-1][0]


def check_network(name, finetune="none"):
    """Raise a ValueError unless `name` is a network and `finetune` a part of its backbone."""
    choose(NETWORKS, "network", name)
    starts = [stage for stage, kind, _ in STAGES if kind != "pool"]
    if finetune not in ("none", "all", *starts):
        raise ValueError(
            f"Cannot fine-tune from {finetune!r}; give none, all or one of {', '.join(starts)}."
        )


def build(name, num_outputs, segments, frames, frame_size=224, stream="rgb", design=Design()):
    """Build a network.

    Args:
        name: a key of `NETWORKS`.
        num_outputs: number of logits.
        segments: segments per video.
        frames: frames per segment, for I3D from 8 up.
        frame_size: height and width in pixels, for I3D from 112 up.
        stream: "rgb" or "flow".
        design: a `Design`.

    Returns:
        A `keras.Model` from (batch, segments, frames, frame_size, frame_size, channels) to
        logits (batch, num_outputs). Its layers are "head" and, where there is an I3D, before it
        "backbone", a `TimeDistributed` around it.

    Raises:
        ValueError: unknown network, stream or choice of the design, or a clip that is too short
            or too small.
    """
    head = choose(NETWORKS, "network", name)
    choose(CHANNELS, "stream", stream)
    clips = keras.Input((segments, frames, frame_size, frame_size, CHANNELS[stream]), name="clips")
    features = clips
    if head or design.embedder == "i3d":
        backbone = build_i3d(stream, frames, frame_size, "Features" if head else _LAST_MAP)
        features = TimeDistributed(backbone, name="backbone")(clips)
    if head:
        model = build_head(head, segments, features.shape[-1], num_outputs, design)
    else:
        model = build_vivit(features.shape[1:], num_outputs, design)
    return keras.Model(clips, model(features), name=name)


def backbone_of(network):
    """Return the I3D inside a network from `build`, or None where there is none."""
    names = [layer.name for layer in network.layers]
    return network.get_layer("backbone").layer if "backbone" in names else None


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
    backbone = backbone_of(network)
    for layer in backbone.layers if backbone else ():
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
    if finetune == "all" or backbone_of(network) is None:
        return None, network
    check_network(network.name, finetune)
    backbone, head = network.get_layer("backbone"), network.get_layer("head")
    if finetune == "none":
        return keras.Model(network.input, backbone.output, name="frozen"), head
    start = ENDPOINTS.index(finetune)
    if start == 0:
        return None, network
    previous = ENDPOINTS[start - 1]
    i3d = backbone.layer
    cut = i3d.get_layer(f"{previous}.relu" if previous.startswith("Conv") else previous).output
    frozen = TimeDistributed(keras.Model(i3d.input, cut))(network.input)
    features = keras.Input(frozen.shape[1:], name="features")
    rest = TimeDistributed(keras.Model(cut, i3d.output), name="trained_backbone")
    trained = keras.Model(features, head(rest(features)), name=network.name)
    return keras.Model(network.input, frozen, name="frozen"), trained
