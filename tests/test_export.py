"""Exports as a user makes them: each runs in its own runtime and agrees with the run."""

import json
import shutil
import zipfile
from importlib.util import find_spec
from pathlib import Path

from models.exporting.serving import CenterCrop
from models.networks import build, build_on_features
from models.recognizer import build_recognizer, set_statistics
from scripts.export_model import compare, export_model
from support.commands import run
from support.runs import save_run
from support.videos import moving_square, write_dataset
from tasks.classification.exporting import VideoSubject
from tasks.options import ExportOptions
from utils.data.datasets import list_examples
from utils.data.splits import assign_splits
from utils.params import Params
from utils.runs.export_formats import FORMATS
from utils.runs.networks import load_network
from utils.signing.corpora import save_sentences
from utils.signing.releases import Sentence
from utils.version import VERSION
from utils.video.reading import probe, read_rgb, resized_frames
from utils.video.writing import write_video

import keras
import numpy as np
import pytest

CLIPS = {"num_segments": 1, "frames_per_segment": 4, "frame_size": 32, "short_side": 36}
# Name: (parameters, function that builds the network).
RUNS = {
    "clips": (
        Params(network="vivit", **CLIPS),
        lambda: build("vivit", 2, 1, 4, 32),
    ),
    "rows": (
        Params(network="i3d", activation="sigmoid", num_segments=3, features="F"),
        lambda: build_on_features("i3d", 1, 3, 64),
    ),
}
EXAMPLES = []
GLOSSES = ["REGEN", "SONNE", "WIND"]
MARKS = {"openvino": [pytest.mark.openvino]}
EVERY = [
    pytest.param(name, precision, marks=MARKS.get(name, []))
    for name, row in FORMATS.items()
    for precision in row.writers
]
EACH = [pytest.param(name, marks=MARKS.get(name, [])) for name in FORMATS]


def make_classifier(name, examples):
    keras.utils.set_random_seed(1)
    params, make = RUNS[name]
    network = make()
    layer = network.get_layer("head").get_layer("logits")
    layer.set_weights([20 * layer.kernel.numpy(), layer.bias.numpy()])  # else all are near 0.5
    save_run(Path("weights", name), params, network, examples)


def make_recognizer():
    rng = np.random.default_rng(0)
    keras.utils.set_random_seed(1)
    network = build_recognizer(8, len(GLOSSES), "K5-P2-K5", "bilstm", 32)
    set_statistics(network, np.zeros(8), np.ones(8))
    layer = network.get_layer("logits")
    layer.set_weights([20 * layer.kernel.numpy()])
    sentences = []
    for place in range(6):
        split = "dev" if place < 3 else "train"
        glosses = tuple(rng.choice(GLOSSES, 2).tolist())
        sentences.append(Sentence(f"s{place}", f"S/s{place}", "", split, glosses, glosses))
        np.save(f"F/s{place}.npy", rng.standard_normal((9 + 4 * place, 8)).astype("float32"))
    params = Params(
        task="recognition", network="bilstm", corpus="csv", front="K5-P2-K5", width=32, features="F"
    )
    save_run("weights/glosses", params, network, sentences, GLOSSES, save_sentences)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with videos and features, and its examples; the runs come as they are wanted."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_dataset(Path("videos"), videos=4)
        tall = list(moving_square(24, (160, 90), seed=9))
        write_video(Path("videos/left/tall.avi"), tall, 25)
        examples = assign_splits(list_examples("videos"), 0.4)
        for place, example in enumerate(examples):
            path = Path("F", Path(example.path).relative_to("videos")).with_suffix(".npy")
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, np.random.default_rng(place).random((5, 64)).astype("float32"))
    return folder, examples


@pytest.fixture
def folder(runs, monkeypatch):
    monkeypatch.chdir(runs[0])
    monkeypatch.setattr("test_export.EXAMPLES", runs[1])
    yield runs[0]
    for path in Path("weights").glob("*/exports"):
        shutil.rmtree(path)


def make_wanted(name):
    if not Path("weights", name).exists() and name in (*RUNS, "glosses"):
        make_classifier(name, EXAMPLES) if name in RUNS else make_recognizer()


def export(name, runtime, **options):
    make_wanted(name)
    keras.utils.clear_session()  # names begin anew, as in a process of its own
    return export_model(ExportOptions(Path("weights", name), runtime, **options))


