"""Backbones, a row each: what turns clips into the features that heads turn into logits.

All that is particular to a backbone is in its row: networks (`models.networks`), cutting,
fine-tuning, explaining, extraction of features and what is printed ask it. Its models carry its
name, also inside saved networks, and that is how the row is found again. Names of stages are
flags' values, so Keras is imported by what builds layers.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from models.i3d_stages import STAGES, TOP
from models.later import later
from models.streams import CHANNELS

FEATURES = "Features"  # the endpoint that every backbone has: (batch, dim), what heads take
AS_THEY_ARE = (0.5, 0.5)  # the mean and deviation of values in [-1, 1]


class Stage(NamedTuple):
    """A part of a backbone, behind which it can be cut.

    Attributes:
        name: what endpoints are called, and what `finetune` takes.
        layer: the layer whose output is the stage's; no later stage takes any other of its parts.
        size, stride: of its kernel, along (time, height, width), with "same" padding.
        learns: whether it has weights, so that training can begin with it.
    """

    name: str
    layer: str
    size: tuple[int, int, int] = (1, 1, 1)
    stride: tuple[int, int, int] = (1, 1, 1)
    learns: bool = True


class ClipSpec(NamedTuple):
    """What clips a backbone takes.

    Attributes:
        frames, frame_size: of the clips that its published weights were trained on.
        least_frames, least_size: the fewest frames, and the smallest height and width in pixels.
        values: {stream that it takes: mean and deviation of values in [0, 1], a number or one a
            channel, that its weights expect to be taken off and divided by}.
    """

    frames: int
    frame_size: int
    least_frames: int
    least_size: int
    values: dict


class Dense(NamedTuple):
    """How rows of overlapping windows share their computation (`models.dense`).

    Only for a backbone of convolutions and poolings over time, with "same" padding and strides of
    1 and 2, whose features are a weighed mean of its last map.

    Attributes:
        shared: the last stage that a chunk of frames goes through as a whole, by default.
        weigh_steps: function of the steps of the last map -> the share of each in the features.
    """

    shared: str
    weigh_steps: Callable


class Published(NamedTuple):
    """Published weights.

    Attributes:
        weights: what the flag `weights` auto stands for.
        load: function (model, weights, stream, folder of downloads) -> name of what was loaded,
            or a ValueError for what cannot be fetched.
        find_weights: function name of what was loaded -> what `load` takes.
        data: the data set that they were trained on.
        logits: the endpoint of the data set's classes; "" where no such head is published.
        read_classes: function -> names of those classes, in order.
    """

    weights: str
    load: Callable
    find_weights: Callable
    data: str
    logits: str = ""
    read_classes: Callable | None = None


def _keep(outputs, lengths):
    return outputs


class Backbone(NamedTuple):
    """A backbone.

    Attributes:
        name: its key in `BACKBONES`, what its networks and models are called.
        title: what messages call it.
        apply: function (clips, endpoint) -> the endpoint's Keras tensor. The clips are a Keras
            tensor (batch, frames, height, width, channels).
        clip: a `ClipSpec`.
        stages: in order; the last one's map is what Grad-CAM and ViViT's tokens are taken of.
        top: endpoints behind the last stage, without maps; `FEATURES` and those before it are the
            same when rows of features are extracted.
        lay_out: function (a stage's outputs (batch, ...), (frames, height, width) of the clips) ->
            maps (batch, time, height, width, channels), such as tokens as a grid.
        explained: the name of the stage whose maps explanations are of by default, where the head
            normalizes features; "": the last, as for other heads.
        dense: None where each window has to go through it alone.
        published: None where there are no published weights.
    """

    name: str
    title: str
    apply: Callable
    clip: ClipSpec
    stages: tuple[Stage, ...]
    top: tuple[str, ...] = (FEATURES,)
    lay_out: Callable = _keep
    explained: str = ""
    dense: Dense | None = None
    published: Published | None = None

    @property
    def endpoints(self):
        """The names of all that it can be built up to, in order."""
        return (*(stage.name for stage in self.stages), *self.top)

    @property
    def row_endpoints(self):
        """The names of the endpoints that rows of features can be read off."""
        return self.endpoints[: self.endpoints.index(FEATURES) + 1]

    @property
    def time_stride(self):
        """Frames from a step of the last map to the next."""
        stride = 1
        for stage in self.stages:
            stride *= stage.stride[0]
        return stride

    def get_stage(self, name):
        """Return a `Stage`.

        Raises:
            ValueError: there is no such stage; the known ones are named.
        """
        for stage in self.stages:
            if stage.name == name:
                return stage
        known = ", ".join(stage.name for stage in self.stages)
        raise ValueError(f"Unknown endpoint {name!r}; known: {known}.")

    def check_start(self, finetune):
        """Raise a ValueError unless training can begin at `finetune`, a stage, "none" or "all"."""
        starts = [stage.name for stage in self.stages if stage.learns]
        if finetune not in ("none", "all", *starts):
            raise ValueError(
                f"Cannot fine-tune from {finetune!r}; give none, all or one of {', '.join(starts)}."
            )

    def cut_before(self, finetune):
        """Return the last `Stage` before that where training begins; None where all is trained."""
        start = 0 if finetune == "all" else self.endpoints.index(finetune)
        return self.stages[start - 1] if start else None

    def build(self, stream, frames, frame_size, endpoint=FEATURES):
        """Build it up to an endpoint.

        Args:
            stream: "rgb" (3 channels) or "flow" (2 channels).
            frames: frames per clip; None for any number, where it is convolutional.
            frame_size: height and width in pixels; None for any, where it is convolutional.
            endpoint: one of `endpoints`.

        Returns:
            A `keras.Model` from (batch, frames, frame_size, frame_size, channels), values in
            [-1, 1], to the endpoint; it has the backbone's name.

        Raises:
            ValueError: unknown stream or endpoint, or a clip too short or too small.
        """
        if stream not in self.clip.values:
            known = ", ".join(self.clip.values)
            raise ValueError(f"Unknown stream {stream!r} of {self.title}; known: {known}.")
        if endpoint not in self.endpoints:
            known = ", ".join(self.endpoints)
            raise ValueError(f"Unknown endpoint {endpoint!r}; known: {known}.")
        least = self.clip.least_frames, self.clip.least_size
        if frames is not None and frames < least[0]:
            raise ValueError(
                f"{self.title} needs clips of at least {least[0]} frames, but got {frames}."
            )
        if frame_size is not None and frame_size < least[1]:
            raise ValueError(
                f"{self.title} needs frames of at least {least[1]} pixels, but frame_size "
                f"is {frame_size}."
            )
        import keras

        inputs = keras.Input((frames, frame_size, frame_size, CHANNELS[stream]), name="clip")
        x = self.apply(_change_values(inputs, *self.clip.values[stream]), endpoint)
        return keras.Model(inputs, x, name=self.name)

    def build_maps(self, stream, frames, frame_size):
        """Build it, as `build` does, up to the maps (batch, time, height, width, channels)."""
        import keras

        model = self.build(stream, frames, frame_size, self.stages[-1].name)
        maps = self.lay_out(model.output, model.input_shape[1:4])
        return model if maps is model.output else keras.Model(model.input, maps, name=self.name)

    def load_published(self, model, weights, stream, folder="weights/pretrained"):
        """Load published weights into a model of `build`; return the name of what was loaded.

        Downloads are kept in the folder.

        Raises:
            ValueError: there are none, or they cannot be fetched.
        """
        if not self.published:
            raise ValueError(
                f"weights is {weights}, but {self.title} has no published weights. Give "
                "none, or a run (weights/<run>)."
            )
        return self.published.load(model, weights, stream, folder)


def _change_values(clips, mean, deviation):
    """Bring clips in [-1, 1] to the mean and deviation that a backbone expects."""
    if (mean, deviation) == AS_THEY_ARE:
        return clips
    import numpy as np
    from keras import layers

    scale, offset = 0.5 / np.array(deviation), (0.5 - np.array(mean)) / deviation
    return layers.Rescaling(scale.tolist(), offset.tolist(), name="values")(clips)


def _list_i3d_stages(stages):
    """Yield the `Stage` of each row of a table such as `models.i3d_stages.STAGES`."""
    for name, kind, arguments in stages:
        layer = f"{name}.relu" if kind == "conv" else name
        # The kernels of Inception's branches are centered, and step by one.
        sizes = ((1, 1, 1),) * 2 if kind == "mixed" else map(_spread, arguments[-2:])
        yield Stage(name, layer, *sizes, learns=kind != "pool")


def _spread(number):
    return (number,) * 3 if isinstance(number, int) else number


def make_i3d(stages):
    """Return the `Backbone` of an I3D with a table such as `models.i3d_stages.STAGES`."""
    return Backbone(
        name="i3d",
        title="I3D",
        apply=partial(later("models.i3d", "apply_i3d"), stages=stages),
        clip=ClipSpec(64, 224, 8, 112, {"rgb": AS_THEY_ARE, "flow": AS_THEY_ARE}),
        stages=tuple(_list_i3d_stages(stages)),
        top=TOP,
        # What lies behind Mixed_4f is little work.
        explained="Mixed_4f",  # docs/results.md has the measurement
        dense=Dense("Mixed_4f", later("models.i3d", "weigh_steps")),
        published=Published(
            weights="kinetics",
            load=later("models.pretrained.i3d_weights", "load_pretrained"),
            find_weights=later("models.pretrained.i3d_weights", "find_weights"),
            data="Kinetics",
            logits="Logits",
            read_classes=later("models.pretrained.i3d_weights", "read_classes"),
        ),
    )


DEFAULT = "i3d"  # whose classes are predicted without a run, and whose rows are extracted
BACKBONES = {"i3d": make_i3d(STAGES)}
