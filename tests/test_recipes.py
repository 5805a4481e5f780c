"""Everything a classifier is asked for, through the commands, on tiny Transformers."""

import csv
import json
from pathlib import Path

import evaluate
import training
from models.choices import SIZES, Size
from scripts.summarize_network import Options, summarize_network
from support.backends import untraced_steps
from support.runs import break_off, check_same_runs, read_history, read_pictures
from support.videos import moving_square, write_dataset
from tasks.classification import training as classification
from tasks.options import EvaluationOptions
from tasks.training_flags import parse_params
from utils.video.writing import write_video

import numpy as np
import pytest

TINY = (
    "--network vivit --num-segments 1 --frames-per-segment 8 --sampling uniform --frame-size 16 "
    "--short-side 20 --batch-size 4 --epochs 3 --rate-epochs 1 2 --workers 1 --pictures 0"
).split()
TINIEST = Size(32, 2, 2, 2, 32, 32, 128, 0.1)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    write_dataset(tmp_path / "videos")
    monkeypatch.setitem(SIZES, "small", TINIEST)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(*flags):
    given = () if "--data-path" in flags else ("--data-path", "videos")
    return training.train_run(parse_params([*given, *TINY, *map(str, flags)]))


def column(run_folder, name):
    return [float(row[name]) for row in read_history(run_folder)]


EVERYTHING = (
    "--optimizer adamw --schedule cosine --warmup-epochs 1 --weight-decay 0.05 --ema 0.9 "
    "--clip-norm 1 --accumulate 2 --stochastic-depth 0.5 --mixup 0.4 --cutmix 1 "
    "--rand-operations 2 --label-smoothing 0.1 --focal 2 --pooling fused --balance sampling "
    "--epochs 2"
).split()


def test_resumed_run_is_the_unbroken_one(folder, untraced):
    whole, report = train("--run", "whole", *EVERYTHING, "--pictures", 1)  # which change nothing
    assert {name: [*steps] for name, steps in read_pictures(whole).items()} == {
        "clips": [1, 2],
        "confusion": [1, 2],
    }
    assert report["videos"] == 3 and column(whole, "learning_rate")[0] == 0
    break_off(train, "--run", "parts", *EVERYTHING)
    with pytest.raises(ValueError, match="started with epochs 2, not 4"):  # another cosine
        train("--run", "parts", *EVERYTHING, "--resume", "--epochs", 4)
    parts, again = train("--run", "parts", *EVERYTHING, "--resume")
    check_same_runs(whole, parts)
    assert again == report
    assert evaluate.evaluate(EvaluationOptions([parts], split="val"))["top1"] == report["top1"]


def test_kept_weights_are_the_averaged_ones(folder, no_pictures):
    """With a momentum near 1 the average stays at the first step's weights."""
    run_folder, _ = train("--learning-rates", 0.05, 0.05, 0.05, "--ema", 0.9999)
    assert np.ptp(column(run_folder, "val_loss")) < np.ptp(column(run_folder, "loss")) / 10


def test_binary_with_one_output(folder, no_pictures):
    run_folder, report = train(
        "--activation", "sigmoid", "--class-names", "right", "left", "--epochs", 1
    )
    thresholds = json.loads((run_folder / "thresholds.json").read_text())
    assert len(thresholds) == 1 and report["thresholds"] == thresholds
    assert list(report["per_class"]) == ["right", "left"]
    scored = evaluate.evaluate(EvaluationOptions([run_folder]))
    assert scored["accuracy"] == report["accuracy"]
    with open(run_folder / "evaluation/val/predictions.csv") as file:
        for row in csv.DictReader(file):
            assert float(row["left"]) + float(row["right"]) == pytest.approx(1, abs=1e-5)
            assert row["predicted"] == (
                "left" if float(row["left"]) >= thresholds[0] - 1e-6 else "right"
            )


def write_table(folder, rows):
    text = "path,label\n" + "".join(f"videos/{path},{label}\n" for path, label in rows)
    (folder / "table.csv").write_text(text)


def test_several_labels_a_video(folder):
    """A bright square, a square that moves, or both."""
    (folder / "videos/many").mkdir()
    rows = []
    for index in range(12):
        bright, fast = index % 3 != 0, index % 3 != 1
        frames = list(moving_square(24, speed=8 * fast, shade=120 + 100 * bright, seed=index))
        write_video(folder / f"videos/many/v{index}.avi", frames, 25)
        label = ";".join(["bright"] * bright + ["fast"] * fast)
        rows.append((f"many/v{index}.avi", label))
    rows.append(("left/left_00.avi", "slow"))
    rows.append(("left/left_01.avi", "slow"))
    write_table(folder, rows)
    with pytest.raises(ValueError, match="has several labels, bright;fast, but softmax takes one"):
        train("--data-path", "table.csv")
    flags = ("--activation", "sigmoid", "--balance", "weights", "--epochs", 1)
    run_folder, report = train("--data-path", "table.csv", *flags)
    assert set(report["per_class"]) == {"bright", "fast", "slow"}
    assert len(json.loads((run_folder / "thresholds.json").read_text())) == 3
    assert "val_average_precision" in (run_folder / "history.csv").read_text().splitlines()[0]
    scored = evaluate.evaluate(EvaluationOptions([run_folder], split="train"))
    assert scored["mean_average_precision"] > 0 and "confusion" not in scored
    assert (run_folder / "evaluation/train/roc.png").stat().st_size


