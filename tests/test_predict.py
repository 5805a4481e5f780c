"""Predictions as the command is run: right labels at the right times, and what is no video."""

import itertools
import json
import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import evaluate
from models.design import Design
from models.networks import build, build_on_features
from models.pretrained.i3d_weights import read_classes
from models.recognizer import build_recognizer, set_statistics
from scripts import predict as command
from scripts.extract_features import Options as ExtractionOptions
from scripts.extract_features import extract_features
from scripts.predict import Options, predict
from support.commands import ROOT, run
from support.runs import SMALL, read_table, save_run
from support.videos import moving_square, split_examples, write_dataset
from tasks.answers import Judge
from tasks.classification.predicting import Classifier
from tasks.classification.questions import Inquiry
from tasks.demonstration import Demonstration
from tasks.options import EvaluationOptions
from tasks.predictors import open_predictor
from tasks.recognition.explaining import MEANING
from tasks.recognition.searching import GREEDY, Heard
from utils.clips.inputs import ClipSource
from utils.clips.reading import ClipFormat, list_views
from utils.data.datasets import list_examples
from utils.data.inspection import inspect_features
from utils.params import Params
from utils.pictures.answer_html import draw_note
from utils.runs.folders import keep_features
from utils.signing.corpora import load_sentences, save_sentences
from utils.signing.row_changes import measure_statistics
from utils.system.commands import run_command
from utils.video.live import play_video
from utils.video.reading import probe
from utils.video.writing import write_video

import cv2
import keras
import numpy as np
import pytest

COLORS = ClipFormat(1, 8, short_side=36, frame_size=32)
REAL = ROOT / "weights/pretrained/rgb_scratch.npz"
CLIPS = ROOT.parent / "shared/videos/kinetics"


def paint(seconds, size=(48, 64)):
    """Yield frames that are red, green and blue, so many seconds each."""
    for color in np.eye(3, dtype=np.uint8):
        yield from [np.full((*size, 3), 255 * color, np.uint8)] * round(25 * seconds)


