"""Folders, lists and splits, good and bad."""

import json
from pathlib import Path

from support.videos import write_dataset
from utils.data.datasets import DATASETS, list_csv, list_examples
from utils.data.examples import (
    Example,
    check_readable,
    find_split,
    list_classes,
    save_examples,
)
from utils.data.inspection import inspect_videos
from utils.data.splits import assign_splits, group_of
from utils.signing.releases import SPLITS
from utils.video.image_folders import stamp_video
from utils.video.video import Video

import pytest


@pytest.mark.parametrize("name", ["train", "val", "dev", "test", "", "other"])
def test_a_split_has_two_names(name):
    assert find_split(name) == {"dev": "val"}.get(name, name)
    assert find_split(name, SPLITS) == {"val": "dev"}.get(name, name)


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("sample", ["sample"]),
        ("list.csv", ["csv"]),
        ("trainlist01.txt", ["ucf101"]),
        ("videos", ["folders"]),
        ("testlist01.txt", []),
        ("gone.csv", []),
    ],
)
def test_a_data_path_is_of_one_dataset(tmp_path, monkeypatch, path, names):
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, "videos/a.avi", "list.csv", "trainlist01.txt", "testlist01.txt")
    assert [name for name, (is_one, _) in DATASETS.items() if is_one(Path(path))] == names


def test_folders(tmp_path):
    touch(tmp_path, "b/1.avi", "a/2.mp4", "a/sub/3.mkv", "a/.hidden", "notes.txt")
    examples = list_examples(tmp_path)
    assert [(e.path[len(str(tmp_path)) + 1 :], e.label, e.split) for e in examples] == [
        ("a/2.mp4", "a", ""),
        ("a/sub/3.mkv", "a", ""),
        ("b/1.avi", "b", ""),
    ]


def test_split_folders(tmp_path):
    touch(tmp_path, "train/a/1.avi", "train/b/2.avi", "val/a/3.avi", "test/b/4.avi")
    assert [e.split for e in list_examples(tmp_path)] == ["train", "train", "val", "test"]


def test_csv_round_trip(tmp_path):
    table = tmp_path / "list.csv"
    table.write_text('\ufeffpath,label,split\na b.avi,NULL,train\nc.avi,"x, y",val\n')
    examples = list_examples(table)
    assert [(e.label, e.split) for e in examples] == [("NULL", "train"), ("x, y", "val")]
    assert examples[0].path == str(tmp_path / "a b.avi")
    save_examples(examples, tmp_path / "again.csv")
    again = list_csv(tmp_path / "again.csv")
    assert [(e.path, e.label, e.split) for e in again] == [
        (e.path, e.label, e.split) for e in examples
    ]


def test_csv_with_several_labels(tmp_path):
    table = tmp_path / "list.csv"
    table.write_text("path,label\na.avi,run;jump\nb.avi, run ; jump high;;\nc.avi,run;run\n")
    examples = list_examples(table)
    several = [("run", "jump"), ("run", "jump high"), ("run",)]
    assert [e.labels for e in examples] == several
    assert list_classes(examples) == ["jump", "jump high", "run"]
    save_examples(examples, tmp_path / "again.csv")
    again = list_csv(tmp_path / "again.csv")
    assert [e.labels for e in again] == several
    assert again[1].label == "run ; jump high;;"


def test_class_list():
    examples = [Example("1.avi", "b"), Example("2.avi", "a;d"), Example("3.avi", "c")]
    assert list_classes(examples) == ["a", "b", "c", "d"]
    assert list_classes(examples, ("d", "c", "b", "a", "none")) == ["d", "c", "b", "a", "none"]
    with pytest.raises(ValueError, match=r"2\.avi: .* does not know: c, d; known: a, b\."):
        list_classes(examples, ["a", "b"])
    for few, names in ((examples, ["a", "b", "c", "d", "a"]), (examples[:1], ()), ([], ())):
        with pytest.raises(ValueError, match="two or more classes, each once"):
            list_classes(few, names)


def test_ucf101(tmp_path):
    touch(tmp_path, "UCF-101/A/v_A_g08_c01.avi", "UCF-101/B/v_B_g01_c02.avi")
    lists = tmp_path / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "trainlist01.txt").write_text("A/v_A_g08_c01.avi 1\n")
    (lists / "testlist01.txt").write_text("B/v_B_g01_c02.avi\n")
    train, test = list_examples(lists / "trainlist01.txt")
    assert (train.label, train.split, train.group) == ("A", "train", "g08")
    assert (test.label, test.split, test.group) == ("B", "test", "g01")
    assert train.path == str(tmp_path / "UCF-101/A/v_A_g08_c01.avi")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\na,b\n", "it must be path,label"),
        ("path,label\n,b\n", "line 2"),
        ("path,label\na,b\nc, ; ;\n", "line 3"),
        ("path,label,split\na,b,training\n", "split empty, train, val or test"),
        ("path,label\na,b\nc,b\n", r"found 1 class\(es\) \['b'\]"),
    ],
)
def test_bad_lists(tmp_path, text, message):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        list_examples(tmp_path / "list.csv")


