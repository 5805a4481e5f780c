"""What a notebook calls: docs/python.md as typed, results that read well, quickstart.ipynb."""

import contextlib
import io
import json
import random
import re
import sys
from pathlib import Path

from support.backends import untraced_steps
from support.commands import ROOT
from support.videos import moving_square
from tasks import training
from tasks.answers import Prediction
from tasks.classification.embedding import Embedder
from tasks.classification.explaining import Explanation
from tasks.recognition.explaining import Alignment, Recognition
from tasks.training import train
from tasks.training_flags import parse_params
from utils.fitting.callbacks import SaveRun
from utils.pictures.gloss_timeline import Span
from utils.rendering.samples import SAMPLES
from utils.runs.saved_params import load_params, save_params
from utils.scores.intervals import Interval
from utils.system.locks import holds_locks
from utils.video.video import VideoError
from utils.video.writing import write_video

import numpy as np
import pytest

PAGE = ROOT / "docs/python.md"
NOTEBOOK = ROOT / "docs/quickstart.ipynb"
REAL = ROOT / "weights/pretrained/rgb_scratch.npz"
# Behind the preset, before the parameters of a call: the smallest network, an epoch.
TINY = (
    "--network vivit --num-segments 1 --frames-per-segment 4 --frame-size 16 --short-side 16 "
    "--sampling uniform --batch-size 8 --workers 1 --pictures 0"
).split()


FEWER = {"--epochs=10": "--epochs=1", "--epochs=12": "--epochs=2"}


def write_sample(folder):
    """Write what `render_sample` does: of two classes, videos named as those of the sample are."""
    for shade, name in enumerate(("sit_down", "squats")):
        for actor in range(1, 7):
            path = Path(folder, name, f"{name}_g{actor:02}_c01.avi")
            path.parent.mkdir(parents=True, exist_ok=True)
            write_video(path, moving_square(24, (48, 64), shade=120 + 60 * shade, seed=actor), 25)


def parse_tiny(arguments):
    """Parse the command line of a call, its network the smallest, its epochs fewer."""
    few = [FEWER.get(flag, flag) for flag in arguments[2:]]
    return parse_params([*arguments[:2], *TINY, *few])


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A folder to train in, where what is trained is tiny."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("python"))
        patch.setattr(sys, "path", list(sys.path))
        patch.setitem(SAMPLES, "sample", SAMPLES["sample"]._replace(render=write_sample))
        patch.setattr(training, "parse_params", parse_tiny)
        patch.setattr(training, "plot_history", lambda *_: None)
        with untraced_steps():
            yield Path.cwd()


@pytest.fixture(scope="module")
def told(tiny):
    """The names that the page's code makes, and what it prints."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    names, printed = {}, io.StringIO()
    with contextlib.redirect_stdout(printed):
        for block in blocks:
            exec(compile(block, PAGE.name, "exec"), names)
    return names, printed.getvalue()


def test_the_page_works_as_typed(told):
    names, printed = told
    assert names["run"].history[-1]["epoch"] == 2 and names["run"].best_epoch in (1, 2)
    assert load_params(names["run"].folder / "params.json").frames_per_segment == 4
    assert "Unknown --network i3d_lstn. Did you mean i3d_lstm?" in printed
    assert names["known"].vectors.shape[0] > len(names["asked"].paths) == 2
    assert Path(names["paths"]["sheet"]).is_file() and Path(names["paths"]["overlay"]).is_file()
    assert names["clip"].shape == (1, 16, 224, 224, 3)


def test_the_page_lists_what_there_is(told):
    """Each attribute in a table is one of what the page's code makes."""
    names, _ = told
    tables = re.findall(r"\| attribute \| what it is \|\n.*\n((?:\|.*\n)+)", PAGE.read_text())
    shown = [names[name] for name in ("prediction", "why", "run", "known")]
    for table, result in zip(tables, shown, strict=True):
        cells = [line.split("|")[1] for line in table.splitlines()]
        attributes = re.findall(r"`(\w+)`", " ".join(cells))
        assert attributes and not [name for name in attributes if not hasattr(result, name)]


