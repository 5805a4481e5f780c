"""Folders of images as videos, through everything that reads a video."""

import os
import shutil
import sys
from dataclasses import replace

from support.videos import moving_square
from utils.clips.reading import ClipFormat, list_views, read_clip
from utils.data.datasets import list_examples
from utils.data.inspection import inspect_videos
from utils.video.image_folders import digest_video, list_images, sort_images
from utils.video.listing import describe_others, list_tree
from utils.video.reading import probe, read_rgb, skim
from utils.video.video import VideoError

import cv2
import numpy as np
import pytest


def write_images(folder, frames, name="show.avi_pid0_fn{:06d}-0.png"):
    folder.mkdir(parents=True)
    for index, frame in enumerate(frames):
        cv2.imwrite(str(folder / name.format(index)), frame[..., ::-1])
    return folder


@pytest.mark.parametrize("name", ["show.avi_pid0_fn{:06d}-0.png", "images{}.png", "{}.PNG"])
def test_a_folder_of_numbered_images_is_a_video(tmp_path, name):
    shown = list(moving_square(12, (60, 80)))
    folder = write_images(tmp_path / "01April/1", shown, name)
    video = probe(folder)
    assert (video.num_frames, video.fps, video.width, video.height) == (12, 25, 80, 60)
    assert (video.times, video.note) == (None, "")
    assert video.play_images_at(10) == replace(video, fps=10)
    clip = read_rgb(probe(folder), np.array([2, 10, 11]), 60, 60)
    assert np.array_equal(clip, [shown[i][:, 10:70] for i in (2, 10, 11)])
    header, codec, pairs = skim(folder, places=3)
    assert (header.num_frames, codec, len(pairs)) == (12, "", 3)
    clip = read_clip(list_views(video)[0], ClipFormat(1, 8, short_side=60, frame_size=48))
    assert clip.shape == (1, 8, 48, 48, 3)


def test_a_look_at_images_of_several_sizes_shows_all_in_that_of_the_first(tmp_path):
    small, large = moving_square(6, (40, 60)), moving_square(6, (80, 60))
    folder = write_images(tmp_path / "a", [*small, *large])
    header, _, pairs = skim(folder, places=3)
    assert (header.width, header.height) == (60, 40)
    assert pairs.shape == (3, 2, 40, 60, 3)


def test_other_folders_are_no_videos(tmp_path):
    folder = write_images(tmp_path / "a", moving_square(3, (40, 40)))
    (folder / ".hidden").write_text("")
    assert len(list_images(folder)) == 3
    (folder / "notes.txt").write_text("")
    assert len(list_images(folder)) == 3 and not list_images(folder / "notes.txt")
    (folder / "clip.avi").write_text("")
    assert not list_images(folder)
    with pytest.raises(VideoError, match="a folder must contain the numbered images of one video"):
        probe(folder)


def name_images(folder, *patterns, count=12):
    folder.mkdir(parents=True)
    for pattern in patterns:
        for number in range(count):
            (folder / pattern.format(number)).touch()
    return folder


@pytest.mark.parametrize(
    ("frames", "beside"),
    [
        ("{:04}.jpg", ["Thumbs.db", "labels.txt", "cover.jpg", "cover1.jpg"]),
        ("img_{:05}.jpg", ["flow_x_{:05}.jpg", "flow_y_{:05}.jpg"]),
        ("image_{}.png", ["x_{}.png", "y_{}.png"]),
        ("t{0}.04.png", []),
        ("frame{0}_score0.97_{0}.jpg", []),
        ("2026-01-01_12-{0:02}-{0:02}.jpg", []),
        ("x_{}.jpg", []),
    ],
)
def test_frames_are_one_video_whatever_lies_beside_them(tmp_path, frames, beside):
    folder = name_images(tmp_path / "a/v", frames, *beside)
    series = sort_images(folder)
    assert [path.name for path in series.images] == [frames.format(n) for n in range(12)]
    assert {path.name for path in series.others} == {
        each.format(n) for each in beside for n in range(12)
    }
    assert list_tree(tmp_path) == ([folder], series.others)


def test_frames_of_other_words_are_one_video_where_no_number_is_there_twice(tmp_path):
    folder = name_images(tmp_path / "v", "begin_{}.jpg", count=3)
    (folder / "end_7.jpg").touch()
    assert len(list_images(folder)) == 4


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (["cam1_{:04}.jpg", "cam2_{:04}.jpg"], "cam1_, cam2_"),
        (["view_1_{}.png", "view_2_{}.png", "view_3_{}.png"], "view_1_, view_2_, view_3_"),
        (["left{}.jpg", "right{}.jpg"], "left, right"),
        (["flow_x_{}.jpg", "flow_y_{}.jpg"], "flow_x_, flow_y_"),
    ],
)
def test_several_series_in_a_folder_are_refused(tmp_path, patterns, names):
    folder = name_images(tmp_path / "v", *patterns)
    assert list_tree(tmp_path).videos == [folder]  # so that it is named
    for path in (folder, os.path.relpath(folder)):
        with pytest.raises(
            VideoError, match=rf"the folder contains \d series of images \({names}\)"
        ):
            probe(path)


def test_flow_beside_frames_is_said_by_name(tmp_path):
    name_images(tmp_path / "v", "img_{}.jpg", "flow_x_{}.jpg", "flow_y_{}.jpg")
    said = describe_others(list_tree(tmp_path).others)
    assert said == "24 other files were ignored: flow_x_*.jpg 12, flow_y_*.jpg 12"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_folders_of_images_may_have_any_name(tmp_path):
    folder = tmp_path / os.fsdecode(b"\xe9t\xe9")
    shown = list(moving_square(3, (40, 40)))
    write_images(tmp_path / "a", shown, "{}.png").rename(folder)
    assert np.array_equal(read_rgb(probe(folder), np.arange(3), 40, 40), shown)


def test_a_broken_image_is_named(tmp_path):
    folder = write_images(tmp_path / "a", moving_square(4, (40, 40)), "{}.png")
    (folder / "2.png").write_bytes(b"no image")
    with pytest.raises(VideoError, match=r"a: 2\.png is not an image that OpenCV can read"):
        probe(folder)


def test_content_and_names_decide_the_digest(tmp_path):
    first = write_images(tmp_path / "a", moving_square(3, (80, 80)), "{}.png")
    shutil.copytree(first, tmp_path / "b")
    assert digest_video(first) == digest_video(tmp_path / "b") == probe(first).digest
    (tmp_path / "b/0.png").rename(tmp_path / "b/9.png")
    assert digest_video(first) != digest_video(tmp_path / "b")
    known, _ = inspect_videos([str(first)], tmp_path)
    (first / "1.png").write_bytes((first / "2.png").read_bytes())
    changed, _ = inspect_videos([str(first)], tmp_path)  # the folder itself has not changed
    assert known[str(first)].digest != changed[str(first)].digest


def test_datasets_list_them(tmp_path):
    for label in ("run", "walk"):
        write_images(tmp_path / label / "x", moving_square(2, (40, 40)))
    (tmp_path / "run/y.avi").write_bytes(b"")
    names = [str(path.relative_to(tmp_path)) for path in list_tree(tmp_path).videos]
    assert names == ["run/x", "run/y.avi", "walk/x"]
    assert [e.path for e in list_examples(tmp_path)] == [str(tmp_path / name) for name in names]
