"""The look at a dataset: known truths, copies found, and the whole command as a user runs it."""

import csv
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

from scripts.analyze_dataset import Options, analyze_dataset
from support.commands import run
from support.videos import moving_square
from utils.data.examples import Example
from utils.data.splits import FOLDER_PATTERN
from utils.dataset_report.advice import ADVICE, LEVELS, advise
from utils.dataset_report.duplicates import find_copies, find_pairs, join
from utils.dataset_report.facts import summarize
from utils.dataset_report.leaks import (
    PATTERNS,
    count_leaks,
    draw_clean_split,
    relate,
    suggest_pattern,
)
from utils.dataset_report.plots import PLOTS, draw_plots
from utils.dataset_report.skimming import look_at, skim_examples
from utils.video.reading import skim
from utils.video.writing import write_video

import numpy as np
import pytest

FIGHTS = Path(__file__).parents[2] / "shared/videos/fights"
SCRIPT = "scripts/analyze_dataset.py"


def figure(seed, frames=40, room=None, size=(120, 160)):
    """Yield frames of a patch that wanders through a textured room, each seed its own way."""
    generator = np.random.default_rng(seed)
    texture = np.random.default_rng(seed if room is None else room).integers(0, 200, (15, 20, 3))
    background = np.kron(texture, np.ones((8, 8, 1))).astype(np.uint8)
    phases, patch = generator.uniform(0, 6, 2), generator.integers(0, 255, (5, 3, 3))
    for time in np.arange(frames) / 20:
        top, left = (1 + np.sin(phases + (1, 1.7) * np.full(2, time))) * (38, 65)
        frame = background.copy()
        shape = frame[int(top) : int(top) + 40, int(left) : int(left) + 24].shape
        frame[int(top) : int(top) + 40, int(left) : int(left) + 24] = np.kron(
            patch, np.ones((8, 8, 1))
        )[: shape[0], : shape[1]]
        rows = np.arange(size[0]) * 120 // size[0]
        yield frame[rows][:, np.arange(size[1]) * 160 // size[1]]


def write(path, frames, fps=25):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, frames, fps)
    return path


@pytest.fixture(scope="module")
def messy(tmp_path_factory):
    """A folder with everything wrong, and what the command printed and wrote about it."""
    folder = tmp_path_factory.mktemp("messy")
    for number in range(12):
        split = "train" if number < 9 else "val"
        write(folder / f"data/{split}/walk/walk_g{number:02d}_c1.avi", figure(number))
    write(folder / "data/train/walk/walk_g09_c2.avi", figure(30))  # the group of one in val
    shutil.copy(folder / "data/train/walk/walk_g00_c1.avi", folder / "data/train/walk/again.avi")
    (folder / "data/train/walk/broken <b>.mp4").write_text("no video")
    for number in range(4):
        write(folder / f"data/train/run/run{number}.avi", figure(40 + number, 6), 10)
    write(folder / "data/val/run/copy.mp4", figure(5, size=(96, 128)))  # of a walk in train
    done = run([SCRIPT, "data"], folder)
    assert done.returncode == 0, done.stderr
    output = folder / "weights/analysis/data"
    return output, json.loads((output / "analysis.json").read_text()), done


def test_everything_wrong_is_found(messy):
    _, facts, _ = messy
    assert (facts["videos"], facts["readable"]) == (20, 19)
    assert [Path(row["path"]).name for row in facts["broken"]] == ["broken <b>.mp4"]
    assert facts["broken"][0]["reason"].startswith("not a video")
    assert facts["classes"]["walk"]["splits"] == {"train": 11, "val": 3}
    pairs = {
        row["kind"]: (Path(row["first"]).name, Path(row["second"]).name) for row in facts["pairs"]
    }
    assert pairs == {
        "exact duplicate": ("again.avi", "walk_g00_c1.avi"),
        "near-duplicate": ("walk_g05_c1.avi", "copy.mp4"),
    }
    assert facts["groups_across_splits"] == {"g09": {"train": 1, "val": 1}}
    assert facts["split"]["given"] and facts["split"]["videos"] == 1
    assert [Path(path).name for path in facts["split"]["remove"]] == ["walk_g05_c1.avi"]
    assert facts["clips"]["looped"] == 0  # six frames at 10 a second are 15 at 25
    assert facts["clips"]["overlapping"] == 4
    assert len(facts["records"]) == 19 and facts["records"][0]["codec"] == "MJPG"


