"""Frames as they come: resampled, cut to windows, at constant memory, never late."""

import itertools
import threading
import weakref

from support.videos import moving_square
from utils.clips.reading import ClipFormat, list_views, read_clip
from utils.clips.windows import Window, count_windows, cut_windows, play_windows, show_window
from utils.video import live as playing
from utils.video.live import play_camera, play_video, take_newest
from utils.video.reading import probe
from utils.video.resampling import resample
from utils.video.video import Video, VideoError
from utils.video.writing import write_video

import numpy as np
import pytest

FORM = ClipFormat(2, 4, short_side=36, frame_size=32)


@pytest.mark.parametrize("count", [1, 2, 7, 100])
@pytest.mark.parametrize("fps", [5.0, 12.5, 24.0, 25.0, 29.97, 30.0, 60.0])
def test_resampling_as_it_comes_is_the_timelines(count, fps):
    video = Video("", count, fps, 1, 1, "")
    frames = [(place / fps, place) for place in range(count)]
    found = [place for _, place in resample(frames, 25.0)]
    expected = video.timeline(25.0).tolist()
    assert found == (expected if count > 1 else [0])
    assert [seconds for seconds, _ in resample(frames, 25.0)][-1] == (len(found) - 1) / 25
    assert list(resample(frames, 0)) == frames


def test_resampling_uneven_frames():
    times = np.cumsum(np.random.default_rng(0).uniform(0.005, 0.2, 200))
    times -= times[0]
    fps = (len(times) - 1) / times[-1]
    expected = Video("", 200, fps, 1, 1, "", tuple(times)).timeline(25.0)
    found = [place for _, place in resample(zip(times, itertools.count()), 25.0)]
    assert found == expected.tolist()
    assert list(resample([], 25.0)) == []


def test_windows_overlap_and_see_everything():
    items = [(place / 10, place) for place in range(11)]
    windows = list(cut_windows(items, 4, 2))
    assert [window.items[0][1] for window in windows] == [0, 2, 4, 6, 7]
    assert [window.index for window in windows] == [0, 1, 2, 3, 4]
    assert [window.begin for window in windows] == [0, 0.2, 0.4, 0.6, 0.8]
    assert list(cut_windows(items[:3], 4, 2)) == [Window(0, 0.0, items[:3])]
    for count, length, step in itertools.product(range(1, 25), (1, 4, 7), (1, 2, 3, 7, 9)):
        windows = list(cut_windows(items[:1] * count, length, step))
        assert len(windows) == count_windows(count, length, step)
        seen = {place for w in cut_windows(enumerate(range(count)), length, step) for place in w[2]}
        assert step > length or len(seen) == count
    assert list(cut_windows([], 4, 2)) == []


@pytest.mark.parametrize("stream, fps", [("rgb", 25.0), ("both", 25.0), ("flow", 25.0), ("rgb", 0)])
def test_a_window_of_a_whole_video_is_its_center_clip(tmp_path, stream, fps):
    """Of a slower video, whose frames show twice."""
    path = tmp_path / "a.avi"
    write_video(path, moving_square(9, (40, 60)), 10)
    clip_format = ClipFormat(2, 4, "segments", fps, 36, 32, stream, "farneback")
    video = probe(path)
    (window,) = play_windows(play_video(video, clip_format), clip_format, 100, 50)
    expected = read_clip(list_views(video)[0], clip_format)
    np.testing.assert_array_equal(show_window(window, clip_format), expected)
    assert len(window.items) == len(video.timeline(fps))


@pytest.fixture
def pictures(monkeypatch):
    """All pictures that are held."""
    held = weakref.WeakSet()

    class Held(playing.Picture):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            held.add(self)

    monkeypatch.setattr(playing, "Picture", Held)
    return held


