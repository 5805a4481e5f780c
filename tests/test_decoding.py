"""How videos are decoded: as little as possible, from any point, within limits; and their times."""

from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

from support.video_matrix import encode, join, leave_out
from utils.video.decoding import VideoFile
from utils.video.frames import resize_frame
from utils.video.headers import Header
from utils.video.reading import probe, read_rgb, skim
from utils.video.resampling import count_slots, find_slots
from utils.video.stamps import Clock, find_rhythm, join_recordings, list_stamps
from utils.video.video import Video, VideoError

import cv2
import numpy as np
import pytest

GOP = 12
LONG = [place % 64 for place in range(180)]
# How files whose key frames can be sought are written, and the others; the former with their muxer.
SOUGHT = {
    "h264.mp4": ("libx264", {"g": str(GOP), "bf": "2", "sc_threshold": "0"}),
    "open_gop.mkv": ("libx264", {"x264-params": f"open-gop=1:keyint={GOP}:bframes=2:scenecut=0"}),
    "h264.ts": ("libx264", {"g": str(GOP), "bf": "2", "sc_threshold": "0"}),
    "hevc.mp4": ("libx265", {"x265-params": f"keyint={GOP}:open-gop=1:scenecut=0:log-level=none"}),
    "vp9.webm": ("libvpx-vp9", {"g": str(GOP), "deadline": "realtime", "cpu-used": "8"}),
    "mpeg4.avi": ("mpeg4", {"g": str(GOP)}),
}
WHOLE = {
    "b_frames.avi": ("mpeg4", {"g": str(GOP), "bf": "2", "sc_threshold": "0"}),
    "stream.h264": ("libx264", {"g": str(GOP)}),
    "one_key.mp4": ("libx264", {"g": "1000", "sc_threshold": "0"}),
    "refreshed.mp4": ("libx264", {"x264-params": f"intra-refresh=1:keyint={GOP}:scenecut=0"}),
}


def write(path, kinds):
    codec, options = kinds[path.name]
    encode(path, codec, LONG, **options)
    return probe(path)


def count(video, indices):
    """Return (the frames, how many were decoded for them)."""
    with closing(VideoFile(video.path)) as file:
        return [frame.copy() for frame, _ in file.read(video, indices)], file.decoded


@pytest.mark.parametrize("name", SOUGHT)
def test_a_clip_decodes_no_more_than_from_the_key_frame_before_it(tmp_path, name):
    video = write(tmp_path / name, SOUGHT)
    whole, decoded = count(video, range(len(LONG)))
    assert len(whole) == decoded == len(LONG)
    keys = np.append(0, video.key_frames)
    assert len(keys) >= len(LONG) // (2 * GOP)
    for first in (5, 83, 96, 97, 150, 170):
        clip, decoded = count(video, np.arange(first, first + 8))
        assert np.array_equal(clip, whole[first : first + 8])
        assert decoded <= first - keys[keys <= first][-1] + 8 + 3  # three wait to be shown
    sparse = np.arange(10, 180, 41)
    clip, decoded = count(video, sparse)
    assert np.array_equal(clip, np.array(whole)[sparse])
    assert decoded <= sum(i - keys[keys <= i][-1] + 1 + 3 for i in sparse)


@pytest.mark.parametrize("name", WHOLE)
def test_what_cannot_be_sought_exactly_is_decoded_from_its_beginning(tmp_path, name):
    video = write(tmp_path / name, WHOLE)
    assert video.num_frames == len(LONG) and not len(video.key_frames)
    whole, _ = count(video, range(len(LONG)))
    clip, decoded = count(video, [150])
    assert np.array_equal(clip, whole[150:151]) and 151 <= decoded < 160