def color_classifier(**settings):
    """Return a classifier whose logits are how red, green and blue a clip is."""
    clips = keras.Input((1, 8, 32, 32, 3))
    network = keras.Model(clips, 4 * keras.ops.mean(clips, axis=(1, 2, 3, 4)))
    inquiry = Inquiry(network, Judge(["red", "green", "blue"]), Params())
    return Classifier(inquiry, ClipSource(COLORS), **settings)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with six short videos, of two classes, and one of three colors."""
    folder = tmp_path_factory.mktemp("predict")
    write_dataset(folder / "videos", videos=3)
    write_video(folder / "colors.avi", paint(1.6), 25)
    return folder


@pytest.fixture
def inside(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr("utils.pictures.run_plots.save_figure", lambda *_, **__: None)
    return folder


def make_run(name, params, network, thresholds=None, found=None):
    """Write the run weights/<name> on the videos, or on their features, untrained."""
    run_folder = Path("weights", name)
    if found:
        run_folder.mkdir(parents=True)
        keep_features(run_folder, params.features, found)
    save_run(run_folder, params, network, split_examples())
    if thresholds:
        (run_folder / "thresholds.json").write_text(json.dumps(thresholds))
    return run_folder


def scored(run_folder, **options):
    """Return {path: row} of what evaluate.py writes."""
    evaluate.evaluate(EvaluationOptions((run_folder,), split="val", **options))
    return {row["path"]: row for row in read_table(run_folder / "evaluation/val/predictions.csv")}


@pytest.mark.parametrize(
    "name, changes, outputs, thresholds",
    [
        ("one", {"eval_crops": 3, "eval_clips": 2}, 2, None),
        ("two", {"stream": "both", "flow": "farneback", "activation": "sigmoid"}, 1, [0.4]),
    ],
)
def test_a_whole_video_is_what_evaluation_gives(inside, name, changes, outputs, thresholds):
    params = replace(SMALL, **changes)
    keras.utils.set_random_seed(3)
    shape = (1, 4, 32, params.stream)
    network = build("timesformer", outputs, *shape, Design(attention="space", patch_size=8))
    run_folder = make_run(name, params, network, thresholds)
    expected, predictor = scored(run_folder), open_predictor(run_folder)
    assert predictor.labels == ["left", "right"] and len(expected) == 2
    for path, row in expected.items():
        prediction = predictor.predict_video(path)
        assert ";".join(prediction.labels) == row["predicted"]
        for label, probability in prediction.top:
            assert probability == pytest.approx(float(row[label]), abs=2e-6)
        assert prediction.duration == pytest.approx(24 / 25)
        assert prediction.times[-1] == pytest.approx(24 / 25)
        assert prediction.probabilities.shape == (len(prediction.times) - 1, 2)


def test_one_window_of_one_view_is_the_whole_video(inside):
    network = build("timesformer", 2, 1, 4, 32, "rgb", Design(attention="space", patch_size=8))
    run_folder = make_run("window", SMALL, network)
    prediction = open_predictor(run_folder, window=5.0).predict_video("videos/left/left_01.avi")
    (interval,) = prediction.intervals
    assert interval[:3] == (0, pytest.approx(0.96), prediction.labels[0])
    assert interval.score == pytest.approx(prediction.top[0][1], abs=1e-6)


def test_intervals_are_where_the_colors_are(inside):
    seen = []
    prediction = color_classifier().predict_video("colors.avi", lambda *done: seen.append(done))
    assert [each.label for each in prediction.intervals] == ["red", "green", "blue"]
    times = [each.start for each in prediction.intervals] + [prediction.intervals[-1].end]
    np.testing.assert_allclose(times, [0, 1.6, 3.2, 4.8], atol=0.161)
    assert all(each.score > 0.9 for each in prediction.intervals)
    assert prediction.top[0][0] == prediction.labels[0]
    assert sum(p for _, p in prediction.top) == pytest.approx(1, abs=1e-5)
    assert seen == [(done, 29) for done in range(1, 30)]
    coarse = color_classifier(seconds=(1.0, 0.8)).predict_video("colors.avi")
    assert np.diff(coarse.times)[:-1] == pytest.approx(0.8)
    assert [each.label for each in coarse.intervals] == ["red", "green", "blue"]


def test_a_file_through_the_live_path_gives_the_same(inside):
    """Frame by frame, from another thread, as a camera's, when none need be dropped."""
    predictor, done, steps = color_classifier(), threading.Semaphore(0), []
    length, step = predictor.plan_windows()

    def film():
        frames = play_video(probe("colors.avi"), predictor.clip_format)
        for count, frame in enumerate(frames):
            if count > length + 1 and (count - length - 2) % step == 0:
                assert done.acquire(timeout=20)  # the window that is whole by now
            yield frame

    def show(shown):
        steps.append(shown)
        done.release()

    live = predictor.watch(film(), show)
    offline = predictor.predict_video("colors.avi")
    np.testing.assert_array_equal(live.probabilities, offline.probabilities)
    np.testing.assert_allclose(live.times, offline.times)
    assert [each.label for each in live.intervals] == [each.label for each in offline.intervals]
    assert live.top == offline.top and len(steps) == 29
    assert [step.labels for step in (steps[0], steps[14], steps[-1])] == [
        ["red"],
        ["green"],
        ["blue"],
    ]
    assert steps[3].begin == pytest.approx(0.48) and steps[3].end == pytest.approx(0.8)


def test_a_source_that_ends_or_is_stopped(inside):
    predictor = color_classifier()
    with pytest.raises(ValueError, match="ended before the first window"):
        predictor.watch((frame for frame in ()), print)

    def stop(step):
        raise KeyboardInterrupt

    red = next(play_video(probe("colors.avi"), predictor.clip_format))[1]
    endless = ((count / 25, red) for count in itertools.count())
    stopped = predictor.watch(endless, stop)
    assert stopped.labels == ["red"] and len(stopped.times) == 2


@pytest.fixture
def colors(inside, monkeypatch):
    """The command, with a network that knows colors."""
    predictor = color_classifier()
    monkeypatch.setattr(command, "open_predictor", lambda *_: predictor)
    return inside


