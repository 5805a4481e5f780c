"""The samples as their user meets them: folders of videos, always the same, never half there."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

from tasks.training_flags import parse_params
from utils.clips.reading import ClipFormat, list_views, read_clip
from utils.data.datasets import list_examples
from utils.data.splits import assign_splits
from utils.rendering.figures import ACTIONS, SIZES, STAND, render_clip
from utils.rendering.samples import (
    BACKWARDS,
    GLOSSES,
    SAMPLES,
    SMALL,
    render_sample,
    render_signs,
    render_twins,
)
from utils.video.reading import probe

import cv2
import numpy as np
import pytest


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "sample"
    render_sample(folder, actors=1, clips_per_actor=1)
    return folder


def _read(path):
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB))
    return np.stack(frames), capture.get(cv2.CAP_PROP_FPS)


def _files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_folder_holds_a_class_per_action(sample):
    videos = [f"{action}/{action}_g01_c01.avi" for action in ACTIONS]
    assert _files(sample) == sorted(["README.txt", "sample.json", *videos])
    assert "'seed': 0" in (sample / "README.txt").read_text()
    assert json.loads((sample / "sample.json").read_text())["actions"] == sorted(ACTIONS)
    assert [path.name for path in sample.parent.iterdir()] == ["sample"]
    assert max(path.stat().st_size for path in sample.rglob("*.avi")) < 700_000


@pytest.mark.parametrize("action", ACTIONS)
def test_videos_show_the_clips(sample, action):
    frames, fps = render_clip(action, actor=1, clip=1, seed=0)
    decoded, decoded_fps = _read(sample / action / f"{action}_g01_c01.avi")
    assert frames.dtype == np.uint8
    assert frames.shape[2:0:-1] in SIZES
    assert fps in (25, 30)
    assert 1.6 <= len(frames) / fps <= 3.05
    assert decoded.shape == frames.shape
    assert decoded_fps == pytest.approx(fps)
    assert cv2.absdiff(decoded[::5], frames[::5]).mean() < 4


def test_clips_repeat_exactly_and_differ_by_every_argument():
    def render(action="squats", actor=1, clip=1, seed=0):
        return render_clip(action, actor, clip, seed)[0]

    first = render()
    np.testing.assert_array_equal(first, render())
    for other in ({"action": "sit_down"}, {"actor": 2}, {"clip": 2}, {"seed": 1}):
        assert not np.array_equal(first, render(**other))


def test_pairs_are_the_same_poses_in_reverse_order():
    assert all(STAND in poses for poses, _ in ACTIONS.values())
    assert len(set(ACTIONS.values())) == len(ACTIONS)


@pytest.mark.parametrize(
    ("action", "reverse"), [("sit_down", "stand_up"), ("raise_arms", "lower_arms")]
)
def test_a_pair_is_the_same_poses_in_reverse_order(action, reverse):
    assert ACTIONS[action][0] == ACTIONS[reverse][0][::-1]


@pytest.mark.parametrize(
    ("action", "down"),
    [("sit_down", True), ("stand_up", False), ("raise_arms", False), ("lower_arms", True)],
)
@pytest.mark.parametrize("actor", [1, 2, 3])
def test_what_is_seen_goes_up_or_down(action, down, actor):
    frames, _ = render_clip(action, actor, clip=1, seed=0)
    # The room is blurred, so that the sharp edges are the figure's.
    edges = [cv2.Canny(frame, 60, 120) for frame in frames[[0, -1]]]
    first, last = (np.nonzero(picture)[0].mean() for picture in edges)  # rows, from the top
    assert last - first > 8 if down else first - last > 8


def test_same_sample_is_kept_and_another_replaces_it(sample, tmp_path):
    folder = shutil.copytree(sample, tmp_path / "sample")
    (folder / "README.txt").write_text("untouched")
    render_sample(folder, actors=1, clips_per_actor=1)
    assert (folder / "README.txt").read_text() == "untouched"
    render_sample(folder, actors=1, clips_per_actor=1, seed=7)
    assert "'seed': 7" in (folder / "README.txt").read_text()
    assert _files(folder) == _files(sample)
    assert [path.name for path in tmp_path.iterdir()] == ["sample"]


def test_killed_render_leaves_no_folder_and_no_trace_later(tmp_path):
    folder = tmp_path / "sample"
    code = "import pathlib, utils.rendering.samples as s; "
    code += f"s.render_sample(pathlib.Path({str(folder)!r}))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", code], env=environment) as process:
        while process.poll() is None and not list(tmp_path.rglob("*.avi")):
            time.sleep(0.02)
        process.kill()
    assert not folder.exists()
    assert len(list(tmp_path.glob(".*partial"))) == 1
    folder.mkdir()  # an empty folder is as good as none
    render_sample(folder, actors=1, clips_per_actor=1)
    assert len(_files(folder)) == len(ACTIONS) + 2
    assert [path.name for path in tmp_path.iterdir()] == ["sample"]


@pytest.mark.parametrize("name", ["notes.txt", "sample.json"])
def test_foreign_folder_is_refused_untouched(tmp_path, name):
    (tmp_path / name).write_text("[mine]")
    with pytest.raises(ValueError, match=tmp_path.name):
        render_sample(tmp_path)
    assert _files(tmp_path) == [name]


def test_unknown_action_names_the_known_ones():
    with pytest.raises(ValueError, match=r"'dance'.*jumping_jacks, lower_arms"):
        render_clip("dance", actor=1, clip=1, seed=0)


@pytest.mark.parametrize(
    ("action", "shape", "fps", "mean"),
    [("lower_arms", (41, 320, 240), 25, 140.123), ("squats", (78, 320, 240), 30, 141.167)],
)
def test_sample_is_the_one_whose_results_are_known(sample, action, shape, fps, mean):
    frames, rate = render_clip(action, actor=8, clip=2, seed=0)
    assert (frames.shape[:3], rate) == (shape, fps)
    assert frames.mean() == pytest.approx(mean, abs=0.01)
    assert json.loads((sample / "sample.json").read_text()) == {
        "made_by": "utils/sample.py",
        "actions": sorted(ACTIONS),
        "actors": 1,
        "clips_per_actor": 1,
        "seed": 0,
    }
    assert SAMPLES["sample"].labels == {action: action for action in ACTIONS}


@pytest.fixture
def twins(tmp_path_factory, monkeypatch):
    """A folder to work in where the label sets of the twins have six actors."""
    folder = tmp_path_factory.getbasetemp() / "twins"
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    for name in ("sample_appearance", "sample_order"):
        few = partial(render_twins, actors=6)
        monkeypatch.setitem(SAMPLES, name, SAMPLES[name]._replace(render=few))


def test_two_label_sets_share_their_files_and_splits(twins):
    appearance, order = (list_examples(f"sample_{name}") for name in ("appearance", "order"))
    assert [e.path for e in appearance] == [e.path for e in order]
    pairs = Counter((a.label, b.label) for a, b in zip(appearance, order, strict=True))
    assert pairs == dict.fromkeys(itertools.product(("arms", "legs"), ("up", "down")), 6)
    for examples in (appearance, order):
        split = assign_splits(examples, 0.2)
        actors = [{e.group for e in split if e.split == name} for name in ("train", "val")]
        assert actors[1] and not actors[0] & actors[1]
        held = Counter(e.label for e in split if e.split == "val")
        assert len(set(held.values())) == 1 and len(held) == 2


@pytest.mark.parametrize("action", BACKWARDS)
def test_only_the_order_of_the_frames_tells_twins_apart(twins, action):
    names = action, BACKWARDS[action]
    labels = {Path(e.path).parent.name: e.label for e in list_examples("sample_order")}
    assert [labels[name] for name in names] == ["up", "down"]
    paths = [f"data/sample_twins/{name}/{name}_g02_c01.avi" for name in names]
    (played, fps), (backwards, _) = (_read(path) for path in paths)
    assert played.shape == (*SMALL, 3) and fps == pytest.approx(25)
    np.testing.assert_array_equal(played, backwards[::-1])
    assert np.ptp(played.astype(int), axis=0).max() > 100
    for frames in (8, 24):
        clip_format = ClipFormat(1, frames, "uniform", short_side=72, frame_size=64)
        clips = [read_clip(list_views(probe(path))[0], clip_format)[0] for path in paths]
        np.testing.assert_array_equal(clips[0], clips[1][::-1])


def test_isolated_signs_keep_a_signer_for_validation(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    few = partial(render_signs, clips_per_actor=1)
    monkeypatch.setitem(SAMPLES, "sample_signs", SAMPLES["sample_signs"]._replace(render=few))
    monkeypatch.setattr("utils.rendering.samples.GLOSSES", GLOSSES[:3])
    params = parse_params(["isolated_signs"])
    assert len(GLOSSES) == 20 and not params.flip and params.network == "i3d_transformer"
    examples = list_examples(params.data_path)
    assert len(examples) == 3 * 5 and {e.label for e in examples} == set(GLOSSES[:3])
    split = assign_splits(examples, params.val_fraction, seed=params.seed)
    signers = {name: {e.group for e in split if e.split == name} for name in ("train", "val")}
    assert len(signers["val"]) == 1 and len(signers["train"]) == 4
    assert not signers["train"] & signers["val"]
    paths = [Path(e.path) for e in examples if e.label == GLOSSES[0]]
    clips = [_read(path)[0] for path in paths]
    assert all(clip.shape[1:] == (260, 210, 3) and 8 < len(clip) < 60 for clip in clips)
    assert len({clip.tobytes() for clip in clips}) == 5
