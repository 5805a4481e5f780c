"""Feature extraction as a user runs it: every video, once, whatever happens on the way."""

import csv
import errno
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import scripts.extract_features
import utils.features.store
from models.backbones import BACKBONES
from models.dense import build_maps
from models.layers import TimeDistributed
from scripts.extract_features import (
    Options,
    extract_features,
    list_data,
    load_extractor,
)
from support.commands import ROOT
from support.videos import cut_video, moving_square
from tasks.features.networks import start_maps
from test_images import write_images
from utils.clips.inputs import fingerprint
from utils.features.blocks import Block, Failure, Part, RowFormat, read_blocks
from utils.features.extraction import (
    Collector,
    Progress,
    batch_blocks,
    extract_rows,
    load_failures,
    read_ahead,
)
from utils.features.rows import plan_rows
from utils.features.store import settings_hash
from utils.system import progress
from utils.video.reading import probe, read_rgb
from utils.video.views import CENTER
from utils.video.writing import write_video

import keras
import numpy as np
import pytest

SETTINGS = {"window": 8}
SIZES = {"short_side": 112, "frame_size": 112}
FLAGS = (
    "--weights none --endpoint Mixed_3b --window 8 --stride 4 --short-side 112 --frame-size 112"
).split()


def write_videos(folder, frames=(12, 20, 9), size=(112, 128)):
    """Write videos of different lengths in a tree, and a folder of images among them."""
    for index, count in enumerate(frames):
        path = folder / f"part{index % 2}/deep/{index}.avi"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, moving_square(count, size, seed=index), 25)
    write_images(folder / "images/1", moving_square(10, size))
    return folder


class Means:
    """In place of a network: the mean of each window of 8 frames, stride 4, in each channel."""

    def __init__(self):
        self.shapes = set()

    def __call__(self, blocks):
        self.shapes.add(blocks.shape)
        starts = range(0, blocks.shape[1] - 7, 4)
        return np.stack([blocks[:, s : s + 8].mean((1, 2, 3)) for s in starts], 1)


@pytest.fixture
def means(monkeypatch):
    """Extraction with `Means`, so that all but the network is as it is."""
    network = Means()

    def load(options, paths):
        settings = {"window": options.window, "dtype": options.dtype}
        return network, SimpleNamespace(to_json=lambda: settings)

    monkeypatch.setattr(scripts.extract_features, "load_extractor", load)
    return network


def options(folder, **changes):
    same = {"data": str(folder / "videos"), "output": str(folder / "features")}
    return Options(**same | {"window": 8, "stride": 4} | SIZES | changes)


def expected(path):
    video = probe(path)
    rows = plan_rows(video.num_frames, 8, 4, "replicate")
    return np.stack([read_rgb(video, row, 112, 112).mean((0, 1, 2)) for row in rows])


