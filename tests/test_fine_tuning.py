"""Stage 2 as commands are run: I3D trained behind what a run on its features has learned."""

import csv
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import evaluate
import training
from models.end_to_end import list_units
from scripts.extract_features import Options, extract_features
from support.backbones import shrunk_i3d
from support.backends import untraced_steps
from support.commands import ROOT
from support.runs import read_history
from support.videos import write_signing
from tasks.features.reader import RowReader
from tasks.options import EvaluationOptions, ExplanationOptions
from tasks.plan import make_plan
from tasks.predictors import open_predictor
from tasks.recognition.explaining import explain_sentence
from tasks.recognition.through_backbone import (
    choose_part,
    look_at_frames,
    open_network,
    open_sentences,
)
from tasks.recognition.transcription import FEATURES, read_features, read_logits
from tasks.training_flags import parse_params
from utils.clips.augmentation import Augmentation
from utils.features.settings import read_settings
from utils.params import Params
from utils.runs.folders import load_data
from utils.runs.saved_params import load_params
from utils.signing.batches import pad_rows
from utils.signing.corpora import load_sentences
from utils.signing.row_changes import RowChanges
from utils.signing.sentence_frames import SentenceFrames, change_frames, read_frames
from utils.video.reading import probe

import keras
import numpy as np
import pytest

SIZES = {"window": 8, "stride": 4, "short_side": 112, "frame_size": 112}
FLAGS = (
    "phoenix --data-path list.csv --width 16 --dropout 0 --batch-size 2 --workers 1 --epochs 1 "
    "--rate-epochs 1 2 --drop-rows 0 --learning-rates 1e-3 1e-3 1e-3"
).split()


def extract(output, **changes):
    options = {"data": "videos", "output": output, "weights": "none", **SIZES, **changes}
    extract_features(Options(**options))


def train(*flags):
    return training.train_run(parse_params([*FLAGS, *map(str, flags)]))


@pytest.fixture(scope="module")
def began(tmp_path_factory):
    """A folder with a corpus, features of both routes, and a run on each of them."""
    folder = tmp_path_factory.mktemp("fine_tuning")
    with pytest.MonkeyPatch.context() as patch, shrunk_i3d(), untraced_steps():
        patch.chdir(folder)
        patch.setattr("utils.pictures.run_plots.save_figure", lambda *_, **__: None)
        write_signing(folder)
        extract("F")
        extract("D", route="dense", chunk=32)
        train("--run", "windows", "--features", "F", "--rescale", 0)
        train("--run", "dense", "--features", "D", "--row-step", 2)
    return folder


@pytest.fixture
def folder(began, monkeypatch, small_i3d, no_pictures):
    monkeypatch.chdir(began)
    return began


