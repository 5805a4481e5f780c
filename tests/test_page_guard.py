"""What the server of the page answers, and whom: without Gradio, and in test_demo.py with it."""

import asyncio
import json
import socket
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace

from scripts.demo import Answers, Options, make_limits, make_responder, read_auth
from support.video_matrix import encode
from support.videos import moving_square
from tasks import page_guard
from tasks.demonstration import Demonstration, check_video
from tasks.page_guard import Guard, Limits, is_loopback
from utils.video.decoding import VideoFile
from utils.video.reading import read_length
from utils.video.video import VideoError
from utils.video.writing import write_video

import pytest

HOST = {"host": "127.0.0.1:7860"}


@pytest.fixture
def limits(tmp_path):
    """Two files of 1000 bytes, 2500 bytes at once."""
    (tmp_path / "gradio/abc").mkdir(parents=True)
    (tmp_path / "gradio/abc/a.mp4").write_bytes(bytes(500))
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "gradio/link").symlink_to(tmp_path / "secret.txt")
    return Limits(tmp_path / "gradio", "127.0.0.1", (), 1000, 2500, 4)


async def answer(scope, receive, send):
    """Say how many bytes came, as Gradio would."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(len(body)).encode()})


def ask(limits, path, method="GET", body=b"", kind="http", app=answer, **headers):
    """Return (status, text) of what a `Guard` answers."""
    sent = []
    pieces = [body[:10], body[10:]]

    async def receive():
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def send(message):
        sent.append(message)

    named = {name.replace("_", "-"): value for name, value in (HOST | headers).items()}
    coded = [(name.encode(), value.encode()) for name, value in named.items()]
    scope = {"type": kind, "path": path, "method": method, "headers": coded}
    asyncio.run(Guard(app, limits)(scope, receive, send))
    return sent[0].get("status", sent[0]["type"]), sent[-1].get("body", b"").decode()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:7860", 200),
        ("localhost:7860", 200),
        ("LOCALHOST", 200),
        ("[::1]:7860", 200),
        ("192.168.0.7:7860", 200),  # no name leads to an address
        (socket.gethostname(), 200),
        (f"{socket.gethostname()}.local:7860", 200),
        ("evil.example:7860", 400),
        ("127.0.0.1.evil.example", 400),
        ("localhost.evil.example:7860", 400),
        ("evil.example#127.0.0.1", 400),
        ("", 400),
    ],
)
def test_a_name_that_was_made_to_lead_here_is_not_answered(limits, host, status):
    assert ask(limits, "/", host=host)[0] == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:7860", 200),
        ("http://127.0.0.1:8888", 403),
        ("http://localhost:7860", 403),
        ("https://evil.example", 403),
        ("null", 403),
        ("", 403),
        ("http://127.0.0.1:7860.evil.example", 403),
        ("http://127.0.0.1:7860@evil.example", 403),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_no_other_page_may_ask(limits, origin, status, method):
    assert ask(limits, "/gradio_api/queue/join", method, b"{}", origin=origin)[0] == status


def test_a_proxy_has_a_name_of_its_own(limits):
    limits.names = ("Videos.example.org",)
    own = "https://videos.example.org"
    assert ask(limits, "/", host="videos.example.org", origin=own)[0] == 200
    assert ask(limits, "/", origin=own)[0] == 200  # the proxy asks by this page's address
    assert ask(limits, "/", host="videos.example.org", origin="https://evil.example")[0] == 403
    assert ask(limits, "/", origin="https://videos.example.org.evil.example")[0] == 403


def test_there_are_no_sockets(limits):
    assert ask(limits, "/", kind="websocket")[0] == "websocket.close"
    assert ask(limits, "/", kind="websocket", host="evil.example")[0] == "websocket.close"


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/proxy=http://127.0.0.1:22/",
        "/gradio_api/call/respond",
        "/gradio_api/file/etc/passwd",
        "/gradio_api/process_recording",
        "/gradio_api/runs",
        "/monitoring",
        "/config/../monitoring",
        "//monitoring",
        "/custom_component/a/b/c/d",
    ],
)
def test_only_what_the_page_needs_is_there(limits, path):
    assert ask(limits, path) == (404, "There is no such address here.")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("{folder}/abc/a.mp4", 200),
        ("{folder}/abc/b.mp4", 403),
        ("{folder}/abc", 403),
        ("{folder}", 403),
        ("{folder}/../secret.txt", 403),
        ("{folder}/link", 403),
        ("{folder}/abc/a.mp4\0", 403),
        ("/etc/passwd", 403),
        ("http://127.0.0.1:22/a.mp4", 403),
        ("file:///etc/passwd", 403),
        ("", 403),
    ],
)
def test_only_files_that_the_page_keeps(limits, path, status):
    """Neither given out, nor taken as the video that is asked about; Gradio fetches addresses."""
    path = path.format(folder=limits.folder)
    assert ask(limits, f"/gradio_api/file={path}")[0] == status
    body = json.dumps({"data": [{"path": path, "meta": {"_type": "gradio.FileData"}}]}).encode()
    for place in ("queue/join", "run/predict"):
        assert ask(limits, f"/gradio_api/{place}", "POST", body)[0] == status


@pytest.mark.parametrize("body", [b"{", b"[" * 100_000, b"\xff", b"path"])
def test_what_is_no_json_is_refused(limits, body):
    assert ask(limits, "/gradio_api/queue/join", "POST", body)[0] == 400


def test_bodies_have_an_end(limits, monkeypatch):
    monkeypatch.setattr(page_guard, "_BODY", 50)
    assert ask(limits, "/gradio_api/queue/join", "POST", b'"' + b"a" * 48 + b'"') == (200, "50")
    assert ask(limits, "/gradio_api/queue/join", "POST", b'"' + b"a" * 49 + b'"')[0] == 413


def test_uploads_are_limited(limits, monkeypatch):
    """In size, together with all that lies here and is coming, and in number."""
    monkeypatch.setattr(page_guard, "_FORM", 100)
    upload = "/gradio_api/upload"
    assert ask(limits, upload, "POST", bytes(900), content_length="900") == (200, "900")
    assert ask(limits, upload, "POST", bytes(900))[0] == 411
    assert ask(limits, upload, "POST", content_length="-1")[0] == 411
    assert ask(limits, upload, "POST", content_length="1101")[0] == 413
    assert limits.coming == 0

    async def ask_another(scope, receive, send):
        assert limits.coming == 1100
        second = await asyncio.to_thread(
            ask, limits, upload, "POST", bytes(900), content_length="901"
        )
        assert second == (503, "Too many videos are waiting; try again in some minutes.")
        await answer(scope, receive, send)

    asked = {"content_length": "1100", "app": ask_another}
    assert ask(limits, upload, "POST", bytes(1100), **asked)[0] == 200
    assert limits.coming == 0
    for number in range(2):
        (limits.folder / f"{number}.mp4").touch()
    assert ask(limits, upload, "POST", bytes(1), content_length="1")[0] == 503


def test_passwords_cannot_be_tried_at_will(limits, monkeypatch):
    now = [0]
    monkeypatch.setattr(page_guard.time, "monotonic", lambda: now[0])
    form = b"username=me&password=guess"
    found = [ask(limits, "/login", "POST", form)[0] for _ in range(12)]
    assert found == [200] * 10 + [429] * 2
    now[0] = 61
    assert ask(limits, "/login", "POST", form) == (200, str(len(form)))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "::1"])
def test_this_machine_alone_needs_no_password(host):
    assert is_loopback(host) and Options(host=host).auth is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "machine.example", "", "*"])
def test_others_need_a_password(host, tmp_path):
    with pytest.raises(ValueError, match=r"without a password.*--auth FILE.*ssh"):
        Options(host=host)
    assert Options(host=host, auth=tmp_path / "auth").host == host


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("me:long-enough\n", 0o600, ""),
        ("me:with:colons\n", 0o400, ""),
        ("me:long-enough\n", 0o640, "others can read this password file. Run chmod 600"),
        ("me:short\n"[:-2], 0o600, "at least 8 characters"),
        ("me\n", 0o600, "one line name:password"),
        (":long-enough\n", 0o600, "one line name:password"),
        ("me:long-enough\nyou:long-enough\n", 0o600, "one line name:password"),
        ("", 0o600, "one line name:password"),
    ],
)
def test_the_password_is_in_a_file_of_ones_own(tmp_path, text, mode, said):
    path = tmp_path / "auth"
    path.write_text(text)
    path.chmod(mode)
    if said:
        with pytest.raises(ValueError, match=said):
            read_auth(path)
    else:
        assert read_auth(path) == tuple(text.strip().split(":", 1))


def test_answers_are_deleted(tmp_path, monkeypatch):
    monkeypatch.setattr("scripts.demo._ANSWERS", 2)
    answers = Answers(tmp_path)
    first = answers.begin("a")
    assert first.is_dir() and len(first.name) > 25
    assert not answers.begin("a").samefile(tmp_path) and not first.exists()
    kept = [answers.begin("b"), answers.begin("c")]  # the oldest goes
    assert sorted(tmp_path.iterdir()) == sorted(kept)
    answers.end("b")
    answers.end("nobody")
    answers.end("c")
    assert not list(tmp_path.iterdir())


def show_answer(video, folder, limit, on_progress):
    on_progress(1, "Looking")
    assert Path(video).is_file() and Path(folder).is_dir()
    yield {"answer": "left", "why": "because"}


def show_refusal(video, folder, limit, on_progress):
    raise VideoError(f"{video}: no.")
    yield


def show_fault(video, folder, limit, on_progress):
    yield {"answer": "left"}
    raise TypeError("a fault")


@pytest.mark.parametrize(
    ("show", "last", "ends"),
    [
        (show_answer, {"answer": "left", "why": "because", "explanation": "shown"}, ""),
        (show_refusal, {"status": '<div class="problem" role="alert">a.mp4: no.</div>'}, ""),
        (show_fault, {"answer": "left"}, "a fault"),
    ],
)
def test_a_video_is_deleted_when_it_is_answered(tmp_path, show, last, ends):
    """However that ends; and without the folder's name in what is wrong with it."""
    names = "answer status timeline why overlay similar when explanation heat alike".split()
    gr = SimpleNamespace(
        Request=object,
        Progress=lambda: lambda share, desc: None,
        update=lambda visible: "shown" if visible else "hidden",
    )
    answers, shown = Answers(tmp_path / "gradio"), []
    page = SimpleNamespace(show=show)
    limits = make_limits(Options(), tmp_path)
    parts, showing = dict(zip(names, names, strict=True)), partial(page.show, limit=10)
    respond = make_responder(gr, parts, answers, showing, limits.release)
    video = tmp_path / "a.mp4"
    video.write_bytes(b"video")
    with pytest.raises(TypeError, match=ends) if ends else nullcontext():
        for each in respond(str(video), SimpleNamespace(session_hash="a")):
            shown.append({name: str(value).strip() for name, value in each.items()})
    assert shown[-1] == last and not video.exists() and len(list(answers.folder.iterdir())) == 1
    assert list(respond(None, SimpleNamespace(session_hash="a"))) == [
        {"answer": "", "status": ""}
        | dict.fromkeys(("when", "explanation", "heat", "alike"), "hidden")
    ]


