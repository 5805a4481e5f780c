"""What follows from a run's parameters: each "auto" is decided here, before anything runs."""

from dataclasses import dataclass, replace

from models.backbones import BACKBONES, DEFAULT
from models.networks import find_backbone
from models.recognizer import choose_front
from utils.clips.reading import ClipFormat
from utils.features.settings import find_stride
from utils.params import Params
from utils.video.flow import flow_kind
from utils.video.flow_store import find_store


@dataclass(frozen=True)
class Plan:
    """A run's parameters and what follows from them.

    Attributes:
        params: `Params`; for recognition on features their `front` is decided.
        starts: {stream: what its backbone, or on features the head, starts from}: names of
            published weights, files, runs, or "none".
        trained_part: what of the backbone is trained: "none", "all", or the stage from which on.
        caches_features: whether the frozen part of the backbone runs once a clip instead of every
            epoch.
        clip_format: `ClipFormat`, with the folder of flow that was found.
    """

    params: Params
    starts: dict[str, str]
    trained_part: str
    caches_features: bool
    clip_format: ClipFormat

    @property
    def from_scratch(self):
        """Whether a backbone starts without pretrained weights."""
        return "none" in self.starts.values()

    @property
    def cut(self):
        """Where the network is cut: what lies before runs once a clip; "all": nothing does."""
        return self.trained_part if self.caches_features else "all"


def _find_backbone(params):
    """Return the `Backbone` in the network, or None.

    Recognition is always behind one. Which one the settings of its features tell, so the default
    one stands for it.
    """
    if params.task == "recognition":
        return BACKBONES[DEFAULT]
    return find_backbone(params.network, params.embedder)


def _choose_starts(params, backbone):
    """Return {stream: what it starts from}; on features only a run, for the head."""
    if params.features:
        return {} if params.weights in ("auto", "none") else {params.stream: params.weights}
    start = params.weights
    if start == "auto":
        start = backbone.published.weights if backbone and backbone.published else "none"
    if params.stream != "both":
        return {params.stream: start}
    return {"rgb": start, "flow": start if params.flow_weights == "auto" else params.flow_weights}


def _choose_trained_part(params, backbone, starts):
    """Return what of the backbone is trained."""
    if params.finetune != "auto":
        return params.finetune
    return "none" if backbone and "none" not in starts.values() else "all"


def _choose_front(params):
    """Return the front of a recognizer on features, which suits the stride of its rows.

    Without features it is that of the run that training begins with.
    """
    if params.task != "recognition" or not params.features or params.front != "auto":
        return params.front
    stride = find_stride(params.features, params.row_step, params.row_stride)
    if not stride:
        raise ValueError(
            f"Nothing in {params.features} tells how many frames lie from a row to the next, and "
            "how far rows are pooled depends on it. Give --row-stride 1 for a row a frame, or "
            "--front."
        )
    return choose_front(stride)


def _choose_format(params):
    """Return the `ClipFormat`; stored flow is looked for in its default folder."""
    kind = flow_kind(params.flow, params.fps, params.short_side)
    return ClipFormat(
        params.num_segments,
        params.frames_per_segment,
        params.sampling,
        params.fps,
        params.short_side,
        params.frame_size,
        params.stream,
        params.flow,
        params.flow_path or find_store(params.cache_path, kind),
    )


def _check_plan(plan, backbone):
    """Raise a ValueError for parameters that contradict what follows from others."""
    params = plan.params
    given = params.finetune not in ("auto", "all")
    if plan.from_scratch and given:
        name = "weights" if next(iter(plan.starts.values())) == "none" else "flow_weights"
        raise ValueError(
            f"{name} is none, but finetune is {params.finetune}, so the frozen layers "
            "would stay random. Give finetune all (or auto), or pretrained weights."
        )
    if given and not backbone:
        raise ValueError(
            f"finetune is {params.finetune}, but {params.network} has no backbone and is "
            "trained as a whole. Leave out finetune."
        )
    if params.cutmix and plan.caches_features:
        raise ValueError(
            "cutmix cuts out pixels, but training reads cached features. Give "
            "feature_views 0 to read new clips, or give mixup instead."
        )


def make_plan(params):
    """Decide all that follows from the parameters of a run.

    Args:
        params: `Params`.

    Returns:
        A `Plan`.

    Raises:
        ValueError: an unknown network, or parameters that contradict each other.
    """
    backbone = _find_backbone(params)
    starts = _choose_starts(params, backbone)
    trained_part = _choose_trained_part(params, backbone, starts)
    plan = Plan(
        params=replace(params, front=_choose_front(params)),
        starts=starts,
        trained_part=trained_part,
        caches_features=not params.features and trained_part != "all" and params.feature_views > 0,
        clip_format=_choose_format(params),
    )
    _check_plan(plan, backbone)
    return plan
