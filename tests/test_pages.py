"""Every page that is written, in a real Chromium: on a desk and on a phone, light and dark."""

from pathlib import Path
from types import SimpleNamespace

from support.browser import SCHEMES, WIDTHS, find_browser, look_at_pages
from support.commands import ROOT
from utils.pictures.gloss_timeline import Span
from utils.pictures.html import render
from utils.pictures.mistakes import Case, Reason
from utils.pictures.saving import encode_figure, encode_frame
from utils.scores.neighbors import Neighbor

import matplotlib.pyplot as plt
import numpy as np
import pytest

LONG = "videos_of_a_camera/" + "x" * 90 + "/0123456789" * 4 + " ä 漢字.mp4"
TEMPLATES = ROOT / "utils/pictures/templates"


def draw(width=12, height=3):
    """Return a PNG of so many inches, and a letter in it."""
    figure = plt.figure(figsize=(width, height))
    figure.text(0.5, 0.5, "a")
    return encode_figure(figure)


def classification():
    return {
        "note": f"Explained: fight 0.93, by grad_cam. {LONG}: 3 frames are damaged.",
        "meanings": ["Grad-CAM shows where."],
        "probabilities": [(LONG, "0.930"), ("no_fight", "0.070")],
        "pictures": [("Where", "Red marks.", draw()), ("When", "The share.", draw(7))],
        "video": b"",
    }


def recognition():
    span = Span("MORGEN" * 9, 0.1, 0.5, 0.9)
    return {
        "compared": f"REF:  {'MORGEN  ' * 30}\nHYP:  {'NORD    ' * 30}",
        "notes": [f"No frames are shown: {LONG}: no such file."],
        "picture": draw(20),
        "rows": {"recognised": [span] * 3, "reference": [span]},
    }


def dataset():
    record = SimpleNamespace(picture=draw(6, 1), example=SimpleNamespace(path=LONG))
    return {
        "tiles": [(number, "near-duplicate pairs") for number in range(7)],
        "advice": [{"level": "fix", "text": f"Broken: {LONG}, --group-pattern '{LONG}'"}],
        "classes": (["class", *["duration, median"] * 7], [[LONG, *["2.082"] * 7]] * 2),
        "plots": [("Properties of each class", draw(13, 4))],
        "problems": [(LONG, f"{LONG}: the file is empty.")],
        "kinds": [("Same scene: 1 pair", [(f"similarity 0.9, {LONG}", [record] * 2)])],
        "gallery": [(LONG, [record] * 3), ("no_fight", [record])],
        "describe": lambda record: f"{record.example.path}, 640x360",
    }


def sheets():
    return {"facts": LONG, "sheets": {"sheet.png": LONG}}


def mistakes():
    reason = Reason("a_run", Path("explanation.html"), f"python -m scripts.explain '{LONG}'")
    case = Case(LONG, LONG, {"true": "fight 0.08", "predicted": LONG}, [], f"REF: {'A B ' * 99}")
    row = {"case": case, "file": "a.mp4", "problem": f"No frames are shown: {LONG}"}
    frames = [encode_frame(np.full((90, 160, 3), 99, np.uint8))] * 6
    asked = [(reason, "a.html", True), (reason, "a.html", False)]
    rows = [row | {"frames": frames, "reasons": asked}]
    return {"sections": [("Wrong, the most confident first: 1 of 1", rows), ("Right", [])]}


def describe(number):
    picture = encode_frame(np.full((90, 160, 3), 40 * number, np.uint8)) if number % 3 else b""
    names = {"name": LONG, "label": f"class {number}", "split": ["", "val"][number % 2]}
    return names | {"address": "a.mp4", "picture": picture}


def neighbors():
    near = [(describe(n), Neighbor(n, 0.9, n % 2 == 0)) for n in range(5)]
    rows = [(describe(n), near) for n in range(3)]
    return {"query": (describe(4), near), "rows": rows, "total": 9}


