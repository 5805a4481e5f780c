"""Networks, a row each: clips (batch, segments, frames, height, width, channels) to logits."""

import keras
from keras import layers, ops

from models.heads import build_head
from models.i3d import ENDPOINTS, STAGES, build_i3d, stage_of

NETWORKS = {
    "i3d": {"head": "average"},
    "i3d_lstm": {"head": "lstm"},
}


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


def check_network(name, finetune="none"):
    """Raise a ValueError unless `name` is a network and `finetune` a part of its backbone."""
    if name not in NETWORKS:
        raise ValueError(f"Unknown network {name!r}; known: {', '.join(NETWORKS)}.")
    starts = [stage for stage, kind, _ in STAGES if kind != "pool"]
    if finetune not in ("none", "all", *starts):
        raise ValueError(
            f"Cannot fine-tune from {finetune!r}; give none, all or one of {', '.join(starts)}."
        )


def build(name, num_classes, segments, frames, frame_size=224, stream="rgb", dropout=0.5):
    """Build a network.

    Args:
        name: a key of `NETWORKS`.
        num_classes: number of logits.
        segments: segments per video.
        frames: frames per segment, from 8 up.
        frame_size: height and width in pixels, from 112 up.
        stream: "rgb" or "flow".
        dropout: rate before the logits.

    Returns:
        A `keras.Model` from (batch, segments, frames, frame_size, frame_size, channels) to
        logits (batch, num_classes). Its layers are "backbone", a `TimeDistributed` around I3D,
        and "head".

    Raises:
        ValueError: unknown network or stream, or a clip that is too short or too small.
    """
    check_network(name)
    backbone = build_i3d(stream, frames, frame_size)
    clips = keras.Input((segments, *backbone.input_shape[1:]), name="clips")
    features = TimeDistributed(backbone, name="backbone")(clips)
    head = build_head(NETWORKS[name]["head"], segments, features.shape[-1], num_classes, dropout)
    return keras.Model(clips, head(features), name=name)


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
    backbone = network.get_layer("backbone").layer
    for layer in backbone.layers:
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
    check_network(network.name, finetune)
    backbone, head = network.get_layer("backbone"), network.get_layer("head")
    if finetune == "none":
        return keras.Model(network.input, backbone.output, name="frozen"), head
    start = 0 if finetune == "all" else ENDPOINTS.index(finetune)
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
