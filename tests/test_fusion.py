"""Two finished runs fused at evaluation, as a user does it."""

import json
from pathlib import Path

import training
from evaluate import evaluate
from models.choices import SIZES, Size
from support.videos import write_dataset
from tasks.options import EvaluationOptions
from tasks.training_flags import parse_params
from utils.scores.fusion import choose_weight, fuse

import numpy as np
import pytest

FLAGS = (
    "--data-path videos --network vivit --num-segments 1 --frames-per-segment 4 --frame-size 32 "
    "--short-side 32 --flow farneback --epochs 2 --rate-epochs 1 3 --workers 1 --test-fraction 0.3 "
    "--pictures 0"
).split()


@pytest.mark.parametrize("labeling", ["single", "multi", "binary"])
def test_fused_by_hand(labeling):
    first, second = np.array([[0.2, 0.8], [0.6, 0.4]]), np.array([[0.9, 0.1], [0.5, 0.5]])
    if labeling == "single":
        product = np.sqrt(first * second)
        expected = product / product.sum(1, keepdims=True)
    else:
        first, second = first[:, :1], second[:, :1]
        odds = np.sqrt(first / (1 - first) * second / (1 - second))
        expected = odds / (1 + odds)
    np.testing.assert_allclose(fuse(labeling, first, second, 0.5), expected, atol=1e-6)
    np.testing.assert_allclose(fuse(labeling, first, second, 0), first, atol=1e-6)
    np.testing.assert_allclose(fuse(labeling, first, second, 1), second, atol=1e-6)


@pytest.mark.parametrize("labeling", ["single", "multi"])
def test_the_weight_goes_to_who_is_right(labeling):
    targets = np.eye(2)[[0, 1, 0, 1]]
    right, wrong = 0.1 + 0.8 * targets, 0.9 - 0.8 * targets
    assert choose_weight(labeling, targets, right, wrong) == 0
    assert choose_weight(labeling, targets, wrong, right) == 1
    halves = [np.where(np.arange(4)[:, None] < n, right, 0.5) for n in (2, 4)]
    other = np.where(np.arange(4)[:, None] < 2, 0.5, right)
    assert 0.4 <= choose_weight(labeling, targets, halves[0], other) <= 0.6


def train(*flags):
    training.train_run(parse_params([*FLAGS, *flags]))


def test_commands(tmp_path, monkeypatch, capsys, no_pictures, untraced):
    monkeypatch.setitem(SIZES, "small", Size(32, 1, 1, 2, 32, 32, 32, 0.0))
    write_dataset(tmp_path / "videos", videos=8)
    monkeypatch.chdir(tmp_path)
    for stream in ("rgb", "flow"):
        train("--stream", stream, "--run", stream)
    rgb, flow = Path("weights/rgb"), Path("weights/flow")
    report = evaluate(EvaluationOptions([rgb, flow], fuse=True))
    assert "weights/rgb alone, weight" in capsys.readouterr().out
    assert sum(report["weights"].values()) == pytest.approx(1)
    folder = rgb / "evaluation/test-fused-flow"
    assert json.loads((folder / "report.json").read_text()) == report
    assert (folder / "predictions.csv").is_file()
    fixed = evaluate(EvaluationOptions([rgb, flow], fuse=True, fusion_weight=0.25))
    assert fixed["weights"] == {"weights/rgb": 0.75, "weights/flow": 0.25}
    with pytest.raises(ValueError, match="fusion_weight is 2; it must be from 0 to 1"):
        evaluate(EvaluationOptions([rgb, flow], fuse=True, fusion_weight=2))

    warm = ("--weights", str(rgb), "--flow-weights", str(flow), "--epochs", "1")
    train("--stream", "both", "--run", "warm", "--rate-epochs", "1", "2", *warm)
    assert capsys.readouterr().out.count("not loaded (starts at random): nothing") == 2

    for runs, together, message in (
        ([rgb, flow], False, "one run, or two and --fuse"),
        ([rgb], True, "one run, or two and --fuse"),
        ([rgb, rgb], True, "one run, or two and --fuse"),
        ([rgb, Path("videos")], True, "not a run"),
    ):
        with pytest.raises(ValueError, match=message):
            evaluate(EvaluationOptions(runs, fuse=together))
    lines = (flow / "splits.csv").read_text()
    (flow / "splits.csv").write_text(lines.replace(",val,", ",test,", 1))
    with pytest.raises(
        ValueError, match=r"flow differ in their videos or splits\. Train both on the"
    ):
        evaluate(EvaluationOptions([rgb, flow], fuse=True))
