"""Explanations as a command: files, pictures, and bad input; maps where they belong."""

import csv
from dataclasses import replace
from pathlib import Path

from models.design import Design
from models.networks import build
from scripts.benchmarks.explanations import Options, benchmark_explanations, find_motion
from scripts.explain import explain as run_explain
from support.runs import save_run
from support.videos import cut_video, read_pixels, split_examples, write_dataset
from tasks.options import ExplanationOptions
from tasks.plan import make_plan
from utils.params import Params
from utils.pictures import heat_maps
from utils.pictures.heat_maps import blend, resize_maps, weigh_frames
from utils.system.figures import read_figures
from utils.video.writing import write_video

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest

SMALL = Params(num_segments=1, frames_per_segment=4, frame_size=32, short_side=36, patch_size=8)
I3D = Params(num_segments=2, frames_per_segment=8, frame_size=112, short_side=112)
VIDEO = Path("videos/left/left_01.avi")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with six videos, and a function that makes the run weights/<name> there."""
    monkeypatch.chdir(tmp_path)
    write_dataset(Path("videos"), videos=3)

    def make(name, params, outputs=2, design=Design()):
        clip_format = make_plan(params).clip_format
        shape = (
            outputs,
            clip_format.segments,
            clip_format.frames,
            clip_format.frame_size,
            clip_format.stream,
        )
        keras.utils.set_random_seed(0)
        network = build(params.network, *shape, design)
        return save_run(Path("weights", name), params, network, split_examples())

    return make


def explain(video, run, **options):
    return run_explain(ExplanationOptions(str(video), run, **options))


def look(path, least=0.02):
    """Return a picture's (height, width) after seeing that there is something in it."""
    picture = plt.imread(path)
    assert picture[..., :3].std() > least
    return picture.shape[:2]


@pytest.fixture
def timesformer_run(folder):
    params = replace(SMALL, network="timesformer", sampling="uniform", eval_crops=3)
    return folder("t", params, design=Design(attention="divided", patch_size=8))


def test_a_damaged_video_is_named(timesformer_run, capsys):
    cut_video(Path("videos/cut.avi"))
    explain("videos/cut.avi", run=timesformer_run, method="rollout")
    damage = "videos/cut.avi: the header says 120 frames, "
    assert capsys.readouterr().out.count(f"warning: {damage}") == 1
    assert damage in Path(timesformer_run, "explanations/cut/explanation.html").read_text()


def test_command_with_a_timesformer(timesformer_run, capsys):
    explain(VIDEO, run=timesformer_run, class_name="right")
    out = timesformer_run / "explanations/left_01"
    names = "attention.png contact_sheet.png explanation.html maps.npz overlay.mp4 "
    names += "temporal_weights.csv temporal_weights.png"
    assert sorted(path.name for path in out.iterdir()) == names.split()
    printed = capsys.readouterr().out
    assert "Explained: right" in printed and "in the middle one of 3 views" in printed
    saved = np.load(out / "maps.npz")
    assert saved["maps"].shape == (1, 4, 4, 4) == saved["attention_time"].shape
    assert saved["attention_space"].shape == (1, 4, 4, 4)
    assert saved["attention_time"].mean() == pytest.approx(1, abs=1e-5)
    assert saved["probabilities"].sum() == pytest.approx(1, abs=1e-5)
    with open(out / "temporal_weights.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert (
        [row["frame"] for row in rows]
        == ["3", "9", "15", "21"]
        == saved["frames"].astype(str).tolist()
    )
    assert [row["seconds"] for row in rows] == ["0.120", "0.360", "0.600", "0.840"]
    assert sum(float(row["weight"]) for row in rows) == pytest.approx(1, abs=1e-4)
    overlay = read_pixels(out / "overlay.mp4")
    assert overlay.shape == (4, 256 + 78, 512, 3)
    assert overlay[0, 78:, :256].std() > 20
    left, right = overlay[:, 82:, :256].astype(float), overlay[:, 82:, 256:].astype(float)
    assert np.abs(left - right).mean() > 2
    height, width = look(out / "contact_sheet.png")
    assert width > 1.5 * height
    assert look(out / "attention.png")[0] > height
    look(out / "temporal_weights.png")
    page = (out / "explanation.html").read_text()
    assert page.count('src="data:image/png;base64,') == 3 and 'src="data:video/mp4;' in page
    assert "Integrated gradients show which patches" in page and "<td>left</td>" in page
    assert page.count("http") == 0 and "<h1>t, videos/left/left_01.avi: right 0." in page