def test_command_writes_what_it_finds(colors, capsys):
    predict(Options(("colors.avi",), json="out/a.json", csv="out/a.csv", overlay="out/o.mp4"))
    printed = capsys.readouterr().out
    assert printed.startswith("colors.avi (4.8 s): ") and "  green\n" in printed
    assert " s  0.9" in printed
    (found,) = json.loads(Path("out/a.json").read_text())["videos"]
    assert [each["label"] for each in found["intervals"]] == ["red", "green", "blue"]
    assert found["duration"] == 4.8 and len(found["top"]) == 3
    (row,) = read_table("out/a.csv")
    assert (row["video"], row["predicted"], row["seconds"]) == ("colors.avi", "green", "4.800")
    assert row["score"] == row["green"] == f"{found['top'][0]['probability']:.6f}"
    rows = read_table("out/a_intervals.csv")
    assert [row["label"] for row in rows] == ["red", "green", "blue"]
    assert all(float(row["start"]) < float(row["end"]) for row in rows)
    capture, frames = cv2.VideoCapture("out/o.mp4"), []
    while (read := capture.read())[0]:
        frames.append(read[1][..., ::-1])
    frames = np.array(frames).astype(int)
    assert frames.shape == (120, 240 + 28 + 14, 320, 3)  # widened to 320 pixels
    assert (frames[[20, 60, 100], 100, 150].argmax(-1) == [0, 1, 2]).all()
    bar = frames[60, -10:-4].mean(0)
    assert np.abs(bar[50] - bar[270]).max() > 60  # another label, another color
    lit = (bar > 180).all(-1)
    assert lit[157:165].any() and not lit[:150].any()  # where it is
    assert frames[60, 240:268].max() > 100  # words


@pytest.fixture
def named(colors):
    """Folders named after a class: of the four videos in them three are what they are named."""
    for label, color in (("red", 0), ("green", 1), ("blue", 2), ("blue", 0)):
        frames = [np.full((48, 64, 3), 255 * np.eye(3, dtype=np.uint8)[color])] * 20
        write_video_at(Path("named", label, f"{color}.avi"), frames)
    return Path("named")


def write_video_at(path, frames):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, frames, 25)


def test_a_folder_is_a_line_a_video_and_a_summary(named, capsys, monkeypatch):
    monkeypatch.setattr(command, "list_trained", lambda _: {os.path.realpath("named/red/0.avi")})
    predict(Options(("named",), csv="tables", overlay="labeled"))
    lines = capsys.readouterr().out.splitlines()
    assert [line.rsplit(" ", 1)[0] for line in lines[:2]] == [
        "named/blue/0.avi (0.8 s): red",
        "named/blue/2.avi (0.8 s): blue",
    ]
    assert lines[4:] == [
        "4 videos: 2 red, 1 blue, 1 green",
        "3 of 4 have the class that their folder names (accuracy 0.750)",
        "The network was trained on 1 of these videos, so it may do worse on new ones",
        "Written to labeled",
    ]
    rows = read_table("tables/predictions.csv")
    assert [(row["label"], row["predicted"]) for row in rows] == [
        ("blue", "red"),
        ("blue", "blue"),
        ("green", "green"),
        ("red", "red"),
    ]
    assert len(read_table("tables/intervals.csv")) == 4
    written = sorted(map(str, Path("labeled").rglob("*.mp4")))
    assert written == [f"labeled/{row['video'][6:]}.mp4" for row in rows]
    assert probe(written[0]).num_frames == 20


def test_features_that_training_kept_are_used(inside, monkeypatch):
    """A video shorter than two windows goes through the network once, or not at all."""
    write_video("short.avi", [np.full((48, 64, 3), (0, 255, 0), np.uint8)] * 15, 25)
    clips, features = keras.Input((1, 8, 32, 32, 3)), keras.Input((3,))
    frozen = keras.Model(clips, keras.ops.mean(clips, axis=(1, 2, 3, 4)))
    head, source = keras.Model(features, 4 * features), ClipSource(COLORS, frozen, "kept")
    inquiry = Inquiry(keras.Model(clips, head(frozen(clips))), Judge(["r", "g", "b"]), Params())
    predictor = Classifier(inquiry, source, head, (1, 1))
    passes, run = [], predictor.run
    monkeypatch.setattr(predictor, "run", lambda clip: passes.append(1) or run(clip))
    done = []
    first = predictor.predict_video("short.avi", lambda *step: done.append(step))
    assert not Path("kept").exists() and len(passes) == 1 and done == [(1, 1)]
    source.prepare([list_views(probe("short.avi"))[0]])
    again = predictor.predict_video("short.avi")
    assert len(passes) == 1 and again.labels == ["g"]
    np.testing.assert_allclose(again.whole, first.whole, atol=1e-6)
    (interval,) = again.intervals
    assert interval[:2] == (0, 0.6) and interval.score == pytest.approx(again.top[0][1])
    predictor.predict_video("colors.avi", lambda *step: done.append(step))
    assert done[-1] == (30, 30) and len(passes) == 31  # 29 windows, and a view