def predict(model, arrays, **padding):
    rows = [(len(a) - padding.get("window", 1)) // padding.get("stride", 1) + 1 for a in arrays]
    return model.predict_on_batch(pad_rows(arrays, [max(rows)], **padding)), rows


@pytest.mark.parametrize(
    ("run", "flags"),
    [("windows", ()), ("windows", ("--feature-views", "0")), ("dense", ())],
)
def test_stage_two_begins_with_the_logits_of_stage_one(folder, run, flags):
    """The recognizer on extracted features; on the kept maps; on frames."""
    sentences, _ = load_data(Path("weights", run), load_sentences)
    params = load_params(Path("weights", run, "params.json"))
    sentences, features, _ = read_features(sentences[:3], params)
    first = keras.saving.load_model(Path("weights", run, "best.keras"))
    expected, rows = predict(first, [FEATURES.read(features[s.path]) for s in sentences])

    params = parse_params([*FLAGS, "--weights", f"weights/{run}", "--finetune", "Mixed_5c", *flags])
    settings, step = read_settings(params.weights), 2 if run == "dense" else 1
    plan = make_plan(replace(params, row_step=step))
    network = open_network(plan, settings)
    row_format = settings.make_row_format(step)
    _, inputs, problems = look_at_frames(sentences, plan.params, row_format)
    part = choose_part(network, plan)
    inputs, reading = open_sentences(network, settings, inputs, plan)
    arrays = [reading.read(inputs[s.path]) for s in sentences]
    padding = {"name": "frames", "window": 8, "stride": 4 * step} if flags else {}
    found, same = predict(part, arrays, **padding)
    assert rows == same and not problems
    for one, other, count in zip(found, expected, rows, strict=True):
        np.testing.assert_allclose(one[:, :count], other[:, :count], atol=2e-3)
    assert (network.name == part.name) == bool(flags)
    reader = RowReader(Path("weights", run), step, network)
    seen = reader.read(probe(sentences[0].path))[0]["centre"]
    logits = read_logits(network.get_layer("recognizer"), seen, "K5-K5", "")
    np.testing.assert_allclose(logits, expected[0][0, : rows[0]], atol=2e-3)


def test_maps_are_kept_and_training_goes_on(folder, untraced, capsys):
    flags = ("--weights", "weights/windows", "--finetune", "Mixed_5c", "--backbone-rate", 0.1)
    flags += ("--weight-decay", 0.01)
    run, report = train("--run", "whole", *flags, "--epochs", 2)
    said = capsys.readouterr().out
    assert "weights/windows: network bilstm, front K5-K5, width 16" in said
    assert "with the frozen part of I3D" in said
    assert "features have stride 4" in said
    began, now = (
        {v.path.split("/")[-2] + v.name: v.numpy() for v in list_variables(network)}
        for network in (load_start(flags), keras.saving.load_model(run / "best.keras"))
    )
    changed = {name for name in began if np.abs(began[name] - now[name]).max() > 1e-7}
    assert any(name.startswith("Mixed_5c") for name in changed)
    assert "logitskernel" in changed
    assert not [n for n in changed if n.startswith(("Conv3d", "Mixed_3", "Mixed_4", "Mixed_5b"))]
    assert not [n for n in changed if "batch_norm" in n and n.startswith("Mixed")]
    assert "normalizemoving_mean" not in changed

    train("--run", "parts", *flags)
    parts, again = train("--run", "parts", *flags, "--epochs", 2, "--resume")
    assert "with the frozen part" not in capsys.readouterr().out
    assert again == report
    for left, right in zip(read_history(run), read_history(parts), strict=True):
        assert left | {"seconds": ""} == right | {"seconds": ""}

    for changes in ({}, {"data_path": "list.csv"}):
        scored = evaluate.evaluate(EvaluationOptions((run,), split="dev", **changes))
        assert scored["wer"] == pytest.approx(report["val_wer"], abs=1e-3)
    with pytest.raises(ValueError, match=r"was trained on videos, so it cannot read features \(F"):
        evaluate.evaluate(EvaluationOptions((run,), split="dev", features="F"))
    check_answers(run)


def check_answers(run):
    """Check that predict and explain say of a sentence what its network does of the frames."""
    sentences, vocabulary = load_data(run, load_sentences)
    sentence = next(s for s in sentences if s.split == "dev")
    frames = SentenceFrames(probe(sentence.path), read_settings(run).make_row_format())
    padding = {"name": "frames", "window": 8, "stride": 4}
    logits, _ = predict(
        keras.saving.load_model(run / "best.keras"), [read_frames(frames)], **padding
    )
    expected = keras.ops.convert_to_numpy(keras.ops.softmax(logits[0, 0]))
    predictor = open_predictor(run)
    prediction = predictor.predict_video(sentence.path)
    assert (predictor.kind, predictor.labels) == ("glosses", vocabulary)
    np.testing.assert_allclose(prediction.probabilities, expected[:, 1:], atol=1e-3)
    with open(run / "evaluation/dev/predictions.csv", newline="") as file:
        scored = {row["id"]: row["hypothesis"] for row in csv.DictReader(file)}
    assert " ".join(prediction.labels) == scored[sentence.id]
    assert prediction.times[-1] == pytest.approx(prediction.duration)
    folder = explain_sentence(ExplanationOptions(sentence.id, run))
    explained = np.load(folder / "probabilities.npz")
    np.testing.assert_allclose(explained["probabilities"], expected, atol=1e-3)
    page = (folder / "explanation.html").read_text()
    assert sentence.id in page and "No frames" not in page


def list_variables(network):
    return [v for v in network.variables if "seed" not in v.name]


def load_start(flags):
    params = parse_params([*FLAGS, *map(str, flags)])
    return open_network(make_plan(params), read_settings(params.weights))


def test_frames_change_every_epoch(folder, capsys):
    flags = ("--weights", "weights/windows", "--finetune", "Mixed_5c", "--feature-views", 0)
    run, report = train("--run", "frames", *flags)
    assert "with the frozen part" not in capsys.readouterr().out
    assert np.isfinite(float(read_history(run)[0]["loss"]))
    scored = evaluate.evaluate(EvaluationOptions((run,), split="dev"))
    assert scored["wer"] == pytest.approx(report["val_wer"], abs=1e-3)
    # Its I3D can be used further: for features, and to be trained from an earlier endpoint on.
    extract("again", weights=str(run))
    before, after = (np.load(f"{name}/train0.npy") for name in ("F", "again"))
    assert before.shape == after.shape and np.abs(before - after).max() > 1e-5
    network = load_start(("--weights", str(run), "--finetune", "Mixed_5b"))
    kept = keras.saving.load_model(run / "best.keras")
    for one, other in zip(list_variables(network), list_variables(kept), strict=True):
        assert one.path.split("/")[-1] == other.path.split("/")[-1]


def test_random_frames_are_reproducible_and_enough(folder):
    sentences, _ = load_data(Path("weights/windows"), load_sentences)
    row_format = read_settings("weights/windows").make_row_format()
    params = parse_params(FLAGS)
    _, inputs, _ = look_at_frames(sentences, params, row_format)
    shown = inputs[sentences[1].path]

    def read(seed, color=0.2, **changes):
        changes = RowChanges(**{"rescale": 0.0, "drop_rows": 0.0} | changes)
        looks = Augmentation(False, color)
        return change_frames(shown, 2, np.random.default_rng(seed), changes, looks)

    plain = read_frames(shown)
    assert plain.dtype == np.uint8
    assert len(plain) == (shown.num_rows - 1) * 4 + 8
    assert read(0, color=0).shape == plain.shape
    np.testing.assert_array_equal(read(1, rescale=0.2), read(1, rescale=0.2))
    assert not np.array_equal(read(1), read(2))
    lengths = {len(read(seed, rescale=0.4, drop_rows=0.2)) for seed in range(12)}
    assert len(lengths) > 3 and min(lengths) >= 12


def test_features_of_another_i3d(folder):
    shutil.copytree("weights/windows", "weights/other", dirs_exist_ok=True)
    path = Path("weights/other/features.json")
    kept = json.loads(path.read_text())
    kept["manifest"]["fingerprint"]["rgb"] = "0"
    path.write_text(json.dumps(kept))
    other = ("--weights", "weights/other", "--finetune", "Mixed_5c")
    with pytest.raises(ValueError, match="made by I3D, with the weights none"):
        train("--run", "none", *other)
    path.write_text(json.dumps(kept | {"manifest": None}))
    with pytest.raises(ValueError, match="it is unknown how its features were made"):
        train("--run", "none", *other)
    assert not Path("weights/none").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ("--weights", "weights/windows", "--finetune", "Mixed_9"),
            "Unknown --finetune Mixed_9",
        ),
        (
            ("--weights", "weights/windows", "--finetune", "all", "--front", "none"),
            "front is none, but .* has front K5-K5",
        ),
        (
            ("--weights", "weights/dense", "--finetune", "Mixed_4f"),
            "share all layers up to Mixed_4f",
        ),
        (("--weights", "weights/dense", "--finetune", "all"), "of --route windows"),
        (("--weights", "nowhere", "--finetune", "all"), "nowhere: not a run"),
    ],
)
def test_impossible_starts(folder, flags, message):
    with pytest.raises(ValueError, match=message):
        train("--run", "none", *flags)
    assert not Path("weights/none").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"finetune": "Mixed_5b"}, "recognition needs both"),
        ({"weights": "weights/windows"}, "recognition needs both"),
        ({"finetune": "all", "features": "F"}, "there is no backbone to train"),
        ({"weights": "a", "finetune": "Mixed_5c", "feature_views": 2}, "feature_views is 2"),
    ],
)
def test_contradictions(changes, message):
    with pytest.raises(ValueError, match=message):
        Params(task="recognition", network="bilstm", **changes)