def test_choices_for_a_timesformer(timesformer_run, capsys):
    run_folder = timesformer_run
    explain(VIDEO, run=run_folder, method="rollout", block=1, output="elsewhere")
    rolled = np.load("elsewhere/maps.npz")
    assert rolled["maps"].sum() == pytest.approx(1, abs=1e-5)
    assert "Explained: " in capsys.readouterr().out
    with pytest.raises(ValueError, match="block is 3; the network has blocks 1 to 2"):
        explain(VIDEO, run=run_folder, block=3)
    with pytest.raises(ValueError, match="'grad_cam' cannot explain this timesformer"):
        explain(VIDEO, run=run_folder, method="grad_cam")
    with pytest.raises(ValueError, match="Unknown class 'up'; known: left, right"):
        explain(VIDEO, run=run_folder, class_name="up")


def test_command_with_an_i3d(folder, capsys, small_i3d):
    """The sigmoid of one output speaks against the first class."""
    params = replace(I3D, network="i3d_lstm", activation="sigmoid")
    run_folder = folder("i", params, 1)
    explain(VIDEO, run=run_folder, class_name="left")
    printed = capsys.readouterr().out
    assert "Explained: left 0." in printed and "by grad_cam" in printed
    assert printed.count("How far to believe this map") == 1
    out = run_folder / "explanations/left_01"
    assert np.load(out / "maps.npz")["maps"].shape == (2, 2, 7, 7)
    assert not (out / "attention.png").exists()
    assert read_pixels(out / "overlay.mp4").shape == (16, 2 * 112 + 38, 448, 3)
    page = (out / "explanation.html").read_text()
    assert "Grad-CAM shows where" in page and "How far to believe this map" in page
    look(out / "contact_sheet.png")
    Path("text.avi").write_text("no video")
    for arguments, message in (
        ((Path("gone.avi"), run_folder), "gone.avi: no such file"),
        ((Path("text.avi"), run_folder), "text.avi: not a video"),
    ):
        with pytest.raises(ValueError, match=message):
            explain(arguments[0], run=arguments[1])
    with pytest.raises(ValueError, match="'rollout' cannot explain this i3d_lstm"):
        explain(VIDEO, run=run_folder, method="rollout")
    (run_folder / "best.keras").unlink()
    with pytest.raises(ValueError, match=r"weights/i has no best\.keras yet"):
        explain(VIDEO, run=run_folder)


def test_explanations_are_measured(folder, small_i3d):
    """Means over the videos; the mirrored video of a video that is its own mirror image agrees."""
    run_folder = folder("m", replace(I3D, network="i3d_lstm"))
    square = np.full((30, 64, 64, 3), 90, np.uint8)
    square[:, 20:40, 24:40] = np.arange(30)[:, None, None, None] * 8
    write_video("even.mp4", square, 25)
    options = Options(("even.mp4", str(VIDEO)), run_folder, ("occlusion", "grad_cam:Mixed_5c"))
    rows = benchmark_explanations(replace(options, output=Path("figures.json")))
    assert [row["method"] for row in rows] == [
        "occlusion",
        "grad_cam at Mixed_5c",
        "blob",
        "random",
    ]
    assert rows == read_figures("figures.json")["rows"]
    each = read_figures("figures.json")["each"]
    assert [row["video"] for row in each] == ["even.mp4"] * 4 + [VIDEO.name] * 4
    gaps = [row["gap"] for row in each]
    assert rows[0]["gap"] == pytest.approx((gaps[0] + gaps[4]) / 2, abs=0.01)
    assert rows[0]["beats_blob"] == (gaps[0] > gaps[2]) + (gaps[4] > gaps[6])
    blob = rows[2]
    assert blob["corner"] < 1 / 16 and blob["mirror"] is None and blob["beats_blob"] == 0


