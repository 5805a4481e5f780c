"""Which runtime and precision compute what is frozen, on made-up CPUs, and by real OpenVINO."""

import json
import pickle
import shutil
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from evaluate import evaluate
from models.layers import TimeDistributed
from scripts.extract_features import Options, extract_features
from scripts.predict import Options as PredictOptions
from scripts.predict import predict
from support.backbones import shrunk_i3d, unpublished_i3d
from support.videos import write_dataset
from tasks import training
from tasks.features import runtimes
from tasks.features.runtimes import (
    CALIBRATION,
    Asked,
    Runtime,
    choose_runtime,
    find_network,
    keep_networks,
    pick_clips,
    prepare,
)
from tasks.options import EvaluationOptions
from tasks.predictors import open_predictor
from tasks.training import train
from utils.clips.augmentation import find_levels, list_levels
from utils.clips.inputs import fingerprint
from utils.clips.reading import ClipFormat
from utils.fitting import devices
from utils.fitting.devices import choose_precision, lower_precision
from utils.params import Params
from utils.runs import openvino
from utils.runs.folders import open_run
from utils.runs.openvino import PACKAGES, convert, make_network
from utils.runs.saved_params import load_params
from utils.video.reading import probe
from utils.video.views import CENTER

import keras
import numpy as np
import pytest

needs_openvino = pytest.mark.skipif(
    any(find_spec(package) is None for package in PACKAGES),
    reason="requirements-openvino.txt is not installed",
)
SIZES = {"short_side": 112, "frame_size": 112}


def small_network():
    """Return segments to features as a frozen backbone makes them."""
    inner = keras.Sequential(
        [
            keras.Input((4, 8, 8, 3)),
            keras.layers.Conv3D(8, 3, padding="same", activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.GlobalAveragePooling3D(),
        ]
    )
    clips = keras.Input((2, 4, 8, 8, 3))
    return keras.Model(clips, TimeDistributed(inner)(clips))


def draw_clips(count=1, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (count, 2, 4, 8, 8, 3)).astype("float32")


@pytest.mark.parametrize(
    ("told", "gpu", "faster", "chosen"),
    [
        ("flags : avx2 avx512_bf16 fma", False, True, "bfloat16"),
        ("flags : amx_bf16", False, True, "bfloat16"),
        ("flags : avx512_bf16", False, False, "float32"),  # such as under an emulator
        ("flags : avx512_bf16", True, True, "float32"),
        ("flags : avx2 avx512f", False, True, "float32"),
    ],
)
def test_auto_is_what_the_cpu_gains_by(monkeypatch, tmp_path, told, gpu, faster, chosen):
    (tmp_path / "cpuinfo").write_text(told)
    monkeypatch.setattr(devices, "_CPU", tmp_path / "cpuinfo")
    monkeypatch.setattr(devices, "has_gpu", lambda: gpu)
    monkeypatch.setattr(devices, "_is_bfloat16_faster", lambda: faster)
    assert choose_precision("keras") == chosen
    run = replace(Params(), precision="bfloat16")  # trained elsewhere
    able = "bf16" in told or gpu
    assert choose_runtime(run) == Runtime("keras", "bfloat16" if able else "float32")


def test_the_short_test_measures_both():
    assert devices._is_bfloat16_faster(size=2) in (True, False)
    assert keras.config.dtype_policy().name == "float32"


def test_a_run_that_goes_on_keeps_its_precision(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training, "choose_precision", lambda runtime: "bfloat16")
    params = replace(Params(), run="a")
    settled = training._settle(params)
    assert settled.precision == "bfloat16"
    open_run(settled)
    monkeypatch.setattr(training, "choose_precision", lambda runtime: "float32")
    again = training._settle(replace(params, resume=True))
    assert again.precision == "bfloat16" and open_run(again).name == "a"
    assert training._settle(replace(params, run="b")).precision == "float32"


def test_bfloat16_is_of_what_is_frozen_alone():
    with devices.number_format("bfloat16"):
        network = small_network()
    assert network.compute_dtype == "float32"
    lowered, clips = lower_precision(network), draw_clips(3)
    inner = lowered.layers[-1].layer.layers[0]
    assert (inner.compute_dtype, inner.variable_dtype) == ("bfloat16", "float32")
    own, other = (
        np.asarray(each.predict_on_batch(clips), "float32") for each in (network, lowered)
    )
    assert 0 < np.abs(own - other).max() < 0.05
    prepared = prepare(network, Runtime("keras", "bfloat16"))
    assert prepared.fingerprint == fingerprint(lowered) != fingerprint(network)
    assert prepare(network, Runtime()).model is network


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"precision": "int8"}, "the runtime keras has .*, or --runtime openvino"),
        (
            {"precision": "mixed_float16", "runtime": "openvino"},
            "the runtime openvino has auto, float32, bfloat16, int8.*, or --runtime keras",
        ),
    ],
)
def test_what_a_runtime_does_not_have(changes, words):
    with pytest.raises(ValueError, match=words):
        Params(**changes)
    with pytest.raises(ValueError, match=words):
        Options("data", "features", **changes)