def test_results_read_well(told):
    names, _ = told
    shown = {name: repr(names[name]) for name in ("prediction", "why", "run", "known")}
    assert all(len(text) < 1200 and "array(" not in text for text in shown.values()), shown
    assert re.match(r"data/sample/sit_down/sit_down_g01_c01\.avi \(1\.0 s\): ", shown["prediction"])
    assert re.match(r"(sit_down|squats) 0\.\d+, integrated gradients\n  0\.\d\d s: ", shown["why"])
    assert re.match(r"weights/sample_vivit: epoch \d of 2 is kept \(loss", shown["run"])
    assert re.match(r"\d+ videos, \d+ numbers each$", shown["known"])
    moments = names["why"].strongest(2)
    assert len(moments) == 2 and moments[0].weight >= moments[1].weight
    assert names["why"].maps.shape == names["why"].frames.shape[:3]
    assert names["why"].weights.sum() == pytest.approx(1)


def test_a_long_prediction_is_cut_short_in_a_notebook_only():
    intervals = [Interval(float(i), i + 1.0, f"gloss\n{i}", 0.5) for i in range(14)]
    times = np.arange(15)
    prediction = Prediction("a.mp4", 14.0, [("b", 0.9)], ["b"], intervals, times, None, "cut short")
    lines = repr(prediction).splitlines()
    assert lines[:3] == ["a.mp4 (14.0 s): b", "  warning: cut short", "  0.900  b"]
    assert lines[-1] == "  and 4 more intervals" and len(lines) == 3 + 10 + 1
    assert lines[3].endswith(r"0.500  gloss\n0")
    assert len(prediction.describe().splitlines()) == 3 + 14


def test_the_strongest_frames_are_apart():
    weights = np.array([1, 8, 9, 7, 1, 1, 6, 5, 1, 1]) / 40
    seconds = np.arange(10) / 10
    found = Explanation("a", 0.9, "occlusion", np.arange(10), seconds, weights, (), None, "gone")
    moments = found.strongest(3)
    assert [moment.seconds for moment in moments] == [0.2, 0.6, 0.0]
    assert moments[0].frame is None and repr(moments[0]) == "0.20 s: 22.5%"
    assert found.maps is None and repr(found).endswith(" is left out. gone")


