"""The page of scripts.demo, as a person uses it in a browser, and all that it shows."""

import http.client
import itertools
import json
import os
import shutil
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

from models.design import Design
from models.networks import build
from scripts import demo, extract_embeddings
from scripts.demo import (
    Options,
    build_page,
    import_gradio,
    keep_files,
    launch,
    lay_out,
    make_limits,
    serve,
)
from support.runs import SMALL, save_run
from support.videos import moving_square, read_pixels, split_examples, write_dataset
from tasks.answers import Prediction
from tasks.caution import Caution, _answer_validation, choose_caution
from tasks.demonstration import Demonstration, Examples, check_video
from utils.pictures.answer_html import draw_answer, draw_intervals, draw_note
from utils.scores.confidence import choose_confidence
from utils.scores.intervals import Interval
from utils.system.commands import run_command
from utils.video.video import VideoError
from utils.video.writing import write_video

import cv2
import keras
import numpy as np
import pytest

VIDEO = Path("videos/left/left_01.avi")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with six videos, files that are none, and the run weights/<left> with embeddings."""
    folder, before = tmp_path_factory.mktemp("demo"), Path.cwd()
    os.chdir(folder)
    write_dataset(Path("videos"), videos=3)
    Path("text.mp4").write_text("no video\n")
    Path("empty.mp4").touch()
    write_video("whole.mp4", moving_square(), 25)
    Path("part.mp4").write_bytes(Path("whole.mp4").read_bytes()[5000:])
    write_video("long.avi", moving_square(100), 5)
    run_folder = Path("weights/small")
    keras.utils.set_random_seed(0)
    network = build("timesformer", 2, 1, 4, 32, "rgb", Design(attention="divided", patch_size=8))
    save_run(run_folder, SMALL, network, split_examples())
    extract_embeddings.extract_embeddings(extract_embeddings.Options(run_folder))
    os.chdir(before)
    return folder


@pytest.fixture(scope="module")
def demonstration(folder):
    before = Path.cwd()
    os.chdir(folder)
    found = Demonstration(Path("weights/small"), 0.0)  # always sure
    os.chdir(before)
    return found


@pytest.fixture
def inside(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def test_all_is_found_of_a_video(inside, demonstration, tmp_path):
    assert "weights" not in demonstration.about and "left, right" in demonstration.about
    done = []
    steps = list(
        demonstration.show(str(VIDEO), tmp_path, 10, lambda share, what: done.append((share, what)))
    )
    assert [sorted(step) for step in steps] == [
        ["answer", "timeline"],
        ["captions"],
        ["overlay", "sheet", "why"],
        ["similar"],
    ]
    shares, words = zip(*done, strict=True)
    assert words[0] == "Step 1 of 4: looking at the video"
    assert words[-1] == "Step 4 of 4: searching for similar training videos"
    assert list(shares) == sorted(shares) and shares[-1] == 0.75
    again, told = demonstration.show(str(VIDEO), tmp_path, 10, lambda *said: told.append(said)), []
    next(again), next(again)
    assert told[-1][1] == "Step 2 of 4: writing captions (about 1 s)"  # as the last one took
    found = {name: value for step in steps for name, value in step.items()}
    expected = demonstration.predictor.predict_video(VIDEO)
    (label, share), second = expected.top
    assert f"<h2>{label}</h2>" in found["answer"] and f"{share:.1%}" in found["answer"]
    assert found["answer"].index(f"{share:.1%}") < found["answer"].index(f"{second[1]:.1%}")
    assert f"<p>Why {label}, " in found["why"] and "Integrated gradients" in found["why"]
    captioned = read_pixels(found["captions"])
    assert captioned.shape == (24, 256 + 28 + 14, 320, 3)  # widened; a line and a timeline below
    original = read_pixels(VIDEO)
    assert np.abs(captioned[:, :256:2, ::2].astype(int) - original).mean() < 12
    assert len(read_pixels(found["overlay"])) == 4
    assert 'alt="Frames of the video. Why ' in found["sheet"]
    assert cv2.imread(str(tmp_path / "contact_sheet.png")).std() > 5
    pictures, texts = zip(*found["similar"], strict=True)
    assert len(texts) == 4 and texts[0] == "1.00 left"  # of four, the video itself
    assert np.array_equal(pictures[0], original[11][..., ::-1])  # in its middle


def test_embeddings_of_another_network_are_refused(inside, demonstration, tmp_path):
    run_folder = shutil.copytree("weights/small", tmp_path / "other")
    arrays = dict(np.load(run_folder / "embeddings/embeddings.npz"))
    narrow = arrays | {"embeddings": arrays["embeddings"][:, :5]}
    np.savez(run_folder / "embeddings/embeddings.npz", **narrow)
    with pytest.raises(ValueError, match=r"made by another network.*extract_embeddings"):
        Demonstration(run_folder)
    (run_folder / "embeddings/embeddings.npz").unlink()
    assert Demonstration(run_folder).neighbors is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("text.mp4", "text.mp4: not a video"),
        ("empty.mp4", "empty.mp4: the file is empty"),
        ("part.mp4", "part.mp4: not a video"),
        ("long.avi", r"long.avi: the video is 20.0 s long, but this page takes at most 2 s"),
    ],
)
def test_what_is_not_taken(inside, demonstration, tmp_path, name, words):
    with pytest.raises(VideoError, match=words):
        next(demonstration.show(name, tmp_path, 2, lambda *_: None))
    assert not list(tmp_path.iterdir())


def test_a_header_that_is_wrong_is_not_believed(inside, monkeypatch):
    """A video is refused unseen only where its header says far too much, and measured else."""
    monkeypatch.setattr("tasks.demonstration.read_length", lambda _: 35)
    check_video("long.avi", 20)
    with pytest.raises(
        VideoError, match=r"the video is 35.0 s long, but this page takes at most 10 s"
    ):
        check_video("long.avi", 10)


def test_panels():
    intervals = [Interval(0, 1, "a<b", 0.9), Interval(1, 2, "c", 0.8), Interval(3, 4, "a<b", 0.7)]
    html = draw_intervals(intervals, 4)
    assert html.count("<i ") == 3 and "a<b" not in html and html.count(">a&lt;b<") == 1
    assert "left:75.00%;width:25.00%;background:rgb(31,119,180)" in html
    assert "left:25.00%;width:25.00%;background:rgb(255,127,14)" in html
    assert ">2.0 s<" in html and 'title="a&lt;b, 3.0 to 4.0 s: 0.70"' in html
    steps = np.arange(2), np.zeros((1, 1))
    html = draw_answer(Prediction("v", 1.0, [("<i>", 0.25)], [], [], *steps, "breaks <off>"))
    assert "none of the known classes" in html and "&lt;i&gt;" in html and "25.0%" in html
    assert "width:25.00%" in html and "breaks &lt;off&gt;" in html


@pytest.mark.parametrize(("share", "words"), [(0.59, "<h2>Not sure</h2>"), (0.61, "<h2>a</h2>")])
def test_an_answer_may_be_unsure(share, words):
    top = [("a", share), ("b", 1 - share)]
    prediction = Prediction("v", 1.0, top, ["a"], [], np.arange(2), np.zeros((1, 2)))
    html = draw_answer(prediction, Caution(0.6, "Why & how."))
    assert words in html and ("Most likely a. Why &amp; how." in html) == (share < 0.6)


def test_the_confidence_that_is_relied_on():
    confidences, right = [0.5, 0.6, 0.7, 0.8, 0.9], [0, 1, 0, 1, 1]
    assert choose_confidence(confidences, right) == 0.8
    assert choose_confidence(confidences, right, 0.6) == 0.5
    assert choose_confidence([0.7, 0.7, 0.9], [0, 1, 0]) > 1


@pytest.mark.parametrize(
    ("kept", "given", "confidence", "words"),
    [
        (40, None, 0.8, "From there on 20 of 20 validation videos were answered right, below 0 of"),
        (19, None, 0.75, "That number is a guess: 19 validation videos are too few"),
        (40, 0.3, 0.3, "Below 30% this page says that it is not sure."),
    ],
)
def test_when_the_page_is_not_sure(monkeypatch, kept, given, confidence, words):
    answers = np.array([[0.8, 1], [0.6, 0]] * 20)[:kept].T
    monkeypatch.setattr("tasks.caution._answer_validation", lambda *_: answers)
    judge = SimpleNamespace(labeling="single")
    predictor = SimpleNamespace(kind="classes", judge=judge, labels=["a", "b"], clip_format="any")
    caution = choose_caution(predictor, Path("weights/small"), given)
    assert caution.confidence == confidence and words in caution.reason
    assert choose_caution(SimpleNamespace(kind="glosses")) is None


def test_confidences_of_validation_videos_are_of_kept_features(inside, demonstration):
    """Nothing was kept for this network, which has no frozen part, so none is computed."""
    shown, run_folder = demonstration.predictor, Path("weights/small")
    assert "0 validation videos are too few" in choose_caution(shown, run_folder).reason
    shown.source.recall = lambda view: np.zeros(1)
    try:
        shown.see_view, see = lambda view: np.array([0.3, 0.7]), shown.see_view
        confidences, right = _answer_validation(shown, run_folder)
    finally:
        del shown.source.recall, shown.see_view
    assert see and confidences.tolist() == [0.7, 0.7] and right.tolist() == [0, 1]


def test_examples_are_validation_videos_answered_once(inside, demonstration, tmp_path):
    chosen = demonstration.choose_examples(4, 10)
    own = {str(inside / e.path): e.label for e in split_examples() if e.split == "val"}
    assert {path: label for path, label, _ in chosen} == own
    assert len(demonstration.choose_examples(1, 10)) == 1
    assert demonstration.choose_examples(4, 0.1) == []
    examples, seen, said = Examples(demonstration, chosen, tmp_path / "kept"), [], []
    for page in ("first", "second"):
        (tmp_path / page).mkdir()
        before = len(said)
        pieces = list(examples.show(1, tmp_path / page, 10, lambda *told: said.append(told)))
        seen.append([sorted(piece) for piece in pieces])
        assert str(tmp_path / page) in pieces[1]["captions"]
        assert Path(pieces[1]["captions"]).is_file() and str(tmp_path / page) in pieces[2]["sheet"]
        assert (len(said) > before) == (page == "first")
    assert seen[0] == seen[1]


def test_names_are_no_markup():
    """A class of somebody else's run could ask another machine for a picture."""
    name = "![x](http://evil.example/x.png)<img src=x>"
    assert draw_note(name) == "<p>![x](http://evil.example/x.png)&lt;img src=x&gt;</p>"

    class Page:
        def __getattr__(self, kind):
            return lambda *given, **_: shown.append((kind, given)) or nullcontext()

    shown = []
    lay_out(Page(), name)
    assert not [given for kind, given in shown if kind == "Markdown" and "evil" in str(given)]
    assert ("HTML", (draw_note(name),)) in shown


