"""Pages of the videos that a network errs on: which they are; their links and commands work."""

import os
import re
import shlex
import sys
from html import unescape
from pathlib import Path
from urllib.parse import unquote

from scripts.explain import COMMAND
from support.videos import moving_square
from tasks.answers import Judge
from tasks.classification.mistakes import list_mistakes, measure_confidence, name_explanations
from tasks.classification.scoring import Scored
from utils.data.examples import Example
from utils.pictures import html
from utils.pictures.frame_sheets import read_spread
from utils.pictures.html import find_address
from utils.pictures.mistakes import (
    SHOWN,
    Case,
    Section,
    find_reason,
    save_mistakes,
)
from utils.pictures.saving import name_scope, name_splits
from utils.system.commands import ROOT
from utils.video.writing import write_video

import cv2
import numpy as np
import pytest

LATIN = os.fsdecode(b"\xe9t\xe9")  # no UTF-8: as Linux hands it out
ODD = "a # 50% \u6f22's.avi"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a video of an odd name, a broken one, and where pages go."""
    monkeypatch.chdir(tmp_path)
    Path("videos/run").mkdir(parents=True)
    write_video(Path("videos/run", ODD), moving_square(8), 25)
    Path("videos/run/broken.avi").write_text("no video")
    Path("weights/r/evaluation/test").mkdir(parents=True)
    return Path("weights/r/evaluation/test")


def make_scored(labeling):
    """Return (`Scored`, `Judge`) of five videos of three classes, or of two."""
    binary = labeling == "binary"
    examples = [Example(f"/v/{name}/{n}.mp4", name) for n, name in enumerate("abcab")]
    truth = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]], float)
    scores = [[0.5, 0.3, 0.2], [0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.9, 0.1, 0], [0.2, 0.6, 0.2]]
    kept = slice(1, 2) if binary else slice(None)
    scored = Scored(examples, truth[:, kept], np.array(scores)[:, kept])
    return scored, Judge(["not b", "b"] if binary else [*"abc"], labeling)


@pytest.mark.parametrize(
    ("labeling", "wrong", "right"),
    [
        ("single", [("c 0.10", "b 0.80"), ("b 0.20", "a 0.70")], [0.5, 0.6, 0.9]),
        ("binary", [("b 0.20", "not b 0.80"), ("not b 0.20", "b 0.80")], [0.6, 0.7, 0.9]),
        ("multi", [("c 0.10", "b 0.80"), ("b 0.20", "a 0.70")], [0.5, 0.6, 0.9]),
    ],
)
def test_the_most_confident_wrong_and_the_least_confident_right_come_first(labeling, wrong, right):
    bad, good = list_mistakes(*make_scored(labeling), ["weights/r"])
    assert (bad.heading, bad.right) == ("Wrong, the most confident first: 2 of 2", False)
    assert (good.heading, good.right) == ("Right, the least confident first: 3 of 3", True)
    assert [tuple(case.facts.values()) for case in bad.cases] == wrong
    assert [*bad.cases[0].facts] == ["true", "predicted"] and "/" in bad.cases[0].name
    assert [float(case.facts["predicted"].split()[-1]) for case in good.cases] == right


def test_what_is_left_out_counts_where_nothing_is_named():
    truth = np.array([[True, False], [False, False], [True, True]])
    scores = np.array([[0.1, 0.2], [0.4, 0.3], [0.9, 0.05]])
    wrong, whole = measure_confidence(truth, scores >= 0.5, scores)
    np.testing.assert_allclose(wrong, [0.9, -np.inf, 0.95])
    np.testing.assert_allclose(whole, [0.8, 0.6, 0.9])


def test_only_so_many_are_shown():
    examples = [Example(f"/v/{n}.mp4", "a") for n in range(50)]
    scored = Scored(examples, np.eye(2)[[0] * 50], np.tile([0.4, 0.6], (50, 1)))
    bad, good = list_mistakes(scored, Judge(["a", "b"]), ["weights/r"])
    assert len(bad.cases) == SHOWN and bad.heading.endswith(f": {SHOWN} of 50")
    assert good.cases == [] and good.heading.endswith(": 0 of 0")


def test_a_page_links_to_the_file_and_to_its_explanation(folder):
    video = Path("videos/run", ODD).absolute()
    known, unknown = find_reason("weights/r", str(video)), find_reason("weights/r", "/gone/b.avi")
    known.page.parent.mkdir(parents=True)
    known.page.write_text("because")
    cases = [
        Case(str(video), ODD, {"true": "a 0.10", "predicted": "b 0.90"}, [known, unknown]),
        Case("/gone/b.avi", "b", {}, [unknown], "REF: A\nHYP: B"),
        Case(str(Path("videos/run/broken.avi").absolute()), "broken", {}, []),
    ]
    names = save_mistakes(folder, "r, test, 3 videos", [Section("Wrong", False, cases)])
    assert names == ["mistakes.html", "mistakes.png"]
    assert cv2.imread(str(folder / "mistakes.png")).std() > 10
    page = (folder / "mistakes.html").read_text(encoding="utf-8")
    linked = [unquote(unescape(address)) for address in re.findall(r'href="([^"]*)"', page)]
    there = [(folder / address).resolve() for address in linked]
    assert there[0] == video and there[1] == known.page.resolve()
    assert [path.exists() for path in there] == [True, True, False, False, True]
    assert page.count("data:image/jpeg;base64,") == 6 == page.count('alt="frame ')
    assert "b.avi: no such file" in page and "broken.avi: not a video" in page
    assert "<h1>Mistakes of r, test, 3 videos</h1>" in page and "REF: A\nHYP: B" in page


def test_a_command_can_be_pasted_in_any_folder(folder, monkeypatch):
    video = str(Path("videos/run", ODD).absolute())
    reason = find_reason("weights/r", video, "run_1", ["--features", "/f g"])
    place, typed = reason.command.split(" && ")
    assert shlex.split(place) == ["cd", str(ROOT)]
    words = shlex.split(typed)
    assert words[:3] == ["python", "-m", "scripts.explain"]
    monkeypatch.setattr(sys, "argv", words[2:])
    options = COMMAND.parse(words[3:])
    assert (options.video, options.features) == (video, "/f g")
    assert (
        options.run.samefile("weights/r")
        and Path(options.output, "explanation.html") == reason.page
    )
    assert (
        find_reason("weights/r", video).page
        == Path("weights/r/explanations", Path(video).stem, "explanation.html").absolute()
    )


def test_files_of_one_name_are_explained_apart():
    paths = ["/v/a/1.mp4", "/v/b/1.avi", "/v/b/2.mp4"]
    names = name_explanations([Example(path, "") for path in paths])
    assert [names[path] for path in paths] == ["a_1", "b_1", ""]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_addresses_have_any_letter(folder, monkeypatch):
    assert find_address(f"videos/{LATIN}/a b:c.avi", folder) == (
        "../../../../videos/%E9t%E9/a%20b%3Ac.avi"
    )

    def refuse(*_):
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr(html.os.path, "relpath", refuse)
    assert find_address("a b.avi", folder) == Path("a b.avi").absolute().as_uri()


def test_frames_are_spread_over_the_video(tmp_path):
    write_video(tmp_path / "a.avi", [np.full((64, 48, 3), 20 * n, np.uint8) for n in range(12)], 25)
    frames, problem = read_spread(tmp_path / "a.avi", 6, 64)
    assert frames.shape == (6, 64, 48, 3) and problem == ""
    assert np.all(np.diff(frames.mean((1, 2, 3))) > 10)


def test_what_is_counted_is_said():
    assert name_scope("r", "test", 8) == "r, test, 8 videos"
    assert name_scope("r", "dev", 1, "sentence") == "r, dev, 1 sentence"
    members = {"train": [1, 2], "val": [3], "test": []}
    assert name_splits("r", members, "videos") == "r, videos: 2 train, 1 val"
