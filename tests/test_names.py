"""Names that users give: not UTF-8, long, with dollars, Chinese, emoji; printed, drawn, stored."""

import json
import os
import runpy
import sys
import warnings
from pathlib import Path

from support.commands import ROOT, run
from support.videos import write_dataset
from utils.features.lookup import locate_features
from utils.features.store import array_path, is_done, name_features, save_features, settings_hash
from utils.params import Params
from utils.pictures import lettering
from utils.pictures.captions import write_text
from utils.pictures.embedding_map import plot_map
from utils.pictures.frame_sheets import Strip, plot_strips
from utils.pictures.gloss_timeline import Span, plot_alignment
from utils.pictures.heat_maps import plot_sheet, plot_weights
from utils.pictures.html import render
from utils.pictures.lettering import FONTS, find_font, spell
from utils.pictures.recognition_plot import plot_recognition
from utils.pictures.run_plots import (
    plot_by_number,
    plot_classes,
    plot_comparison,
    plot_confusion,
    plot_history,
    plot_roc,
    plot_runs,
)
from utils.pictures.saving import encode_figure
from utils.runs.folders import open_run
from utils.signing.recall import PathTable, RecallTable
from utils.signing.releases import Sentence
from utils.system.files import fit_name, write_atomically
from utils.system.tables import is_text, read_text, write_csv
from utils.video.reading import probe
from utils.video.writing import write_video

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib import font_manager

LATIN = os.fsdecode(b"\xe9t\xe9")  # no UTF-8: as Linux hands it out
NAMES = ["win_$a_b_c$", "_under", "a^b\\c", "\u8dd1\u6b65", "\U0001f3c3 run", LATIN, "a\tb", "$"]


def draw_report(folder):
    confusion = np.eye(len(NAMES), dtype=int)
    plot_confusion(confusion, NAMES, folder / "a.png", LATIN)
    scores = dict.fromkeys(("precision", "recall", "f1"), 0.5)
    plot_classes(dict.fromkeys(NAMES, scores), folder / "a.png", "$a_b_c$")
    plot_roc(confusion, confusion * 0.5, NAMES, folder / "a.png", "_under")


def draw_runs(folder):
    history = [
        {"epoch": n, "loss": 1.0, "accuracy": 0.5, "learning_rate": 10.0**-n} for n in (1, 2)
    ]
    plot_history(history, folder / "a.png", "".join(NAMES))
    plot_runs(dict.fromkeys(NAMES, history), folder / "a.png")
    cell = {"score": "accuracy", "seeds": [0.5], "mean": 0.5, "chance": 0.1}
    plot_comparison({name: {name: cell} for name in NAMES[:1]}, NAMES[0], folder / "a.png", LATIN)


def draw_frames(folder):
    frames = np.zeros((2, 8, 8, 3), np.uint8)
    for name in NAMES:
        plot_strips(folder / "a.png", [Strip(name, frames)], name)
        plot_sheet(folder / "a.png", frames, {}, ["1", "2"], name)
    plot_weights(folder / "a.png", np.ones((1, 2)), np.ones((1, 2)), NAMES[0])


def draw_others(folder):
    frames = {0: np.zeros((6, 8, 3), np.uint8)}
    plot_map(np.zeros((len(NAMES), 2)), NAMES, [""] * len(NAMES), folder / "a.png", LATIN, frames)
    spans = [Span(name, n, n + 1, 0.5) for n, name in enumerate(NAMES)]
    curves = {name: np.ones(len(NAMES)) for name in NAMES}
    edges = np.arange(len(NAMES) + 1.0)
    plot_alignment(folder / "a.png", edges, curves, {"recognized": spans}, [], " ".join(NAMES))
    table = RecallTable(folder / "a.csv", [NAMES], [NAMES])
    table.keep(1, dict.fromkeys(NAMES, 0.5))
    steps = PathTable(folder / "b.csv", Sentence(LATIN, "", "", "dev", ()), NAMES)
    steps.keep(1, NAMES)
    plot_recognition([{"epoch": 1, "loss": 1.0}], table, steps, folder / "a.png", LATIN)
    plot_by_number({name: {1: [50.0]} for name in NAMES}, folder / "a.png", LATIN)


@pytest.mark.parametrize("draw", [draw_report, draw_runs, draw_frames, draw_others])
def test_every_name_is_drawn_as_it_is(tmp_path, draw):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw(tmp_path)
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_letters_that_no_font_has_are_spelled():
    assert spell("win_$a_b_c$\\") == "win_$a_b_c$\\" and spell("\u00e9t\u00e9") == "\u00e9t\u00e9"
    assert spell(LATIN) == r"\udce9t\udce9" and spell("a\tb") == r"a\tb"
    assert spell("_a").endswith("_a") and not spell("_a").startswith("_")
    private = "\ue123"
    assert spell(private) in (private, r"\ue123")
    assert find_font("run") == FONTS["DejaVu Sans"] == find_font(private * 99)
    assert write_text(((LATIN, "white"), ("_$", "white")), 80, 2).max() > 0