def test_glosses_are_subtitles(inside, monkeypatch, tmp_path):
    """They stay until the next one begins; there are no probabilities of the whole."""
    signs = [Interval(0.1, 0.14, "REGEN", 0.9), Interval(0.5, 0.54, "NORD", 0.8)]
    answer = Prediction("v", 0.96, [], ["REGEN", "NORD"], signs, None, None)
    signer = SimpleNamespace(kind="glosses", labels=["NORD", "REGEN"], clip_format=None)
    signer.explain, signer.draw = lambda *_: SimpleNamespace(why=""), lambda *_: {}
    signer.predict_video = lambda path, on_progress: answer
    monkeypatch.setattr("tasks.demonstration.open_predictor", lambda run, asked: signer)
    shown = {}
    for kind in ("glosses", "classes"):
        signer.kind, signer.judge = kind, SimpleNamespace(labeling="multi")
        shown_video = Demonstration(Path("weights/small")).show(str(VIDEO), tmp_path, 2, print)
        first, second, _ = shown_video
        assert "<h2>REGEN NORD</h2>" in first["answer"] and "<i " not in first["answer"]
        assert first["timeline"].count("<i ") == 2
        lines = read_pixels(second["captions"])[:, 260:282]
        shown[kind] = np.flatnonzero(lines.max((1, 2, 3)) > 60).tolist()
    assert shown == {"classes": [3, 13], "glosses": [*range(3, 24)]}


