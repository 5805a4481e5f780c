"""No byte of a file but the video's own comes back, whatever the video says; nothing is waited for.

The file that hostile ones point to shows numbers from 40 on; their own are below 20.
"""

import os
import socket
import struct
import zlib
from pathlib import Path

from scripts.predict import list_inputs
from support.video_matrix import draw, encode
from tasks.demonstration import check_video
from utils.data.datasets import list_examples
from utils.data.inspection import inspect_videos
from utils.features.blocks import Failure, RowFormat, read_video
from utils.features.store import name_features
from utils.video.reading import probe, resized_frames, skim
from utils.video.video import VideoError

import av
import cv2
import numpy as np
import pytest

SECRET = range(40, 60)
HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"
DASH = """<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"
mediaPresentationDuration="PT1S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1"
bandwidth="9" codecs="avc1.4d401e" width="64" height="48"><BaseURL>{}</BaseURL></Representation>
</AdaptationSet></Period></MPD>"""
# Texts that name another file.
TEXTS = {
    "hls.m3u8": HLS,
    "absolute.m3u8": HLS.replace("{}", "file://{}"),
    "key.m3u8": HLS.replace("#EXTINF", '#EXT-X-KEY:METHOD=AES-128,URI="{}"\n#EXTINF'),
    "map.m3u8": HLS.replace("#EXTINF", '#EXT-X-MAP:URI="{}"\n#EXTINF'),
    "master.m3u8": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9\n{}\n",
    "data.m3u8": HLS.replace("{}", "concat:{}|{}"),
    "list.ffconcat": "ffconcat version 1.0\nfile '{}'\n",
    "list.txt": "file '{}'\n",
    "dash.mpd": DASH,
    "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns={}\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "list.asx": '<asx version="3.0"><entry><ref href="{}"/></entry></asx>',
    "list.smil": '<smil><body><video src="{}"/></body></smil>',
    "list.pls": "[playlist]\nFile1={}\nNumberOfEntries=1\n",
    "list.xspf": "<playlist><track><location>{}</location></track></playlist>",
    "reference.mov": "RTSPtextRTSP://{}\n",
    "script.avs": 'FFVideoSource("{}")\n',
    "list.rtx": "<window><video src='{}'></window>",
    "vobsub.idx": "# VobSub index file, v7\nid: en, index: 0\n# {}\n",
    "image.svg": '<svg xmlns="http://www.w3.org/2000/svg"><image href="{}"/></svg>',
}


def point_elsewhere(data, path):
    """Return the bytes of an MP4 file whose frames lie in another file, by its data reference."""
    goal = str(path).encode()
    entry = b"alis".ljust(138, b"\0")  # names that nobody reads
    entry += struct.pack(">HH", 0, 0) + bytes(16) + struct.pack(">HH", 2, len(goal)) + goal
    entry += b"\0" * (len(goal) % 2) + struct.pack(">hH", -1, 0)
    place = data.index(b"url \0\0\0\1") - 4
    old = struct.unpack_from(">I", data, place)[0]
    entry = struct.pack(">I", len(entry) + 4) + entry
    changed = bytearray(data[:place] + entry + data[place + old :])
    for box in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        begin = data.index(box) - 4
        size = struct.unpack_from(">I", data, begin)[0]
        struct.pack_into(">I", changed, begin, size + len(entry) - old)
    return bytes(changed)


def write_reference(path, secret):
    encode(path, muxer="mov")
    path.write_bytes(point_elsewhere(path.read_bytes(), secret))


def write_url_reference(path, secret):
    """Write an MP4 file whose data reference is an address, and whose own frames are gone."""
    encode(path, muxer="mp4")
    data = path.read_bytes()
    entry = f"file://{secret}".encode().ljust(512, b"\0")
    place = data.index(b"url \0\0\0\1") - 4
    changed = bytearray(data[:place] + struct.pack(">I4sI", 524, b"url ", 0) + entry)
    changed += data[place + 12 :]
    for box in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        begin = data.index(box) - 4
        size = struct.unpack_from(">I", data, begin)[0]
        struct.pack_into(">I", changed, begin, size + 512)
    begin = changed.index(b"mdat") + 4
    changed[begin : changed.index(b"moov") - 4] = bytes(changed.index(b"moov") - 4 - begin)
    path.write_bytes(changed)


# Files that name another one beside frames of their own: nothing but those may come back.
def link_segments(path, secret):
    """Write a Matroska file that says which file comes next."""
    encode(path, muxer="matroska")
    data = path.read_bytes()
    place = data.index(b"\x57\x41")  # the program's name, which becomes the next file's
    length = data[place + 2] - 0x80
    name = secret.name.encode()[: length - 1].ljust(length - 1, b"\0")
    changed = data[:place] + b"\x3e\x83\xbb" + bytes([0x80 + length - 1]) + name
    path.write_bytes(changed + data[place + 3 + length :])