def embedding_map():
    spots = [(f"{10 * n}.00", f"{90 - 10 * n}.00", "#1f77b4", describe(n)) for n in range(1, 6)]
    return {"spots": spots, "colors": {LONG: "#1f77b4", "no_fight": "#ff7f0e"}}


PAGES = {
    "classification.html": classification,
    "recognition.html": recognition,
    "dataset.html": dataset,
    "sheets.html": sheets,
    "mistakes.html": mistakes,
    "neighbors.html": neighbors,
    "map.html": embedding_map,
}
# What the checks are there to find, each on a page of its own.
BAD = {
    "wide": ("the page is 908 wide", "<div style='width: 900px; height: 1px'></div>"),
    "outside": ("<p> is from", "<p style='position: absolute; left: 380px; width: 60px'>a</p>"),
    "cut": ("cut: a long", "<p style='width: 20px; overflow: hidden'>a long_long_long word</p>"),
    "over": ("one over another: ", "<p>below</p><p style='margin-top: -2.2em'>above"),
    "small": ("9 pixels: a", "<p style='font-size: 9px'>a</p>"),
    "pale": ("contrast 1.", "<p style='color: #777; background: #888'>a</p>"),
    "gone": ("no picture: a", "<img alt='a' src='gone.png'>"),
    "mute": ("a picture without words", "<img src='sheet.png'>"),
    "flat": ("is distorted: a", "<img alt='a' src='sheet.png' style='width: 50px; height: 99px'>"),
}

# Points at the third video of the map, a little beside it.
POINT = """<script>
const spot = map.querySelectorAll('use')[2].getBoundingClientRect();
const at = {clientX: spot.left + 8, clientY: spot.top + 2};
map.dispatchEvent(new PointerEvent('pointerdown', at));
</script>"""


@pytest.fixture(scope="module")
def looked(tmp_path_factory):
    """What is found on every page, the bad ones too."""
    if not find_browser():
        pytest.skip("No Chromium on this machine, such as Debian's package chromium")
    folder = tmp_path_factory.mktemp("pages")
    (folder / "sheet.png").write_bytes(draw())
    for name, values in PAGES.items():
        page = render(name, title=f"{LONG}: fight 0.93 (grad_cam)", **values())
        (folder / name).write_text(page, encoding="utf-8")
    (folder / "pointed.html").write_text((folder / "map.html").read_text() + POINT)
    for name, (_, body) in BAD.items():
        (folder / f"{name}.html").write_text(f"<!doctype html><body>{body}", encoding="utf-8")
    return look_at_pages(sorted(folder.glob("*.html")), folder)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_can_be_read(looked, page, width, scheme):
    found = looked[page, width, scheme]
    assert found["faults"] == []
    assert found["texts"] > 2 and found["height"] > 300
    assert found["text"] == ("rgb(255, 255, 255)" if scheme == "dark" else "rgb(0, 0, 0)")


@pytest.mark.parametrize("width", WIDTHS)
def test_a_map_shows_the_video_that_is_pointed_at(looked, width):
    assert "class 1 val" in looked["map.html", width, "light"]["shown"]
    assert "no picture" in looked["pointed.html", width, "light"]["shown"]  # it is gone
    assert "class 3 val" in looked["pointed.html", width, "light"]["shown"]


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_found(looked, name):
    faults = looked[f"{name}.html", "phone", "light"]["faults"]
    assert any(BAD[name][0] in fault for fault in faults), faults


def test_every_page_is_looked_at_and_is_as_wide_as_a_phone():
    pages = {p.name: p.read_text() for p in TEMPLATES.glob("*.html")}
    assert {name for name, text in pages.items() if 'extends "page.html"' in text} == set(PAGES)
    assert [name for name, text in pages.items() if "<!doctype" in text] == ["page.html"]
    viewport = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    assert viewport in pages["page.html"]