def test_files_are_gone_after_the_program(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    killed = tmp_path / f"{demo._PREFIX}killed"
    killed.mkdir()
    os.utime(killed, (1, 1))
    with pytest.raises(KeyboardInterrupt), keep_files() as folder:
        Path(os.environ["GRADIO_TEMP_DIR"]).mkdir()
        assert folder.parent == tmp_path and demo.tempfile.gettempdir() == str(folder)
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir()) and "GRADIO_TEMP_DIR" not in os.environ


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_seconds": 0}, "max_seconds is 0"),
        ({"sure": 2.0}, "sure is 2; it must be from 0 to 1"),
        ({"examples": -1}, "examples is -1"),
        ({}, "requirements-demo.txt"),
    ],
)
def test_wrong_options_and_no_gradio(inside, monkeypatch, capsys, options, words):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(SystemExit, match="2"):
        run_command(lambda: serve(Options(**options)))
    assert words in capsys.readouterr().err


def test_the_page_is_for_this_machine_alone():
    assert Options().host == "127.0.0.1"


@pytest.fixture(scope="module")
def served(folder, demonstration):
    """The page in a thread: (address, folder of all its files)."""
    pytest.importorskip("gradio", reason="Gradio is not installed (requirements-demo.txt)")
    gr, before = import_gradio(), Path.cwd()
    os.chdir(folder)
    options = Options(port=0, max_seconds=15, max_megabytes=2)
    with keep_files() as files:
        limits = make_limits(options, files)
        page = build_page(gr, demonstration, options, limits)
        yield launch(gr, page, options, limits), files
        page.close()
    os.chdir(before)