def test_a_video_is_deleted_where_no_answer_can_be_kept(tmp_path, monkeypatch):
    def fail(session):
        raise OSError("No space left on device")

    gr = SimpleNamespace(Request=object, Progress=lambda: None, update=lambda visible: "")
    answers, limits = Answers(tmp_path / "gradio"), make_limits(Options(), tmp_path)
    monkeypatch.setattr(answers, "begin", fail)
    names = ("answer", "status", "when", "explanation", "heat", "alike")
    parts = dict(zip(names, names, strict=True))
    respond = make_responder(gr, parts, answers, show_answer, limits.release)
    video = tmp_path / "a.mp4"
    video.write_bytes(b"video")
    *_, last = respond(str(video), SimpleNamespace(session_hash="a"))
    assert "No space left" in last["status"] and not video.exists()


def test_a_video_that_two_pages_ask_about_stays_for_the_second(limits):
    """Gradio keeps equal uploads of one name as one file."""
    video = limits.folder / "abc/a.mp4"
    body = json.dumps({"data": [{"path": str(video)}], "session_hash": "a"}).encode()
    for _ in range(2):
        assert ask(limits, "/gradio_api/queue/join", "POST", body)[0] == 200
    limits.release(str(video))
    assert video.is_file()
    limits.release(str(video))
    assert not video.exists() and not limits.asked
    assert ask(limits, "/gradio_api/queue/join", "POST", body)[0] == 403
    assert not limits.asked