def test_a_run_starts_another(folder, no_pictures, untraced, capsys):
    train("--run", "first", "--epochs", 1)
    write_dataset(folder / "three", ("left", "right", "up"), 3)
    capsys.readouterr()
    second, _ = train("--data-path", "three", "--weights", "weights/first", "--epochs", 1)
    printed = capsys.readouterr().out
    assert "weights/first, loaded: head/hidden, head/projection" in printed
    assert "weights/first, not loaded (starts at random): head/logits (128, 3), not " in printed
    assert "weights/first, not used: nothing" in printed
    assert column(second, "loss")


@pytest.fixture(scope="module")
def with_short(tmp_path_factory):
    """A folder with videos and weights/short, trained for an epoch."""
    folder = tmp_path_factory.mktemp("short")
    write_dataset(folder / "videos")
    with pytest.MonkeyPatch.context() as patch, untraced_steps():
        patch.chdir(folder)
        patch.setitem(SIZES, "small", TINIEST)
        train("--run", "short", "--epochs", 1)
    return folder


@pytest.fixture
def short(with_short, monkeypatch):
    """That folder, where decoding a video fails the test."""
    monkeypatch.chdir(with_short)
    monkeypatch.setitem(SIZES, "small", TINIEST)
    monkeypatch.setattr(classification, "inspect", lambda *_: pytest.fail("decoded a video"))


def test_a_wrong_choice_is_no_run(short):
    with pytest.raises(ValueError, match="Unknown --activation relu"):
        train("--activation", "relu")
    assert {path.name for path in Path("weights").iterdir()} == {"short", "cache"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--network", "i3d_gru"],
            r"Unknown --network i3d_gru\. Did you mean i3d",
        ),
        (["--embedder", "pixels"], r"Unknown --embedder pixels\. Possible: flatten, patches"),
        (["--encoder", "divided"], r"Unknown --encoder divided\. Possible: joint, factorised"),
        (["--size", "huge"], r"Unknown --size huge\. Possible: small, base"),
        (["--pooling", "max"], r"Unknown --pooling max\. Possible: class, fused"),
        (
            ["--embedder", "patches", "--patch-size", "12"],
            "cannot be cut into pieces of 1 x 12 x 12",
        ),
        (
            ["--network", "timesformer", "--attention", "time"],
            r"Unknown --attention time",
        ),
        (
            ["--network", "timesformer", "--positions", "time"],
            r"Unknown --positions time",
        ),
        (
            ["--network", "timesformer", "--patch-size", "5"],
            "16 x 16 pixels cannot be cut into pie",
        ),
        (
            ["--network", "timesformer", "--patch-size", "8", "--frames-per-segment", "1"],
            "Attention over time needs several tokens there, but the grid is 1 x 2 x 2",
        ),
        (["--network", "timesformer", "--attention", "axial"], "the grid is 8 x 1 x 1"),
        (
            ["--network", "timesformer", "--patch-size", "8", "--weights", "weights/gone"],
            "Unknown weights 'weights/gone'; known: kinetics, kinetics600",
        ),
        (
            ["--optimizer", "adam"],
            r"Unknown --optimizer adam\. Did you mean adamw",
        ),
        (["--schedule", "linear"], r"Unknown --schedule linear\. Possible: phases, cosine"),
        (["--weights", "kinetics"], "has no published weights. Give none, or a run"),
        (["--weights", "weights/gone"], "has no published weights. Give none, or a run"),
        (["--class-names", "left", "up"], "unknown class: right; known classes: left, up"),
        (
            ["--weights", "weights/short", "--frames-per-segment", "16"],
            "has 9 positions in its head/encoder_positions, but this one has 17",
        ),
        (
            ["--run", "short", "--resume", "--num-segments", "2"],
            "started with num_segments 1, not 2",
        ),
    ],
)
def test_impossible_runs_stop_before_any_video_is_decoded(short, flags, message):
    with pytest.raises(ValueError, match=message):
        train(*flags)
    assert {path.name for path in Path("weights").iterdir()} == {"short", "cache"}


def test_summary_of_a_network(capsys):
    params = parse_params([*TINY, "--frame-size", "128", "--short-side", "128"])
    parts = summarize_network(Options(outputs=6), params)
    assert parts[-1][1] == sum(count for _, count, _ in parts[:-1])
    printed = capsys.readouterr().out
    assert "head/hidden" in printed and "6,291,584" in printed and "95." in printed