def test_predicting_in_what_there_is_not(monkeypatch):
    with pytest.raises(ValueError, match="runtime keras has"):
        PredictOptions(("a.mp4",), runtime="keras", precision="int8")
    monkeypatch.setattr(openvino, "find_spec", lambda package: None)
    with pytest.raises(ValueError, match=r"pip install -r requirements-openvino\.txt. Or give"):
        choose_runtime(Params(), Asked("openvino"))
    with pytest.raises(ValueError, match="Leave out runtime and precision"):
        Asked("openvino").check_rows("weights/run")
    Asked().check_rows("weights/run")


def test_clips_to_calibrate_on_are_spread(tmp_path):
    write_dataset(tmp_path, videos=2)
    (tmp_path / "broken.avi").write_bytes(b"no video")
    paths = sorted(tmp_path.rglob("*.avi"))
    clips = pick_clips(paths, ClipFormat(1, 8, short_side=32, frame_size=32))
    assert len(clips) == CALIBRATION and clips[0].shape == (1, 1, 8, 32, 32, 3)
    assert len({clip.tobytes() for clip in clips}) > len(paths) - 1
    assert pick_clips([tmp_path / "broken.avi"], ClipFormat(1, 8)) == pick_clips([], None) == []
    many = pick_clips(paths * 20, ClipFormat(1, 8, short_side=32, frame_size=32))
    assert len(many) == CALIBRATION and len({clip.tobytes() for clip in many}) == len(paths) - 1


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_levels_are_found_again(stream):
    levels = list_levels(stream)[:, None]
    assert find_levels(levels, stream).ravel().tolist() == [*range(256)]


@pytest.mark.openvino
@needs_openvino
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_openvino_computes_what_keras_does(precision):
    network = small_network()
    found = pickle.loads(pickle.dumps(make_network(convert(network), precision)))
    for count in (1, 3, 1):
        own = network.predict_on_batch(draw_clips(count))
        atol = {"float32": 1e-5, "bfloat16": 0.02}[precision]
        np.testing.assert_allclose(found.predict_on_batch(draw_clips(count)), own, atol=atol)
    prepared = prepare(network, Runtime("openvino", precision))
    np.testing.assert_array_equal(
        np.asarray(prepared.model.predict(draw_clips(3), batch_size=2, verbose=0)).shape, (3, 2, 8)
    )
    assert prepared.fingerprint not in (fingerprint(network), prepare(network, Runtime("openvino")))


