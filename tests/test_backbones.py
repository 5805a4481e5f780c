"""Every row of `BACKBONES`; and a second one, made up here, with which all commands run.

It has other stages, other clips, values of its own, tokens in place of a map, no flow, and windows
that share nothing.
"""

import json
from importlib.util import find_spec
from pathlib import Path

import training
from models.backbones import BACKBONES, FEATURES, Backbone, ClipSpec, Published, Stage
from models.choices import NETWORKS, list_networks
from models.cutting import backbones_of, cut_network, freeze, name_backbone
from models.design import Design
from models.end_to_end import build_end_to_end, build_windows, copy_units, list_units, trained_part
from models.explaining.attribution import find_centers
from models.networks import build, check_network, find_backbone
from models.recognizer import build_recognizer
from scripts import explain, export_model, extract_features
from support.runs import read_history
from support.videos import write_dataset
from tasks.options import ExplanationOptions, ExportOptions
from tasks.predictors import open_predictor
from tasks.training_flags import parse_params
from utils.features.rows import plan_rows
from utils.runs.export_formats import FORMATS
from utils.runs.networks import load_network
from utils.video.reading import probe, read_rgb

import keras
import numpy as np
import pytest
from keras import layers

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
DIM = 64
SIZES = "--num-segments 2 --frames-per-segment 6 --frame-size 32 --short-side 36".split()
FLAGS = (
    "--data-path videos --batch-size 4 --epochs 2 --rate-epochs 1 2 "
    "--learning-rates 1e-2 1e-2 1e-2 --workers 1 --pictures 0 --dropout 0"
).split()


def apply_tiny(clips, endpoint):
    """Apply three stages: pixels to maps, to smaller ones, to tokens of `DIM` numbers."""
    settings = {"padding": "same", "use_bias": False}
    x = layers.Conv3D(4, (1, 3, 3), (1, 2, 2), "same", activation="relu", name="stem")(clips)
    if endpoint == "stem":
        return x
    x = layers.Conv3D(8, 3, 2, **settings, name="body_convolution")(x)
    x = layers.BatchNormalization(name="body_norm")(x)
    x = layers.Activation("relu", name="body_relu")(x)
    if endpoint == "body":
        return x
    x = layers.Reshape((-1, 8), name="grid")(x)
    x = layers.Dense(DIM, activation="relu", name="mixer")(x)
    return x if endpoint == "tokens" else layers.GlobalAveragePooling1D(name=FEATURES)(x)