def test_many_videos_and_a_broken_one(colors, capsys):
    Path("videos/left/text.mp4").write_text("no video")
    try:
        with pytest.raises(SystemExit) as stopped:
            names = ("videos", "colors.avi", "videos/*/left_00.avi")
            run_command(lambda: predict(Options(names, json="all.json")))
    finally:
        Path("videos/left/text.mp4").unlink()
    assert stopped.value.code == 1
    written = json.loads(Path("all.json").read_text())
    assert len(written["videos"]) == 7
    assert written["failed"][0]["video"] == "videos/left/text.mp4"
    said = capsys.readouterr()
    assert "failed: videos/left/text.mp4: not a video" in said.out
    assert "1 of 8 videos failed" in said.err


def write_bad_files():
    Path("empty.mp4").touch()
    Path("text.mp4").write_text("no video")
    write_video("whole.mp4", moving_square(20, (48, 64)), 25)
    Path("cut.mp4").write_bytes(Path("whole.mp4").read_bytes()[5000:])
    cv2.VideoWriter("frameless.avi", cv2.VideoWriter_fourcc(*"MJPG"), 25, (64, 48)).release()
    Path("nothing/below").mkdir(parents=True, exist_ok=True)
    Path("nothing/notes.txt").write_text("notes")


@pytest.mark.parametrize(
    "videos, words",
    [
        (("text.mp4",), "text.mp4: not a video that FFmpeg can open"),
        (("empty.mp4",), "empty.mp4: the file is empty"),
        (("cut.mp4",), "cut.mp4: "),
        (("frameless.avi",), "frameless.avi: "),
        (("gone.mp4",), "gone.mp4: there is no such file"),
        (("no*.mp4",), "no*.mp4: there is no such file, and no file matches it"),
        (
            ("https://example.org/a.mp4",),
            "https://example.org/a.mp4: this is an address on the internet; download",
        ),
        (("nothing",), "nothing: the folder contains no video"),
        (("webcam:97",), "webcam:97: there is no such camera"),
        (("webcam", "whole.mp4"), "Give webcam alone"),
        ((), "Give a video"),
    ],
)
def test_bad_input_is_one_line(colors, capfd, videos, words):
    write_bad_files()
    with pytest.raises(SystemExit) as stopped:
        run_command(lambda: predict(Options(videos)))
    said = capfd.readouterr().err.strip()
    assert stopped.value.code == 2
    assert said.startswith("Error: ") and words in said and "\n" not in said


@pytest.mark.parametrize(
    ("changes", "network", "words"),
    [
        ({}, None, "weights/old has no best.keras yet"),
        ({}, b"junk", "best.keras cannot be loaded by Keras"),
        (
            {"task": "recognition", "network": "bilstm"},
            b"junk",
            "best.keras cannot be loaded by Keras",
        ),
        ({"wobble": 9}, b"junk", "This version does not know: wobble"),
    ],
)
def test_runs_of_another_version(inside, capfd, changes, network, words):
    run_folder = save_run("weights/old", SMALL, None, split_examples())
    known = json.loads((run_folder / "params.json").read_text())
    (run_folder / "params.json").write_text(json.dumps(known | changes))
    if network:
        (run_folder / "best.keras").write_bytes(network)
    with pytest.raises(SystemExit) as stopped:
        run_command(lambda: predict(Options(("colors.avi",), run_folder)))
    shutil.rmtree(run_folder)
    said = capfd.readouterr().err.strip()
    assert stopped.value.code == 2
    assert said.startswith("Error: ") and words in said and "\n" not in said


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"overlay": "a.gif"}, "a.gif: a video must end in .mp4, .webm, .avi"),
        ({"overlay": "colors.avi"}, "colors.avi is one of the videos; --overlay would replace it"),
        ({"step": -1.0}, "step is -1.0; give"),
        (
            {"overlay": "a.mp4", "videos": ("videos",)},
            "overlay is the file a.mp4, but there are 6 videos. Give a folder: --overlay a",
        ),
        ({"overlay": "a.mp4", "videos": ("webcam",)}, "without --overlay"),
    ],
)
def test_bad_flags(colors, flags, words):
    with pytest.raises(ValueError, match=words):
        predict(Options(**{"videos": ("colors.avi",)} | flags))