@pytest.mark.openvino
@needs_openvino
def test_int8_is_calibrated_once(tmp_path, monkeypatch):
    monkeypatch.setattr(runtimes, "WEIGHTS", tmp_path)
    network, asked = small_network(), []

    def pick(count):
        asked.append(count)
        return [draw_clips(seed=seed) for seed in range(count)]

    int8, run = Runtime("openvino", "int8"), tmp_path / "run"
    with pytest.raises(ValueError, match="Predict a few videos in int8 first"):
        prepare(network, int8)
    first = prepare(network, int8, partial(pick, 4))
    again = prepare(network, int8, partial(pick, 5), run)
    assert asked == [4] and again.fingerprint == first.fingerprint
    clips = draw_clips(8, seed=9)
    own, quantized = (each.predict(clips, verbose=0) for each in (network, first.model))
    assert 0 < np.abs(own - quantized).max() < 0.05
    np.testing.assert_array_equal(again.model.predict(clips, verbose=0), quantized)

    # The run's copy stands in for what is gone; nothing of another network.
    keep_networks(run, {first.fingerprint, "of another"})
    shutil.rmtree(tmp_path / "openvino")
    assert prepare(network, int8, partial(pick, 6), run).fingerprint == first.fingerprint
    assert find_network(first.fingerprint, run).digest == first.fingerprint
    assert find_network("of another", run) is None and asked == [4]
    network.layers[-1].layer.layers[0].bias.assign(np.ones(8))
    assert prepare(network, int8, partial(pick, 7), run).fingerprint != first.fingerprint
    assert asked == [4, 7]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of videos, their int8 features, and runs on either."""
    folder = tmp_path_factory.mktemp("runtimes")
    with pytest.MonkeyPatch.context() as patch, unpublished_i3d(), shrunk_i3d():
        patch.chdir(folder)
        write_dataset(folder / "videos", videos=4)
        yield folder


@pytest.mark.openvino
@needs_openvino
def test_features_and_runs_in_int8(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    options = Options(
        "videos", "rows", window=8, stride=8, runtime="openvino", precision="int8", **SIZES
    )
    extract_features(options)
    manifest = json.loads(Path("rows/manifest.json").read_text())
    assert (manifest["runtime"], manifest["precision"]) == ("openvino", "int8")
    assert [*manifest["networks"]] == ["8"]
    assert capsys.readouterr().out.count(f"Calibrating int8 on {CALIBRATION} clips") == 1
    extract_features(replace(options, precision="auto"))  # goes on as it began
    with pytest.raises(ValueError, match=r"rows contains features of .*runtime openvino"):
        extract_features(replace(options, runtime="keras", precision="auto"))
    extract_features(replace(options, runtime="keras", precision="float32", output="own"))
    for path in sorted(Path("own").rglob("*.npy")):
        own, other = np.load(path), np.load(Path("rows", path.relative_to("own")))
        cosines = (own * other).sum(1) / np.linalg.norm(own, axis=1) / np.linalg.norm(other, axis=1)
        assert cosines.min() > 0.98 and not np.array_equal(own, other)

    on_rows = train(data_path="videos", features="rows", run="on_rows", num_segments=2, epochs=1)
    shutil.rmtree("weights/openvino")
    path = next(Path("videos").rglob("*.avi"))
    predictor = open_predictor(on_rows.folder)
    rows, _ = predictor.reader.read(probe(path))
    stored = np.load(Path("rows", path.relative_to("videos")).with_suffix(".npy"))
    np.testing.assert_array_equal(rows[CENTER], stored)
    shutil.rmtree(on_rows.folder / "openvino")
    with pytest.raises(ValueError, match="int8 networks, which are neither in the run nor in"):
        open_predictor(on_rows.folder)


@pytest.mark.openvino
@needs_openvino
def test_frozen_training_in_int8(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    params = {"run": "int8", "runtime": "openvino", "precision": "int8", "epochs": 1}
    run = train(
        data_path="videos",
        frames_per_segment=8,
        num_segments=2,
        network="i3d",
        pictures=0,
        **SIZES,
        **params,
    ).folder
    assert load_params(run / "params.json").precision == "int8"
    shutil.rmtree("weights/openvino")
    said = capsys.readouterr().out
    assert "Calibrating int8 on" in said
    assert evaluate(EvaluationOptions((run,)))["videos"] == 2
    paths = [str(path) for path in sorted(Path("videos").rglob("*.avi"))[:2]]
    predict(PredictOptions(tuple(paths), run=run))
    assert "Calibrating" not in capsys.readouterr().out
    Path("weights/cache").rename("weights/gone")
    predict(PredictOptions(tuple(paths), run=run))
    assert "Calibrating" not in capsys.readouterr().out