@pytest.fixture
def decoded(monkeypatch):
    """How many frames were decoded of each file that was closed."""
    found, close = [], VideoFile.close
    monkeypatch.setattr(VideoFile, "close", lambda self: (found.append(self.decoded), close(self)))
    return found


def test_no_more_than_the_limit_is_decoded(tmp_path, decoded):
    """A header that says 1 s of a video of 4 s: decoding stops where the limit is passed."""
    path = tmp_path / "a.avi"
    write_video(path, moving_square(100), 25)
    data = bytearray(path.read_bytes())
    for name, place in ((b"avih", 24), (b"strh", 40), (b"idx1", 4)):
        at = data.index(name) + place
        data[at : at + 4] = (25 * (16 if name == b"idx1" else 1)).to_bytes(4, "little")
    path.write_bytes(data)
    assert read_length(path) == 1
    with pytest.raises(
        VideoError, match=r"a\.avi: the video is longer than the 2 s that are allowed"
    ):
        check_video(path, 2)
    assert decoded == [0, 0, 52]
    check_video(path, 5)


def test_frames_without_an_end_at_one_moment(tmp_path, decoded):
    """Time stamps that stand still do not make a video short."""
    encode(tmp_path / "a.mkv", numbers=range(60), times=[n // 30 for n in range(60)], rate=1000)
    with pytest.raises(VideoError, match="the video is longer than the 0"):
        check_video(tmp_path / "a.mkv", 0.1)
    assert decoded[-1] <= 26


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"size": (4096, 2400), "codec": "mpeg4"},
            "the frames have 4096 x 2400 pixels; at most 9437184 pixels are allowed",
        ),
        (
            {"size": (6400, 32)},
            "the frames are shown as 6400 x 32 pixels; one side may be at most 100",
        ),
    ],
)
def test_what_one_video_may_ask_for_is_limited(tmp_path, options, said):
    """Such frames would be resized by their shorter side, to gigabytes."""
    encode(tmp_path / "a.mp4", numbers=range(2), **options)
    with pytest.raises(VideoError, match=said):
        check_video(tmp_path / "a.mp4", 10)


_PLAYLISTS = {
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{path}\n#EXT-X-ENDLIST\n",
    "ffconcat": "ffconcat version 1.0\nfile '{path}'\n",
    "mpd": '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet>'
    '<Representation id="1" mimeType="video/mp4"><BaseURL>{path}</BaseURL></Representation>'
    "</AdaptationSet></Period></MPD>",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
}


@pytest.mark.parametrize("name", ["{}", "{}.mp4"])
@pytest.mark.parametrize("kind", _PLAYLISTS)
def test_playlists_show_no_other_video(tmp_path, kind, name):
    """What the page is asked about is refused before a network sees anything."""
    write_video(tmp_path / "private.mp4", moving_square(5), 25)
    path = tmp_path / f"a.{name.format(kind)}"
    path.write_text(_PLAYLISTS[kind].format(path=tmp_path / "private.mp4"))
    page = Demonstration.__new__(Demonstration)  # whatever its network
    with pytest.raises(VideoError, match=rf"^{path}: "):
        next(page.show(str(path), tmp_path, 10, print))
