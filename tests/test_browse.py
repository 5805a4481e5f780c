"""What is browsed is what training is given: the same arrays, in the same places."""

import re
from pathlib import Path
from types import SimpleNamespace

from scripts import browse as script
from scripts.browse import describe_transform, main
from support.commands import ROOT
from support.videos import write_dataset
from tasks.classification import training as classification
from tasks.plan import make_plan
from tasks.training_flags import parse_params
from utils.clips.augmentation import Transform
from utils.clips.inputs import ClipSource
from utils.clips.sampling import spread
from utils.data.datasets import list_examples
from utils.data.inspection import inspect_videos
from utils.data.splits import assign_splits
from utils.pictures.frame_sheets import find_largest, paint_clips, paint_flow, paint_rgb
from utils.scores.labelings import encode_targets

import numpy as np
import pytest
from matplotlib.image import imread

TEMPLATES = ROOT / "utils/pictures/templates"
SMALL = (
    "--num-segments 2 --frames-per-segment 4 --frame-size 32 --short-side 36 --workers 1".split()
)


@pytest.fixture
def shown(tmp_path, monkeypatch):
    """A folder with videos; what is painted is listed: (label, captions, clip) of each row."""
    write_dataset(tmp_path / "videos", videos=5)
    monkeypatch.chdir(tmp_path)
    rows = []

    def keep(named, stream):
        rows.append(named)
        return paint_clips(named, stream)

    monkeypatch.setattr(script, "paint_clips", keep)
    return rows


def list_training(flags):
    """Return (`Plan`, training videos, their targets), as training has them."""
    params = parse_params(["--data-path", "videos", *flags])
    examples = assign_splits(
        list_examples("videos"), params.val_fraction, params.test_fraction, params.seed
    )
    training = [example for example in examples if example.split == "train"]
    found = inspect_videos([e.path for e in training], params.cache_path, 1)[0]
    targets = encode_targets("single", training, ["left", "right"])
    return make_plan(params), [found[e.path] for e in training], targets


def test_sheets_show_the_arrays_of_training(shown):
    flags = [*SMALL, "--feature-views", "0", "--rand-operations", "2", "--mixup", "0.4"]
    flags += ["--batch-size", "4", "--seed", "3"]
    folder = main(["videos", "--videos", "3", "--draws", "2", "--columns", "5", *flags])
    plan, videos, targets = list_training(flags)
    source = ClipSource(plan.clip_format)
    reader = classification.make_reader(plan, source, videos)
    assert len(shown) == 4  # three videos and a batch
    for index, named in zip((0, 4, 7), shown, strict=False):
        assert [label.split("\n")[0] for label, _, _ in named] == [
            "test view",
            "epoch 1",
            "epoch 2",
        ]
        for epoch, (label, captions, clip) in enumerate(named[1:]):
            expected = reader(index, epoch).reshape(8, 32, 32, 3)[spread(8, 5)]
            np.testing.assert_array_equal(clip, expected)
            assert len(label.split("\n")) >= 5 and captions[0].endswith(" s")
        assert "crop at 0.50, 0.50" in named[0][0] and "contrast" not in named[0][0]
    every = {"train": videos, "val": [], "test": []}
    batches, _ = classification.make_sequences(plan, source, every, {"train": targets})
    inputs, mixed, _ = batches[0]
    assert len(shown[3]) == 4
    for place, (label, _, clip) in enumerate(shown[3]):
        np.testing.assert_array_equal(clip, inputs[place].reshape(8, 32, 32, 3)[spread(8, 5)])
        largest = mixed[place].argmax()
        assert f"{mixed[place][largest]:.2f} {('left', 'right')[largest]}" in label
    assert folder.as_posix() == "weights/browse/videos"
    page = (folder / "index.html").read_text()
    names = sorted(path.name for path in folder.glob("*.png"))
    assert len(names) == 4 and all(f'src="{name}"' in page for name in names)
    assert imread(folder / "batch.png").std() > 0.05


def test_cached_features_show_their_versions(shown, monkeypatch, capsys):
    monkeypatch.setattr(script, "plot_strips", lambda *_: None)
    main(["videos", "--videos", "2", *SMALL, "--feature-views", "3", "--mixup", "1"])
    plan, videos, _ = list_training([*SMALL, "--feature-views", "3"])
    clips = []
    source = SimpleNamespace(prepare=clips.extend)
    classification.make_reader(plan, source, videos)
    for index, named in zip((0, 7), shown, strict=True):
        assert [label.split("\n")[0] for label, _, _ in named] == [
            "test view, version 1", "version 2 of 3", "version 3 of 3",
        ]  # fmt: skip
        for version, (_, _, clip) in enumerate(named):
            expected = script.read_clip(clips[3 * index + version], plan.clip_format)
            np.testing.assert_array_equal(clip, expected.reshape(8, 32, 32, 3))
    assert "MixUp is not shown" in capsys.readouterr().out
    shown.clear()
    main(["videos", "--videos", "1", *SMALL])
    assert [label.split("\n")[0] for label, _, _ in shown[0]] == [
        "test view, all that training sees"
    ]