def test_as_a_user_runs_it(inside):
    """No such run, and one line about it."""
    done = run(["scripts/predict.py", "colors.avi", "--run", "weights/none"], inside)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "Error: weights/none: not a run (params.json is missing)" in done.stderr


@pytest.fixture(scope="module")
def features(folder):
    """Features of all videos, of an I3D that knows nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        small = {"frame_size": 112, "short_side": 112, "endpoint": "Conv3d_1a_7x7", "workers": 1}
        kind = {"window": 8, "stride": 4, "weights": "none", "views": ("centre", "left", "right")}
        extract_features(ExtractionOptions("videos", "F", **small, **kind))
    return str(folder / "F")


def show_on_page(predictor, run_folder, video, folder, monkeypatch):
    """Return {name: what is shown} of a video on the page of scripts.demo."""
    monkeypatch.setattr("tasks.demonstration.open_predictor", lambda run, asked: predictor)
    steps = Demonstration(run_folder).show(video, folder, 10, lambda *_: None)
    return {name: value for step in steps for name, value in step.items()}


def test_classes_of_a_run_on_features(inside, features, monkeypatch, tmp_path):
    params = Params(network="i3d", num_segments=3, features=features, eval_clips=2, eval_crops=3)
    keras.utils.set_random_seed(1)
    found, _ = inspect_features([e.path for e in list_examples("videos")], features, 1)
    run_folder = make_run("head", params, build_on_features("i3d", 2, 3, 64), found=found)
    expected, predictor = scored(run_folder), open_predictor(run_folder, 0.32, 0.16)
    assert (predictor.kind, predictor.live) == ("classes", False)
    for path, row in expected.items():
        prediction = predictor.predict_video(path)
        assert dict(prediction.top)["left"] == pytest.approx(float(row["left"]), abs=1e-5)
        np.testing.assert_allclose(prediction.times, np.append(np.arange(6) * 0.16, 0.96))
    with pytest.raises(ValueError, match="cannot follow a camera"):
        predictor.watch(iter(()), print)
    shown = show_on_page(predictor, run_folder, path, tmp_path, monkeypatch)
    assert f"Why {prediction.labels[0]}, " in shown["why"] and "Occlusion" in shown["why"]
    assert "overlay" not in shown and "<img" in shown["sheet"]
    rows, places = np.load(Path("F", *Path(path).parts[-2:]).with_suffix(".npy")), [1, 3, 5]
    np.testing.assert_allclose(prediction.shown.rows, rows[places], atol=1e-5)
    manifest = json.loads((run_folder / "features.json").read_text())
    for change, words in (
        ({"fingerprint": {"rgb": "0"}}, "weights none .* have changed since then"),
        ({"stride": None}, ""),
    ):
        changed = manifest["manifest"] | change
        if not words:
            del changed["stride"]
            words = "scripts.extract_features did not write"
        (run_folder / "features.json").write_text(json.dumps(manifest | {"manifest": changed}))
        with pytest.raises(ValueError, match=words):
            open_predictor(run_folder)


WORDS = ["RAIN", "SUN", "WIND"]


@pytest.fixture(scope="module")
def signs(folder, features):
    """The run weights/signs of a recognizer, scored on all videos; its predictions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        lines = [f"{e.path},{' '.join(WORDS)},dev" for e in list_examples("videos")]
        Path("corpus.csv").write_text("\n".join(["path,glosses,split", *lines]) + "\n")
        sentences = load_sentences("corpus.csv")
        found, _ = inspect_features([s.path for s in sentences], features, 1)
        sizes = {"network": "bilstm", "front": "K5-K5", "width": 16}
        params = Params(task="recognition", corpus="csv", features=features, **sizes)
        keras.utils.set_random_seed(2)
        network = build_recognizer(64, 3, "K5-K5", width=16)
        set_statistics(network, *measure_statistics(list(found.values())))
        run_folder = Path("weights/signs")
        run_folder.mkdir(parents=True)
        keep_features(run_folder, features, found)
        save_run(run_folder, params, network, sentences, WORDS, save_sentences)
        evaluate.evaluate(EvaluationOptions((run_folder,), split="dev"))
        return run_folder, read_table(run_folder / "evaluation/dev/predictions.csv")


