"""Real files through the real decoder: what phones, cameras and broken disks produce."""

import struct

from support.videos import moving_square
from utils.clips.sampling import SAMPLINGS, sample_segments, sample_uniform
from utils.video.reading import probe, read_rgb
from utils.video.video import Video, VideoError
from utils.video.writing import write_video

import cv2
import numpy as np
import pytest


def write(path, frames=20, fps=25, **kwargs):
    write_video(path, moving_square(frames, **kwargs), fps)
    return path


@pytest.mark.parametrize("suffix", ["avi", "mp4"])
def test_probe(tmp_path, suffix):
    video = probe(write(tmp_path / f"a.{suffix}", 20, 30))
    assert (video.num_frames, video.width, video.height, video.times) == (20, 160, 128, None)
    assert video.fps == pytest.approx(30, abs=0.05)


def test_frames_are_the_right_ones(tmp_path):
    path = tmp_path / "gray_levels.avi"
    write_video(path, (np.full((64, 64, 3), 10 * i, np.uint8) for i in range(25)), 25)
    clip = read_rgb(probe(path), np.array([3, 4, 20, 3, 0]), 64, 64)
    assert np.abs(clip.mean((1, 2, 3)) - [30, 40, 200, 30, 0]).max() < 3


def test_colors_are_rgb_and_aspect_is_kept(tmp_path):
    frame = np.zeros((128, 256, 3), np.uint8)
    frame[:, :64, 0] = 255  # a red quarter on the left
    path = tmp_path / "red.avi"
    write_video(path, [frame], 25)
    left = read_rgb(probe(path), np.array([0]), 64, 64, (0.5, 0.0))[0]
    assert left[32, 10, 0] > 200 > 60 > left[32, 10, 2]
    assert left[32, 50, 0] < 60  # the quarter is 32 of 64 pixels wide after resizing
    assert read_rgb(probe(path), np.array([0]), 64, 64, (0.5, 1.0)).max() < 60


def _patch(path, old, new, count=1):
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, count))


def test_whole_frames_are_stretched(tmp_path):
    """A mark in each corner of a portrait frame stays in its corner; a crop has none of them."""
    frame = np.zeros((260, 210, 3), np.uint8)
    for rows in (slice(0, 26), slice(-26, None)):
        frame[rows, :21] = frame[rows, -21:] = 255
    write_video(tmp_path / "a.avi", [frame] * 3, 25)
    for crop in ((0.5, 0.5), (0.0, 1.0)):
        seen = read_rgb(probe(tmp_path / "a.avi"), [1], 0, 112, crop)[0]
        assert seen.shape == (112, 112, 3)
        assert min(seen[y, x].min() for y in (5, 106) for x in (5, 106)) > 200
        assert seen[20:92].max() < 60
    assert read_rgb(probe(tmp_path / "a.avi"), [1], 128, 112)[0].max() < 60


def test_rotated_phone_video_is_upright(tmp_path):
    path = write(tmp_path / "phone.mp4")
    one, minus = struct.pack(">i", 1 << 16), struct.pack(">i", -(1 << 16))
    zero, last = struct.pack(">i", 0), struct.pack(">i", 1 << 30)
    identity = one + zero * 3 + one + zero * 3 + last
    quarter = zero + one + zero + minus + zero * 4 + last
    data = path.read_bytes()
    track = data.index(identity, data.index(b"tkhd"))
    path.write_bytes(data[:track] + quarter + data[track + len(identity) :])
    video = probe(path)
    assert (video.width, video.height) == (128, 160)


def test_variable_frame_rate(tmp_path):
    animation = cv2.Animation()
    animation.frames = [np.full((64, 64, 3), value, np.uint8) for value in (0, 80, 160, 240)]
    animation.durations = [400, 40, 40, 120]
    cv2.imwriteanimation(str(tmp_path / "vfr.gif"), animation)
    video = probe(tmp_path / "vfr.gif")
    assert video.times == pytest.approx((0, 0.4, 0.44, 0.48))
    assert video.timeline(25)[:13].tolist() == [0] * 10 + [1, 2, 3]