def test_dollars_are_no_formula_and_logarithms_are_numbers(tmp_path, monkeypatch):
    figure, axis = plt.subplots()
    axis.set_title("$a_b_c$")
    assert encode_figure(figure).startswith(b"\x89PNG")
    drawn = []
    monkeypatch.setattr("utils.pictures.run_plots.save_figure", lambda f, *_, **__: drawn.append(f))
    plot_history([{"epoch": 1, "loss": 1.0, "learning_rate": 1e-3}], tmp_path / "a.png", "a")
    drawn[0].canvas.draw()
    ticks = [text.get_text() for text in drawn[0].axes[2].get_yticklabels(which="both")]
    assert any(ticks) and not any("$" in text for text in ticks)


def test_names_are_written_and_read_back(tmp_path):
    write_csv(tmp_path / "a.csv", ("path",), [[name] for name in NAMES])
    assert [line.strip('"\r') for line in read_text(tmp_path / "a.csv").split("\n")[1:-1]] == NAMES
    write_atomically(tmp_path / "a.json", json.dumps(NAMES, ensure_ascii=False))
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == NAMES
    page = render("sheets.html", title=LATIN, facts="<b>", sheets={LATIN: "$a$"})
    write_atomically(tmp_path / "a.html", page)
    assert "&lt;b&gt;" in (tmp_path / "a.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("last", ["x" * 251, "\u8dd1" * 83 + "ab", LATIN * 83])
def test_long_names_have_features_too(tmp_path, last):
    paths = [f"{tmp_path}/v/a/{last}.mp4", f"{tmp_path}/v/a/b.mp4", f"{tmp_path}/v/a/{last}.avi"]
    names = name_features(paths, f"{tmp_path}/v")
    assert names[paths[1]] == "a/b" and len(set(names.values())) == 3
    rows, settings = np.ones((3, 4), np.float32), {"stride": 4}
    for name in names.values():
        record = {"source": "d", "settings": settings_hash(settings)}
        save_features(tmp_path / "F", name, {"centre": rows, "right_flip": rows}, record)
        assert is_done(tmp_path / "F", name, "d", settings)
    found = locate_features(paths[:2], tmp_path / "F")
    assert found[paths[1]]["centre"][0] == str(array_path(tmp_path / "F", "a/b"))
    assert set(found[paths[0]]) == {"centre", "right_flip"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_videos_are_written_under_any_name(tmp_path):
    path = tmp_path / LATIN / "a.mp4"
    path.parent.mkdir()
    write_video(path, [np.zeros((48, 64, 3), np.uint8)] * 3, 25)
    assert probe(path).num_frames == 3 and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("name", ["clips[1]", "a*b?", LATIN])
def test_a_second_run_has_a_folder_of_its_own(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    first, second = (open_run(Params(data_path=f"data/{name}")) for _ in range(2))
    assert second.name == f"{first.name}-2" and is_text(first.name)


def test_short_names_stay():
    assert fit_name("a/b.c", 9) == "a/b.c" and fit_name("x" * 246, 9) == "x" * 246
    assert len(fit_name("x" * 247, 9)) == 246 and fit_name("a/" + "x" * 247, 9)[:2] == "a/"


def test_names_are_printed_on_any_screen(tmp_path):
    script = tmp_path / "say.py"
    text = f"print({NAMES!r}[3], {LATIN!r})"
    script.write_text(
        f"from utils.system.commands import run_command\nrun_command(lambda: {text})\n"
    )
    for encoding in ("ascii", "utf-8", "latin-1"):
        done = run([script], tmp_path, PYTHONIOENCODING=encoding, PYTHONPATH=str(ROOT))
        assert done.returncode == 0 and r"\udce9t\udce9" in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_not_utf8_stops_no_command(tmp_path):
    write_dataset(tmp_path / "v", videos=2, frames=8)
    (tmp_path / "v/left/left_00.avi").rename(tmp_path / f"v/left/{LATIN}.avi")
    done = run(["scripts/check_data.py", "v"], tmp_path)
    assert done.returncode == 0 and "4 of 4 videos can be decoded" in done.stdout, done.stderr


def test_letters_are_regular_whatever_font_is_listed_first(monkeypatch):
    manager = font_manager.fontManager
    monkeypatch.setattr(manager, "ttflist", sorted(manager.ttflist, key=lambda font: -font.weight))
    assert runpy.run_path(lettering.__file__)["FONTS"] == FONTS
    assert Path(FONTS["DejaVu Sans"]).name == "DejaVuSans.ttf"
