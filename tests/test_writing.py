"""Written videos: Chromium plays them, the sound is in step, and odd ones are written too."""

from fractions import Fraction

from support.videos import moving_square
from utils.video.reading import probe, resized_frames
from utils.video.video import VideoError
from utils.video.writing import FORMATS, write_video

import av
import numpy as np
import pytest

COLOR = (200, 40, 90)
PLAYED = [".mp4", ".webm"]
LOOK = """async name => {
  const video = document.querySelector("video");
  video.muted = true;
  video.src = name;
  await new Promise((done, failed) => {
    video.onloadeddata = done;
    video.onerror = () => failed(video.error.message);
  });
  await video.play();
  while (video.currentTime < 0.3) await new Promise(done => setTimeout(done, 20));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const pen = canvas.getContext("2d");
  pen.drawImage(video, 0, 0);
  const pixel = [...pen.getImageData(9, 9, 1, 1).data].slice(0, 3);
  return [video.videoWidth, video.videoHeight, video.duration, pixel];
}"""


def write_clicks(path, times, clicks, late=0.0, codec="pcm_s16le"):
    """Write a video whose pictures turn white at `clicks`, where its sound, `late` s late, clicks.

    Args:
        path: of an .mkv or .mov.
        times: seconds of the frames.
        clicks: seconds.
        late: seconds at which the sound begins; 0: with the pictures.
        codec: of the sound.
    """
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        pictures.codec_context.time_base = Fraction(1, 1000)
        sound = container.add_stream(codec, rate=16_000, layout="mono")
        for seconds in times:
            white = any(0 <= seconds - click < 0.2 for click in clicks)
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 255 * white, np.uint8), "rgb24")
            frame.pts, frame.time_base = round(1000 * seconds), Fraction(1, 1000)
            container.mux(pictures.encode(frame))
        for start in np.arange(late, times[-1], 0.1):
            moments = start + np.arange(1600) / 16_000
            loud = sum((moments >= click) & (moments < click + 0.2) for click in clicks)
            wave = (20_000 * loud * np.sin(2000 * moments)).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(wave[None], "s16", "mono")
            frame.sample_rate, frame.pts = 16_000, round(16_000 * start)
            frame.time_base = Fraction(1, 16_000)
            container.mux(sound.encode(frame))
        for stream in (pictures, sound):
            container.mux(stream.encode())
    return probe(path)


def find_clicks(path):
    """Return when a video's pictures turn white, and when its sound begins to click."""
    with av.open(str(path)) as container:
        origin = (container.start_time or 0) / av.time_base
        frames = [(f.time - origin, f.to_ndarray(format="gray").mean() > 128)
                  for f in container.decode(video=0)]  # fmt: skip
        container.seek(0)
        heard = [(f.time - origin, f.to_ndarray().astype(float), f.sample_rate)
                 for f in container.decode(audio=0)]  # fmt: skip
    seen = [t for (t, now), (_, old) in zip(frames[1:], frames, strict=False) if now and not old]
    moments = np.concatenate([t + np.arange(a.shape[1]) / rate for t, a, rate in heard])
    wave = np.abs(np.concatenate([a[0] for _, a, _ in heard]))
    loud = moments[wave > 0.2 * wave.max()]
    return seen, [loud[0], *loud[1:][np.diff(loud) > 0.2]]


@pytest.mark.parametrize("ending", PLAYED)
def test_chromium_plays_it(browser, tmp_path, ending):
    """Its size is even though the frames are not; the colors are those of the frames."""
    path = tmp_path / f"a{ending}"
    sound = write_clicks(tmp_path / "source.mkv", np.arange(0, 1, 0.04), [0.4])
    write_video(path, [np.full((61, 81, 3), COLOR, np.uint8)] * 25, 25, None, sound)
    page = browser.new_page()
    html = {"body": "<video></video>", "content_type": "text/html"}
    page.route("**/*", lambda route: route.fulfill(**html))
    page.route("**/a.*", lambda route: route.fulfill(path=path))
    page.goto("http://videos.test/")
    width, height, seconds, pixel = page.evaluate(LOOK, f"/a{ending}")
    page.close()
    assert (width, height) == (82, 62) and seconds == pytest.approx(1, abs=0.05)
    assert np.abs(np.subtract(pixel, COLOR)).max() < 8