def test_an_alignment_reads_well():
    recognition = Recognition("a.mp4", Path("a.mp4"), None, None, None, [1], [])
    spans = {"recognised": [Span("SUN", 0.1, 0.5, 0.75)]}
    shown = repr(Alignment(recognition, spans, (), ["No frames."]))
    assert shown == "a.mp4: SUN\nNo frames.\n    0.10 to   0.50 s  0.750  SUN"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": 3}, "Unknown flag --epoch. Did you mean --epochs?"),
        ({"epochs": "many"}, "--epochs takes a whole number, not 'many'"),
        ({"preset": "papr"}, "Unknown --preset papr. Did you mean paper?"),
        ({"data_path": "gone"}, "gone"),
        ({"run": "a/b"}, "without slashes"),
        ({"learning_rates": [1e-2, 1e-3]}, "--learning-rates takes 3 values"),
    ],
)
def test_bad_parameters_are_named(tiny, values, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        train(**values)


def test_values_are_read_as_flags(tiny, monkeypatch):
    monkeypatch.setattr(training, "train_run", lambda params: params)
    params = train("finetune", data_path=Path("a b"), flip=False, rate_epochs=(2, 4), gpus=-1)
    assert (params.data_path, params.flip, params.rate_epochs) == ("a b", False, (2, 4))
    assert (params.gpus, params.finetune, params.class_names) == (-1, "Mixed_5b", ())
    assert train(class_names=["b", "a"]).class_names == ("b", "a")


def test_an_interrupted_training_goes_on(tiny, monkeypatch):
    """It leaves no lock and no seed behind."""
    saved = SaveRun.on_epoch_end

    def interrupt(self, epoch, logs=None):
        saved(self, epoch, logs)
        if epoch == 0:
            raise KeyboardInterrupt

    random.seed(5)
    np.random.seed(5)
    expected = random.random(), np.random.random()
    random.seed(5)
    np.random.seed(5)
    asked = {"run": "stopped", "epochs": 2}
    with monkeypatch.context() as patch:
        patch.setattr(SaveRun, "on_epoch_end", interrupt)
        with pytest.raises(KeyboardInterrupt) as stopped:
            train(**asked)
    assert "resume=True" in stopped.value.__notes__[-1]
    assert not holds_locks()
    assert (random.random(), np.random.random()) == expected
    run = train(**asked, resume=True)
    assert [row["epoch"] for row in run.history] == [1, 2] and run.report["videos"] > 0


def test_what_cannot_be_embedded(told, tmp_path):
    names, _ = told
    embedder = names["embedder"]
    Path(tmp_path, "text.avi").write_text("no video")
    found = embedder.embed_videos([tmp_path / "text.avi", names["videos"][0]])
    assert found.paths == [names["videos"][0]] and len(found.vectors) == 1
    assert "  problem: " in repr(found) and "text.avi: not a video" in repr(found)
    with pytest.raises(ValueError, match=r"No video can be read\. gone\.avi: no such file"):
        embedder.embed_videos(["gone.avi"])
    with pytest.raises(ValueError, match="Unknown class 'up'; known: sit_down, squats"):
        names["predictor"].explain(names["prediction"], "up")
    run = names["run"].folder
    params = load_params(run / "params.json")
    signing = parse_params(["phoenix", "--features", ".", "--data-path", "a"])
    save_params(signing, run / "params.json")
    with pytest.raises(ValueError, match="is a run of recognition; only classifiers embed videos"):
        Embedder(run)
    save_params(params, run / "params.json")


def test_frames_of_several_sizes_are_refused(tmp_path):
    frames = np.zeros((1, 48, 64, 3), np.uint8), np.zeros((1, 64, 48, 3), np.uint8)
    with pytest.raises(VideoError, match=r"a\.mp4: the first frame is 64x48, another one 48x64"):
        write_video(tmp_path / "a.mp4", (frame for part in frames for frame in part), 25)


@pytest.fixture(scope="module")
def notebook():
    return json.loads(NOTEBOOK.read_text())


def test_the_notebook_is_small_and_whole(notebook):
    assert NOTEBOOK.stat().st_size < 500_000
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    cells = notebook["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells)
    assert "rendered stick figures" in "".join(cells[0]["source"])
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert not [each for each in outputs if each["output_type"] == "error"]
    assert sum("image/png" in each.get("data", {}) for each in outputs) >= 4
    assert not re.search(r"/(work|home|tmp|root|usr|Users)/", json.dumps(notebook))


@pytest.mark.weights
@pytest.mark.skipif(not REAL.is_file(), reason=f"{REAL} has not been fetched")
def test_the_notebook_runs_from_top_to_bottom(tmp_path):
    """In a kernel of its own, in a folder that begins like a new copy of the project."""
    nbformat = pytest.importorskip("nbformat", reason="requirements-notebook.txt is not installed")
    nbclient = pytest.importorskip("nbclient", reason="requirements-notebook.txt is not installed")
    pytest.importorskip("ipykernel", reason="requirements-notebook.txt is not installed")
    for name in ("training.py", "models", "tasks", "utils", "weights/pretrained"):
        Path(tmp_path, name).parent.mkdir(exist_ok=True)
        Path(tmp_path, name).symlink_to(ROOT / name)
    Path(tmp_path, "docs").mkdir()
    book = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(book)
    where = {"metadata": {"path": str(tmp_path / "docs")}}
    nbclient.NotebookClient(book, timeout=600, resources=where).execute()
    results = {cell.id: cell.get("outputs") for cell in book.cells}
    (interval,) = results["intervals"]
    assert "jumping_jacks" in interval["data"]["text/plain"]
    assert len(list(tmp_path.glob("weights/sample_i3d_lstm/best.keras"))) == 1
