"""What follows from parameters: each "auto" decided, contradictions with it refused."""

import json
from dataclasses import replace
from pathlib import Path

from tasks.plan import make_plan
from utils.params import Params
from utils.video.flow_store import open_store

import pytest

RECOGNITION = {"task": "recognition", "network": "bilstm"}


@pytest.mark.parametrize(
    ("changes", "starts", "trained", "cut"),
    [
        ({}, {"rgb": "kinetics"}, "none", "none"),
        ({"feature_views": 0}, {"rgb": "kinetics"}, "none", "all"),
        ({"finetune": "Mixed_5b"}, {"rgb": "kinetics"}, "Mixed_5b", "Mixed_5b"),
        ({"finetune": "all"}, {"rgb": "kinetics"}, "all", "all"),
        ({"weights": "none"}, {"rgb": "none"}, "all", "all"),
        ({"weights": "weights/x", "stream": "flow"}, {"flow": "weights/x"}, "none", "none"),
        ({"stream": "both"}, {"rgb": "kinetics", "flow": "kinetics"}, "none", "none"),
        (
            {"stream": "both", "flow_weights": "none"},
            {"rgb": "kinetics", "flow": "none"},
            "all",
            "all",
        ),
        ({"network": "timesformer"}, {"rgb": "none"}, "all", "all"),
        ({"network": "timesformer", "embedder": "i3d"}, {"rgb": "none"}, "all", "all"),
        ({"network": "timesformer", "weights": "ssv2"}, {"rgb": "ssv2"}, "all", "all"),
        ({"network": "vivit"}, {"rgb": "none"}, "all", "all"),
        ({"network": "vivit", "embedder": "i3d"}, {"rgb": "kinetics"}, "none", "none"),
        ({"features": "F"}, {}, "none", "all"),
        ({"features": "F", "weights": "weights/x"}, {"rgb": "weights/x"}, "none", "all"),
        (
            RECOGNITION | {"weights": "weights/x", "finetune": "Mixed_5b"},
            {"rgb": "weights/x"},
            "Mixed_5b",
            "Mixed_5b",
        ),
    ],
)
def test_what_the_backbone_starts_from_and_how_far_it_is_frozen(changes, starts, trained, cut):
    plan = make_plan(Params(**changes))
    assert (plan.starts, plan.trained_part, plan.cut) == (starts, trained, cut)
    assert plan.caches_features == (cut != "all")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "i3d_ltsm"}, "Unknown network 'i3d_ltsm'"),
        ({"network": "vivit", "finetune": "none"}, "^weights is none, .* would stay random"),
        ({"network": "vivit", "weights": "weights/x", "finetune": "none"}, "is trained as a whole"),
        ({"weights": "none", "finetune": "none"}, "^weights is none, .* would stay random"),
        (
            {"stream": "both", "flow_weights": "none", "finetune": "none"},
            "^flow_weights is none, .* would stay random",
        ),
        ({"cutmix": 1.0}, "reads cached features"),
    ],
)
def test_contradictions_with_what_follows(changes, message):
    with pytest.raises(ValueError, match=message):
        make_plan(Params(**changes))


def test_stored_flow_is_found_in_its_default_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params = Params(stream="flow", flow="dis")
    clip_format = make_plan(params).clip_format
    assert clip_format.flow_path == ""
    open_store("weights/cache/flow/dis_256_25", clip_format.flow_kind)
    assert make_plan(params).clip_format.flow_path == "weights/cache/flow/dis_256_25"
    given = Params(stream="flow", flow="dis", flow_path="mine")
    assert make_plan(given).clip_format.flow_path == "mine"


@pytest.mark.parametrize(
    ("stride", "changes", "front"),
    [
        (4, {}, "K5-K5"),
        (1, {}, "K5-P2-K5-P2"),
        (1, {"row_step": 2}, "K5-P2-K5"),
        (None, {"row_stride": 1}, "K5-P2-K5-P2"),
        (None, {"row_stride": 2, "row_step": 2}, "K5-K5"),
        (1, {"row_stride": 1}, "K5-P2-K5-P2"),
        (1, {"front": "none"}, "none"),
    ],
)
def test_the_front_suits_the_rows(tmp_path, stride, changes, front):
    if stride:
        Path(tmp_path, "manifest.json").write_text(json.dumps({"stride": stride}))
    params = Params(**RECOGNITION, features=str(tmp_path), **changes)
    assert make_plan(params).params.front == front


def test_a_stride_is_asked_for_and_not_guessed(tmp_path):
    params = Params(**RECOGNITION, features=str(tmp_path))
    with pytest.raises(ValueError, match="Give --row-stride 1 for a row a frame, or --front"):
        make_plan(params)
    Path(tmp_path, "manifest.json").write_text(json.dumps({"stride": 4}))
    with pytest.raises(ValueError, match=r"row_stride is 1, but .* was extracted with stride 4"):
        make_plan(replace(params, row_stride=1))
