"""What a training shows: a line an epoch, pictures and their cost."""

import io
import sys
from dataclasses import replace

import training
from support.runs import read_pictures
from support.videos import write_dataset
from tasks.classification import pictures as watching
from tasks.classification.pictures import describe_prediction, draw_classifier, read_strips
from tasks.training_flags import parse_params
from utils.clips.inputs import FeatureSource
from utils.clips.reading import ClipFormat, list_views, read_clip
from utils.data.inspection import inspect_features, inspect_videos
from utils.fitting.callbacks import SaveRun, make_callbacks
from utils.fitting.progress import describe_epoch

import keras
import numpy as np
import pytest
from matplotlib.image import imread, imsave

ROWS = [
    {"epoch": 1, "accuracy": 0.5, "loss": 1.25, "val_accuracy": 0.4, "val_loss": 1.5},
    {"epoch": 2, "accuracy": 0.75, "loss": 1.0, "val_accuracy": 0.33333, "val_loss": 1.25},
]
TIMES = [{"learning_rate": 0.01, "seconds": 20.0}, {"learning_rate": 0.01, "seconds": 10.0}]


def test_an_epoch_is_a_line():
    history = [row | times for row, times in zip(ROWS, TIMES, strict=True)]
    state = {"history": history, "best": 0.4, "best_epoch": 1}
    assert describe_epoch(state, 20, "val_accuracy") == (
        "epoch  2/20, 10 s: loss 1, accuracy 0.75; val loss 1.25, accuracy 0.3333; "
        "best val accuracy 0.4 (epoch 1); 04:30 left"
    )
    row = {"epoch": 3, "loss": 2.0, "val_blanks_reference": 0.5, "val_wer": 12.34567} | TIMES[0]
    state = {"history": [row | {"seconds": 75.2}], "best": 12.34567, "best_epoch": 3}
    assert describe_epoch(state, 3, "val_wer") == (
        "epoch 3/3, 01:15: loss 2; val blanks reference 0.5, wer 12.35; "
        "best val wer 12.35 (epoch 3)"
    )
    state = {"history": [{"epoch": 1, "loss": 2.0, "seconds": 0.1234}], "best": None}
    assert describe_epoch(state, 2, "val_accuracy") == "epoch 1/2, 0.123 s: loss 2; 0.123 s left"


def fit(folder, share, epochs=3, rate=0.01):
    """Train a point; a picture tells the epoch's weight."""
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    network.compile(keras.optimizers.SGD(rate), "mse")

    def draw(where, moment):
        weight = float(network.get_weights()[0][0, 0])
        imsave(where / "gray.png", np.full((4, 6, 3), abs(weight) % 1))
        (where / "words.md").write_text(f"{moment}: weight {weight:.3f}")

    saver = SaveRun(folder, network, "-val_loss")
    inputs = np.ones((8, 1), np.float32)
    network.fit(
        inputs,
        3 * inputs,
        batch_size=2,
        epochs=epochs,
        validation_data=(inputs, 3 * inputs),
        callbacks=make_callbacks(saver, None, draw, share),
        verbose=0,
    )
    return saver.state


def test_a_run_that_is_deleted_while_it_is_trained_is_named(tmp_path):
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    saver = SaveRun(tmp_path / "run", network)
    saver.set_model(network)
    saver.on_train_begin()
    (tmp_path / "run").rmdir()
    with pytest.raises(FileNotFoundError, match="run was deleted or moved during training"):
        saver.on_epoch_end(0, {"loss": 1.0})
    assert not list(tmp_path.iterdir())


def test_pictures_take_their_share_of_the_time(tmp_path, capsys):
    fit(tmp_path / "all", 1)
    shown = read_pictures(tmp_path / "all")
    assert [*shown["gray"]] == [*shown["words"]] == [1, 2, 3]
    assert (
        shown["words"][1].startswith(b"epoch 1: weight ") and len(set(shown["words"].values())) == 3
    )
    assert imread(io.BytesIO(shown["gray"][3])).shape == (4, 6, 3)
    said = capsys.readouterr()
    assert [line.split(",")[0] for line in said.out.splitlines()] == [
        f"epoch {n}/3" for n in (1, 2, 3)
    ]
    assert "best val loss" in said.out and said.err == ""

    fit(tmp_path / "ends", 1e-9)
    assert [*read_pictures(tmp_path / "ends")["gray"]] == [1, 3]
    fit(tmp_path / "none", 0)
    assert not (tmp_path / "none/logs/pictures").exists()


