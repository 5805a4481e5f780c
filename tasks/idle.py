"""Parameters that are on in a run where they change nothing: each row says when, and why."""

from collections.abc import Set
from pathlib import Path
from typing import NamedTuple

from models.networks import find_backbone
from tasks.plan import Plan
from tasks.training_flags import UNREAD
from utils.command_line import name_flag
from utils.params import Params
from utils.system.words import print_line
from utils.video.streams import STREAMS
from utils.video.views import VIEWS


class Facts(NamedTuple):
    """What decides whether a parameter does something.

    Attributes:
        plan: of the run.
        splits: that the data give.
        validates: whether there are videos or sentences to validate on.
        views: of the features that are trained on, keys of `VIEWS`; without features, empty.
    """

    plan: Plan
    splits: Set = frozenset()
    validates: bool = True
    views: Set = frozenset()

    @property
    def params(self):
        """The run's `Params`."""
        return self.plan.params


def _ends(facts, *endings):
    return facts.params.network.endswith(endings)


_AUGMENTATION = "flip color rand_operations rand_magnitude"
_CLIPS = "flow flow_path frames_per_segment sampling fps short_side frame_size feature_views"
# Task: rows of (parameters, function of `Facts` -> whether they do nothing, why).
_IDLE = {
    "classification": [
        (
            _AUGMENTATION,
            lambda f: f.plan.caches_features and f.params.feature_views == 1,
            "one view of each video is cached, the center; --feature-views 3 adds two random ones, "
            "--feature-views 0 draws a new one every epoch and takes far longer",
        ),
        (
            f"color {_CLIPS} train_batchnorm backbone_rate runtime",
            lambda f: f.params.features,
            "training is on features",
        ),
        (
            "flip",
            lambda f: f.params.features and not any(VIEWS[view].flip for view in f.views),
            "the features have no mirrored view",
        ),
        ("feature_views", lambda f: not f.plan.caches_features, "no part of the network is frozen"),
        (
            "train_batchnorm backbone_rate",
            lambda f: f.plan.trained_part == "none",
            "the backbone is frozen",
        ),
        (
            "backbone_rate",
            lambda f: not find_backbone(f.params.network, f.params.embedder),
            "the network has no backbone",
        ),
        (
            "train_batchnorm",
            lambda f: not find_backbone(f.params.network, f.params.embedder),
            "the network has no BatchNorm",
        ),
        ("train_batchnorm", lambda f: f.plan.from_scratch, "from scratch it is always trained"),
        ("color", lambda f: f.params.stream == "flow", "optical flow has no colors"),
        ("flow flow_path", lambda f: not STREAMS[f.params.stream].has_flow, "the stream is rgb"),
        ("fusion", lambda f: f.params.stream != "both", "there is one stream"),
        (
            "stochastic_depth",
            lambda f: not _ends(f, "_transformer", "vivit", "timesformer"),
            "the network has no Transformer",
        ),
        (
            "pooling",
            lambda f: not _ends(f, "vivit", "timesformer"),
            "for vivit and timesformer only",
        ),
        ("embedder encoder", lambda f: f.params.network != "vivit", "for vivit only"),
        (
            "attention positions",
            lambda f: f.params.network != "timesformer",
            "for timesformer only",
        ),
        (
            "size",
            lambda f: f.params.network not in ("vivit", "timesformer"),
            "for vivit and timesformer only",
        ),
        (
            "patch_size",
            lambda f: (
                f.params.network != "timesformer"
                and (f.params.network, f.params.embedder)
                not in [("vivit", "patches"), ("vivit", "tubelet")]
            ),
            "the network cuts no patches",
        ),
        ("val_fraction", lambda f: "val" in f.splits, "the data have a validation split"),
        ("test_fraction", lambda f: any(f.splits), "the data have splits"),
        ("group_pattern", lambda f: "val" in f.splits, "the data have a validation split"),
        ("video_root", lambda f: not Path(f.params.data_path).is_file(), "the data are no list"),
    ],
    "recognition": [
        (" ".join(UNREAD["recognition"]), lambda f: True, "they are for classification"),
        (
            f"{_AUGMENTATION} feature_views train_batchnorm windows backbone_rate",
            lambda f: f.params.features,
            "training is on features",
        ),
        (
            f"{_AUGMENTATION} noise",
            lambda f: f.plan.caches_features,
            "maps of the center view are cached; --feature-views 0 reads new frames every epoch",
        ),
        (
            "noise hide_rows hide_channels affine splice",
            lambda f: not f.params.features,
            "training is on frames",
        ),
        ("runtime", lambda f: True, "recognizers are computed by Keras"),
        ("language_weights", lambda f: not f.params.language_model, "language_model is 0"),
        ("template_weights", lambda f: not f.params.templates, "templates is False"),
        (
            "coordinates",
            lambda f: (
                not f.params.relative_to and f.params.missing == "refuse" and not f.params.affine
            ),
            "relative_to is empty, missing is refuse and affine is 0",
        ),
    ],
}
_ALWAYS = [
    ("rand_magnitude", lambda f: not f.params.rand_operations, "rand_operations is 0"),
    ("momentum", lambda f: f.params.optimizer != "sgd", "for sgd only"),
    ("rate_epochs", lambda f: f.params.schedule != "phases", "for the schedule phases only"),
    ("patience pictures", lambda f: not f.validates, "nothing is validated"),
]
_ON_BY_DEFAULT = ("flip", "color")


def _is_on(name, value):
    default = getattr(Params, name)
    return bool(value) and value != "none" and (value != default or name in _ON_BY_DEFAULT)


def list_idle(facts):
    """Return {why: [name]} of the parameters that are on and do nothing, each once.

    Those that have their default are left out, but for flip and color, which it switches on.

    Args:
        facts: `Facts`.
    """
    params, found, said = facts.params, {}, set()
    for names, is_idle, why in (*_IDLE[params.task], *_ALWAYS):
        if is_idle(facts):
            for name in names.split():
                if _is_on(name, getattr(params, name)) and name not in said:
                    said.add(name)
                    found.setdefault(why, []).append(name)
    return found


def say_idle(facts):
    """Print in a line what is on and does nothing; a run that goes on has said it before.

    Args:
        facts: `Facts`.
    """
    parts = [
        f"{', '.join(map(name_flag, names))} ({why})" for why, names in list_idle(facts).items()
    ]
    if parts and not facts.params.resume:
        print_line(f"Without effect in this run: {'; '.join(parts)}.", flush=True)