def state(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("route", ["windows", "dense"])
def test_each_video_gets_its_rows(tmp_path, means, capsys, route):
    write_videos(tmp_path / "videos")
    (tmp_path / "videos/notes.txt").write_text("not a video")
    extract_features(options(tmp_path, route=route, dtype="float16"))
    assert "1 other file was ignored: .txt 1" in capsys.readouterr().out
    for name, path in {
        "part0/deep/0": "part0/deep/0.avi",
        "part1/deep/1": "part1/deep/1.avi",
        "part0/deep/2": "part0/deep/2.avi",
        "images/1": "images/1",
    }.items():
        array = np.load(tmp_path / f"features/{name}.npy")
        assert array.dtype == np.float16
        np.testing.assert_allclose(array, expected(tmp_path / "videos" / path), rtol=1e-3)
        record = json.loads((tmp_path / f"features/{name}.json").read_text())
        assert record["source"] == probe(tmp_path / "videos" / path).digest
        assert record["settings"] == settings_hash({"window": 8, "dtype": "float16"})
        assert (record["views"], record["shape"]) == (["centre"], list(array.shape))
        assert record["times"] == pytest.approx([0.08 + 0.16 * i for i in range(len(array))])
    lengths = {"windows": {(16, 8)}, "dense": {(4, 32)}}[route]
    assert {shape[:2] for shape in means.shapes} == lengths  # one shape a length, whatever the end
    before = state(tmp_path / "features")
    extract_features(options(tmp_path, route=route, dtype="float16"))
    assert "4 of 4 videos are done already" in capsys.readouterr().out
    assert {p: t for p, t in before.items() if p.suffix != ".csv"}.items() <= state(
        tmp_path / "features"
    ).items()


def test_a_damaged_video_is_named(tmp_path, means, capsys):
    (tmp_path / "videos").mkdir()
    cut = cut_video(tmp_path / "videos/cut.avi")
    extract_features(options(tmp_path))
    said, record = capsys.readouterr().out, tmp_path / "features/cut.json"
    assert said.count(f"warning: {cut}: the header says 120 frames, ") == 1
    assert json.loads(record.read_text())["note"].startswith("the header says 120 frames, ")


def test_views_lie_beside_one_another(tmp_path, means):
    write_videos(tmp_path / "videos", (12,), (112, 160))
    extract_features(options(tmp_path, views=("centre", "flip", "right")))
    names = sorted(path.name for path in (tmp_path / "features/part0/deep").iterdir())
    assert names == ["0.flip.npy", "0.json", "0.npy", "0.right.npy"]
    center, flip, right = (
        np.load(tmp_path / f"features/part0/deep/0{view}.npy") for view in ("", ".flip", ".right")
    )
    np.testing.assert_allclose(center, flip, rtol=1e-5)  # means do not change by mirroring
    assert np.abs(center - right).max() > 0.1


def test_broken_videos_are_listed_and_left_until_asked(tmp_path, means, capsys):
    write_videos(tmp_path / "videos", (12,))
    broken = tmp_path / "videos/broken.mp4"
    broken.write_bytes(b"no video")
    for retry, said in ((False, "0 failed before"), (False, "1 failed before"), (True, "0 failed")):
        with pytest.raises(ValueError, match="1 of 3 videos failed"):
            extract_features(options(tmp_path, retry=retry))
        assert said in capsys.readouterr().out
        with open(tmp_path / "features/failures.csv", newline="") as file:
            (row,) = csv.DictReader(file)
        assert (row["path"], row["reason"]) == (str(broken), "not a video that FFmpeg can open.")
        assert len(row["digest"]) == 32
    write_video(tmp_path / "videos/new.avi", moving_square(12, (112, 128)), 25)
    (tmp_path / "videos/new.avi").rename(broken)  # mended: other content, so tried at once
    extract_features(options(tmp_path))
    assert (tmp_path / "features/failures.csv").read_text().splitlines() == ["path,reason,digest"]
    assert (tmp_path / "features/broken.npy").is_file()


@pytest.mark.parametrize(
    "content",
    [b"", b"path,reason\na,b\n", b"path,reason,digest\na,b\n", b"\xff\xfe\xff", b'"path\n\x80,"'],
)
def test_a_damaged_list_of_failures_is_named(tmp_path, content):
    (tmp_path / "failures.csv").write_bytes(content)
    with pytest.raises(ValueError, match=r"failures.csv is damaged"):
        load_failures(tmp_path)


def test_content_decides_what_is_done(tmp_path, means, capsys):
    write_videos(tmp_path / "videos", (12, 20))
    extract_features(options(tmp_path))
    one, two = (tmp_path / f"videos/part{i}/deep/{i}.avi" for i in (0, 1))
    shutil.copy(one, two)
    os.utime(one)  # touched, but the same
    (tmp_path / "features/images/1.npy").write_bytes(b"cut short")
    capsys.readouterr()
    extract_features(options(tmp_path))
    assert "1 of 3 videos are done already" in capsys.readouterr().out
    array = np.load(tmp_path / "features/part1/deep/1.npy")
    assert np.array_equal(array, np.load(tmp_path / "features/part0/deep/0.npy"))
    assert np.load(tmp_path / "features/images/1.npy").shape == (3, 3)


def test_other_settings_are_refused(tmp_path, means):
    write_videos(tmp_path / "videos", (12,))
    extract_features(options(tmp_path))
    before = state(tmp_path / "features")
    with pytest.raises(ValueError, match="contains features of dtype float32, but dtype fl"):
        extract_features(options(tmp_path, dtype="float16"))
    assert state(tmp_path / "features") == before


def test_a_full_disk_is_one_error_and_nothing_half_written(tmp_path, means, monkeypatch):
    write_videos(tmp_path / "videos", (12, 20, 9))
    save, calls = np.save, []

    def fill(path, *arguments, **named):
        calls.append(path)
        if len(calls) == 2:
            Path(path).write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        save(path, *arguments, **named)

    monkeypatch.setattr(utils.features.store.np, "save", fill)
    with pytest.raises(OSError, match="No space left on device"):
        extract_features(options(tmp_path))
    assert len(list((tmp_path / "features").rglob("*.npy"))) == 1
    assert not list((tmp_path / "features").rglob(".part-*"))
    monkeypatch.undo()
    collector = Collector(tmp_path / "features", SETTINGS, ("centre",))

    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", refuse)  # the array is there, its record is not
    with pytest.raises(OSError, match="No space left"):
        collector.add(Part("x", "digest", "centre", 0, (0.1,), 1), np.ones((1, 3)))
    assert not (tmp_path / "features/x.json").exists()


def test_a_folder_that_may_not_be_written(tmp_path, means, monkeypatch):
    write_videos(tmp_path / "videos", (12,))

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "features")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(PermissionError, match="Permission denied: 'features'"):
        extract_features(options(tmp_path))