def test_the_last_pictures_are_those_of_the_best_epoch(tmp_path):
    state = fit(tmp_path, 1, rate=0.6)  # it diverges
    assert state["best_epoch"] == 1
    words = {step: text.decode() for step, text in read_pictures(tmp_path)["words"].items()}
    assert words[2].startswith("epoch 2: weight ")
    best, weight = words[1].split(": ")
    assert (best, words[3]) == ("epoch 1", f"epoch 1, the best of 3: {weight}")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_steps_are_counted_in_place(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", Terminal())
    fit(tmp_path, 0, epochs=2)
    said = sys.stderr.getvalue()
    assert "\repoch 2/2:   0%" in said and "/4 [" in said and "\n" not in said
    assert capsys.readouterr().out.count("\n") == 2


CLASSES = ["jump", "run", "sit"]
ASKED = {  # labeling: classes, targets, probabilities, the file besides clips.png, what is said
    "single": (
        CLASSES,
        [[0, 1, 0], [1, 0, 0]],
        [[0.1, 0.75, 0.15], [0.2, 0.3, 0.5]],
        "confusion.png",
        [("true: run\npredicted: run 0.75", True), ("true: jump\npredicted: sit 0.50", False)],
    ),
    "binary": (
        ["no", "yes"],
        [[1], [0]],
        [[0.25], [0.25]],
        "confusion.png",
        [("true: yes\npredicted: no 0.75", False), ("true: no\npredicted: no 0.75", True)],
    ),
    "multi": (
        CLASSES,
        [[0, 1, 1], [0, 0, 0]],
        [[0.1, 0.75, 0.5], [0.2, 0.3, 0.4]],
        "classes.png",
        [
            ("true: run, sit\npredicted: run 0.75, sit 0.50", True),
            ("true: none\npredicted: none (sit 0.40)", True),
        ],
    ),
}


@pytest.mark.parametrize("labeling", ASKED)
def test_predictions_are_drawn(labeling, tmp_path, monkeypatch):
    classes, targets, probabilities, file, said = ASKED[labeling]
    drawn = []
    titles = []

    def keep(path, rows, title):
        drawn.extend(rows)
        titles.append(title)

    monkeypatch.setattr(watching, "plot_strips", keep)
    strips = {i: np.full((2, 8, 8, 3), 100 * i, np.uint8) for i in (0, 1)}
    labels = labeling, np.array(targets, float)
    what = strips, ["a.mp4", "b.mp4"], labels, classes, "fights"
    draw_classifier(lambda: np.array(probabilities), *what, tmp_path, "epoch 3, the best of 20")
    assert titles == ["fights, epoch 3, the best of 20, val, 2 videos"]
    assert [path.name for path in tmp_path.iterdir()] == [file]
    for row, name, (text, right) in zip(drawn, ("a.mp4", "b.mp4"), said, strict=True):
        assert row.label == f"{name}\n{text}"
        assert row.color == ("darkgreen" if right else "firebrick")
    assert drawn[1].frames.max() == 100


def test_wrong_is_said():
    truth, decided = np.array([True, False]), np.array([True, True])
    text, right = describe_prediction("a", truth, decided, [0.9, 0.6], ["x", "y"])
    assert not right and text == "a\ntrue: x\npredicted: x 0.90, y 0.60"


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    """A folder with videos and features of them."""
    folder = tmp_path_factory.mktemp("watched")
    for path in write_dataset(folder / "videos", videos=4, frames=12).rglob("*.avi"):
        place = folder / "F" / path.parent.name / f"{path.stem}.npy"
        place.parent.mkdir(parents=True, exist_ok=True)
        rows = np.random.default_rng(len(place.name)).random((3, 8), np.float32)
        np.save(place, rows + (path.parent.name == "left"))
    return folder


def test_clips_are_shown_where_they_are(features, monkeypatch):
    """Runs on features show the videos, if there are any."""
    monkeypatch.chdir(features)
    flags = "--features F --data-path videos --network i3d --num-segments 3 --batch-size 4"
    flags += (
        " --epochs 2 --rate-epochs 1 2 --workers 1 --pictures 1 --frame-size 32 --short-side 36"
    )
    run_folder, _ = training.train_run(parse_params(flags.split()))
    shown = read_pictures(run_folder)
    assert {name: [*steps] for name, steps in shown.items()} == {
        "clips": [1, 2],
        "confusion": [1, 2],
    }
    assert imread(io.BytesIO(shown["clips"][2])).std() > 0.05

    paths = sorted(str(path) for path in (features / "videos").rglob("*.avi"))
    clip_format = ClipFormat(2, 8, fps=0, short_side=36, frame_size=32)
    seen = inspect_videos(paths, "cache", 1)[0]
    found, source = inspect_features(paths, "F", 1)[0], FeatureSource(2, 24)
    videos = [found[path] for path in paths]
    strips = read_strips(source, videos, clip_format)
    assert [*strips] == [0, 1, 3, 4, 6, 7] and strips[0].shape == (6, 32, 32, 3)
    clip = read_clip(list_views(seen[paths[3]])[0], clip_format).reshape(-1, 32, 32, 3)
    np.testing.assert_array_equal(strips[3][[0, -1]], np.round((clip[[0, -1]] + 1) * 127.5))
    gone = [replace(each, path=each.path.replace("left_00", "gone")) for each in videos]
    assert [*read_strips(source, gone, clip_format)] == [1, 3, 4, 6, 7]
    own = [replace(each, path=each.views["centre"][0]) for each in videos]  # .npy files
    assert read_strips(source, own, clip_format) == {} == read_strips(source, [], clip_format)