ASKED = {
    "the page": ("GET", "/", {}, 200),
    "another name": ("GET", "/", {"host": "evil.example:7860"}, 400),
    "another page": ("POST", "/gradio_api/queue/join", {"origin": "http://evil.example"}, 403),
    "a sandboxed page": ("POST", "/gradio_api/upload", {"origin": "null"}, 403),
    "a file of the machine": ("GET", "/gradio_api/file=/etc/passwd", {}, 403),
    "the network's file": ("GET", "/gradio_api/file={folder}/weights/small/best.keras", {}, 403),
    "an address": ("GET", "/gradio_api/file=http://127.0.0.1:22/", {}, 403),
    "a proxy": ("GET", "/gradio_api/proxy=http://127.0.0.1:22/", {}, 404),
    "the old address of files": ("GET", "/gradio_api/file/etc/passwd", {}, 404),
    "what the queue is for": ("POST", "/gradio_api/run/predict", {}, 404),
    "no length": ("POST", "/gradio_api/upload", {"transfer-encoding": "chunked"}, 411),
    "a file that is too large": ("POST", "/gradio_api/upload", {"content-length": "3000000"}, 413),
}


@pytest.mark.parametrize("what", ASKED)
def test_what_the_server_answers(served, inside, what):
    """The guard before Gradio, as anybody may ask it; tests/test_page_guard.py has all of it."""
    method, path, headers, status = ASKED[what]
    connection = http.client.HTTPConnection(served[0].split("/")[2], timeout=20)
    body = json.dumps({"fn_index": 2, "data": [None], "session_hash": "a"}).encode()
    path = path.format(folder=inside)
    headers = {"content-type": "application/json"} | headers
    if method == "GET" or "content-length" in headers or "transfer-encoding" in headers:
        body = None
    connection.request(method, path, body, headers)
    assert connection.getresponse().status == status
    connection.close()


def test_the_server_asks_for_a_password(served, folder, demonstration, tmp_path):
    gr, auth = import_gradio(), tmp_path / "auth"
    auth.write_text("me:long-enough\n")
    auth.chmod(0o600)
    options = Options(host="0.0.0.0", port=0, auth=auth)
    limits = make_limits(options, served[1])
    page = build_page(gr, demonstration, options, limits)
    place = launch(gr, page, options, limits).split("/")[2]
    found = []
    for form in (None, b"username=me&password=wrong-one", b"username=me&password=long-enough"):
        connection, headers = http.client.HTTPConnection(place, timeout=20), {}
        if form:
            headers = {"content-type": "application/x-www-form-urlencoded"}
            connection.request("POST", "/login", form, headers)
            answer = connection.getresponse()
            answer.read()
            cookies = answer.headers.get_all("set-cookie") or []
            headers = {"cookie": "; ".join(each.split(";")[0] for each in cookies)}
        connection.request("GET", "/config", headers=headers)
        found.append(connection.getresponse().status)
        connection.close()
    page.close()
    assert found == [401, 401, 200]