def test_bad_paths_and_patterns(tmp_path):
    with pytest.raises(ValueError, match="nowhere: not there"):
        list_examples("nowhere")
    with pytest.raises(ValueError, match=r"found 0 class\(es\)"):
        list_examples(tmp_path)
    touch(tmp_path, "a/1.avi", "b/1.avi")
    with pytest.raises(ValueError, match="no regex"):
        list_examples(tmp_path, group_pattern="(")


def test_groups():
    assert group_of("v_Archery_g07_c03.avi") == "g07"
    assert group_of("match-final_clip12.mp4") == "match-final"
    assert group_of("fi031.mp4") == "fi031"
    assert group_of("fi031.mp4", r"(\d)\d\d$") == "0"


def make(per_group=4, groups=20, labels=("a", "b", "c")):
    return [
        Example(f"{label}_{g}_{i}", label, "", f"g{g}")
        for label in labels
        for g in range(groups)
        for i in range(per_group)
    ]


def test_splits_are_stratified_and_keep_groups():
    examples = assign_splits(make(), 0.2, 0.1, seed=3)
    by_group = {}
    for example in examples:
        by_group.setdefault(example.group, set()).add(example.split)
    assert all(len(splits) == 1 for splits in by_group.values())
    for split, share in (("val", 0.2), ("test", 0.1)):
        for label in "abc":
            count = sum(e.split == split and e.label == label for e in examples)
            assert count == pytest.approx(80 * share, abs=4)
    assert examples == assign_splits(make(), 0.2, 0.1, seed=3)
    assert examples != assign_splits(make(), 0.2, 0.1, seed=4)


def test_several_labels_are_stratified_by_the_rarest():
    labels = ["a", "a;b", "a", "a ; c", "b;a"]  # c is rarest, then b
    examples = [Example(f"{g}_{i}", labels[g % 5], "", f"g{g}") for g in range(100) for i in (0, 1)]
    drawn = assign_splits(examples, 0.2, seed=1)
    splits = {}
    for example in drawn:
        splits.setdefault(example.group, set()).add(example.split)
    assert all(len(found) == 1 for found in splits.values())
    held = [example for example in drawn if example.split == "val"]
    for label, count in (("a", 40), ("b", 16), ("c", 8)):
        assert sum(label in e.labels for e in held) == pytest.approx(count, abs=2)


def test_memory_of_earlier_versions_is_read(tmp_path):
    """It holds no path beside what decoding found."""
    path = tmp_path / "a.avi"
    path.write_text("no video, so that nothing but the memory can tell")
    fields = {"num_frames": 3, "fps": 2.0, "width": 8, "height": 6, "digest": "d"}
    fields |= {"times": [0.0, 0.5, 1.1], "note": ""}
    memory = {str(path.resolve()): [stamp_video(path), fields]}
    (tmp_path / "videos.json").write_text(json.dumps(memory))
    found, problems = inspect_videos([str(path)], tmp_path)
    known = Video(str(path), 3, 2.0, 8, 6, "d", (0.0, 0.5, 1.1))
    assert found == {str(path): known} and not problems
    assert json.loads((tmp_path / "videos.json").read_text()) == memory


def test_every_label_needs_a_readable_video():
    listed = [Example("1", "a;b"), Example("2", "a"), Example("3", "b;c")]
    with pytest.raises(ValueError, match="training video is left of c;"):
        check_readable(listed, listed[:2])
    check_readable(listed, listed[::2])


def test_given_splits_stay():
    given = [Example(str(i), "ab"[i % 2], "test" if i < 4 else "train", str(i)) for i in range(24)]
    examples = assign_splits(given, 0.2, 0.2)
    assert [e.split for e in examples[:4]] == ["test"] * 4
    assert 3 <= sum(e.split == "val" for e in examples) <= 7
    assert {e.split for e in assign_splits(given, 0)} == {"train", "test"}


def test_one_group_cannot_be_split():
    with pytest.raises(ValueError, match=r"group-pattern"):
        assign_splits(make(groups=1), 0.2)


def test_broken_videos_are_listed_and_the_rest_goes_on(tmp_path):
    folder = write_dataset(tmp_path / "videos", videos=2)
    (folder / "left/broken.avi").write_bytes(b"nothing")
    (folder / "left/copy.avi").write_bytes((folder / "right/right_00.avi").read_bytes())
    examples = list_examples(folder)
    paths = [e.path for e in examples]
    infos, problems = inspect_videos(paths, tmp_path / "cache")
    assert len(infos) == 5
    assert [path.split("/")[-1] for path, _ in problems] == ["broken.avi", "right_00.avi"]
    assert inspect_videos(paths, tmp_path / "cache") == (infos, problems)  # from memory
    readable = [e for e in examples if e.path in infos]
    check_readable(examples, readable)
    with pytest.raises(ValueError, match="No readable training video is left of left"):
        check_readable(examples, [e for e in readable if e.label == "right"])
