"""Heads trained on folders of features, as commands are run; no video is there to be read."""

import csv
import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import evaluate
import training
from models.choices import NETWORKS
from models.cutting import streams_of
from models.networks import build_on_features
from scripts import cross_validate, extract_embeddings
from scripts.compare_settings import inspect_run
from scripts.explain import explain
from scripts.summarize_network import Options as SummaryOptions
from scripts.summarize_network import summarize_network
from support.commands import run_in_process, work_in
from support.runs import Trained, read_history
from support.videos import moving_square, write_dataset
from tasks.classification import training as classification
from tasks.options import EvaluationOptions, ExplanationOptions
from tasks.plan import make_plan
from tasks.training_flags import parse_params
from utils.clips.augmentation import Augmentation, Transform
from utils.clips.inputs import ClipSource, fingerprint
from utils.clips.reading import Clip, ClipFormat, list_views, random_clip, read_clip
from utils.clips.rows import list_row_views, read_rows
from utils.data.inspection import inspect_features
from utils.features.lookup import find_length, open_features
from utils.features.row_memory import RowMemory
from utils.features.store import open_store, save_features, settings_hash
from utils.fitting.devices import number_format
from utils.params import Params
from utils.pictures.frame_sheets import read_moments
from utils.system.figures import read_figures
from utils.video.reading import probe
from utils.video.writing import write_video

import cv2
import h5py
import keras
import numpy as np
import pytest

DIM = 64
FLAGS = (
    "--num-segments 3 --batch-size 4 --epochs 2 --rate-epochs 1 2 --network i3d --workers 1 "
    "--learning-rates 1e-2 1e-3 1e-4 --dropout 0 --pictures 0"
).split()