@pytest.mark.parametrize("output", ["videos/features", ".", "videos"])
def test_data_and_output_in_one_another(tmp_path, output):
    videos = write_videos(tmp_path / "videos", (12,))
    with pytest.raises(ValueError, match="lie inside one another"):
        list_data(options(tmp_path, data=str(videos), output=str(tmp_path / output)))


def test_data_of_every_form(tmp_path):
    videos = write_videos(tmp_path / "videos")
    one = videos / "part0/deep/0.avi"
    assert list_data(options(tmp_path, data=str(one))) == ([str(one)], one.parent)
    images = videos / "images/1"
    assert list_data(options(tmp_path, data=str(images))) == ([str(images)], images.parent)
    table = tmp_path / "list.csv"
    table.write_text("path,label\npart0/deep/0.avi,a\npart1/deep/1.avi,b\nimages/1,a\n")
    paths, root = list_data(options(tmp_path, data=str(table), video_root=str(videos)))
    assert paths == [str(one), str(videos / "part1/deep/1.avi"), str(images)] and root == videos


@pytest.mark.parametrize(
    ("data", "message"),
    [("empty", "the folder contains no video"), ("nowhere", "nowhere: no such file or folder")],
)
def test_no_data_is_said(tmp_path, data, message):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=message):
        list_data(options(tmp_path, data=str(tmp_path / data)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window": 12, "route": "dense"}, "window is 12, but --route dense needs a multiple of 8"),
        ({"chunk": 100, "route": "dense"}, "chunk is 100"),
        ({"window": 7}, "window is 7; it must be at least 8"),
        ({"short_side": 100}, "frame_size is 112, but short_side is only 100"),
        ({"short_side": 0, "stream": "both"}, "flow is not computed on stretched frames"),
        ({"views": ("flip",)}, f"views are flip; they must include {CENTER}, and each only once"),
    ],
)
def test_impossible_options_are_named(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        options(tmp_path, **changes)


def test_chunks_fit_the_window(tmp_path):
    assert options(tmp_path).lengths == (8,)


@pytest.mark.parametrize(
    ("window", "lengths"), [(16, (128, 64, 32)), (40, (128, 64)), (128, (128,))]
)
def test_chunks_of_a_wider_window(tmp_path, window, lengths):
    assert options(tmp_path, window=window, route="dense").lengths == lengths


def make_blocks(lengths):
    for index, length in enumerate(lengths):
        part = Part(str(index), "", "centre", 0, (0.0,), 1)
        yield Block(part, np.full((length, 2, 2, 3), index, np.uint8))


def test_batches_cross_videos_and_keep_their_shapes():
    failed, bad = [], Failure("bad", "bad.avi", "reason", "")
    items = [*make_blocks([8, 16, 8, 8, 16, 8, 8]), bad]
    batches = list(batch_blocks(items, 16, failed.append))
    assert failed == [bad]
    names = [[part.name for part in parts] for parts, _ in batches]
    assert names == [["1"], ["0", "2"], ["4"], ["3", "5"], ["6"]]
    assert [blocks.shape[:2] for _, blocks in batches] == [(1, 16), (2, 8), (1, 16), (2, 8), (2, 8)]
    assert batches[-1][1][:, 0, 0, 0, 0].tolist() == [6, 6]


def test_reading_ahead_is_bounded_and_ends(tmp_path):
    begun = []

    def read(task):
        for item in range(5):
            begun.append(item)
            yield task, item

    items = read_ahead(read, range(6), 2, 3)
    assert next(items)[1] == 0
    time.sleep(0.3)
    assert len(begun) <= 1 + 3 + 2  # given, waiting, and in the threads' hands
    assert len({*items}) == 29
    items = read_ahead(lambda task: 1 / 0, range(3), 2, 3)
    with pytest.raises(ZeroDivisionError):
        next(items)
    items = read_ahead(read, range(1000), 2, 3)
    next(items)
    items.close()  # and the threads with it


def test_parts_come_in_any_order_and_twice(tmp_path):
    collector = Collector(tmp_path, SETTINGS, ("centre", "flip"))
    parts = [
        Part("a/b", "digest", view, first, (first / 10, first / 10 + 0.1), 4)
        for view in ("flip", "centre")
        for first in (2, 0)
    ]
    for part in [parts[3], *parts, parts[0]]:
        sign = -1 if part.view == "flip" else 1
        collector.add(part, sign * np.array([[part.first], [part.first + 1], [99]]))
    assert np.load(tmp_path / "a/b.npy").ravel().tolist() == [0, 1, 2, 3]
    assert np.load(tmp_path / "a/b.flip.npy").ravel().tolist() == [0, -1, -2, -3]
    assert json.loads((tmp_path / "a/b.json").read_text())["times"] == [0, 0.1, 0.2, 0.3]
    assert not collector.begun and collector.saved == {"a/b"}


def test_a_video_that_breaks_off_leaves_nothing(tmp_path):
    path = tmp_path / "a.avi"
    write_video(path, moving_square(40, (64, 64)), 25)
    row_format = RowFormat(8, 4, lengths=(8,), short_side=64, frame_size=64)
    collector = Collector(tmp_path / "features", SETTINGS, row_format.views)
    collector.add(Part("a", "", "centre", 0, (0.0,), 9), np.ones((1, 3)))
    collector.fail(Failure("a", str(path), "reason", "digest"))
    collector.add(Part("a", "", "centre", 1, (0.1,), 9), np.ones((1, 3)))
    extract_rows([(str(path), "b")], row_format, Means(), collector, (64, 1, 1 << 20))
    assert collector.saved == {"b"} and not collector.begun
    assert not (tmp_path / "features/a.npy").exists()


def test_weights_of_a_run(tmp_path):
    keras.utils.set_random_seed(7)
    clips = keras.Input((1, 8, 112, 112, 3))
    backbone = TimeDistributed(
        build_maps(BACKBONES["i3d"], "rgb", 8, 112, "Conv3d_2c_3x3"), name="backbone"
    )
    network = keras.Model(clips, keras.layers.Identity(name="head")(backbone(clips)))
    network.save(tmp_path / "best.keras")
    maps = build_maps(BACKBONES["i3d"], "rgb", 8, 112, "Conv3d_2c_3x3")
    before = fingerprint(maps)
    assert start_maps(maps, str(tmp_path), "rgb") == str(tmp_path)
    assert fingerprint(maps) == fingerprint(backbone.layer) != before
    with pytest.raises(ValueError, match="has no I3D for flow; it has rgb"):
        start_maps(
            build_maps(BACKBONES["i3d"], "flow", 8, 112, "Conv3d_1a_7x7"), str(tmp_path), "flow"
        )
    chosen = options(tmp_path, stream="both", weights="a", flow_weights="b")
    assert chosen.starts == {"rgb": "a", "flow": "b"}
    assert options(tmp_path, stream="flow").starts == {"flow": "kinetics"}


def test_progress_counts_the_minutes_of_video(tmp_path):
    """However few rows a part has: one as well."""
    write_video(tmp_path / "a.avi", moving_square(50, (112, 128)), 25)
    row_format = RowFormat(8, 4, views=(CENTER, "flip"), frame_size=112, short_side=112)
    parts = [block.part for block in read_blocks(probe(tmp_path / "a.avi"), "a", row_format)]
    assert 1 in {len(part.times) for part in parts}
    with Progress({str(tmp_path / "a.avi"): "a"}, 2) as advance:
        for part in parts:
            before = advance.seconds
            advance(part)
            assert advance.seconds > before
        assert advance.seconds == pytest.approx(2) and advance.bar.n == pytest.approx(1)


def test_killed_extraction_goes_on_and_matches_i3d(tmp_path, monkeypatch, capsys):
    for index in range(24):
        path = tmp_path / f"videos/{index:02}.avi"
        path.parent.mkdir(exist_ok=True)
        write_video(path, moving_square(9, (112, 128), seed=index), 25)
    folder = tmp_path / "features"
    chosen = options(tmp_path, weights="none", endpoint="Mixed_3b", batch_frames=24)
    flags = ["--data", chosen.data, "--output", chosen.output, *FLAGS, "--batch-frames", "24"]
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.extract_features", *flags],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
        stderr=subprocess.PIPE,
        text=True,
    )
    while len(list(folder.glob("*.json"))) < 3:  # the manifest, and two videos
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.kill()
    process.communicate()
    saved = {p: t for p, t in state(folder).items() if p.suffix == ".npy"}
    before = {p: t for p, t in saved.items() if p.with_suffix(".json").is_file()}  # its end
    assert 2 <= len(before) < 24
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["window"] == 8 and manifest["weights"] == {"rgb": "none"}

    loaded = load_extractor(chosen)
    assert loaded[1].fingerprint == manifest["fingerprint"]
    monkeypatch.setattr(scripts.extract_features, "load_extractor", lambda *_: loaded)
    monkeypatch.setattr(progress, "_PAUSE", 1e-9)  # a line an item
    extract_features(chosen)
    said = capsys.readouterr()
    assert f"{24 - len(before)} videos, " in said.out
    done = (
        r"Extracting features: (\d+)\.0 of \1 videos, 00:00 left, \d\.\d minutes of video done\n$"
    )
    assert re.search(done, said.err)
    assert len(list(folder.glob("*.npy"))) == 24 and before.items() <= state(folder).items()
    for name in ("00", "23"):  # by the killed process and by this one
        path = tmp_path / f"videos/{name}.avi"
        rows = plan_rows(9, 8, 4, "replicate")
        clips = read_rgb(probe(path), rows.ravel(), 112, 112).reshape(*rows.shape, 112, 112, 3)
        alone = loaded[0](clips)[:, 0]
        np.testing.assert_allclose(np.load(folder / f"{name}.npy"), alone, rtol=1e-4, atol=1e-6)
