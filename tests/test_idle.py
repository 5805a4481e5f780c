"""Parameters that are on and do nothing are named, and only those."""

from dataclasses import replace

from models.choices import NETWORKS
from models.design import Design
from tasks.idle import Facts, list_idle, say_idle
from tasks.plan import make_plan
from utils.params import Params
from utils.presets import PRESETS

import pytest

RECOGNITION = {
    "task": "recognition",
    "network": "bilstm",
    "flip": False,
    "color": 0.0,
    "row_stride": 4,
}
STAGE_2 = {"weights": "weights/first", "finetune": "Mixed_5b"}
CACHED = "one view of each video is cached, the center"


def find(facts=None, **values):
    """Return {name: why} of what does nothing in a run of such parameters."""
    known = Facts(make_plan(Params(**values)), **(facts or {}))
    return {name: why for why, names in list_idle(known).items() for name in names}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "flip color"),
        ({"flip": False, "color": 0.0}, ""),
        (
            {"rand_operations": 2, "rand_magnitude": 0.5},
            "flip color rand_operations rand_magnitude",
        ),
        ({"feature_views": 2}, ""),
        ({"feature_views": 0, "rand_magnitude": 0.5}, "rand_magnitude"),
        ({"finetune": "all", "feature_views": 4}, "feature_views"),
        ({"features": "f"}, "flip color"),
        ({"features": "f", "fps": 10.0, "train_batchnorm": True}, "flip color fps train_batchnorm"),
        ({"feature_views": 2, "train_batchnorm": True}, "train_batchnorm"),
        ({"finetune": "all", "train_batchnorm": True}, ""),
        ({"weights": "none", "train_batchnorm": True}, "train_batchnorm"),
        (
            {"network": "timesformer", "weights": "kinetics", "train_batchnorm": True},
            "train_batchnorm",
        ),
        ({"feature_views": 0, "stream": "flow"}, "color"),
        ({"feature_views": 0, "flow": "dis"}, "flow"),
        ({"feature_views": 0, "fusion": "features"}, "fusion"),
        ({"feature_views": 0, "stream": "both", "fusion": "features", "flow": "dis"}, ""),
        ({"feature_views": 0, "optimizer": "adamw", "momentum": 0.5}, "momentum"),
        ({"feature_views": 0, "schedule": "cosine", "rate_epochs": (3, 4)}, "rate_epochs"),
        ({"feature_views": 0, "video_root": "videos"}, "video_root"),
        ({"feature_views": 0, "backbone_rate": 0.1}, "backbone_rate"),
        ({"finetune": "Mixed_5b", "feature_views": 0, "backbone_rate": 0.1}, ""),
        ({"network": "timesformer", "weights": "kinetics", "backbone_rate": 0.1}, "backbone_rate"),
        (
            {"network": "vivit", "embedder": "i3d", "finetune": "all", "backbone_rate": 0.1},
            "",
        ),
        ({"features": "f", "flip": False, "color": 0.0, "backbone_rate": 0.1}, "backbone_rate"),
        ({**RECOGNITION, "features": "f", "backbone_rate": 0.1}, "backbone_rate"),
        ({**RECOGNITION, **STAGE_2, "backbone_rate": 0.1}, ""),
        ({**RECOGNITION, "features": "f"}, ""),
        ({**RECOGNITION, "features": "f", "runtime": "openvino"}, "runtime"),
        ({"features": "f", "runtime": "openvino", "flip": False, "color": 0.0}, "runtime"),
        ({**RECOGNITION, "features": "f", "coordinates": 3}, "coordinates"),
        ({**RECOGNITION, "features": "f", "coordinates": 3, "relative_to": (0, 1)}, ""),
        ({**RECOGNITION, "features": "f", "coordinates": 3, "missing": "zeros"}, ""),
        ({**RECOGNITION, "features": "f", "language_weights": (1.0, 1.0)}, "language_weights"),
        ({**RECOGNITION, "features": "f", "color": 0.2, "windows": 4}, "color windows"),
        ({**RECOGNITION, "features": "f", "num_segments": 8, "mixup": 0}, "num_segments"),
        ({**RECOGNITION, **STAGE_2, "noise": 0.2, "windows": 4}, "noise"),
        ({**RECOGNITION, **STAGE_2, "noise": 0.2, "color": 0.1, "feature_views": 0}, "noise"),
        ({**RECOGNITION, **STAGE_2, "flip": True}, "flip"),
    ],
)
def test_what_is_on_and_does_nothing(values, expected):
    assert set(find(**values)) == set(expected.split())


@pytest.mark.parametrize(
    ("facts", "values", "expected"),
    [
        ({"splits": {"train", "val"}}, {"val_fraction": 0.3, "test_fraction": 0.1}, 2),
        ({"splits": {"train", "val"}}, {"group_pattern": "a"}, 1),
        ({"splits": {""}}, {"val_fraction": 0.3, "test_fraction": 0.1, "group_pattern": "a"}, 0),
        ({"validates": False}, {"patience": 3, "pictures": 1.0}, 2),
        ({}, {"patience": 3, "pictures": 1.0}, 0),
        ({"views": {"centre", "flip"}}, {"features": "f", "color": 0.0}, 0),
    ],
)
def test_what_depends_on_the_data(facts, values, expected):
    assert len(find(facts, feature_views=0, **values)) == expected


class _Read(Design):
    """A design that remembers what of it is read."""

    def __getattribute__(self, name):
        if name in Design.__dataclass_fields__:
            READ.add(name)
        return super().__getattribute__(name)


READ = set()
OTHER = {
    "stochastic_depth": 0.1,
    "pooling": "fused",
    "encoder": "factorised",
    "attention": "joint",
    "positions": "space",
    "size": "base",
}


@pytest.mark.parametrize("name", NETWORKS)
def test_what_a_network_does_not_read_is_named(name):
    """The table of what networks read is what their heads read when they are built."""
    READ.clear()
    shape = (2, 64) if NETWORKS[name].backbone else (1, 2, 32, 32, 3)
    NETWORKS[name].build_head(shape, 2, _Read())
    found = find(network=name, feature_views=0, **OTHER)
    assert {parameter for parameter in OTHER if parameter not in READ} == {*found} & {*OTHER}


def test_patches_are_cut_by_some():
    size = {"feature_views": 0, "patch_size": 8}
    assert find(**size) and find(network="vivit", **size)
    assert not find(network="vivit", embedder="tubelet", **size)
    assert not find(network="timesformer", **size)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_set_nothing_that_does_nothing(preset):
    params = replace(Params(), **PRESETS[preset].changes)
    if params.task == "recognition":
        params = replace(params, features="f", row_stride=4)
    found = list_idle(Facts(make_plan(params)))
    assert {name for names in found.values() for name in names} <= {"flip", "color"}


def test_a_run_says_it_once(capsys):
    say_idle(Facts(make_plan(Params(momentum=0.5, optimizer="adamw"))))
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(
        f"Without effect in this run: --flip, --color ({CACHED}; --feature-views"
    )
    assert line.endswith("; --momentum (for sgd only).")
    say_idle(Facts(make_plan(Params(resume=True))))
    say_idle(Facts(make_plan(Params(feature_views=2))))
    assert not capsys.readouterr().out