def test_motion_is_where_frames_change():
    frames = np.full((4, 56, 56, 3), 9, np.uint8)
    frames[1::2, 8:24, 8:24] = 200
    moving = find_motion(frames, 2)
    assert moving[:, 8:24, 8:24].all() and not moving[:, 40:, 40:].any()


@pytest.mark.parametrize(
    "design, names, shape",
    [
        (Design(), ["attention_attention"], (1, 4, 1, 1)),
        (
            Design(embedder="tubelet", encoder="factorised", patch_size=8),
            ["attention_space_attention", "attention_time_attention"],
            (1, 2, 4, 4),
        ),
    ],
)
def test_command_with_vivit(folder, design, names, shape):
    run_folder = folder("v", replace(SMALL, network="vivit"), design=design)
    explain(VIDEO, run=run_folder, method="rollout")
    out = run_folder / "explanations/left_01"
    saved = np.load(out / "maps.npz")
    assert [name for name in saved.files if name.startswith("attention_")] == names
    assert saved["maps"].shape == shape and saved["maps"].sum() == pytest.approx(1, abs=1e-5)
    look(out / "attention.png")
    look(out / "contact_sheet.png")
    write_video("one.avi", np.zeros((1, 40, 50, 3), np.uint8), 25)
    explain(Path("one.avi"), run=run_folder, output="one")
    assert len(read_pixels("one/overlay.mp4")) == 4


def test_command_with_two_streams(folder):
    params = replace(SMALL, network="vivit", stream="both", flow="farneback", embedder="patches")
    run_folder = folder("b", params, design=Design(embedder="patches", patch_size=8))
    explain(VIDEO, run=run_folder)
    out = run_folder / "explanations/left_01"
    assert np.load(out / "maps.npz")["maps"].shape == (1, 4, 4, 4)
    assert not (out / "attention.png").exists()
    with pytest.raises(ValueError, match="'rollout' cannot explain this vivit"):
        explain(VIDEO, run=run_folder, method="rollout")
    with pytest.raises(ValueError, match="beam is 2, but weights/b is a run of videos"):
        explain(VIDEO, run=run_folder, beam=2)


def test_the_weights_of_time_stand_within_their_frame(tmp_path, monkeypatch):
    """The highest one too; 100 % is what a frame counts where all count alike."""
    figures = []
    monkeypatch.setattr(heat_maps, "save_figure", lambda figure, *_, **__: figures.append(figure))
    weights = np.repeat([[0.3], [0.05], [0.1], [0.05]], 2, 1)
    heat_maps.plot_weights(tmp_path / "a.png", np.arange(8.0).reshape(4, 2), weights, "fight")
    (axis,) = figures[0].axes
    assert [line.get_ydata()[0] for line in axis.lines] == pytest.approx([240, 40, 80, 40, 100])
    assert axis.get_ylim() == pytest.approx((0, 1.15 * 240))


def test_resized_maps_lie_where_they_belong():
    maps = np.zeros((2, 2, 2, 2))
    maps[1, 0, 0, 1] = 1
    centers = [np.array([1, 3]), np.array([2, 6]), np.array([2, 6])]
    large = resize_maps(maps, centers, 10, 8)
    assert large.shape == (10, 8, 8)
    assert np.unravel_index(large.argmax(), large.shape)[1:] == (0, 6)
    assert large[6, 2, 6] == 1 and large[7, 2, 6] == 0.5 and large[7, 4, 4] == 0.125
    assert not large[:5].any() and not large[8:].any()
    weights = weigh_frames(maps, centers, 10)
    np.testing.assert_allclose(weights, [0, 0, 0, 0, 0, 0.4, 0.4, 0.2, 0, 0])
    frames = np.full((1, 2, 2, 3), 100, np.uint8)
    assert (blend(frames, np.zeros((1, 2, 2))) == 100).all()
    assert (blend(frames, np.ones((1, 2, 2)))[0, 0, 0] != 100).any()