def attach(path, secret):
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("libx264", 25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.add_attachment(secret.name, "video/mp2t", secret.read_bytes())
        for number in range(20):
            frame = av.VideoFrame.from_ndarray(draw(number)).reformat(format="yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def order_chapters(path, secret):
    """Write a Matroska file whose ordered chapter lies in another segment, by its number."""
    encode(path, muxer="matroska")

    def element(name, *parts):
        content = b"".join(parts)
        return bytes.fromhex(name) + struct.pack(">Q", 1 << 56 | len(content)) + content

    atom = element("b6", element("73c4", b"\1"), element("91", b"\0"), element("6e67", b"s" * 16))
    chapters = element("1043a770", element("45b9", element("45dd", b"\1"), atom))
    data = path.read_bytes()
    place = data.index(b"\x1f\x43\xb6\x75")  # the first cluster
    segment = data.index(b"\x18\x53\x80\x67")
    head = data[:segment] + b"\x18\x53\x80\x67\x01" + b"\xff" * 7  # of unknown length
    path.write_bytes(head + data[segment + 12 : place] + chapters + data[place:])


def write_text(text):
    return lambda path, secret: path.write_text(text.replace("{}", str(secret)))


EMPTY = {
    **{name: write_text(text) for name, text in TEXTS.items()},
    "dref.mov": write_reference,
    "address.mp4": write_url_reference,
    "frame%03d.png": lambda path, secret: (
        cv2.imwrite(str(path.with_name("a.png")), draw(1)) and path.write_bytes(b"%PNG")
    ),
}
OWN = {"next.mkv": link_segments, "attachment.mkv": attach, "chapters.mkv": order_chapters}
WAYS = [*EMPTY, *(f"{name}.mp4" for name in EMPTY)]


@pytest.fixture(scope="module")
def secret(tmp_path_factory):
    """A video that hostile ones point to."""
    path = tmp_path_factory.mktemp("secret") / "secret.ts"
    encode(path, numbers=SECRET)
    return path


def inspect(path):
    videos, problems = inspect_videos([str(path)], path.parent / "cache")
    if problems:
        raise VideoError(problems[0][1])
    return videos[str(path)]


def predict(path):
    (found,) = list_inputs([str(path)])
    return probe(found)


def extract(path):
    (found,) = read_video(path, "a", RowFormat())
    assert isinstance(found, Failure) and not found.digest.strip("0123456789abcdef")
    raise VideoError(f"{found.path}: {found.reason}")


# What people read videos with: each gives an error that begins with the path.
READINGS = {
    "inspection": inspect,
    "predict": predict,
    "the page": lambda path: check_video(str(path), 30),
    "a look": skim,
    "features": extract,
}


@pytest.mark.parametrize("name", WAYS)
def test_another_file_is_not_read(tmp_path, secret, name):
    path = tmp_path / name
    EMPTY[name if name in EMPTY else name.removesuffix(".mp4")](path, secret)
    for number in range(1, 4):
        cv2.imwrite(str(tmp_path / f"frame{number:03d}.png"), draw(40 + number))
    for read in READINGS.values():
        with pytest.raises(VideoError) as raised:
            read(path)
        assert str(raised.value).startswith(f"{path}: ") and path.exists()


@pytest.mark.parametrize(("name", "protocols"), [("hls.m3u8", "file"), ("list.ffconcat", "file")])
def test_ffmpeg_itself_would_read_it(tmp_path, secret, name, protocols):
    """So that the table above shows something."""
    path = tmp_path / name
    EMPTY[name](path, secret)
    options = {"safe": "0", "allowed_extensions": "ALL", "extension_picky": "0"}
    with av.open(str(path), options=options) as container:
        assert len(list(container.decode(video=0))) == 20


@pytest.mark.parametrize("name", [*OWN, *(f"{name}.mp4" for name in OWN)])
def test_only_own_frames_come_back(tmp_path, secret, name):
    path = tmp_path / name
    OWN[name if name in OWN else name.removesuffix(".mp4")](path, secret)
    (tmp_path / secret.name).write_bytes(secret.read_bytes())
    video = probe(path)
    assert video.num_frames == 20
    frames = list(resized_frames(video, np.arange(20), 48))
    errors = np.abs(np.array(frames, int) - [draw(number) for number in range(20)])
    assert errors.mean() < 12


@pytest.mark.parametrize(
    "name",
    "file:{0} concat:{0}|{0} subfile,,start,0,end,0,,:{0} cache:{0} async:{0} crypto:{0} pipe:0 "
    "fd:0 data:video/mp4;base64,AAAA {0}?a=b {0}%00.mp4 http://127.0.0.1:9/a.mp4 "
    "rtsp://127.0.0.1:9/a.mp4 -i".split(),
)
def test_names_are_names_of_files(tmp_path, secret, monkeypatch, name):
    monkeypatch.chdir(secret.parent)
    path = name.format(secret.name)
    for read in (probe, skim, lambda path: check_video(path, 30)):
        with pytest.raises(VideoError) as raised:
            read(path)
        assert str(raised.value).startswith((f"{path}: ", f"{Path(path)}: "))


def make_socket(path):
    os.chdir(path.parent)  # names of sockets are short
    socket.socket(socket.AF_UNIX).bind(path.name)


# What is no file, and would be waited for, or read for ever.
SPECIAL = {
    "pipe": os.mkfifo,
    "socket": make_socket,
    "zeros": lambda path: path.symlink_to("/dev/zero"),
    "noise": lambda path: path.symlink_to("/dev/urandom"),
    "screen": lambda path: path.symlink_to("/dev/stdin"),
    "itself": lambda path: path.symlink_to(path.name),
    "gone": lambda path: path.symlink_to("nowhere.mp4"),
}


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such files")
@pytest.mark.parametrize("name", SPECIAL)
def test_what_is_no_file_is_named_and_not_waited_for(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "data"
    for place in ("a/1.mp4", "a/2", "b/3.png", "b/4.png", "c/5.avi"):
        path = data / place
        path.parent.mkdir(parents=True, exist_ok=True)
        SPECIAL[name](path)
    found = list_inputs([str(data)])
    assert sorted(name_features(found, data).values()) == ["a/1", "b", "c/5"]
    assert found == [data / "a/1.mp4", data / "b", data / "c/5.avi"]
    assert {each.label for each in list_examples(data)} == {"a", "c"}
    for path in found:
        with pytest.raises(VideoError, match=str(path)):
            inspect(path)
    assert isinstance(next(read_video(data / "a/1.mp4", "a", RowFormat())), Failure)


def test_one_of_many_streams_is_read(tmp_path):
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        streams = [container.add_stream("mpeg4", 25) for _ in range(120)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for stream in streams:
            frame = av.VideoFrame.from_ndarray(draw(1)).reformat(format="yuv420p")
            container.mux([*stream.encode(frame), *stream.encode()])
    assert probe(tmp_path / "a.mkv").num_frames == 1


def test_a_link_to_a_video_is_a_video(tmp_path, secret):
    (tmp_path / "a.mp4").symlink_to(secret)
    assert probe(tmp_path / "a.mp4").num_frames == 20


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def write_png(path, side=30000):
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1 << 16)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def change_size(suffix, *replaced):
    """Return what writes an image whose header says another size."""

    def write(path):
        data = cv2.imencode(suffix, np.zeros((48, 64, 3), np.uint8))[1].tobytes()
        for old, new in replaced:
            assert data.count(old) >= 1
            data = data.replace(old, new, 1)
        path.write_bytes(data)

    return write


IMAGES = {
    "1.png": write_png,
    "1.jpg": change_size(".jpg", (struct.pack(">HH", 48, 64), struct.pack(">HH", 65500, 65500))),
    "1.bmp": change_size(".bmp", (struct.pack("<ii", 64, 48), struct.pack("<ii", 30000, 30000))),
    "1.ppm": change_size(".ppm", (b"64 48", b"30000 30000")),
    "1.tiff": change_size(
        ".tiff",
        (struct.pack("<HHIH", 256, 3, 1, 64), struct.pack("<HHIH", 256, 3, 1, 60000)),
        (struct.pack("<HHIH", 257, 3, 1, 48), struct.pack("<HHIH", 257, 3, 1, 60000)),
    ),
}


def test_a_chunk_longer_than_its_file_is_named(tmp_path, monkeypatch):
    """OpenCV would take 4 GiB for it."""
    data = cv2.imencode(".png", np.zeros((48, 64, 3), np.uint8))[1].tobytes()
    place = data.index(b"IDAT") - 4
    for number in range(2):
        path = tmp_path / f"{number}.png"
        path.write_bytes(data[:place] + b"\xff\xff\xff" + data[place + 3 :])
    monkeypatch.setattr("utils.video.images.cv2.imdecode", pytest.fail)
    with pytest.raises(VideoError, match=r"0\.png is not an image"):
        probe(tmp_path)


@pytest.mark.parametrize("name", IMAGES)
def test_a_huge_image_is_named_before_it_is_decoded(tmp_path, monkeypatch, name):
    IMAGES[name](tmp_path / name)
    IMAGES[name](tmp_path / name.replace("1", "2"))
    monkeypatch.setattr("utils.video.images.cv2.imdecode", pytest.fail)
    with pytest.raises(VideoError, match=r"1\.\w+: the frames have \d+ x \d+ pixels; at most"):
        probe(tmp_path)