def test_advice_is_printed_and_specific(messy):
    output, _, done = messy
    printed = " ".join(done.stdout.split())
    for words in (
        "1 video of 20 cannot be read",
        "1 pair of the same video with different labels. One label of each pair must be wrong: ",
        "(walk) = ",
        "1 of 4 held-out videos",
        "Remove 1 video from training",
        "--data-path weights/analysis/data/split.csv",
        "g09 (train 1, val 1)",
        "imbalanced: walk has 11 training videos, run has 4.",
        "run 4, walk 11",
        "Frame rates differ (10 to 25)",
    ):
        assert words in printed
    assert done.stderr == ""
    with open(output / "split.csv", newline="") as file:
        sides = {Path(row["path"]).name: row["split"] for row in csv.DictReader(file)}
    assert len(sides) == 19 and set(sides.values()) == {"train", "val"}
    assert sides["walk_g05_c1.avi"] == sides["copy.mp4"]
    assert sides["walk_g09_c1.avi"] == sides["walk_g09_c2.avi"]


def test_report_is_one_file_without_requests(messy):
    output, facts, _ = messy
    page = (output / "report.html").read_text()
    sources = re.findall(r'(?:src|href|url)\s*[=(]\s*["\']?([^"\'>]{0,30})', page)
    assert sources and all(source.startswith("data:image/") for source in sources)
    assert "broken &lt;b&gt;.mp4" in page and "<b>.mp4" not in page
    assert page.count('class="pair"') == 2 and page.count('class="plot"') == len(PLOTS)
    assert all(row["text"].split(":")[0][:20] in page for row in facts["advice"])
    assert {path.name for path in output.iterdir()} == {
        *(f"{name}.png" for name in PLOTS),
        *("report.html", "analysis.json", "split.csv"),
    }


def test_brightness_motion_and_header_are_true(tmp_path):
    speed, frames = 3, 30
    path = write(tmp_path / "square.avi", moving_square(frames, speed=speed, shade=200), 20)
    record, note = look_at(Example(str(path), "a"))
    assert note == "" and (record.num_frames, record.fps, record.codec) == (30, 20, "MJPG")
    assert (record.width, record.height, record.seconds) == (160, 128, 1.5)
    # A column of 30 pixels appears at one side and goes at the other: 200 against 29.5 before it.
    expected = 2 * speed * 30 * (200 - 29.5) / (128 * 160)
    assert record.motion == pytest.approx(expected, rel=0.15)
    still = write(tmp_path / "still.avi", [np.full((96, 128, 3), 100, np.uint8)] * 9)
    record, _ = look_at(Example(str(still), "a"))
    assert record.brightness == pytest.approx(100, abs=2) and record.motion < 0.05
    square = 30 * 30 / (128 * 160)
    record, _ = look_at(Example(str(path), "a"))
    assert record.brightness == pytest.approx(29.5 + square * (200 - 29.5), abs=2)


def test_properties_of_a_video(tmp_path):
    path = write(tmp_path / "square.avi", moving_square(30), 20)
    record, _ = look_at(Example(str(path), "a"))
    found = {name: summary["median"] for name, summary in summarize([record])["properties"].items()}
    assert found == {
        "duration": 1.5,
        "frames": 30,
        "frame rate": 20,
        "short side": 128,
        "bit rate": pytest.approx(8 * path.stat().st_size / 1000 / 1.5, abs=1e-3),
        "brightness": pytest.approx(record.brightness, abs=1e-3),
        "motion": pytest.approx(record.motion, abs=1e-3),
    }