def test_glosses_of_a_recognizer(inside, signs):
    run_folder, rows = signs
    predictor = open_predictor(run_folder)
    assert (predictor.kind, predictor.labels) == ("glosses", WORDS)
    for row in rows:
        prediction = predictor.predict_video(str(Path(row["id"])))
        assert " ".join(prediction.labels) == row["hypothesis"]
        assert prediction.labels == [each.label for each in prediction.intervals]
        assert prediction.probabilities.shape == (6, 3)
        np.testing.assert_allclose(prediction.times, np.append(np.arange(6) * 0.16, 0.96))
    assert any(row["hypothesis"] for row in rows)
    with pytest.raises(ValueError, match="recognizes whole videos"):
        open_predictor(run_folder, window=1.0)


def test_glosses_on_the_page(inside, signs, monkeypatch, tmp_path):
    run_folder, (row, *_) = signs
    predictor = open_predictor(run_folder)
    shown = show_on_page(predictor, run_folder, row["id"], tmp_path, monkeypatch)
    assert shown["why"] == draw_note(MEANING) and "alignment.png" in shown["sheet"]
    glosses = [line["gloss"] for line in read_table(tmp_path / "alignment.csv")]
    assert " ".join(glosses) == row["hypothesis"]


def test_glosses_over_a_video(inside, signs, capsys):
    run_folder, (row, *_) = signs
    predict(Options((str(Path(row["id"])),), run_folder, overlay="signs.mp4"))
    assert row["hypothesis"] in capsys.readouterr().out
    assert probe("signs.mp4").num_frames == 24
    with pytest.raises(ValueError, match="cannot follow a camera"):
        predict(Options(("webcam",), run_folder))


def test_glosses_are_located():
    def locate(logits):
        return GREEDY.locate(Heard(logits))

    best = [0, 2, 2, 0, 2, 1, 1, 0]
    assert locate(np.eye(3)[best]) == [(2, 1, 3), (2, 4, 5), (1, 5, 7)]
    assert locate(np.eye(3)[[0, 0]]) == []
    assert locate(np.eye(3)[[1]]) == [(1, 0, 1)]


def test_the_classes_of_kinetics():
    classes = read_classes()
    assert len(classes) == len(set(classes)) == 400
    assert (classes[0], classes[-1]) == ("abseiling", "zumba")


LABELS = {
    "R6llTwEh07w.mp4": "using segway",
    "SOX5yA1l24A.mp4": "using segway",
    "v_SoccerJuggling_g23_c01.avi": "juggling soccer ball",
    "hmdb51_Turnk_r_Pippi_Michel_cartwheel_f_cm_np2_le_med_6.avi": "cartwheeling",
    "v_CricketShot_g04_c01_rgb.gif": "playing cricket",
}


@pytest.mark.weights
@pytest.mark.skipif(not REAL.is_file(), reason=f"{REAL} has not been fetched")
@pytest.mark.skipif(not CLIPS.is_dir(), reason="the real clips are not there")
def test_clips_of_kinetics_get_their_labels(monkeypatch):
    monkeypatch.chdir(ROOT)
    predictor = open_predictor()
    found = {name: predictor.predict_video(CLIPS / name).top[0][0] for name in LABELS}
    assert found == LABELS