def test_memory_does_not_grow_and_frames_are_decoded_once(tmp_path, pictures, monkeypatch):
    decoded, read = [], playing.resized_frames

    def count(*arguments):
        for frame in read(*arguments):
            decoded.append(1)
            yield frame

    monkeypatch.setattr(playing, "resized_frames", count)
    most = {}
    for frames in (60, 240):
        path = tmp_path / f"{frames}.avi"
        write_video(path, moving_square(frames, (40, 60)), 25)
        decoded.clear()
        most[frames] = 0
        for window in play_windows(play_video(probe(path), FORM), FORM, 16, 4):
            assert len(window.items) == 16
            most[frames] = max(most[frames], len(pictures))
        del window
        assert len(decoded) == frames and not pictures
    assert 16 <= most[60] == most[240] <= 16 + 4 + 2  # the window before, and one on its way


class Camera:
    """A camera that shows as many frames as it is told to, 25 a second in its own time."""

    def __init__(self):
        self.allowed, self.changed, self.asked, self.over = 0, threading.Condition(), 0, False

    def play(self):
        frame = np.zeros((36, 48, 3), np.uint8)
        while True:
            with self.changed:
                self.asked += 1
                self.changed.notify_all()
                self.changed.wait_for(lambda: self.asked <= self.allowed or self.over)
            if self.over:
                return
            yield (self.asked - 1) / 25, playing.Picture(frame, FORM)

    def show(self, count):
        """Show frames, and wait until all that lies behind the camera has taken them."""
        with self.changed:
            self.allowed += count
            self.changed.notify_all()
            assert self.changed.wait_for(lambda: self.asked > self.allowed, 10)

    def stop(self):
        """Show no more."""
        with self.changed:
            self.over = True
            self.changed.notify_all()


@pytest.mark.parametrize("busy", [4, 5, 17, 50])
def test_a_live_window_is_never_more_than_a_step_late(pictures, busy):
    """However long the network takes over one, counted in the camera's frames."""
    camera, length, step = Camera(), 12, 4
    camera.allowed = length + 1
    late, taken, most = [], [], 0
    windows = play_windows(resample(camera.play(), FORM.fps), FORM, length, step, live=True)
    for window in windows:
        late.append((camera.allowed - 1) / 25 - window.items[-1][0])
        taken.append(window.index)
        most = max(most, len(pictures))
        if len(taken) == 20:
            break
        camera.show(busy)
    camera.stop()
    windows.close()
    assert max(late) <= step / 25 + 1e-9
    assert taken == sorted(set(taken))
    assert taken[-1] == busy * 19 // step  # the others were dropped
    assert most <= 2 * length + 3


def test_the_newest_is_taken_and_errors_come_through():
    closed = threading.Event()

    def count(error=None):
        try:
            yield from range(5)
            if error:
                raise error
        finally:
            closed.set()

    assert list(take_newest(count()))[-1] == 4
    with pytest.raises(VideoError, match="gone"):
        list(take_newest(count(VideoError("gone"))))
    closed.clear()
    taking = take_newest(count())
    next(taking)
    taking.close()
    assert closed.wait(5)


def test_no_camera():
    with pytest.raises(VideoError, match="webcam:97: there is no such camera"):
        next(play_camera(97, FORM))


class Shots:
    """What OpenCV gives of a camera that is unplugged after three frames."""

    def __init__(self):
        self.left, self.released = 3, False

    def read(self):
        self.left -= 1
        return self.left >= 0, np.full((72, 96, 3), 7, np.uint8)

    def release(self):
        self.released = True


def test_a_camera_that_ends(monkeypatch):
    shots = Shots()
    monkeypatch.setattr(playing, "open_camera", lambda number: shots)
    frames = play_camera(1, FORM)
    seconds, picture = next(frames)
    assert seconds == 0 and picture.rgb.shape == (32, 32, 3) and (picture.rgb == 7).all()
    with pytest.raises(VideoError, match="webcam:1: the camera sends no more frames"):
        list(frames)
    assert shots.released
