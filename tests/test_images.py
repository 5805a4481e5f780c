"""Folders of images as videos, through everything that reads a video."""

import shutil
from dataclasses import replace

from support.videos import moving_square
from utils.clips.reading import ClipFormat, list_views, read_clip
from utils.data.datasets import list_examples
from utils.data.inspection import inspect_videos
from utils.video.image_folders import digest_video, list_images
from utils.video.listing import list_tree
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


def test_other_folders_are_no_videos(tmp_path):
    folder = write_images(tmp_path / "a", moving_square(3, (40, 40)))
    (folder / ".hidden").write_text("")
    assert len(list_images(folder)) == 3
    (folder / "notes.txt").write_text("")
    assert len(list_images(folder)) == 3 and not list_images(folder / "notes.txt")
    (folder / "clip.avi").write_text("")
    assert not list_images(folder)
    with pytest.raises(VideoError, match="a folder must hold numbered images, of one video"):
        probe(folder)


def test_a_broken_image_is_named(tmp_path):
    folder = write_images(tmp_path / "a", moving_square(4, (40, 40)), "{}.png")
    (folder / "2.png").write_bytes(b"no image")
    with pytest.raises(VideoError, match=r"a: 2\.png is no image that OpenCV can read"):
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