@pytest.mark.parametrize("name", ["long.mp4", "long.avi"])
def test_frames_far_apart_are_the_right_ones(tmp_path, name):
    shades = [(index // 10 * 37) % 250 for index in range(1200)]
    path = write(tmp_path / name, (np.full((48, 64, 3), shade, np.uint8) for shade in shades))
    info, _, pairs = skim(path)
    starts = ((np.arange(16) + 0.5) * 1199 / 16).astype(int)
    assert info.num_frames == 1200 and pairs.shape == (16, 2, 48, 64, 3)
    expected = [[shades[index], shades[index + 1]] for index in starts]
    np.testing.assert_allclose(pairs.mean((2, 3, 4)), expected, atol=4)


def test_short_and_cut_off_videos(tmp_path):
    one = write(tmp_path / "one.avi", moving_square(1))
    info, _, pairs = skim(one)
    assert info.num_frames == 1 and len(pairs) == 1 and look_at(Example(str(one), "a"))[0]
    whole = write(tmp_path / "whole.avi", moving_square(60))
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    (tmp_path / "empty.avi").touch()
    paths = [cut, tmp_path / "empty.avi", tmp_path / "gone.avi", whole]
    records, broken, odd = skim_examples([Example(str(path), "a") for path in paths])
    assert [Path(record.path).name for record in records] == ["cut.avi", "whole.avi"]
    assert [reason for _, reason in broken] == ["the file is empty.", "no such file."]
    assert [path for path, _ in odd] == [str(cut)]
    assert re.match(r"the header says 60 frames, but frame \d+ cannot", odd[0][1])


def test_copies_scenes_and_others_are_told_apart(tmp_path):
    videos = {
        "a.avi": figure(1),
        "smaller.mp4": figure(1, size=(72, 96)),
        "squashed.avi": figure(1, size=(100, 100)),
        "trimmed.mp4": list(figure(1))[3:38],
        "darker.mp4": (frame // 2 for frame in figure(1)),
        "scene.mp4": figure(2, room=1),
        "other.avi": figure(3),
    }
    paths = [write(tmp_path / name, frames) for name, frames in videos.items()]
    records, _, _ = skim_examples([Example(str(path), "a") for path in paths])
    pairs = relate(records)
    kinds = {pair.indices: pair.kind for pair in pairs}
    for first in range(5):
        for second in range(first + 1, 5):
            assert kinds.pop((first, second)) == "near-duplicate"
    assert kinds == {(index, 5): "same scene" for index in range(5)}
    shutil.copy(paths[0], tmp_path / "b.avi")
    assert find_copies([*paths, tmp_path / "b.avi"]) == [[0, 7]]
    assert join(6, [(4, 5), (1, 3), (3, 5)]) == [0, 1, 2, 1, 1, 1]


def test_clean_split_and_pattern():
    examples = [
        Example(f"{room:03d}_{n}.avi", "ab"[n % 2], "", "") for room in range(8) for n in (1, 2)
    ]
    examples = [replace(e, group=Path(e.path).stem) for e in examples]
    signatures = np.stack([skim_signature(int(e.path[:3]), n) for n, e in enumerate(examples)])
    pairs = find_pairs(signatures, np.zeros((16, 4, 4, 2), np.float32))
    assert [pair.indices for pair in pairs] == [(n, n + 1) for n in range(0, 16, 2)]
    clean = draw_clean_split(examples, pairs, (0.25, 0.25), 0)
    splits = [example.split for example in clean]
    assert count_leaks(pairs, splits)["videos"] == 0 and splits.count("val") == 4
    leaky = ["val" if n % 4 == 0 else "train" for n in range(16)]
    assert count_leaks(pairs, leaky) | {"pairs": 0} == {"pairs": 0, "videos": 4, "held_out": 4}
    assert suggest_pattern(examples, pairs) == PATTERNS[0]
    assert (
        suggest_pattern([replace(e, path=f"{n}.avi") for n, e in enumerate(examples)], pairs)
        is None
    )
    foldered = [replace(e, path=f"{e.label}/{e.path[:3]}/{n}.avi") for n, e in enumerate(examples)]
    assert suggest_pattern(foldered, pairs) == ("the folder", FOLDER_PATTERN)
    classes = [replace(e, path=f"{e.label}/x.avi") for e in examples]
    assert suggest_pattern(classes, pairs) is None
    everything = [replace(pairs[0], first=0, second=n) for n in range(1, 16)]
    assert draw_clean_split(examples, everything, (0.25, 0), 0) is None


def skim_signature(room, seed):
    """Return a signature of noise: a room, and something else in it for each seed."""
    room = np.random.default_rng(room).integers(50, 200, (1, 32, 32))
    events = np.random.default_rng(1000 + seed).integers(-20, 20, (16, 32, 32))
    return (room + events).astype(np.uint8)


# Rule: (what the facts are changed to, words of its advice).
SPOKEN = {
    "advise_broken": ({"odd": [{"path": "a.avi", "reason": "x"}]}, "may be cut off: a.avi"),
    "advise_leak": (
        {
            "split": {
                "given": False,
                "remove": [],
                "videos": 3,
                "held_out": 9,
                "pairs": {"same scene": 5},
            },
            "suggested_pattern": ["numbers", r"(\d+)"],
        },
        "3 of 9 held-out videos",
    ),
    "advise_groups": (
        {"groups_across_splits": {"g1": {"train": 2, "val": 1}}},
        "g1 (train 2, val 1)",
    ),
    "advise_copies": (
        {
            "pairs": [
                {"kind": "exact duplicate", "first": "a", "second": "b", "labels": ["x", "y"]},
            ]
        },
        "a (x) = b (y)",
    ),
    "advise_classes": (
        {"classes": {n: {"videos": v, "splits": {}} for n, v in (("x", 90), ("y", 30))}},
        "x has 90 training videos, y has 30",
    ),
    "advise_clips": (
        {"clips": {"looped": 30, "overlapping": 40, "p10": 9, "median": 20.0}
         | {"fitting_segments": 1, "fitting_length": 9}},
        "--frames-per-segment 9",
    ),
    "advise_rates": ({"all": {"formats": {"frame rate": {"10": 4, "30": 9}}}}, "in the 4 videos"),
    "advise_sizes": (
        {"records": [{"path": "a", "width": 640, "height": 90, "brightness": 99, "motion": 9}]},
        "a (640x90)",
    ),
    "advise_still": (
        {"records": [{"path": "a", "width": 640, "height": 360, "brightness": 3, "motion": 0}]},
        "Nearly black: 1 video. Check them: a",
    ),
    "advise_shortcuts": (
        {"differences": [
            {"label": "x", "what": "codec", "value": "h264", "shares": [1.0, 0.25]},
        ]},
        "x (100% are h264, 25% of the others)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("rule", ADVICE, ids=lambda rule: rule.__name__)
def test_each_rule_speaks_only_when_it_must(rule):
    quiet = {
        "broken": [], "odd": [], "pairs": [], "groups_across_splits": {}, "records": [],
        "differences": [], "shortcut_score": None, "suggested_pattern": None, "clean_split": None,
        "split": {"given": False, "videos": 0, "remove": []}, "videos": 99, "readable": 99,
        "classes": {n: {"videos": 50, "splits": {}} for n in "xy"},
        "all": {"formats": {"frame rate": {"25": 99}}}, "clips": {"looped": 0, "overlapping": 0},
        "parameters": {"num_segments": 4, "frames_per_segment": 16, "fps": 25.0},
    }  # fmt: skip
    assert list(rule(quiet)) == [] and advise(quiet) == []
    changes, words = SPOKEN[rule.__name__]
    spoken = list(rule(quiet | changes))
    assert any(words in text for _, text in spoken)
    assert all(level in LEVELS for level, _ in spoken)


def test_bad_input_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"data_path empty: found 0 class\(es\)"):
        analyze_dataset(Options("empty"))
    for name in "xy":
        (tmp_path / "bad" / name).mkdir(parents=True)
        (tmp_path / "bad" / name / "a.avi").write_text("no video")
    with pytest.raises(
        ValueError, match=r"None of the 2 videos can be read, such as bad/x/a\.avi: not a video"
    ):
        analyze_dataset(Options("bad"))
    assert not (tmp_path / "weights").exists()
    with pytest.raises(ValueError, match="workers is 0; it must be at least 1"):
        Options("bad", workers=0)
    with pytest.raises(ValueError, match="group_pattern '\\(' is not a regular expression"):
        analyze_dataset(Options("bad", group_pattern="("))


def test_plots_of_many_classes(tmp_path, monkeypatch):
    monkeypatch.setattr("utils.dataset_report.plots._SHOWN", 4)
    path = write(tmp_path / "a.avi", moving_square(8))
    record, _ = look_at(Example(str(path), "a"))
    example = record.example
    many = [replace(record, example=replace(example, label=f"c{n % 50};all")) for n in range(60)]
    assert all(png.startswith(b"\x89PNG") for png in draw_plots(many).values())


@pytest.mark.skipif(not FIGHTS.is_dir(), reason="needs ../shared/videos/fights")
def test_cameras_of_real_clips():
    """Neighboring clips share a camera but are no copies; others share nothing."""
    names = ["nofi077", "nofi078", "nofi079", "nofi061", "nofi031"]
    paths = [FIGHTS / f"no_fight/{name}.mp4" for name in names]
    records, _, _ = skim_examples([Example(str(path), "a") for path in paths])
    pairs = relate(records)
    kinds = {pair.indices: pair.kind for pair in pairs}
    assert kinds == dict.fromkeys([(0, 1), (0, 2), (1, 2)], "same scene")