@pytest.fixture
def page(browser, served):
    """A tab with the page; whatever it asked of other machines fails the test."""
    page, asked = browser.new_page(), []
    page.set_default_timeout(120_000)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(served[0])
    page.wait_for_selector("input[type=file]", state="attached")
    yield page
    page.close()
    own = (served[0], "data:", "blob:")
    assert [url for url in asked if not url.startswith(own)] == []


def upload(page, path):
    page.set_input_files("input[type=file]", path)


def test_the_page_in_a_browser(served, page, inside, demonstration):
    assert (
        "This is the run small (timesformer). It knows 2 classes: left, right."
        in page.inner_text("body")
    )
    upload(page, "text.mp4")
    page.wait_for_selector(".problem")
    assert page.inner_text(".problem") == "text.mp4: not a video that FFmpeg can open."
    assert not page.is_visible("h2:text-is('When')")

    page.click("[aria-label=Clear]")
    page.wait_for_selector(".problem", state="detached")
    upload(page, VIDEO)
    page.wait_for_selector("text=Similar training videos")
    page.wait_for_selector("text='1.00 left'")
    expected = demonstration.predictor.predict_video(VIDEO)
    assert page.inner_text(".panel h2") == expected.labels[0]
    lines = page.locator(".panel").first.locator(".line").all_inner_texts()
    assert [line.split() for line in lines] == [
        [label, f"{share:.1%}"] for label, share in expected.top
    ]
    assert page.locator(".lanes .track i").count() == len(expected.intervals)
    played = "videos => videos.map(video => video.readyState > 1 && video.videoWidth)"
    page.wait_for_function(f"({played})([...document.querySelectorAll('video')]).includes(320)")
    page.wait_for_function(f"({played})([...document.querySelectorAll('video')]).includes(512)")
    page.wait_for_function("document.querySelector('#sheet img').naturalWidth > 100")
    assert "Why" in page.get_attribute("#sheet img", "alt")
    assert any(served[1].rglob("answer-*/captions.mp4"))
    assert not any(served[1].rglob(VIDEO.name))  # it was answered
    page.close()
    for _ in range(50):
        if not list(served[1].rglob("*.*")):
            break
        time.sleep(0.2)
    assert not list(served[1].rglob("*.*"))  # nothing is kept


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_example_on_a_phone(page, inside, scheme):
    """Nothing scrolls sideways; the ticks of "When" lie beside one another; each player has a name.

    What Gradio shouts of a video that the browser cannot play does not stay beside our own words.
    """
    page.set_viewport_size({"width": 420, "height": 900})
    page.emulate_media(color_scheme=scheme)
    names = [page.get_attribute(f"#examples img >> nth={n}", "alt") for n in range(2)]
    assert all(name.startswith("A frame of ") for name in names)
    page.click("#examples button >> nth=0")
    page.wait_for_selector("text=Similar training videos")
    page.wait_for_selector("#sheet img")
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    edges = "spans => spans.map(s => s.getBoundingClientRect()).filter(r => r.width)"
    ticks = page.eval_on_selector_all(
        ".scale span", f"spans => ({edges})(spans).map(r => [r.left, r.right])"
    )
    assert len(ticks) == 3 and all(a[1] < b[0] for a, b in itertools.pairwise(ticks))
    text = page.inner_text("body")
    assert "The video with captions" in text and "beside it what mattered" in text
    upload(page, "text.mp4")
    page.wait_for_selector(".problem")
    page.wait_for_selector(".toast-body", state="detached")
    assert page.locator(".problem").count() == 1 and not page.is_visible(".panel h2")


def test_limits_and_the_camera_in_a_browser(page, inside):
    upload(page, {"name": "large.mp4", "mimeType": "video/mp4", "buffer": bytes(2_100_000)})
    page.wait_for_selector("text=/exceed/i")
    upload(page, "long.avi")
    page.wait_for_selector(".problem")
    assert "the video is longer than the 15 s that are allowed" in page.inner_text(".problem")
    page.reload()
    page.click("[aria-label='Capture from camera']")
    page.click("text=/access webcam/i")
    streams = "[...document.querySelectorAll('video')].some(v => v.srcObject && v.videoWidth)"
    page.wait_for_function(streams)
    page.click("[aria-label='start recording']")
    page.wait_for_timeout(1000)
    page.click("[aria-label='start recording']")  # it stops
    page.wait_for_selector(".panel h2")
    assert page.inner_text(".panel h2") in ("left", "right")