@pytest.mark.parametrize("keys", [((7, 20),), ((1, 179),)])
def test_key_frames_that_are_none_are_found_out(tmp_path, keys):
    """Another program may have written the file anew."""
    video = write(tmp_path / "h264.mp4", SOUGHT)
    whole, _ = count(video, range(len(LONG)))
    clip, _ = count(replace(video, keys=keys), [64, 65, 100, 177])
    assert np.array_equal(clip, [whole[place] for place in (64, 65, 100, 177)])
    with pytest.raises(VideoError, match=r"h264\.mp4: frame 180 cannot be decoded"):
        count(replace(video, num_frames=181, length=None), [180])


def test_key_frames_take_little_room():
    assert Video("", 9, 25.0, 1, 1, "").key_frames.tolist() == []
    video = Video("", 9, 25.0, 1, 1, "", keys=((2, 3), (1, 2)))
    assert video.key_frames.tolist() == [2, 4, 6, 7, 8]


def test_a_look_at_a_long_file_decodes_little(tmp_path, monkeypatch):
    video, files = write(tmp_path / "open_gop.mkv", SOUGHT), []

    class Counted(VideoFile):
        def __init__(self, *opened):
            super().__init__(*opened)
            files.append(self)

    monkeypatch.setattr("utils.video.reading.VideoFile", Counted)
    header, codec, pairs = skim(video.path, 2)
    assert (header.num_frames, header.fps, codec, len(pairs)) == (180, 25.0, "h264", 2)
    (file,) = files
    assert file.decoded < 100
    with closing(VideoFile(video.path)) as file:
        told = Header("h264", 25.0, 0, 180, pytest.approx(7.2))
        assert file.read_header() == told


def test_more_pixels_than_are_read_are_named(tmp_path, monkeypatch):
    encode(tmp_path / "large.mp4", numbers=range(2))
    monkeypatch.setattr("utils.video.pixels.MOST_PIXELS", 64 * 48 - 1)
    with pytest.raises(VideoError, match=r"large\.mp4: the frames have 64 x 48 pixels"):
        probe(tmp_path / "large.mp4")


@pytest.mark.parametrize("times", [(0, 1, 4000), (0, 100, 200)])
def test_times_that_cannot_be_are_named(tmp_path, times):
    encode(tmp_path / "slow.mkv", "ffv1", range(3), rate=1, times=times)
    with pytest.raises(VideoError, match=r"slow\.mkv: by its time stamps, "):
        probe(tmp_path / "slow.mkv")