def test_wrong_frame_count_in_the_header(tmp_path):
    path = write(tmp_path / "lies.avi", 20)
    _patch(path, struct.pack("<I", 20), struct.pack("<I", 500), -1)
    video = probe(path)
    assert video.num_frames == 20
    assert read_rgb(probe(path), np.arange(20), 112, 112).shape == (20, 112, 112, 3)


def test_cut_off_file_gives_what_decodes(tmp_path):
    path = write(tmp_path / "cut.avi", 40)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    video = probe(path)
    assert 5 < video.num_frames < 40
    assert "40 frames" in video.note


@pytest.mark.parametrize("size", [(61, 33), (33, 61), (17, 501)])
def test_odd_sizes_and_one_frame(tmp_path, size):
    path = tmp_path / "odd.avi"
    write_video(path, [np.full((*size, 3), 90, np.uint8)], 25)
    video = probe(path)
    assert video.num_frames == len(video.timeline(25)) == 1
    assert read_rgb(probe(path), np.zeros(8, int), 128, 112).shape == (8, 112, 112, 3)


def test_gray_and_alpha(tmp_path):
    gray = tmp_path / "gray.avi"
    writer = cv2.VideoWriter(str(gray), cv2.VideoWriter_fourcc(*"FFV1"), 25, (64, 64), False)
    writer.write(np.full((64, 64), 100, np.uint8))
    writer.release()
    alpha = tmp_path / "alpha.png"
    animation = cv2.Animation()
    animation.frames = [np.full((64, 64, 4), 100, np.uint8)] * 3
    animation.durations = [40] * 3
    assert cv2.imwriteanimation(str(alpha), animation)
    for path in (gray, alpha):
        assert probe(path).num_frames >= 1
        clip = read_rgb(probe(path), np.array([0]), 64, 64)
        assert clip.shape == (1, 64, 64, 3)
    assert abs(int(read_rgb(probe(gray), np.array([0]), 64, 64)[0, 5, 5, 0]) - 100) < 4


@pytest.mark.parametrize("content", [None, b"", b"this is text", b"RIFF\x00\x00\x00\x00AVI LIST"])
def test_broken_files_are_named(tmp_path, content):
    path = tmp_path / "broken.avi"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VideoError, match=r"broken\.avi: "):
        probe(path)


def test_timeline_is_ffmpegs():
    def video(frames, fps):
        return Video("", frames, fps, 1, 1, "")

    assert video(10, 25.0).timeline(25).tolist() == list(range(10))
    assert video(10, 50.0).timeline(25).tolist() == [0, 2, 4, 6, 8]
    assert video(6, 30.0).timeline(25).tolist() == [0, 1, 2, 4, 5]
    assert video(3, 12.5).timeline(25).tolist() == [0, 0, 1, 1, 2, 2]
    assert video(7, 30.0).timeline(0).tolist() == list(range(7))


def test_segments():
    assert sample_segments(79, 1, 64).tolist() == [list(range(8, 72))]
    starts = sample_segments(100, 4, 10)[:, 0]
    assert starts.tolist() == [11, 34, 56, 79]
    assert sample_segments(5, 2, 8).tolist() == [[0, 1, 2, 3, 4, 0, 1, 2]] * 2
    assert sample_uniform(100, 2, 2).tolist() == [[12, 37], [62, 87]]
    assert sample_uniform(1, 2, 3).tolist() == [[0] * 3] * 2


@pytest.mark.parametrize("name", SAMPLINGS)
@pytest.mark.parametrize("frames", [1, 7, 16, 200])
def test_samplings_stay_inside(name, frames):
    generator = np.random.default_rng(0)
    for _ in range(50):
        chosen = SAMPLINGS[name](frames, 4, 16, generator.uniform(size=4))
        assert chosen.shape == (4, 16)
        assert 0 <= chosen.min() <= chosen.max() < frames