def test_what_phones_play(tmp_path):
    """H.264 without more than 8 bits or subsampled colors, its index first; and AAC."""
    sound = write_clicks(tmp_path / "source.mkv", np.arange(0, 1, 0.04), [0.4])
    write_video(tmp_path / "a.mp4", moving_square(5, (720, 1280)), 25, None, sound)
    with av.open(str(tmp_path / "a.mp4")) as container:
        video, heard = container.streams.video[0], container.streams.audio[0]
        assert (video.codec.name, video.profile, video.pix_fmt) == ("h264", "High", "yuv420p")
        assert (heard.codec.name, heard.profile, heard.rate) == ("aac", "LC", 48_000)
        level = video.codec_context.extradata[3]
    whole = (tmp_path / "a.mp4").read_bytes()
    assert level <= 40 and whole.index(b"moov") < whole.index(b"mdat")


STEADY, UNEVEN = np.arange(0, 3, 0.04), np.cumsum([0, *[0.03, 0.11, 0.02, 0.2] * 8])


@pytest.mark.parametrize(
    ("ending", "name", "times", "late"),
    [
        (".avi", "late_sound.mkv", STEADY, 0.7),
        (".webm", "late_sound.mov", STEADY, 0.7),
        (".mp4", "late_sound.mov", STEADY, 0.7),
        (".mp4", "late_pictures.mov", STEADY + 0.5, 0.0),
        (".mp4", "uneven.mkv", UNEVEN, 0.0),
    ],
)
def test_the_sound_is_in_step(tmp_path, ending, name, times, late):
    source = write_clicks(tmp_path / name, times, [1.0, 2.2], late)
    frames = resized_frames(source, range(source.num_frames), 48)
    write_video(tmp_path / f"a{ending}", frames, source.fps, source.stamps, source)
    expected, (seen, heard) = find_clicks(tmp_path / name), find_clicks(tmp_path / f"a{ending}")
    assert len(seen) == len(heard) == 2
    coarse = 0.5 / source.fps if ending == ".avi" else 0.002  # it has no time stamps
    np.testing.assert_allclose(seen, expected[0], atol=coarse)
    np.testing.assert_allclose(heard, [1.0, 2.2], atol=0.03)


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize(("size", "count"), [((1, 1), 1), ((3, 90), 2), ((64, 48), 1)])
def test_odd_videos(tmp_path, ending, size, count):
    path = tmp_path / f"b\udce9d{ending}"  # a name that is no text
    write_video(path, moving_square(count, (128, 160)), 25)
    assert probe(path).num_frames == count
    write_video(tmp_path / f"a{ending}", [np.full((*size, 3), COLOR, np.uint8)] * count, 25)
    found = probe(tmp_path / f"a{ending}")
    even = size[0] % 2 if ending != ".avi" else 0, size[1] % 2 if ending != ".avi" else 0
    assert (found.height, found.width) == (size[0] + even[0], size[1] + even[1])
    assert found.num_frames == count and found.duration() == pytest.approx(count / 25)


def test_sound_that_cannot_be_read_is_left_out(tmp_path):
    source = write_clicks(tmp_path / "a.mkv", STEADY, [1.0], codec="mp2")
    whole = bytearray((tmp_path / "a.mkv").read_bytes())
    for place in range(len(whole) // 3, 2 * len(whole) // 3, 40):
        whole[place] ^= 255
    (tmp_path / "a.mkv").write_bytes(whole)
    write_video(tmp_path / "a.mp4", moving_square(50), 25, None, source)
    assert probe(tmp_path / "a.mp4").num_frames == 50


@pytest.mark.parametrize(
    ("name", "frames", "words"),
    [
        ("a.gif", [np.zeros((4, 4, 3), np.uint8)], "a.gif: a video must end in .mp4, .webm, .avi"),
        ("a.mp4", [], "there are no frames to write"),
        ("a.mp4", [np.zeros((n, 4, 3), np.uint8) for n in (4, 6)], "4x4, another one 4x6"),
        (
            "gone/a.mp4",
            [np.zeros((4, 4, 3), np.uint8)],
            r"a\.mp4: the video cannot be written \(No",
        ),
    ],
)
def test_what_cannot_be_written(tmp_path, name, frames, words):
    with pytest.raises(ValueError, match=words) as error:
        write_video(tmp_path / name, frames, 25)
    assert isinstance(error.value, VideoError) or name == "a.gif"
