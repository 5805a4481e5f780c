"""The commands as a user runs them, on real files and tiny networks: train, be killed, go on."""

import csv
import json
import signal
import subprocess
import sys
import time

import evaluate
import training
from support.backbones import unpublished_i3d
from support.commands import ROOT, run
from support.runs import TINY, read_history
from support.videos import write_dataset
from tasks.options import EvaluationOptions
from tasks.training_flags import parse_params
from utils.version import VERSION

import keras
import numpy as np
import pytest


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with videos where published weights load without being there."""
    write_dataset(tmp_path / "videos")
    monkeypatch.chdir(tmp_path)
    with unpublished_i3d():
        yield tmp_path


def train(*flags):
    return training.train_run(parse_params(["--data-path", "videos", *TINY, *map(str, flags)]))


def losses(run_folder):
    return [float(row["loss"]) for row in read_history(run_folder)]


def test_frozen_run_resumes_and_is_scored(folder, small_i3d):
    (folder / "videos/left/broken.avi").write_bytes(b"no video")
    views = ("--network", "i3d", "--feature-views", 2)
    whole, report = train("--run", "whole", *views)
    cached = sorted((folder / "weights/cache/features").rglob("*.npy"))
    assert report["videos"] == 3 and len(cached) == 9 * 2 + 3
    assert "broken.avi: not a video" in (whole / "problems.txt").read_text()
    assert [row["learning_rate"] for row in read_history(whole)] == ["0.01", "0.001", "0.0001"]

    begun = [path.stat().st_mtime_ns for path in cached]
    train("--run", "parts", *views, "--epochs", 1)
    parts, _ = train("--run", "parts", *views, "--resume")
    assert [path.stat().st_mtime_ns for path in cached] == begun
    np.testing.assert_allclose(losses(parts), losses(whole), rtol=1e-4)
    assert [row["epoch"] for row in read_history(parts)] == ["1", "2", "3"]

    scored = evaluate.evaluate(EvaluationOptions([whole]))
    assert scored["top1"] == report["top1"]
    for name in ("report.json", "predictions.csv", "confusion.png", "classes.png"):
        assert (whole / "evaluation/val" / name).stat().st_size
    more = evaluate.evaluate(
        EvaluationOptions([whole], data_path="videos", eval_clips=2, eval_crops=3)
    )
    assert more["videos"] == 12
    with open(whole / "evaluation/videos-all/predictions.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    assert float(rows[0]["left"]) + float(rows[0]["right"]) == pytest.approx(1, abs=1e-5)
    made = {path.name for path in whole.iterdir()}
    assert made >= {"params.json", "classes.json", "splits.csv", "environment.json", "history.png"}
    assert {"best.keras", "state.json", "logs"} <= made
    assert json.loads((whole / "environment.json").read_text())["version"] == VERSION

    with pytest.raises(ValueError, match="started with seed 0, not 5"):
        train("--run", "parts", *views, "--resume", "--seed", 5)
    with pytest.raises(ValueError, match="exists already"):
        train("--run", "parts")
    with pytest.raises(ValueError, match="no split 'test'; known: train, val"):
        evaluate.evaluate(EvaluationOptions([whole], split="test"))
    write_dataset(folder / "others", ("left", "up"), 1)
    with pytest.raises(ValueError, match="unknown class: up; known classes: left, right"):
        evaluate.evaluate(EvaluationOptions([whole], data_path="others"))
    with pytest.raises(ValueError, match="eval_clips is -1; it must be at least 1"):
        evaluate.evaluate(EvaluationOptions([whole], eval_clips=-1))
    with pytest.raises(ValueError, match="not a run"):
        evaluate.evaluate(EvaluationOptions([folder]))


def test_finetuning_from_an_endpoint_trains_it_alone(folder, small_i3d):
    for path in folder.rglob("*_0[2-5].avi"):
        path.unlink()
    run_folder, _ = train("--finetune", "Mixed_5c", "--val-fraction", 0, "--epochs", 1)
    features = np.load(next((folder / "weights/cache/features").rglob("*.npy")))
    assert features.shape == (2, 1, 4, 4, 832 // 8)
    assert run_folder.name == "videos_i3d_lstm"
    network = keras.saving.load_model(run_folder / "best.keras")
    assert network.output_shape == (None, 2)


def start(command, flags, folder):
    """Start a training in a process of its own."""
    return subprocess.Popen(
        [sys.executable, *command, "--data-path", "videos", *TINY, *flags],
        cwd=folder,
        env={
            "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
            "VIDEO_HOME": ".",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_killed_run_goes_on(folder):
    flags = "--run r --network vivit --frame-size 16 --short-side 20".split()
    state = folder / "weights/r/state.json"
    with start([ROOT / "training.py"], [*flags, "--epochs", "1000"], folder) as process:
        while not state.exists() and process.poll() is None:
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    before = json.loads(state.read_text())
    epochs = before["epoch"] + 1
    train(*flags, "--resume", "--epochs", epochs)
    after = json.loads(state.read_text())
    assert after["history"][: before["epoch"]] == before["history"]
    assert after["epoch"] == epochs and after["best"] >= before["best"]
    assert len(list((folder / "weights/r").glob("last-*"))) == 1


MIRRORED = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import sys, training
from support.backbones import shrunk_i3d, unpublished_i3d
from tasks.training_flags import parse_params
with unpublished_i3d(), shrunk_i3d():
    folder, report = training.train_run(parse_params(sys.argv[1:]))
print("counted", report["videos"])
"""


def test_two_devices_train_in_step(tmp_path):
    write_dataset(tmp_path / "videos", videos=7)
    with start(["-c", MIRRORED], ["--epochs", "2"], tmp_path) as process:
        printed = process.communicate(timeout=300)[0]
    assert process.returncode == 0, printed[-3000:]
    assert "counted 3" in printed
    rows = read_history(tmp_path / "weights/videos_i3d_lstm")
    assert len(rows) == 2
    assert all(np.isfinite(float(row["val_loss"])) for row in rows)


def test_bad_commands_say_what_is_wrong(folder):
    done = run(["training.py", "--run", "gone", "--resume"], folder)
    assert done.returncode == 2 and "Error: There is no run gone" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--data-path", "nowhere"], "data_path nowhere: no such file"),
        (["--network", "i3d_ltsm"], r"Unknown --network i3d_ltsm\. Did you mean i3d_lstm\?"),
        (["--finetune", "Mixed_9"], "Unknown --finetune Mixed_9"),
        (["--gpus", "3"], "gpus is 3, but TensorFlow finds"),
    ],
)
def test_impossible_flags(folder, flags, message):
    with pytest.raises(ValueError, match=message):
        train(*flags)