def draw_features(label, index, dim=DIM):
    """Return (rows, channels) whose class shows in which half of the channels is larger."""
    generator = np.random.default_rng([label, index])
    features = generator.random((1 + index % 5, dim), np.float32)
    features[:, label * dim // 2 : (label + 1) * dim // 2] += 1
    return features


def write_features(folder, videos=8, dim=DIM):
    """Write a store, `folder/class/video.npy`, with flipped views."""
    settings = {"version": 1, "window": 16, "route": "windows"}
    open_store(folder, settings)
    for label, name in enumerate(("left", "right")):
        for index in range(videos):
            array = draw_features(label, index, dim)
            record = {"source": f"{label}{index}", "settings": settings_hash(settings)}
            views = {"centre": array, "flip": np.roll(array, 1, axis=1)}
            save_features(folder, f"{name}/{name}_{index:02d}", views, record)
    return folder


def write_list(path, videos=8, suffix=".mp4"):
    """Write a CSV of videos that are nowhere."""
    rows = [
        f"somewhere/{name}/{name}_{index:02d}{suffix},{name},{'val' if index < 2 else 'train'}"
        for name in ("left", "right")
        for index in range(videos)
    ]
    path.write_text("\n".join(["path,label,split", *rows]) + "\n")
    return path


def train(*flags):
    return training.train_run(parse_params([*FLAGS, *map(str, flags)]))


def score(runs, **options):
    return evaluate.evaluate(EvaluationOptions(tuple(runs), **options))


DATA = ("--features", "F", "--data-path", "list.csv")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Weights/first, trained on a store with faults."""
    folder = tmp_path_factory.mktemp("trained")
    with work_in(folder) as printed:
        write_list(folder / "list.csv")
        write_features(folder / "F")
        Path("F/left/left_07.npy").unlink()
        np.save("F/right/right_07.npy", np.array([{}]), allow_pickle=True)
        np.save("F/right/right_06.npy", np.full((2, DIM), np.nan))
        _, report = train(*DATA, "--run", "first")
    return Trained(folder, report, printed.getvalue())


@pytest.fixture
def folder(trained, monkeypatch, no_pictures):
    """The folder of `trained`, to work in."""
    monkeypatch.chdir(trained.folder)
    return trained.folder


FIRST = Path("weights/first")


def losses(run_folder):
    return [float(row["loss"]) for row in read_history(run_folder)]


def test_run_on_a_store_is_scored(trained, folder):
    _, report, printed = trained
    assert "1 of 16 videos have no features in" in printed and "13 videos of 2 classes" in printed
    problems = (FIRST / "problems.txt").read_text()
    assert "left_07.mp4: no features in" in problems and "Python objects" in problems
    assert "right_06.npy: some numbers are NaN or infinite" in problems
    assert report["videos"] == 4 and report["top1"] == 1
    network = keras.saving.load_model(FIRST / "best.keras", compile=False)
    assert network.input_shape == (None, 3, DIM)
    assert [layer.name for layer in network.layers][1:] == ["head"]
    assert network.count_params() == 2 * DIM + 2
    scored = score([FIRST])
    assert scored["top1"] == report["top1"] and scored["videos"] == 4
    assert (FIRST / "evaluation/val/predictions.csv").is_file()
    with pytest.raises(ValueError, match="no features of the view left, which eval_crops 3"):
        score([FIRST], eval_crops=3)


def test_a_run_goes_on_with_the_same_features_wherever_they_are(folder):
    train(*DATA, "--run", "parts", "--epochs", 1)
    shutil.move("F", "moved")
    with pytest.raises(ValueError, match=r"features .*F: no such file or folder"):
        score([FIRST])
    resumed = ("--features", "moved", "--data-path", "list.csv", "--run", "parts", "--resume")
    parts, _ = train(*resumed)
    np.testing.assert_allclose(losses(parts), losses(FIRST), rtol=1e-5)
    shutil.copytree("moved", "F")
    np.save("moved/left/left_05.npy", np.ones((2, DIM), np.float32))
    with pytest.raises(ValueError, match=r"parts was started on other features, not on .*"):
        train(*resumed)
    shutil.rmtree("moved")


def test_features_are_data_by_themselves(folder, capsys):
    write_features(folder / "alone")
    alone, report = train("--features", "alone")
    assert alone.name == "alone_i3d" and report["videos"] == 3
    with open(alone / "splits.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 16
    for flags in ((), ("--resume", "--run", "alone_i3d")):
        given = parse_params([*FLAGS, "--data-path", "alone", *flags])
        plan, listed, classes = classification.list_data(make_plan(given))
        params = plan.params
        assert params.features == str(folder / "alone") and len(listed) == 16
        assert params.data_path == "alone" and classes == ["left", "right"]

    write_features(folder / "G", 3)
    manifest = json.loads(Path("G/manifest.json").read_text())
    Path("G/manifest.json").write_text(json.dumps(manifest | {"route": "dense"}))
    for path in Path("G").rglob("*.npy"):
        np.save(path, 2 - np.load(path))  # the other class
    capsys.readouterr()
    assert score([alone], data_path="G")["top1"] == 0
    assert "G: made with other route than the features" in capsys.readouterr().out
    write_list(folder / "three.csv", 3)
    assert score([alone], data_path="three.csv", features="G")["top1"] == 0
    assert (alone / "evaluation/three-G-val/report.json").is_file()


def test_cross_validation_tests_on_other_features(folder, monkeypatch):
    write_features(folder / "H")
    for path in Path("H").rglob("*.npy"):
        np.save(path, 2 - np.load(path))  # the other class
    run_in_process(monkeypatch, cross_validate)
    common = {"data_path": "list.csv", "name": "cv", "block": 2, "seeds": 1, "folds": 1}
    flags = [*FLAGS, "--features", "F"]
    for features, accuracy in (("", 1), ("H", 0), ("", 1)):
        cross_validate.cross_validate(
            cross_validate.Options(**common, test_features=features, output=Path("cv.json")), flags
        )
        (row,) = read_figures("cv.json")["rows"]
        assert row["what"] == "cv" and row["mean"] == accuracy
        result = json.loads(Path(f"weights/cv{'-H' * bool(features)}.json").read_text())
        assert result["folds"] == [accuracy] and result["test_features"] == features


def write_hdf5(folder, arrays):
    with h5py.File(folder / "all.h5", "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return folder / "all.h5"


def write_npz(folder, arrays):
    np.savez(folder / "all.npz", **arrays)
    return folder / "all.npz"


def write_flat(folder, arrays):
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return folder


def write_named(folder, arrays):
    """Write a list that names the files themselves."""
    write_flat(folder, arrays)
    text = write_list(folder / "list.csv", suffix=".npy").read_text()
    (folder / "list.csv").write_text(re.sub(r"somewhere/\w+/", "", text))
    return folder / "list.csv"


@pytest.mark.parametrize("write", [write_hdf5, write_npz, write_flat, write_named])
def test_layouts_hold_the_same_features(tmp_path, monkeypatch, write):
    monkeypatch.chdir(tmp_path)
    write_features(tmp_path / "F")
    arrays = {path.stem: np.load(path) for path in Path("F").rglob("*.npy")}
    (tmp_path / "other").mkdir()
    features = write(tmp_path / "other", arrays)
    write_list(tmp_path / "list.csv")
    named = features.suffix == ".csv"
    flags = ("--data-path", features) if named else (*DATA[2:], "--features", features)
    plan = make_plan(parse_params([*map(str, flags)]))
    plan, listed, _ = classification.list_data(plan)
    params = plan.params
    assert params.features == str(features)
    paths = [example.path for example in listed]
    found, problems = inspect_features(paths, params.features, 1)
    assert len(found) == 16 and not problems and find_length(paths, params.features) == DIM
    for path, each in found.items():
        for view, clip in (("", list_row_views(each)[0]), (".flip", flipped(each))):
            expected = arrays[Path(path).stem + view]
            row = expected[len(expected) // 2]
            np.testing.assert_array_equal(read_rows(clip, 1)[0], row)


def flipped(features):
    return replace(list_row_views(features)[0], transform=Transform(flip=True))


def test_rows_come_from_equal_parts_of_the_nearest_view(tmp_path):
    rows = np.arange(10, dtype="float64")[:, None] * np.ones(4)
    files = {}
    for place, view in enumerate(("centre", "flip", "left", "right_flip")):
        files[view] = (str(tmp_path / f"{view}.npy"), "")
        np.save(files[view][0], rows + 100 * place)
    features = open_features("a", files, RowMemory())

    def read(clip, segments=3):
        array = read_rows(clip, segments)
        assert array.dtype == np.float32 and array.shape == (segments, 4)
        return array[:, 0].tolist()

    center = list_row_views(features)[0]
    assert read(center) == [1, 5, 8]
    assert read(center, 20) == np.repeat(range(10), 2).tolist()
    early, late = list_row_views(features, 2)
    assert read(early) == [0, 4, 7] and read(late) == [2, 5, 9]
    assert read(replace(center, transform=Transform((0.5, 0.0)))) == [201, 205, 208]
    drawn = Clip(features, (0.0, 0.5, 0.99), Transform(flip=True))
    assert read(drawn) == [100, 105, 109]
    assert read(replace(drawn, transform=Transform((0.5, 0.9), True))) == [300, 305, 309]
    plain = open_features("a", {"centre": files["centre"]}, RowMemory())
    assert read(replace(drawn, video=plain)) == [0, 5, 9]


def test_flipped_views_are_drawn_on_request(tmp_path):
    for view in ("a", "a.flip"):
        np.save(tmp_path / f"{view}.npy", np.full((4, 2), len(view)))
    views = {"centre": (tmp_path / "a.npy", ""), "flip": (tmp_path / "a.flip.npy", "")}
    features = open_features("a", views, RowMemory())

    def draw(augmentation):
        generator = np.random.default_rng(0)
        clips = [random_clip(features, 2, generator, augmentation) for _ in range(100)]
        return [read_rows(clip, 2)[0, 0] for clip in clips]

    assert set(draw(Augmentation(flip=False))) == {1}
    assert 30 < draw(Augmentation()).count(6) < 70


@pytest.mark.parametrize("name", [name for name, row in NETWORKS.items() if row.backbone])
def test_every_network_on_i3d_takes_features(name):
    network = build_on_features(name, 5, 3, 2 * DIM)
    assert network(np.zeros((2, 3, 2 * DIM), np.float32)).shape == (2, 5)
    assert streams_of(network) == ("rgb",)


@pytest.mark.parametrize("name", [name for name, row in NETWORKS.items() if not row.backbone])
def test_a_network_of_clips_takes_no_features(name):
    with pytest.raises(ValueError, match=f"{name} takes clips, not features"):
        build_on_features(name, 5, 3, DIM)


def test_features_of_two_streams():
    both = build_on_features("i3d", 5, 3, 2 * DIM, "both")
    assert streams_of(both) == ("rgb", "flow") and both.count_params() == 2 * (5 * DIM + 5)
    with pytest.raises(ValueError, match="65 channels, which cannot be halved"):
        build_on_features("i3d", 5, 3, 65, "both")
    with pytest.raises(
        ValueError, match=r"i3d_transformer needs features whose .* 64, but got 500"
    ):
        build_on_features("i3d_transformer", 5, 3, 500)


@pytest.fixture(scope="module")
def odd(trained):
    """The folder with features of other widths beside it."""
    write_features(trained.folder / "odd", dim=100)


@pytest.fixture
def misfits(folder, odd):
    return folder


def write_h5(path, **options):
    with h5py.File(path, "w") as file:
        file.create_dataset("features", **options)


# Damage to the features of a video: {file: how it is written}.
DAMAGE = {
    "left_00.npy": lambda path: np.save(path, np.ones((DIM, 2))),  # as if it were turned
    "left_04.npy": lambda path: path.write_bytes(b"\x93NUMPY\1\0\4\0{'a\n"),
    "left_02.mat": Path.touch,
    "left_03.npz": lambda path: path.write_bytes(b"PK\3\4"),
    "right_00.h5": lambda path: write_h5(
        path, shape=(4, DIM), dtype="f4", external=[("/etc/hostname", 0, h5py.h5f.UNLIMITED)]
    ),
    "right_03.h5": lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(600)),
    "right_02.npy": os.mkfifo,
}


def test_damaged_features_are_named_and_the_rest_goes_on(folder, tmp_path, capsys):
    hurt = tmp_path / "hurt"
    write_features(hurt)
    for name, write in DAMAGE.items():
        path = hurt / name.split("_")[0] / name
        path.with_suffix(".npy").unlink()
        write(path)
    assert find_length(None, hurt) == DIM
    run_folder, report = train("--features", hurt, "--data-path", "list.csv", "--epochs", 1)
    problems = (run_folder / "problems.txt").read_text().splitlines()
    for name in DAMAGE:
        assert sum(name in line for line in problems) == 1, problems
    assert "stored in another file" in "".join(problems) and len(problems) == len(DAMAGE)
    assert report["videos"] == 2
    assert score([FIRST], features=str(hurt), split="train")["videos"] == 4
    said = capsys.readouterr().out
    assert all(said.count(f"problem: somewhere/{name.split('_')[0]}") for name in DAMAGE)
    extract_embeddings.extract_embeddings(extract_embeddings.Options(run_folder, split="train"))


def test_features_of_two_lengths_do_not_fit(tmp_path):
    for index in range(4):
        np.save(tmp_path / f"{index}.npy", np.ones((3, 4 + index % 2)))
    with pytest.raises(ValueError, match=r"1\.npy: its rows have 5 channels, .* 4. All must"):
        inspect_features([f"{index}.mp4" for index in range(4)], tmp_path)


def test_other_features_are_not_scored(misfits):
    with pytest.raises(ValueError, match=r"odd/left/left_00\.npy: its rows have 100 channels"):
        score([FIRST], data_path="odd")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((*DATA, "--network", "vivit"), "vivit takes clips, not features"),
        ((*DATA, "--network", "timesformer"), "timesformer takes clips, not features"),
        ((*DATA, "--weights", "kinetics"), "weights is kinetics, but on features"),
        (
            ("--features", "odd", "--network", "i3d_transformer"),
            "channels are a multiple of 64, but got 100",
        ),
        (("--features", "F/left"), "not a folder of class folders"),
        (("--features", "list.csv", "--data-path", "list.csv"), "no features of any of the 16"),
        (("--features", "gone", "--data-path", "list.csv"), "gone: no such file or folder"),
    ],
)
def test_what_cannot_be_trained_on(misfits, flags, message):
    with pytest.raises(ValueError, match=message):
        train(*flags)


@pytest.mark.parametrize(
    ("video", "options", "message"),
    [
        ("a.mp4", {}, "no features of any of the 1 videos"),
        ("odd/left/left_00.npy", {}, "its rows have 100 channels, the network takes 64"),
        ("left/left_03.mp4", {"method": "grad_cam"}, "'grad_cam' cannot explain this i3d"),
        (
            "left_03.mp4",
            {"endpoint": "Mixed_4f"},
            "endpoint is Mixed_4f, but .*first is a run of features",
        ),
    ],
)
def test_what_cannot_be_explained(misfits, video, options, message):
    with pytest.raises(ValueError, match=message):
        explain(ExplanationOptions(video, FIRST, **options))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"finetune": "all"},
            r"finetune is all, but the run is trained on features \(F\): there is no backbone",
        ),
        (
            {"cutmix": 1.0},
            r"cutmix is 1.0, but the run is trained on features \(F\): features are not pictures",
        ),
        ({"rand_operations": 1}, "rand_operations is 1, but the run is trained on features"),
    ],
)
def test_contradictions_of_features(changes, message):
    with pytest.raises(ValueError, match=message):
        Params(features="F", **changes)


def write_times(folder):
    """Write a folder of features in which left_03 has the times of its rows."""
    record = json.loads(Path(shutil.copytree("F", folder), "left/left_03.json").read_text())
    record["times"] = [0.1, 0.2, 0.3, 0.4]
    Path(folder, "left/left_03.json").write_text(json.dumps(record))


def test_the_rows_that_decide_are_named(folder, capsys):
    """Only one of three rows speaks for a class; a video without a record tells no times."""
    rows = np.ones((3, DIM), np.float32)
    rows[1, : DIM // 2] += 4  # as of left
    np.save("one.npy", rows)
    explain(ExplanationOptions("one.npy", FIRST, class_name="left", output="why"))
    printed = capsys.readouterr().out
    assert "one.npy: left" in printed and "by occlusion" in printed
    assert "The features tell no times" in printed and "No frames are shown" in printed
    with open("why/temporal_weights.csv", newline="") as file:
        found = list(csv.DictReader(file))
    assert [row["row"] for row in found] == ["0", "1", "2"]
    assert [row["seconds"] for row in found] == ["0.080", "0.240", "0.400"]
    assert [float(row["weight"]) for row in found] == [0, 1, 0]
    page = Path("why/explanation.html").read_text()
    assert page.count("<img") == 1 and "Occlusion shows how much" in page and "<video" not in page


def test_rows_with_times_are_shown_with_their_frames(folder, capsys):
    video = Path("elsewhere/left/left_03.avi")
    video.parent.mkdir(parents=True)
    write_video(video, moving_square(), 25)
    write_times("timed")
    explain(ExplanationOptions(str(video), FIRST, features="timed"))
    with open(FIRST / "explanations/left_03/temporal_weights.csv", newline="") as file:
        assert [row["seconds"] for row in csv.DictReader(file)] == ["0.100", "0.300", "0.400"]
    assert "The features tell no times" not in capsys.readouterr().out
    names = {path.name for path in (FIRST / "explanations/left_03").iterdir()}
    assert names == {
        *("explanation.html", "frames.png", "maps.npz"),
        *("temporal_weights.csv", "temporal_weights.png"),
    }


def test_times_of_images_are_those_of_the_features(folder, monkeypatch):
    write_times("of_images")
    manifest = json.loads(Path("of_images/manifest.json").read_text())
    Path("of_images/manifest.json").write_text(json.dumps(manifest | {"image_fps": 10}))
    for index in range(6):
        Path("images/left/left_03").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(f"images/left/left_03/{index}.png", np.full((60, 80, 3), 40 * index, np.uint8))
    shown = []

    def read(*asked):
        found = read_moments(*asked)
        shown.extend(frame.mean() for frame in found[0])
        return found

    monkeypatch.setattr("tasks.classification.explaining.read_moments", read)
    explain(ExplanationOptions("images/left/left_03", FIRST, features="of_images", output="slow"))
    assert shown == [40, 120, 160]


def test_other_commands_take_runs_on_features(folder, capsys):
    extract_embeddings.extract_embeddings(
        extract_embeddings.Options(FIRST, query="elsewhere/left/left_03.mp4")
    )
    saved = np.load(FIRST / "embeddings/embeddings.npz")
    assert saved["embeddings"].shape == (13, DIM)
    assert "1.000  left  " in capsys.readouterr().out
    arrays = {p.stem: np.load(p) for p in write_features(folder / "flow", dim=96).rglob("*.npy")}
    write_hdf5(folder, arrays)
    train("--features", "all.h5", *DATA[2:], "--run", "second", "--epochs", 1)
    splits = (FIRST / "splits.csv").read_text()
    Path("weights/second/splits.csv").write_text(splits)  # without what the first could not read
    report = score([FIRST, Path("weights/second")], fuse=True)
    assert report["videos"] == 4 and sum(report["weights"].values()) == pytest.approx(1)

    params = parse_params([*FLAGS, *DATA])
    capsys.readouterr()
    network = classification.make_network(make_plan(replace(params, weights=str(FIRST))), 2, DIM)
    assert f"{FIRST}, loaded: head/logits" in capsys.readouterr().out
    kernel = keras.saving.load_model(FIRST / "best.keras", compile=False).get_weights()[0]
    np.testing.assert_array_equal(network.get_weights()[0], kernel)
    parts = summarize_network(SummaryOptions(outputs=2), params)
    assert parts[-1][:2] == ("all", 2 * DIM + 2)
    assert inspect_run(params) == (2 * DIM + 2, "val_accuracy")


@pytest.mark.parametrize(
    ("precision", "expected"),
    [
        ("float32", "836b25292e61df807de74c47f5cf7b8c"),
        ("mixed_bfloat16", "bec0f8bd8c7be6885ac0fba1426462ec"),
    ],
)
def test_caches_on_disk_keep_their_names(precision, expected):
    with number_format(precision):
        model = keras.Sequential(
            [keras.Input((2,)), keras.layers.Dense(3, kernel_initializer="ones")]
        )
    assert keras.config.dtype_policy().name == "float32"
    assert fingerprint(model) == expected


def test_what_a_frozen_part_gives_is_kept_in_stores(tmp_path, monkeypatch):
    write_dataset(tmp_path / "videos", videos=1)
    clip_format = ClipFormat(2, 8, short_side=32, frame_size=32)
    videos = [probe(path) for path in sorted(tmp_path.rglob("*.avi"))]
    clips = [list_views(video)[0] for video in videos]
    frozen = keras.Sequential(
        [keras.Input((2, 8, 32, 32, 3)), keras.layers.Dense(2), keras.layers.Reshape((2, 8, -1))]
    )
    expected = np.asarray(frozen(np.stack([read_clip(clip, clip_format) for clip in clips])))
    read = ClipSource(clip_format, frozen, tmp_path).prepare(clips)
    for index in range(2):
        np.testing.assert_allclose(read(index), expected[index], atol=1e-5)
    (manifest,) = tmp_path.glob("features/*/manifest.json")
    settings = json.loads(manifest.read_text())
    assert settings["frame_size"] == 32 and settings["network"] == fingerprint(frozen)
    arrays = sorted(manifest.parent.glob("*.npy"))
    records = [json.loads(path.with_suffix(".json").read_text()) for path in arrays]
    assert {record["source"] for record in records} == {video.digest for video in videos}
    assert all(record["shape"] == [2, 8, 2048] for record in records)

    times = [path.stat().st_mtime_ns for path in arrays]
    arrays[0].write_bytes(arrays[0].read_bytes()[:-1])
    again = ClipSource(clip_format, frozen, tmp_path).prepare(clips)
    np.testing.assert_array_equal(again(0), read(0))
    assert arrays[0].stat().st_mtime_ns > times[0] and arrays[1].stat().st_mtime_ns == times[1]
    ClipSource(replace(clip_format, fps=0.0), frozen, tmp_path).prepare(clips)
    assert len(list(tmp_path.glob("features/*/manifest.json"))) == 2
