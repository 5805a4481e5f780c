"""Embeddings of a run's videos: the right numbers, the right neighbors, as a command is run."""

import shutil
from dataclasses import replace
from pathlib import Path

from models.networks import build
from scripts.extract_embeddings import Options, extract_embeddings
from support.backbones import shrunk_i3d
from support.commands import run
from support.runs import read_table, save_run
from support.videos import split_examples, write_dataset
from tasks.plan import make_plan
from utils.clips.reading import list_views, read_clip
from utils.data.examples import Example
from utils.params import Params
from utils.pictures import alike
from utils.pictures.alike import Shown, choose_rows, choose_shown, read_frames
from utils.pictures.embedding_map import plot_map, project, scatter_apart
from utils.runs.saved_params import save_params
from utils.scores.neighbors import Neighbor, nearest
from utils.video.reading import probe

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest

PARAMS = Params(num_segments=2, frames_per_segment=8, frame_size=112, short_side=112, batch_size=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with six videos and the run weights/r of a network that a test left random."""
    folder = tmp_path_factory.mktemp("embeddings")
    write_dataset(folder / "videos", videos=3)
    keras.utils.set_random_seed(0)
    with shrunk_i3d():
        network = build("i3d_lstm", 2, 2, 8, 112)
    save_run(folder / "weights/r", PARAMS, network, split_examples(folder / "videos"))
    return folder


@pytest.fixture
def run_folder(folder, monkeypatch, small_i3d):
    monkeypatch.chdir(folder)
    save_params(PARAMS, "weights/r/params.json")
    return folder / "weights/r"


@pytest.fixture(scope="module")
def logits(folder):
    """What the whole network says of the six videos, in the order of their paths."""
    paths = sorted((folder / "videos").rglob("*.avi"))
    views = [list_views(probe(path))[0] for path in paths]
    clips = np.stack([read_clip(view, make_plan(PARAMS).clip_format) for view in views])
    network = keras.saving.load_model(folder / "weights/r/best.keras", compile=False)
    return network.predict(clips, verbose=0)


@pytest.mark.parametrize("changes", [{}, {"finetune": "Mixed_5c"}], ids=["cached", "part"])
def test_embeddings_are_what_the_logits_are_made_of(run_folder, logits, changes, capsys):
    save_params(replace(PARAMS, **changes), run_folder / "params.json")
    query = "videos/left/left_01.avi"
    extract_embeddings(Options(run_folder, output="out", neighbours=2, query=query))
    printed = capsys.readouterr().out
    saved = np.load("out/embeddings.npz")
    assert saved["embeddings"].shape == (6, 256) and saved["embeddings"].dtype == np.float32
    assert saved["classes"].tolist() == ["left", "right"]
    assert saved["labels"].tolist() == ["left"] * 3 + ["right"] * 3
    assert set(saved["splits"]) == {"train", "val"}
    network = keras.saving.load_model(run_folder / "best.keras", compile=False)
    kernel, bias = network.get_layer("head").get_layer("logits").get_weights()
    np.testing.assert_allclose(saved["embeddings"] @ kernel + bias, logits, atol=1e-4)
    assert np.ptp(logits, axis=0).min() > 1e-3

    rows = read_table("out/neighbours.csv")
    assert [row["rank"] for row in rows] == ["1", "2"] * 6
    assert all(row["path"] != row["neighbour"] for row in rows)
    assert all((row["label"] == row["neighbour_label"]) == (row["agrees"] == "1") for row in rows)
    share = np.mean([int(row["agrees"]) for row in rows[::2]])
    assert f"{share:.1%} of the videos have a nearest neighbor with their label" in printed
    page = Path("out/neighbors.html").read_text()
    assert "<h1>Nearest videos of r, all splits, 6 videos</h1>" in page
    assert page.count("data:image/jpeg;base64,") == 3 + 6 * 3
    assert page.index("Nearest to left/left_01.avi") < page.index("Videos of the data")
    assert 'href="../videos/left/left_01.avi"' in page and "asked for" in page
    alike, others = (page.count(f'class="video {style}"') for style in ("same", "other"))
    assert alike == sum(int(row["agrees"]) for row in rows) and alike + others == 12
    first = printed.split(f"Nearest to {query}:\n")[1].splitlines()[0]
    assert first.split()[:2] == ["1.000", "left"] and first.endswith("left_01.avi")


def test_network_without_i3d(folder, monkeypatch):
    monkeypatch.chdir(folder)
    params = replace(PARAMS, network="vivit", frame_size=32)
    network = build("vivit", 2, 2, 8, 32)
    save_run("weights/v", params, network, split_examples())
    extract_embeddings(Options(folder / "weights/v"))
    saved = np.load("weights/v/embeddings/embeddings.npz")
    path = saved["paths"][0]
    clip = read_clip(list_views(probe(path))[0], make_plan(params).clip_format)
    kernel, bias = network.get_layer("head").get_layer("logits").get_weights()
    logits = network.predict(clip[None], verbose=0)
    np.testing.assert_allclose(saved["embeddings"][:1] @ kernel + bias, logits, atol=1e-4)


def test_parts_of_the_data_and_other_data(run_folder):
    write_dataset(run_folder.parent.parent / "others", ("up", "down"), 1)
    extract_embeddings(Options(run_folder, data_path="others"))
    saved = np.load(run_folder / "embeddings/embeddings.npz")
    assert saved["labels"].tolist() == ["down", "up"]
    assert (run_folder / "embeddings/map.png").stat().st_size
    page = (run_folder / "embeddings/map.html").read_text()
    assert "<h1>Map of r, others, 2 videos</h1>" in page and page.count("<use ") == 2
    shutil.rmtree("others")  # what was embedded before may be gone
    extract_embeddings(Options(run_folder, split="val"))
    saved = np.load(run_folder / "embeddings/embeddings.npz")
    assert set(saved["splits"]) == {"val"}
    rows = read_table(run_folder / "embeddings/neighbours.csv")
    assert len(rows) == len(saved["paths"]) * (len(saved["paths"]) - 1)  # fewer than five others


def test_bad_commands_say_what_is_wrong(run_folder):
    script = "scripts/extract_embeddings.py"
    done = run([script, "weights/none"], run_folder.parent.parent)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "Error: weights/none: not a run (params.json is missing)" in done.stderr


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"query": "weights/text.avi"}, r"weights/text\.avi: not a video"),
        ({"query": "gone.avi"}, r"gone\.avi: no such file"),
        ({"split": "test"}, "no split 'test'; known: train, val"),
        ({"neighbours": 0}, "neighbours is 0; it must be at least 1"),
    ],
)
def test_bad_options_say_what_is_wrong(run_folder, given, message):
    (run_folder.parent / "text.avi").write_text("no video")
    with pytest.raises(ValueError, match=message):
        extract_embeddings(Options(run_folder, **given))


def test_nearest_leaves_the_group_out():
    embeddings = np.array([[1, 0], [2, 0.1], [1, 1], [0, 3], [-1, 0]])
    indices, similarities = nearest(embeddings, ["a", "a", "b", "c", "d"], 2)
    assert indices.tolist()[:4] == [[2, 3], [2, 3], [1, 0], [2, 1]]
    np.testing.assert_allclose(similarities[0], [np.sqrt(0.5), 0], atol=1e-6)
    assert similarities.dtype == np.float32
    _, similarities = nearest(embeddings, ["a", "a", "a", "a", "d"], 3)
    assert np.isfinite(similarities).sum(1).tolist() == [1, 1, 1, 1, 3]
    indices, similarities = nearest(embeddings, None, 9, queries=[[0, 1], [1, 0]])
    assert indices.shape == (2, 5) and indices[:, 0].tolist() == [3, 0]
    many = np.random.default_rng(0).normal(size=(2500, 3))
    indices, _ = nearest(many, np.arange(2500), 1)
    lengths = np.linalg.norm(many, axis=1)
    cosines = many[2000] @ many.T / lengths / lengths[2000]
    assert indices[2000, 0] == np.argsort(cosines)[-2]


@pytest.mark.parametrize("classes", [1, 2, 5])
def test_map_keeps_neighbors_together(classes):
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(classes), 4)
    centers = generator.normal(size=(classes, 32))
    embeddings = centers[labels] + 0.1 * generator.normal(size=(len(labels), 32))
    points = project(embeddings)
    assert points.shape == (len(labels), 2)
    distances = np.linalg.norm(points[:, None] - points, axis=-1)
    np.fill_diagonal(distances, np.inf)
    assert np.mean(labels[distances.argmin(1)] == labels) > 0.95


@pytest.mark.parametrize("classes", [1, 40, 60])
def test_map_has_a_color_a_class_and_a_marker_a_split(tmp_path, monkeypatch, classes):
    monkeypatch.setattr("utils.pictures.embedding_map.plt.close", lambda figure: None)
    labels = [f"class {label:02d}" for label in range(classes)]
    splits = ["train", *["val"] * (classes - 1)]
    points = np.random.default_rng(0).normal(size=(classes, 2))
    frames = {0: np.zeros((9, 16, 3), np.uint8), classes - 1: np.zeros((16, 9, 3), np.uint8)}
    plot_map(points, labels, splits, tmp_path / "a.png", "r, all splits", frames)
    assert plt.gcf().get_suptitle() == "r, all splits"
    axis = plt.gcf().axes[0]
    monkeypatch.undo()
    plt.close()
    entries = axis.get_legend().get_lines()
    names = [entry.get_label() for entry in entries]
    assert names == [*labels, *["train", "val"][: len(set(splits))]]
    assert len({tuple(entry.get_color()) for entry in entries[:classes]}) == classes
    drawn = [points for points in axis.collections if len(points.get_offsets())]
    assert len(drawn) == classes and len(axis.artists) == len(frames)
    assert (tmp_path / "a.png").stat().st_size > 5000


def test_pictures_do_not_cover_each_other():
    points = np.array([[0, 0], [0.05, 0.05], [0.05, 0.3], [0.2, 0], [0.21, 0.01], [1, 1]])
    assert scatter_apart(points, np.array([0.1, 0.2])) == [0, 2, 3, 5]
    assert scatter_apart(np.zeros((50, 2)), np.array([0.1, 0.1])) == [0]


def test_pages_of_many_videos_stay_small(monkeypatch):
    """Those with neighbors of other labels come first; frames are read of what is shown."""
    rows = [[Neighbor((n + 1) % 50, 0.9, n % 2 == 0), Neighbor(7, 0.8, n > 3)] for n in range(50)]
    rows[1] = []
    monkeypatch.setattr(alike, "MOST_ROWS", 4)
    assert choose_rows(rows) == [3, 0, 2, 5]
    monkeypatch.setattr(alike, "MOST_FRAMES", 3)
    assert choose_shown(50, [3, 0], rows) == {0, 24, 49, 3, 4, 1, 7}
    assert choose_rows([[], []]) == []


def test_videos_that_are_gone_are_named(tmp_path):
    write_dataset(tmp_path / "v", ("a",), 1)
    paths = [str(tmp_path / "v/a/a_00.avi"), str(tmp_path / "gone.avi")]
    frames = read_frames(paths, {0, 1})
    assert [*frames] == [0] and frames[0].shape == (128, 160, 3)
    shown = Shown(tmp_path, [Example(path, "a") for path in paths], frames)
    assert shown.describe(0)["picture"].startswith(b"\xff\xd8") and shown.describe(1) == {
        "name": f"{tmp_path.name}/gone.avi",
        "label": "a",
        "split": "",
        "address": "gone.avi",
        "picture": b"",
    }