def lay_out(outputs, lengths):
    """Return the tokens on the grid that they were cut from, maps as they are."""
    if len(outputs.shape) == 5:
        return outputs
    frames, height, width = lengths
    shape = (-1, -(-frames // 2), -(-height // 4), -(-width // 4), outputs.shape[-1])
    return keras.ops.reshape(outputs, shape)


def load_made_up(model, weights, stream, folder):
    """Set weights that are the same each time, as published ones are."""
    assert (weights, stream) == ("made_up", "rgb")
    generator = np.random.default_rng(7)
    for layer in model.layers:
        if layer.weights and not isinstance(layer, layers.BatchNormalization):
            layer.set_weights([generator.normal(0, 0.3, w.shape) for w in layer.get_weights()])
    return "made_up_rgb"


TINY = Backbone(
    name="tiny",
    title="Tiny",
    apply=apply_tiny,
    clip=ClipSpec(6, 32, 2, 16, {"rgb": (MEAN, DEVIATION)}),
    stages=(
        Stage("stem", "stem", (1, 3, 3), (1, 2, 2)),
        Stage("body", "body_relu", (3, 3, 3), (2, 2, 2)),
        Stage("tokens", "mixer"),
    ),
    lay_out=lay_out,
    published=Published(
        weights="made_up",
        load=load_made_up,
        find_weights=lambda name: name.removesuffix("_rgb"),
        data="nothing",
    ),
)


@pytest.fixture(scope="module", autouse=True)
def added():
    """The row of `TINY`, and its networks' rows: all that is added."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES, "tiny", TINY)
        for name, row in list_networks("tiny").items():
            patch.setitem(NETWORKS, name, row)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with videos, features F of them, and runs on both."""
    folder = tmp_path_factory.mktemp("tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_dataset(Path("videos"), videos=4)
        train("frozen", "--network", "tiny_lstm", *SIZES)
        train("tuned", "--network", "tiny", "--finetune", "body", *SIZES)
        extract()
        train("rows", "--network", "tiny_vivit", "--features", "F")
    return folder


@pytest.fixture(autouse=True)
def inside(folder, monkeypatch):
    monkeypatch.chdir(folder)


def train(run, *flags):
    return training.train_run(parse_params([*FLAGS, "--run", run, *flags]))


def extract(**changes):
    options = {"data": "videos", "output": "F", "backbone": "tiny", "weights": "made_up"}
    options |= {"window": 6, "stride": 3, "short_side": 32, "frame_size": 32, "fps": 0}
    extract_features.extract_features(extract_features.Options(**options | changes))


def draw(*shape):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")


def to_array(tensor):
    return keras.ops.convert_to_numpy(tensor)


def build_published(endpoint=FEATURES):
    model = TINY.build("rgb", 6, 32, endpoint)
    TINY.load_published(model, "made_up", "rgb")
    return model


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_has_a_test(name):
    row = BACKBONES[name]
    assert (Path(__file__).parent / f"test_{name}.py").is_file() or row is TINY
    assert row.name == name and FEATURES in row.top
    clip = row.clip
    model = row.build("rgb", clip.least_frames, clip.least_size, row.stages[-1].name)
    lengths = model.input_shape[1:4]
    assert model.name == name and model.output is model.get_layer(row.stages[-1].layer).output
    for count, stage in enumerate(row.stages, 1):
        maps = row.lay_out(model.get_layer(stage.layer).output, lengths)
        for axis, length in enumerate(lengths):
            places = find_centers(length, row.stages[:count], axis)
            assert maps.shape[1 + axis] == len(places)
    published = row.published
    assert published is None or published.data


def test_values_are_those_that_the_weights_expect():
    clips = draw(2, 6, 32, 32, 3)
    model = TINY.build("rgb", 6, 32)
    values = keras.Model(model.input, model.get_layer("values").output)
    expected = ((clips + 1) / 2 - MEAN) / DEVIATION
    np.testing.assert_allclose(to_array(values(clips)), expected, atol=1e-5)
    with pytest.raises(ValueError, match="Unknown stream 'flow' of Tiny; known: rgb"):
        TINY.build("flow", 6, 32)
    with pytest.raises(ValueError, match="Tiny needs clips of at least 2 frames, but got 1"):
        TINY.build("rgb", 1, 32)


def test_networks_ask_the_row():
    assert find_backbone("tiny_lstm") is find_backbone("vivit", "tiny") is TINY
    assert find_backbone("vivit", "patches") is None
    with pytest.raises(ValueError, match="give none, all or one of stem, body, tokens"):
        check_network("tiny", "Mixed_5b")
    with pytest.raises(ValueError, match=r"I3D has no published weights\. Give none, or a run"):
        BACKBONES["i3d"]._replace(published=None).load_published(None, "kinetics", "rgb")


@pytest.mark.parametrize("finetune", ["none", "stem", "body", "tokens", "all"])
@pytest.mark.parametrize(("name", "embedder"), [("tiny", "flatten"), ("vivit", "tiny")])
def test_cut_anywhere_it_answers_the_same(name, embedder, finetune):
    network = build(name, 3, 2, 6, 32, design=Design(dropout=0, embedder=embedder))
    assert name_backbone(network) == "tiny" and list(backbones_of(network)) == ["rgb"]
    freeze(network, finetune)
    trained = {variable.path.split("/")[-2] for variable in network.trainable_variables}
    kernels = ["stem", "body_convolution", "mixer"]
    first = {"none": 3, "body": 1, "tokens": 2}.get(finetune, 0)
    assert trained & {*kernels, "body_norm"} == {*kernels[first:]}
    frozen, rest = cut_network(network, finetune)
    clips = draw(2, 2, 6, 32, 32, 3)
    features = clips if frozen is None else frozen(clips)
    np.testing.assert_allclose(to_array(rest(features)), to_array(network(clips)), atol=1e-5)


def test_frozen_it_stays_as_published():
    kept = backbones_of(load_network("weights/frozen"))["rgb"]
    for own, published in zip(kept.weights, build_published().weights, strict=True):
        np.testing.assert_array_equal(to_array(own), to_array(published))
    shapes = [np.load(path).shape for path in Path("weights/cache/features").rglob("*.npy")]
    assert shapes.count((2, DIM)) == 8 and shapes.count((2, 6, 16, 16, 4)) == 8
    assert len(read_history("weights/frozen")) == 2


def test_from_a_stage_on_it_is_trained():
    kept, published = backbones_of(load_network("weights/tuned"))["rgb"], build_published()
    for name, changes in (("stem", False), ("body_convolution", True), ("mixer", True)):
        own, other = (to_array(model.get_layer(name).kernel) for model in (kept, published))
        assert (np.abs(own - other).max() > 0) == changes


def test_rows_are_features_of_windows():
    rows = np.load("F/left/left_00.npy")
    manifest = json.loads(Path("F/manifest.json").read_text())
    assert manifest["backbone"] == "tiny" and manifest["weights"] == {"rgb": "made_up_rgb"}
    assert rows.shape == (8, DIM)
    frames = (
        read_rgb(probe("videos/left/left_00.avi"), np.arange(24), 32, 32) / np.float32(127.5) - 1
    )
    windows = frames[plan_rows(24, 6, 3, "replicate")]
    np.testing.assert_allclose(rows, to_array(build_published()(windows)), atol=1e-4)
    assert rows.std(0).max() > 1e-3


@pytest.mark.parametrize(
    ("endpoint", "dim"), [("stem", 4), ("body", 8), ("tokens", DIM), (FEATURES, DIM)]
)
def test_rows_of_every_endpoint(tmp_path, endpoint, dim):
    extract(data="videos/left/left_00.avi", output=str(tmp_path / "rows"), endpoint=endpoint)
    assert np.load(tmp_path / "rows/left_00.npy").shape == (8, dim)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"route": "dense"}, "windows of Tiny share no computation"),
        ({"endpoint": "Mixed_5c"}, "Tiny gives features at stem, body, tokens, Features"),
        ({"window": 1}, "window is 1; it must be at least 2"),
        ({"weights": "weights/rows"}, "weights/rows has no Tiny for rgb; it has none"),
        ({"backbone": "i3d", "window": 8, "frame_size": 112, "short_side": 112,
          "weights": "weights/frozen"}, "The weights for i3d have no layer Conv3d_1a_7x7"),
    ],
)  # fmt: skip
def test_impossible_rows_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        extract(**{"output": str(tmp_path / "rows")} | changes)