MIRRORED = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import sys, training
from support.backbones import shrunk_i3d
from tasks.training_flags import parse_params
with shrunk_i3d():
    for line in sys.stdin:
        folder, report = training.train_run(parse_params(line.split()))
        print("dev", report["val_wer"], flush=True)
"""


def test_two_devices_train_in_step(folder):
    """Both stages: a sentence each, losses summed over both."""
    second = ("--weights", "weights/mirrored", "--finetune", "Mixed_5c")
    lines = [
        [*FLAGS, "--features", "F", "--run", "mirrored"],
        [*FLAGS, *second, "--run", "mirrored2", "--backbone-rate", "0", "--weight-decay", "0.1"],
    ]
    done = subprocess.run(
        [sys.executable, "-c", MIRRORED],
        input="".join(" ".join(line) + "\n" for line in lines),
        env={
            "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
            "VIDEO_HOME": ".",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        },
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("\ndev ") == 2
    for run in ("mirrored", "mirrored2"):
        assert np.isfinite(float(read_history(f"weights/{run}")[0]["loss"]))
    began, now = load_start(second), keras.saving.load_model("weights/mirrored2/best.keras")
    for units in zip(list_units(began).values(), list_units(now).values(), strict=True):
        for one, other in zip(*(unit.get_weights() for unit in units), strict=True):
            np.testing.assert_array_equal(one, other)  # a rate of 0, on both devices
    recognizers = (network.get_layer("recognizer") for network in (began, now))
    kernels = [network.get_layer("logits").get_weights()[0] for network in recognizers]
    assert np.abs(kernels[0] - kernels[1]).max() > 1e-5
