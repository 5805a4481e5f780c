"""Every video decoded once: what is broken or odd is named, counted and listed."""

import csv
import shutil
from pathlib import Path

from scripts.check_data import Options, check_data
from support.commands import run
from support.videos import moving_square, write_dataset
from utils.video.writing import write_video

import numpy as np
import pytest
from matplotlib.image import imsave


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A dataset with faults of every kind."""
    monkeypatch.chdir(tmp_path)
    folder = write_dataset(tmp_path / "videos", videos=2)
    (folder / "left/empty.avi").touch()
    (folder / "left/words.mp4").write_text("no video at all\n" * 100)
    (folder / "right/words too.mp4").write_text("nor is this one\n" * 100)
    whole = (folder / "left/left_00.avi").read_bytes()
    (folder / "right/cut.avi").write_bytes(whole[: len(whole) // 2])
    shutil.copy(folder / "left/left_01.avi", folder / "right/again.avi")
    write_video(folder / "right/still.avi", list(moving_square(1)), 25)
    (folder / "notes.txt").write_text("not to be looked at")
    return folder


def listed(path):
    with open(path, newline="") as file:
        return {
            row["path"].split("/")[-1]: (row["kind"], row["reason"]) for row in csv.DictReader(file)
        }


def test_all_that_is_wrong_is_named(data, capsys):
    assert check_data(Options("videos")) == 3
    rows, said = listed("weights/analysis/videos/problems.csv"), capsys.readouterr().out
    assert rows["empty.avi"] == ("broken", "the file is empty.")
    assert rows["words.mp4"] == ("broken", "not a video that FFmpeg can open.")
    kind, reason = rows["cut.avi"]
    assert kind == "odd" and reason.startswith("the header says 24 frames, ")
    assert rows["again.avi"] == ("duplicate", "the same content as videos/left/left_01.avi")
    assert rows["still.avi"] == ("odd", "a single frame")
    assert set(rows) == {
        "empty.avi", "words.mp4", "words too.mp4", "cut.avi", "again.avi", "still.avi",
    }  # fmt: skip
    assert "7 of 10 videos can be decoded" in said
    assert "2 broken: not a video that FFmpeg can open." in said and "1 duplicate\n" in said
    assert "1 other file was ignored: .txt 1" in said
    assert "1 odd: the header says N frames, but only N can be decoded" in said


def test_a_list_a_video_and_frames(data, tmp_path, capsys):
    table = tmp_path / "list.csv"
    table.write_text("path,label\nvideos/left/left_00.avi,a\nvideos/gone.avi,b\n")
    assert check_data(Options("list.csv", output="out")) == 1
    assert listed("out/problems.csv")["gone.avi"] == ("broken", "no such file.")
    assert check_data(Options("videos/left/left_00.avi", output="out")) == 0
    assert listed("out/problems.csv") == {} and "No problems." in capsys.readouterr().out

    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for number, frame in enumerate(moving_square(3)):
            imsave(tmp_path / name / f"{number}.png", np.ascontiguousarray(frame))
    (tmp_path / "two/1.png").write_text("no picture")
    signs = tmp_path / "signs.csv"
    signs.write_text("path,glosses,split\none,A B,train\ntwo,A,train\nthree,B,dev\n")
    assert check_data(Options("signs.csv", output="out")) == 2
    rows = listed("out/problems.csv")
    assert set(rows) == {"two", "three"} and "1.png is not an image" in rows["two"][1]


def test_exit_status(data, tmp_path):
    done = run(["scripts/check_data.py", "videos"], tmp_path)
    assert done.returncode == 1, done.stderr
    assert "7 of 10 videos can be decoded" in done.stdout and "Traceback" not in done.stderr
    with pytest.raises(ValueError, match="workers is -1"):
        Options("videos", workers=-1)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("empty", "the folder contains no video"),
        ("nowhere", "nowhere: no such file or folder"),
        ("binary.csv", "binary.csv is damaged or not a file of this kind"),
        ("https://example.org/a.mp4", "an address on the internet; download the file first"),
    ],
)
def test_no_data_to_check(tmp_path, monkeypatch, bad, words):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("binary.csv").write_bytes(bytes(range(128, 256)))
    with pytest.raises(ValueError, match=words):
        check_data(Options(bad))
    assert not Path("weights").exists()