def test_long_names_are_shortened(shown):
    Path("videos/left/left_00.avi").rename(f"videos/left/{'x' * 251}.avi")
    Path("videos/left/left_01.avi").rename(f"videos/left/{'y' * 251}.avi")
    main(["videos", "--videos", "10", "--draws", "0", "--columns", "2", *SMALL])
    names = [path.name for path in Path("weights/browse/videos").glob("*.png")]
    assert {name[3] for name in names} & {"x", "y"} and max(map(len, names)) == 255


def test_what_is_broken_is_left_out(shown, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(script, "plot_strips", lambda *_: None)
    (tmp_path / "videos/left/broken.avi").write_text("no video")
    main(["videos", "--videos", "99", "--draws", "0", "--val-fraction", "0", *SMALL])
    assert "broken.avi: not a video" in capsys.readouterr().out
    assert len(shown) == 10 and all(len(named) == 1 for named in shown)


def test_flow_is_drawn_in_colors(shown, tmp_path):
    flow = np.zeros((5, 2))
    flow[1:] = [[1, 0], [0, 1], [-1, 0], [0.5, 0]]
    white, right, down, left, slow = paint_flow(flow).tolist()
    assert white == [255, 255, 255] and right == [255, 0, 0] and left == [0, 255, 255]
    assert down == [128, 255, 0] and slow == [255, 128, 128]
    np.testing.assert_array_equal(paint_rgb(np.array([-1.0, 0.0, 1.0])), [0, 128, 255])
    assert find_largest([np.zeros((1, 2, 2, 5))], "both") == 1 / 20  # a pixel
    folder = main(
        ["videos", "--videos", "1", "--draws", "1", *SMALL, "--stream", "both", "--flow", "dis",
         "--feature-views", "0", "--output", "out"]
    )  # fmt: skip
    assert str(folder) == "out" and shown[0][0][2].shape == (8, 32, 32, 5)
    rows = paint_clips(shown[0], "both")
    assert len(rows) == 4 and "full color" in rows[1].label
    assert rows[1].frames.min() < 128 < 200 < np.median(rows[1].frames)  # a square moves


def test_transforms_in_words():
    transform = Transform((0.1, 0.9), True, 0.05, 1.1, 0.9, (("rotate", -0.3),))
    lines = ["crop at 0.10, 0.90", "mirrored"]
    color = ["brightness +0.05, contrast 1.10, saturation 0.90"]
    assert describe_transform(transform, "rgb") == [*lines, *color, "rotate -0.30"]
    assert describe_transform(transform._replace(operations=()), "flow") == lines


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "data_path nowhere: no such file"),
        (
            ["videos", "phoenix"],
            "videos contains no corpus",
        ),
        (["videos", "--features", "F"], "cannot be shown as pictures. Leave out"),
    ],
)
def test_impossible_arguments(shown, arguments, words):
    with pytest.raises(ValueError, match=words):
        main(arguments)
    assert not shown


@pytest.mark.parametrize(
    ("flags", "words"), [(["--videos", "0"], "videos is 0"), (["--epoch", "3"], "--epoch")]
)
def test_bad_flags_end_the_command(shown, flags, words):
    with pytest.raises(ValueError, match=words):
        main(["videos", *flags])
    assert not shown


def test_names_on_the_page_are_text(tmp_path):
    sheets = {'00_a"><script>.png': "<img src=x onerror=alert(1)>", "01_javascript:a.png": "b"}
    script.write_index(tmp_path / "index.html", "What <b>", "<i>", sheets)
    page = (tmp_path / "index.html").read_text()
    assert not [
        tag for tag in ("<b>", "<i>", "<script", "<img src=x", "javascript:") if tag in page
    ]
    assert 'src="00_a%22%3E%3Cscript%3E.png"' in page and "<h1>What &lt;b&gt;</h1>" in page


@pytest.mark.parametrize("path", sorted(TEMPLATES.iterdir()), ids=lambda path: path.name)
def test_templates_escape_what_is_filled_in(path):
    """Nothing is marked as safe, and attributes have quotes, which are escaped too."""
    text = path.read_text()
    assert not re.search(r"\|\s*safe|autoescape|=\s*\{\{", text)
    assert not re.search(r"https?://|//cdn|<script [^>]|<link|<iframe", text)  # nothing is fetched
    for block in re.findall(r"<script>(.*?)</script>", text, re.S):
        assert all(each.endswith("| tojson }}") for each in re.findall(r"\{\{.*?\}\}", block, re.S))