def test_rows_of_a_trained_one_are_others(tmp_path):
    extract(output=str(tmp_path / "rows"), weights="weights/tuned")
    own, published = (np.load(Path(f, "left/left_00.npy")) for f in (tmp_path / "rows", "F"))
    assert own.shape == published.shape and np.abs(own - published).max() > 1e-5


@pytest.mark.parametrize("run", ["frozen", "tuned", "rows"])
def test_videos_are_predicted(run):
    prediction = open_predictor(f"weights/{run}").predict_video("videos/left/left_00.avi")
    assert {label for label, _ in prediction.top} == {"left", "right"}
    assert sum(probability for _, probability in prediction.top) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("endpoint", "places"), [("", 8), ("body", 8), ("stem", 16)])
def test_decisions_are_explained(tmp_path, endpoint, places):
    options = {"video": "videos/left/left_00.avi", "run": Path("weights/tuned")}
    explain.explain(ExplanationOptions(**options, endpoint=endpoint, output=str(tmp_path / "why")))
    maps = np.load(tmp_path / "why/maps.npz")
    assert maps["maps"].shape == (2, 6 if endpoint == "stem" else 3, places, places)
    assert maps["rows"].tolist() == sorted(maps["rows"].tolist()) and np.ptp(maps["maps"]) > 0
    assert "Grad-CAM shows where and when" in (tmp_path / "why/explanation.html").read_text()


@pytest.mark.parametrize("clip_format", ["keras", "litert", "onnx"])
def test_exports_agree_with_their_run(tmp_path, clip_format):
    if missing := [name for name in FORMATS[clip_format].needs if not find_spec(name)]:
        pytest.skip(f"{', '.join(missing)} is not installed")
    found = export_model.export_model(
        ExportOptions(
            Path("weights/tuned"), clip_format, output=str(tmp_path / clip_format), limit=2
        )
    )
    assert found["samples"] == 2 and found["difference"] < 1e-4


def test_a_recognizer_is_trained_through_it():
    keras.utils.set_random_seed(0)
    model = build_windows(TINY, 6, 32, "body")
    copy_units({layer.name: layer for layer in build_published().layers}, model)
    clips = np.random.default_rng(0).integers(0, 256, (1, 12, 32, 32, 3), np.uint8)
    lengths = np.array([3], np.int32)
    recognizer = build_recognizer(8, 3, "K5-K5", width=16)
    rows = [to_array(model(clips[:, at : at + 6] / np.float32(127.5) - 1)) for at in (0, 3, 6)]
    inputs = {"features": np.stack(rows, 1), "lengths": lengths}
    network = build_end_to_end(model, recognizer, "body", stride=3)
    found = to_array(network({"frames": clips, "lengths": lengths}))
    np.testing.assert_allclose(found, to_array(recognizer(inputs)), atol=1e-4)
    maps = network.get_layer("frozen")(clips)
    part = trained_part(network)({"features": to_array(maps), "lengths": lengths})
    np.testing.assert_allclose(to_array(part), found, atol=1e-4)
    assert {"stem", "body_convolution", "values"} <= set(list_units(network))