def test_missing_frames_are_counted(tmp_path):
    encode(tmp_path / "whole.mkv", "mjpeg", LONG, pixels="yuvj420p")
    cut, data = tmp_path / "cut.mkv", (tmp_path / "whole.mkv").read_bytes()
    cut.write_bytes(data[: len(data) // 2])
    video = probe(cut)
    assert video.note.startswith("the header says 7.2 s, ")
    assert video.note.endswith(f": {180 - video.num_frames} frames are missing")


def test_a_pixel_that_is_not_square_is_resized_once(tmp_path):
    encode(tmp_path / "wide.mp4", aspect=Fraction(3, 2))
    video = probe(tmp_path / "wide.mp4")
    assert (video.width, video.height) == (96, 48)
    (frame,), _ = count(video, [3])
    assert frame.shape == (48, 64, 3)
    seen = read_rgb(video, [3], 32, 32, (0.5, 1.0))[0]
    assert np.array_equal(seen, resize_frame(frame, 32, 0, (96, 48))[:, 32:])


def test_halves_of_a_frame_round_up():
    assert find_slots([0.0, 0.02, 0.0199, 0.1], 25).tolist() == [0, 1, 0, 3]
    assert [count_slots(n / 30, 25) for n in (3, 63)] == [3, 53]
    assert len(Video("", 60, 120.0, 1, 1, "").timeline(25)) == 13


def test_the_first_frame_may_come_late():
    """The slots of FFmpeg's filter `fps` are counted from the file's start, not the first frame."""
    video = Video("", 6, 50.0, 1, 1, "", start=0.01)
    assert video.timeline(25).tolist() == [0, 2, 4]
    assert replace(video, start=0.03).timeline(25).tolist() == [1, 3, 5]
    assert video.frame_times.tolist() == pytest.approx(np.arange(6) / 50)


def frame(pts, dts=None, duration=0):
    return SimpleNamespace(pts=pts, dts=dts, duration=duration)


def stream(rate=None, tick=Fraction(1, 100)):
    context = SimpleNamespace(framerate=None)
    return SimpleNamespace(codec_context=context, guessed_rate=rate, time_base=tick)


@pytest.mark.parametrize(
    ("frames", "right"),
    [
        ([frame(0), frame(4), frame(9)], [0, 4, 9]),
        ([frame(None, 2), frame(None, 6), frame(None)], [2, 6, 10]),
        ([frame(None), frame(None), frame(None)], [0, 4, 8]),
        ([frame(8, 0), frame(4, 1), frame(4, 2), frame(4, 3)], [8, 1, 2, 3]),
        ([frame(0, 0, 7), frame(None)], [0, 7]),
    ],
)
def test_what_a_container_leaves_out_is_filled_in(frames, right):
    clock = Clock(stream(Fraction(25)))
    assert [clock.tell(each) for each in frames] == right


def test_a_recording_behind_another_goes_on():
    stamps = [0, 4, 8, 5000, 5004, 0, 4]
    packets = [SimpleNamespace(pts=stamp + 2, dts=stamp, duration=4) for stamp in stamps]
    joined = join_recordings([*packets, None], Fraction(1, 100))
    assert [packet and packet.dts for packet in joined] == [0, 4, 8, 12, 16, 20, 24, None]
    assert [packet.pts for packet in packets] == [2, 6, 10, 14, 18, 22, 26]


@pytest.mark.parametrize("rate", [Fraction(30), Fraction(24000, 1001), Fraction(60000, 1001)])
@pytest.mark.parametrize("first", [0, 23])
def test_stamps_in_milliseconds_are_a_steady_rate(rate, first):
    stamps = first + np.floor(np.arange(500) * 1000 / float(rate) + 0.5 + 1e-9).astype(int)
    rhythm = find_rhythm(stamps, 33, Fraction(1, 1000), [rate])
    assert (rhythm.fps, rhythm.times) == (float(rate), None)
    assert np.allclose(list_stamps(500, rhythm) * 1000, stamps, rtol=0, atol=1e-6)
    uneven = find_rhythm(np.append(stamps, stamps[-1] + 500), 33, Fraction(1, 1000), [rate])
    assert len(uneven.times) == 501 and uneven.times[-1] == (stamps[-1] + 500 - first) / 1000


def test_stamps_that_say_nothing():
    """All alike, or ten thousand frames a second: the header's rate, or 25."""
    for stamps in (np.zeros(5, int), np.arange(5)):
        rhythm = find_rhythm(stamps, 1, Fraction(1, 10_000), [None, Fraction(5)])
        assert (rhythm.fps, rhythm.times, rhythm.length) == (5.0, None, 1.0)
    assert find_rhythm(np.zeros(5, int), 1, Fraction(1, 9), [Fraction(9000)]).fps == 25.0


def test_frames_that_are_gone_make_no_difference_to_the_others(tmp_path):
    """Packets without a key frame before them do not decode; seeking finds the same frames."""
    source = (".mp4", lambda path: encode(path, numbers=LONG, g="12", bf="0"))
    join(tmp_path / "holes.mkv", source, change=leave_out(0, 1, 50))
    video = probe(tmp_path / "holes.mkv")
    whole, _ = count(video, range(video.num_frames))
    for first in range(0, video.num_frames, 17):
        assert np.array_equal(count(video, [first])[0], whole[first : first + 1])


def test_large_images_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("utils.video.pixels.MOST_PIXELS", 99)
    for place in range(2):
        cv2.imwrite(str(tmp_path / f"{place}.png"), np.zeros((10, 10, 3), np.uint8))
    with pytest.raises(VideoError, match=r": the frames have 10 x 10 pixels"):
        probe(tmp_path)
