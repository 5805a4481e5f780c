"""Optical flow: known motions, 8 bits, and extraction as a user runs it, killed and resumed."""

import csv
import json
import re
import struct
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import training
from scripts.benchmarks import flow as benchmark
from scripts.benchmarks.flow import MOTIONS, move, render_texture
from scripts.extract_flow import Options, extract_flow
from support.commands import ROOT, run
from support.videos import cut_video, moving_square, write_dataset
from tasks.training_flags import parse_params
from utils.clips.augmentation import Transform
from utils.clips.inputs import ClipSource
from utils.clips.reading import Clip, ClipFormat, clip_key, list_views, read_clip
from utils.data.inspection import inspect_flow
from utils.video.flow import FLOWS, compute_flow, flow_kind, make_method, to_levels, to_pixels
from utils.video.flow_store import check_store, is_stored, open_store, read_flow, store_flow
from utils.video.reading import probe
from utils.video.video import VideoError
from utils.video.writing import write_video

import h5py
import numpy as np
import pytest

FORM = ClipFormat(2, 4, short_side=64, frame_size=48, stream="flow", flow="dis")
SCRIPT = ["scripts/extract_flow.py", "videos", "--short-side", 64]


@pytest.fixture
def video(tmp_path):
    """A square of 30 pixels that moves 4 pixels a frame to the right; 12 frames."""
    write_video(tmp_path / "square.avi", moving_square(12), 25)
    return probe(tmp_path / "square.avi")


def store(folder, video, clip_format):
    open_store(folder, clip_format.flow_kind)
    store_flow(folder, video, clip_format.flow_kind)
    return replace(clip_format, flow_path=str(folder))


def clips_of(video, segments=2):
    """The center view, and one cropped off the center, mirrored, begun at other places."""
    places = tuple(np.linspace(0.1, 0.9, segments))
    return list_views(video)[0], Clip(video, places, Transform((0.2, 0.7), flip=True))


@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("method", FLOWS)
def test_known_motions_are_found(method, motion):
    picture = render_texture(96, 112)
    moved, truth = move(picture, *MOTIONS[motion])
    flow = make_method(method)(picture, moved)
    error = np.linalg.norm(flow - truth, axis=-1)[24:-24, 24:-24].mean()
    assert error < 0.3
    if motion == "10 px":
        np.testing.assert_allclose(np.median(flow, (0, 1)), [8.3, -5.6], atol=0.1)


def test_benchmark_measures_methods(tmp_path, video):
    output = tmp_path / "rows.json"
    benchmark.benchmark_flow(benchmark.Options(("dis",), (64, 80), 1, (Path(video.path),), output))
    rows = {row["what"]: row["value"] for row in json.loads(output.read_text())["rows"]}
    assert "a pair of 80x64" in rows
    assert 0 < rows["10 px"] < rows["10 px, 8 bits"] < 0.3
    assert rows["largest loss by rounding"] <= 20 / 254 + 1e-6