def needs(runtime):
    missing = [package for package in FORMATS[runtime].needs if find_spec(package) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed ({FORMATS[runtime].requirements})")


def load(path):
    """Return the metadata of an export, and what runs it."""
    metadata = json.loads((path / "metadata.json").read_text())
    assert metadata["version"] == VERSION
    row = FORMATS[metadata["format"]]
    return metadata, row.run(path / row.file)


@pytest.mark.parametrize(("runtime", "precision"), EVERY)
def test_every_format_answers_as_the_run(folder, runtime, precision, capsys):
    needs(runtime)
    found = export("rows", runtime, precision=precision, limit=3)
    said = capsys.readouterr().out
    assert "3 samples: largest difference" in said and " MB; " in said
    assert "accuracy: run" in said and found["samples"] == 3 and found["agreement"] == 1
    path = next(Path("weights/rows/exports").iterdir())
    metadata, answer = load(path)
    assert metadata["class_names"] == ["left", "right"] and metadata["clip"]["fps"] == 25
    assert metadata["input"]["rows"]["shape"] == [None, 3, 64] and metadata["labeling"] == "binary"
    assert metadata["thresholds"] == [0.5] and metadata["compared"] == found
    rows = np.random.default_rng(0).random((5, 3, 64)).astype("float32")  # any batch
    logits = keras.ops.convert_to_numpy(load_network("weights/rows")(rows))
    wanted = np.hstack([1 / (1 + np.exp(logits)), 1 / (1 + np.exp(-logits))])
    assert np.ptp(wanted) > 0.2
    allowed = {"float32": 1e-5, "float16": 0.01, "bfloat16": 0.01, "int8": 0.1}
    np.testing.assert_allclose(answer({"rows": rows}), wanted, atol=allowed[precision])


def read_inside(path):
    """Return the class names that the file itself tells."""
    if path.suffix == ".onnx":
        import onnx

        return json.loads({p.key: p.value for p in onnx.load(path).metadata_props}["class_names"])
    if (path / "network.xml").is_file():
        import openvino

        network = openvino.Core().read_model(path / "network.xml")
        text = network.get_rt_info(["video", "metadata"]).value
    elif path.is_dir():
        text = (path / "assets.extra/metadata.json").read_text()
    else:
        with zipfile.ZipFile(path) as archive:
            text = archive.read("export.json")
    return json.loads(text)["class_names"]


@pytest.mark.parametrize("runtime", EACH)
def test_frames_of_any_size_go_in(folder, runtime):
    needs(runtime)
    options = {"videos": (Path("videos/left/tall.avi"), Path("videos/right/right_00.avi"))}
    found = export("clips", runtime, preprocessing=True, **options)
    assert found["scores"] == {"run": {}, "export": {}} and found["samples"] == 2
    path = Path("weights/clips/exports", f"{runtime}_preprocessing")
    metadata, answer = load(path)
    assert metadata["input"]["frames"]["shape"] == [None, 1, 4, None, None, 3]
    assert metadata["input"]["frames"]["dtype"] == "uint8"
    frames = np.random.default_rng(0).integers(0, 256, (3, 1, 4, 40, 64, 3), np.uint8)
    answers = answer({"frames": frames})
    assert answers.shape == (3, 2) and np.allclose(answers.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(answer({"frames": frames[1:2]}), answers[1:2], atol=1e-5)
    assert read_inside(path / FORMATS[runtime].file) == ["left", "right"]


@pytest.mark.parametrize("size", [(240, 320), (128, 70), (36, 36), (90, 46), (1080, 1920)])
def test_the_crop_is_that_of_training(tmp_path, size):
    rng = np.random.default_rng(0)
    rough = rng.integers(0, 256, (9, 16, 3), np.uint8)
    image = np.kron(rough, np.ones((size[0] // 9 + 1, size[1] // 16 + 1, 1), np.uint8))
    image = image[: size[0], : size[1]] // 2 + rng.integers(0, 100, (*size, 3), np.uint8)
    write_video(tmp_path / "a.avi", [image], 25)
    (whole,) = resized_frames(probe(tmp_path / "a.avi"), [0], min(size))
    for sizes in ((36, 32), (0, 32)):
        wanted = read_rgb(probe(tmp_path / "a.avi"), [0], *sizes)[0]
        found = CenterCrop(*sizes)(whole[None, None, None])[0, 0, 0]
        levels = (np.asarray(found) + 1) * 127.5 - wanted
        assert abs(levels).max() < 1.01 and np.mean(abs(levels) > 0.5) < 0.2


@pytest.mark.parametrize("runtime", [each for each in EACH if each.values != ("litert",)])
def test_sentences_of_any_length_go_in(folder, runtime):
    needs(runtime)
    found = export("glosses", runtime)
    assert found["samples"] == 3 and found["difference"] < 1e-4
    assert found["scores"]["run"] == found["scores"]["export"] and found["scores"]["run"]["WER"] > 0
    metadata, answer = load(Path("weights/glosses/exports", runtime))
    assert metadata["class_names"] == ["<blank>", *GLOSSES] and metadata["rows_a_step"] == 2
    features = np.random.default_rng(0).random((2, 20, 8)).astype("float32")
    alone = answer({"features": features[1:, :14], "lengths": np.array([14], "int32")})
    both = answer({"features": features, "lengths": np.array([20, 14], "int32")})
    assert both.shape == (2, 10, 4)
    np.testing.assert_allclose(both[1, :7], alone[0], atol=1e-5)


def test_each_weight_is_written_once(folder):
    export("clips", "savedmodel", limit=1)
    (written,) = Path("weights/clips/exports/savedmodel").rglob("variables.data-*")
    needed = 4 * load_network("weights/clips").count_params()
    assert needed <= written.stat().st_size < 1.1 * needed


@pytest.mark.filterwarnings("error:.*tf.lite.Interpreter is deprecated")
def test_what_does_not_agree_is_not_kept(folder):
    with pytest.raises(
        ValueError, match=r"differs from weights/rows by up to .*Nothing was written"
    ):
        export("rows", "litert", precision="float16", tolerance=0.0)
    assert not list(Path("weights/rows/exports").iterdir())
    subject = VideoSubject(ExportOptions(Path("weights/rows"), "keras", limit=2))
    worse = compare(subject, lambda inputs: subject.answer(inputs)[:, ::-1])
    assert worse["agreement"] < 1 and worse["difference"] > 0.2
    assert worse["scores"]["run"]["accuracy"] + worse["scores"]["export"]["accuracy"] == 1
    with pytest.raises(ValueError, match="or there are NaN"):
        compare(subject, lambda inputs: np.nan * subject.answer(inputs))


def test_the_command_writes_once(folder):
    export("clips", "keras", limit=1, output="elsewhere/it")
    command = ["scripts/export_model.py", "weights/clips", "--format", "keras", "--limit", 1]
    done = run(command, folder)
    assert done.returncode == 0, done.stderr
    assert "Written to weights/clips/exports/keras: model.keras, metadata.json" in done.stdout
    with pytest.raises(ValueError, match="exports/keras exists already; delete it"):
        export("clips", "keras")


def test_bad_input_is_said_in_a_line(folder, monkeypatch):
    make_wanted("clips"), make_wanted("rows"), make_wanted("glosses")
    with pytest.raises(ValueError, match=r"weights/none: not a run \(params.json is missing"):
        export("none", "keras")
    shutil.copytree("weights/clips", "weights/young", ignore=lambda *_: ["best.keras"])
    with pytest.raises(ValueError, match=r"weights/young has no best.keras yet"):
        export("young", "keras")
    with pytest.raises(ValueError, match="Unknown format 'pt'; known: savedmodel, onnx"):
        export("clips", "pt")
    with pytest.raises(ValueError, match="has no int8, only float32; formats that have it: onnx"):
        export("clips", "savedmodel", precision="int8")
    with pytest.raises(ValueError, match="limit is -2"):
        export("clips", "keras", limit=-2)
    with pytest.raises(ValueError, match="--videos or --data-path, not both"):
        export("clips", "keras", videos=(Path("a.mp4"),), data_path="videos")
    with pytest.raises(ValueError, match="weights/rows reads features, but --preprocessing is for"):
        export("rows", "keras", preprocessing=True)
    with pytest.raises(ValueError, match=r"None of the videos can be read.*compared with"):
        export("clips", "keras", videos=(Path("gone.mp4"),))
    with pytest.raises(ValueError, match="recognizes sentences from features"):
        export("glosses", "keras", videos=(Path("a.mp4"),))
    with pytest.raises(ValueError, match="any length in loops, for which LiteRT has no operations"):
        export("glosses", "litert")
    monkeypatch.setattr("utils.runs.export_formats.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"needs tf2onnx, onnx, onnxruntime: pip install -r req"):
        export("clips", "onnx")
    assert not list(Path("weights/clips").glob("exports/*"))