def test_a_picture_that_changes_its_size_is_named(video, monkeypatch):
    frames = (np.zeros((64, 64 + 8 * (index // 6), 3), np.uint8) for index in range(12))
    monkeypatch.setattr("utils.video.flow.resized_frames", lambda *_: frames)
    with pytest.raises(VideoError, match=r"square\.avi: the frame size changes at frame 6"):
        list(compute_flow(video, flow_kind("dis", 25, 64)))


def test_eight_bits_lose_little():
    flow = np.random.default_rng(0).uniform(-25, 25, (50, 40, 2)).astype("float32")
    kept = to_pixels(to_levels(flow))
    assert np.abs(kept - np.clip(flow, -20, 20)).max() <= 20 / 254 + 1e-6
    assert to_levels(flow).dtype == np.uint8 and np.abs(kept).max() == 20
    assert not to_pixels(to_levels(np.zeros(3))).any()
    assert np.array_equal(to_pixels(to_levels(-flow)), -kept)


@pytest.mark.parametrize("method", FLOWS)
def test_flow_follows_the_motion(tmp_path, method):
    texture = np.stack([render_texture(64, 110)] * 3, axis=-1)
    path = tmp_path / "pan.avi"
    write_video(path, [texture[:, 30 - 3 * i : 94 - 3 * i] for i in range(4)], 25)
    clip = list_views(probe(path))[0]
    flow = read_flow(clip.video, np.array([1, 0, 3, 1]), flow_kind(method, 25, 64), frame_size=48)
    assert flow.shape == (4, 48, 48, 2) and flow.dtype == np.float32
    assert np.median(flow[:2], (0, 1, 2)) == pytest.approx((3, 0), abs=0.3)
    assert np.array_equal(flow[0], flow[3]) and not np.array_equal(flow[0], flow[1])
    assert not flow[2].any()  # the last frame has no next one


@pytest.mark.parametrize("sampling", ["segments", "uniform"])
@pytest.mark.parametrize("fps", [25.0, 0.0, 40.0])
def test_stored_is_computed(tmp_path, video, fps, sampling):
    clip_format = replace(FORM, fps=fps, sampling=sampling)
    stored = store(tmp_path / "flow", video, clip_format)
    for stream in ("flow", "both"):
        for clip in clips_of(video):
            computed = read_clip(clip, replace(clip_format, stream=stream))
            assert np.array_equal(read_clip(clip, replace(stored, stream=stream)), computed)
    assert computed.shape == (2, 4, 48, 48, 5)
    assert np.abs(computed[..., 3:]).max() > 0.05


def test_both_streams_show_the_same_place(video):
    for clip in clips_of(video):
        both, rgb, flow = (
            read_clip(clip, replace(FORM, stream=s)) for s in ("both", "rgb", "flow")
        )
        assert np.array_equal(both, np.concatenate([rgb, flow], axis=-1))
        square = both[..., :3].min(-1) > 0.3
        assert 0.02 < square.mean() < 0.3
        speed = np.abs(both[..., 3])
        assert speed[square].mean() > 4 * speed[~square].mean()
    colored = Clip(video, 0.5, Transform(brightness=0.1, contrast=0.9))
    plain = Clip(video, 0.5)
    first, second = (read_clip(c, replace(FORM, stream="both")) for c in (colored, plain))
    assert np.array_equal(first[..., 3:], second[..., 3:]) and (first != second).any()
    turned = Clip(video, 0.5, Transform(operations=(("rotate", 0.3),)))
    with pytest.raises(ValueError, match="flow cannot be changed by rotate"):
        read_clip(turned, replace(FORM, stream="both"))


def test_mirrored_flow_runs_the_other_way(tmp_path, video):
    clip_format = store(tmp_path / "flow", video, FORM)
    there, back = (
        read_clip(Clip(video, 0.5, Transform(flip=f)), clip_format) for f in (False, True)
    )
    assert np.array_equal(back[..., 0], -there[..., ::-1, 0])
    assert np.array_equal(back[..., 1], there[..., ::-1, 1])


def test_one_frame_has_no_flow(tmp_path):
    path = tmp_path / "still.avi"
    write_video(path, moving_square(1), 25)
    video = probe(path)
    clip_format = store(tmp_path / "flow", video, FORM)
    assert not read_clip(list_views(video)[0], clip_format).any()


def test_features_are_named_by_the_flow_not_by_its_folder(video):
    clip = list_views(video)[0]

    def key(**changes):
        return clip_key(clip, replace(FORM, **changes), "net")

    assert key() == key(flow_path="elsewhere") != key(flow="tvl1")
    assert key(stream="both") != key()
    assert key(stream="rgb") == key(stream="rgb", flow="tvl1", flow_path="elsewhere")


def test_other_kinds_and_damaged_files_are_refused(tmp_path, video):
    clip_format = store(tmp_path / "flow", video, FORM)
    other = replace(clip_format, flow="tvl1")
    with pytest.raises(ValueError, match="contains flow of method dis, but method tvl1"):
        ClipSource(other)
    with pytest.raises(ValueError, match=r"side 64, but fps 12\.5, short_side 128"):
        check_store(tmp_path / "flow", flow_kind("dis", 12.5, 128))
    with pytest.raises(ValueError, match=r"flow\.json is missing"):
        ClipSource(replace(clip_format, flow_path=str(tmp_path)))
    ClipSource(replace(other, stream="rgb"))  # which does not ask


def rewrite(change):
    """Return a function that changes the bytes of a file."""
    return lambda path: path.write_bytes(change(path.read_bytes()))


def reopen(change):
    """Return a function that changes an HDF5 file that is open."""

    def write(path):
        with h5py.File(path, "r+") as file:
            change(file, path)

    return write


def replace_flow(file, array=None, **options):
    del file["flow"]
    file.create_dataset("flow", data=array, **options)


def store_elsewhere(file, path):
    path.with_suffix(".secret").write_bytes(bytes(12 * 64 * 80 * 2))
    secret = [(str(path.with_suffix(".secret")), 0, h5py.h5f.UNLIMITED)]
    replace_flow(file, shape=(12, 64, 80, 2), dtype=np.uint8, external=secret)


def link_elsewhere(file, path):
    with h5py.File(path.with_suffix(".other"), "w") as other:
        file.copy("flow", other)
    del file["flow"]
    file["flow"] = h5py.ExternalLink(str(path.with_suffix(".other")), "flow")


def see_elsewhere(file, path):
    link_elsewhere(file, path)
    del file["flow"]
    layout = h5py.VirtualLayout((12, 64, 80, 2), np.uint8)
    layout[:] = h5py.VirtualSource(str(path.with_suffix(".other")), "flow", (12, 64, 80, 2))
    file.create_virtual_dataset("flow", layout)


def descend_for_ever(path):
    """Make the tree of the chunks its own child: HDF5 goes down it, and dies."""
    data = bytearray(path.read_bytes())
    node = data.index(b"TREE\1")  # of chunks
    data[node + 5] = 1  # a level up, whose children are trees
    key = 8 + 8 * 5  # bytes of a chunk's place: its size, filters and five axes
    data[node + 24 + key : node + 32 + key] = struct.pack("<Q", node)
    path.write_bytes(data)


# What is wrong with a stored file: (how it came to be, words of the reason).
DAMAGE = {
    "cut": (rewrite(lambda data: data[: len(data) // 2]), "Unable to"),
    "holes": (
        rewrite(lambda data: data[: len(data) // 2] + bytes(200) + data[len(data) // 2 + 200 :]),
        "Can't",
    ),
    "empty": (rewrite(lambda data: b""), "Unable to"),
    "text": (rewrite(lambda data: b"no flow" * 99), "Unable to"),
    # version, chunked, axes and one more
    "axes": (rewrite(lambda data: data.replace(b"\3\2\5", b"\3\2\4")), "but its chunks have"),
    "kills": (descend_for_ever, "ended its process"),
    "no flow": (reopen(lambda file, _: file.pop("flow")), "flow does not exist"),
    "a kind of text": (reopen(lambda file, _: file.attrs.update(kind="{")), "Expecting"),
    "a kind of numbers": (
        reopen(lambda file, _: file.attrs.update(kind=[1, 2])),
        "contains flow of",
    ),
    "a list for a kind": (reopen(lambda file, _: file.attrs.update(kind="[1]")), "'list'"),
    "another kind": (
        reopen(lambda file, _: file.attrs.update(kind=json.dumps(flow_kind("farneback")))),
        "contains flow of method farneback",
    ),
    "words": (reopen(lambda file, _: replace_flow(file, np.array([b"flow"] * 12))), "numbers"),
    "fewer frames": (
        reopen(lambda file, _: replace_flow(file, np.zeros((11, 64, 80, 2), np.uint8))),
        "the flow of 12 frames",
    ),
    "another file's bytes": (reopen(store_elsewhere), "stored in another file"),
    "a link": (reopen(link_elsewhere), "stored in another file"),
    "a view of another file": (reopen(see_elsewhere), "stored in another file"),
    "huge frames": (
        reopen(
            lambda file, _: replace_flow(
                file, shape=(12, 1 << 20, 1 << 20, 2), dtype=np.uint8, chunks=(1, 1, 1024, 2)
            )
        ),
        "too large rows",
    ),
    "huge chunks": (
        reopen(
            lambda file, _: replace_flow(
                file, shape=(12, 1 << 20, 900, 2), dtype=np.uint8, chunks=(1, 1 << 20, 900, 2)
            )
        ),
        "bytes are allowed",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_flow_is_named_and_computed_anew(tmp_path, video, monkeypatch, name):
    monkeypatch.setattr("utils.system.guarded.SECONDS", 2.0)
    clip_format, kind = store(tmp_path / "flow", video, FORM), FORM.flow_kind
    clip, file = list_views(video)[0], tmp_path / "flow" / f"{video.digest}.h5"
    assert is_stored(tmp_path / "flow", video, kind)
    check = partial(inspect_flow, {"a.avi": video}, kind, clip_format.flow_path, tmp_path)
    assert check() == []
    DAMAGE[name][0](file)
    ((path, problem),) = check()
    assert path == "a.avi" and problem.startswith("a.avi: its stored optical flow is damaged, so ")
    assert str(file) in problem and re.search(DAMAGE[name][1], problem), problem
    assert not is_stored(tmp_path / "flow", video, kind)
    assert np.array_equal(read_clip(clip, clip_format), read_clip(clip, FORM))
    store_flow(tmp_path / "flow", video, kind)
    assert is_stored(tmp_path / "flow", video, kind)


def test_extraction_names_what_fails_and_training_reads_the_rest(tmp_path):
    write_dataset(tmp_path / "videos", videos=2, frames=8)
    broken = tmp_path / "videos/left/broken.avi"
    broken.write_bytes(b"no video")
    script = [*SCRIPT, "--method", "dis", "--workers", 2]
    done = run(script, tmp_path)
    assert done.returncode == 1 and "1 of 5 videos failed" in done.stderr
    assert "broken.avi: not a video" in done.stdout
    folder = tmp_path / "weights/cache/flow/dis_64_25"
    with open(folder / "failures.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row == {
        "path": "videos/left/broken.avi",
        "reason": "not a video that FFmpeg can open.",
    }
    assert len(list(folder.glob("*.h5"))) == 4
    assert json.loads((folder / "flow.json").read_text()) == FORM.flow_kind
    clip = list_views(probe(tmp_path / "videos/right/right_01.avi"))[0]
    stored = read_clip(clip, replace(FORM, flow_path=str(folder)))
    assert np.array_equal(stored, read_clip(clip, FORM)) and stored.any()

    broken.unlink()
    done = run(script, tmp_path)
    assert done.returncode == 0 and "4 of 4 videos are done already" in done.stdout
    assert (folder / "failures.csv").read_text().splitlines() == ["path,reason"]
    other = Options(str(tmp_path / "videos"), "farneback", str(folder), short_side=64)
    with pytest.raises(ValueError, match="contains flow of method dis, but method farneback"):
        extract_flow(other)


def test_a_damaged_video_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_dataset(Path("videos"), videos=1, frames=2)
    cut_video(Path("videos/left/cut.avi"))
    extract_flow(Options("videos", "farneback", short_side=16, workers=1))
    said = capsys.readouterr().out
    assert said.count("warning: videos/left/cut.avi: the header says 120 frames, ") == 1


def test_killed_extraction_goes_on(tmp_path):
    write_dataset(tmp_path / "videos", videos=2, frames=10)
    folder = tmp_path / "flow"
    script = [*SCRIPT, "--output", folder, "--workers", 1]
    command = [sys.executable, ROOT / script[0], *map(str, script[1:])]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "VIDEO_HOME": "."},
        stdout=subprocess.PIPE,
    )
    while not list(folder.glob("*.h5")):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.communicate(timeout=20)  # waits for the workers: they hold its output open
    first = {path: path.stat().st_mtime_ns for path in folder.glob("*.h5")}
    assert 1 <= len(first) < 4
    done = run([*script, "--workers", 2], tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"{len(first)} of 4 videos are done already" in done.stdout
    assert done.stderr == ""
    assert len(list(folder.glob("*.h5"))) == 4
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in first.items())
    for path in (tmp_path / "videos").rglob("*.avi"):
        clip = list_views(probe(path))[0]
        clip_format = replace(FORM, flow="tvl1", segments=1, frames=2)
        stored = read_clip(clip, replace(clip_format, flow_path=str(folder)))
        assert np.array_equal(stored, read_clip(clip, clip_format))


def test_training_refuses_a_store_before_it_begins(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    open_store("flow", flow_kind("dis"))
    with pytest.raises(ValueError, match="contains flow of method dis, but method tvl1"):
        training.train_run(parse_params(["--stream", "flow", "--flow-path", "flow"]))
    assert not (tmp_path / "weights").exists()


def test_whole_batches_give_the_same_flow(tmp_path):
    texture = np.stack([render_texture(24, 60)] * 3, axis=-1)
    write_dataset(tmp_path / "videos", videos=1, frames=1)
    path = tmp_path / "videos/left/pan.avi"
    write_video(path, [texture[:, 18 - 2 * i : 50 - 2 * i] for i in range(7)], 25)
    clip_format = replace(FORM, flow="tvl1", short_side=24, frame_size=24, segments=1, frames=7)
    clip, clips = list_views(probe(path))[0], []
    for batch in (0, 4):
        folder, cache = str(tmp_path / f"flow{batch}"), str(tmp_path / "cache")
        extract_flow(
            Options(str(path.parents[1]), "tvl1", folder, 25, 24, 1, batch, cache_path=cache)
        )
        clips.append(read_clip(clip, replace(clip_format, flow_path=folder)))
    assert np.median(clips[0][..., 0]) * 20 == pytest.approx(2, abs=0.2)
    assert not clips[0][:, -1].any() and not clips[1][:, -1].any()
    assert np.abs(clips[0] - clips[1]).mean() * 20 < 0.1  # pixels; a step of 8 bits is 0.16
    with pytest.raises(ValueError, match="method is dis, but only tvl1"):
        Options("videos", "dis", batch=2)
