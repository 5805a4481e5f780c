"""Folders, lists and splits, good and bad."""

import json
import os
from pathlib import Path

from support.videos import moving_square, write_dataset
from utils.data.datasets import DATASETS, list_examples
from utils.data.examples import (
    Example,
    check_readable,
    find_split,
    list_classes,
    save_examples,
)
from utils.data.inspection import inspect_videos
from utils.data.lists import list_csv
from utils.data.splits import FOLDER_PATTERN, assign_splits, group_of
from utils.features.lookup import locate_features
from utils.features.store import name_features
from utils.signing.releases import SPLITS
from utils.video.image_folders import stamp_video
from utils.video.reading import probe
from utils.video.writing import write_video

import pytest


@pytest.mark.parametrize("name", ["train", "val", "dev", "test", "", "other"])
def test_a_split_has_two_names(name):
    assert find_split(name) == {"dev": "val"}.get(name, name)
    assert find_split(name, SPLITS) == {"val": "dev"}.get(name, name)


@pytest.mark.parametrize(
    ("name", "split"),
    [("Training", "train"), ("VALID", "dev"), ("test-set", "test"), ("set", "set")],
)
def test_a_split_has_usual_names(name, split):
    assert find_split(name, SPLITS) == split


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


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("train/a/1.avi", "train/b/2.avi", "valid/a/3.avi"), ["train", "train", "val"]),
        (("Train/a/1.avi", "Train/b/2.avi", "Test/b/3.avi"), ["train", "train", "test"]),
        (("training/a/1.avi", "training/b/2.avi", "validation/b/3.avi"), ["train", "train", "val"]),
        (("train_set/a/1.avi", "dev set/b/2.avi", "TESTING/b/3.avi"), ["train", "val", "test"]),
        (("val/a/1.avi", "test/b/2.avi"), ["val", "test"]),
        (("train/a/1.avi", "train/b/2.avi", "extra/3.avi"), ["train", "train"]),
        (("train/a/1.avi", "train/b/2.avi", "test/3.avi"), ["train", "train"]),
        (("train/a/1.avi", "test/b/2.avi", "unsure/b/3.avi"), ["train", "test"]),
    ],
)
def test_split_folders_have_usual_names(tmp_path, capsys, names, splits):
    touch(tmp_path, *names)
    found = list_examples(tmp_path)
    assert [each.split for each in found] == splits
    assert {each.label for each in found} == {"a", "b"}
    said = capsys.readouterr().out
    assert f"splits are {names[0].split('/')[0]} ({splits[0]})" in said
    for name in names[len(splits) :]:
        assert name in said or name.split("/")[0] in said


@pytest.mark.parametrize("deep", ["", "monday/"])
def test_a_class_may_be_called_train(tmp_path, capsys, deep):
    touch(tmp_path, *(f"{name}/{deep}1.avi" for name in ("bus", "car", "train")))
    found = list_examples(tmp_path)
    assert [(each.label, each.split) for each in found] == [("bus", ""), ("car", ""), ("train", "")]
    assert "train: read as a class" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("Train/1.avi", "Test/2.avi"), "Test, Train: these folders are named like splits, but"),
        (("1.avi", "2.avi"), "2 videos, such as 1.avi, lie in no class folder"),
        (("archive/a/1.avi", "archive/b/2.avi"), "give that: --data-path .*/archive"),
        (("train/1/1.avi", "train/1/2.avi"), r"found 1 class\(es\) \['1'\]"),
        (("notes.txt",), r"found 0 class\(es\)"),
    ],
)
def test_folders_without_classes_are_refused(tmp_path, names, words):
    touch(tmp_path, *names)
    with pytest.raises(ValueError, match=words):
        list_examples(tmp_path)


def test_what_is_no_video_is_left_out_and_said(tmp_path, capsys):
    videos = ["a/1.avi", "a/2.MP4", "a/no suffix", "b/-3.mov", "b/ 4 .mkv"]
    others = [
        "a/1.nfo",
        "a/1.srt",
        "a/1.jpg",
        "a/cover1.png",
        "a/notes.txt",
        "a/song.m4a",
        "b/x.zip",
    ]
    hidden = ["a/._1.avi", "b/.DS_Store", "__MACOSX/a/1.avi", "b/@eaDir/3.mov"]
    touch(tmp_path, *videos, *others, *hidden, "c/empty.txt", "top.avi", "list.csv")
    (tmp_path / "a/no suffix").write_bytes(b"\0\0\0\x20ftypisom")
    (tmp_path / "a/song.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    assert [
        Path(e.path).relative_to(tmp_path).as_posix() for e in list_examples(tmp_path)
    ] == sorted(videos, key=lambda name: name.split("/"))
    said = capsys.readouterr().out
    assert "8 other files were ignored: .jpg 1, .m4a 1, .nfo 1, .png 1, .srt 1, .txt 2" in said
    assert (
        "folders without videos: c" in said
        and "left out, because these are in no class folder: top.avi" in said
    )


def test_features_in_class_folders_are_data(tmp_path, capsys):
    touch(tmp_path, "a/1.npy", "a/1.flip.npy", "a/1.json", "b/2.npy", "manifest.json")
    found = [Path(each.path).name for each in list_examples(tmp_path)]
    assert found == ["1.npy", "2.npy"] and not capsys.readouterr().out


def test_links_are_followed_once(tmp_path):
    touch(tmp_path, "data/a/1.avi", "data/b/2.avi", "elsewhere/3.avi")
    data = tmp_path / "data"
    (data / "a/again").symlink_to(data)
    (data / "a/to_b").symlink_to(data / "b")
    (data / "b/to_a").symlink_to(data / "a")
    (data / "b/round").symlink_to(data / "b/round")
    (data / "c").symlink_to(tmp_path / "elsewhere")
    (data / "b/4.avi").symlink_to(tmp_path / "elsewhere/3.avi")
    found = [Path(each.path).relative_to(data).as_posix() for each in list_examples(data)]
    assert found == ["a/1.avi", "b/2.avi", "b/4.avi", "c/3.avi"]
    examples = list_examples(data)
    names = name_features([each.path for each in examples], data)
    assert list(names.values()) == ["a/1", "b/2", "b/4", "c/3"]
    for name in names.values():  # a run's lists find them by the same names
        touch(tmp_path / "F", f"{name}.npy")
    save_examples(examples, tmp_path / "splits.csv")
    again = [each.path for each in list_csv(tmp_path / "splits.csv")]
    assert len(locate_features(again, tmp_path / "F")) == 4


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
    with pytest.raises(ValueError, match=r"2\.avi: unknown class: c, d; known classes: a, b\."):
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


LISTED = [("a b.avi", "run", "train"), ("c.avi", "walk;run", "val"), ("d, e.avi", "walk", "")]
TEXT = 'path,label,split\na b.avi,run,train\nc.avi,walk;run,val\n"d, e.avi",walk,\n'


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r").encode(),
        TEXT.replace("d, e", "d@ e").replace(",", "\t").replace("@", ",").encode("utf-16"),
        b'path;label;split\na b.avi;run;Train\nc.avi;"walk;run";valid\nd, e.avi;walk;\n',
        b"Path , LABEL, Split\na b.avi, run , training\nc.avi, walk;run, dev\n"
        b"'d, e.avi', walk\n".replace(b"'", b'"'),
        TEXT.encode().replace(b",split\n", b",split,\n").replace(b",\n", b",,\n") + b",,\n\n",
    ],
)
def test_lists_of_other_programs(tmp_path, content):
    (tmp_path / "list.csv").write_bytes(content)
    found = list_csv(tmp_path / "list.csv")
    assert [(Path(e.path).name, e.label, e.split) for e in found] == LISTED


def test_a_list_has_paths_of_any_system(tmp_path):
    names = [b"a/\xe9t\xe9.avi", b"b\\1.avi", b"c\n.avi"]
    touch(tmp_path, "b/1.avi")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/a")).mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + names[0])).touch()
    text = b"path,label\n" + names[0] + b",x\n" + names[1] + b',y\n"' + names[2] + b'",y\n'
    (tmp_path / "list.csv").write_bytes(text)
    found = list_examples(tmp_path / "list.csv")
    paths = [os.fsencode(os.path.relpath(each.path, tmp_path)) for each in found]
    assert paths == [names[0], b"b/1.avi", names[2]]
    save_examples(found, tmp_path / "again.csv")
    assert [e.path for e in list_csv(tmp_path / "again.csv")] == [e.path for e in found]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_ucf101_paths_may_have_blanks(tmp_path, end):
    touch(tmp_path, "class room/drink (1).mp4", "Run/v_Run_g01_c01.mp4", "Run/2.mp4")
    lists = "class room/drink (1).mp4 1 ", "./Run/v_Run_g01_c01.mp4 2", "", "Run\\2.mp4 2"
    (tmp_path / "trainlist01.txt").write_bytes(end.join(lists).encode("utf-8-sig"))
    (tmp_path / "testlist01.txt").write_bytes(f"class room/drink (1).mp4{end}".encode())
    with pytest.raises(ValueError, match=r"drink .1..mp4 is listed 2 times"):
        list_examples(tmp_path / "trainlist01.txt")
    (tmp_path / "testlist01.txt").unlink()
    found = list_examples(tmp_path / "trainlist01.txt")
    assert [each.label for each in found] == ["class room", "Run", "Run"]
    assert all(Path(each.path).is_file() for each in found)
    (tmp_path / "trainlist01.txt").write_text("v_Run_g01_c01.mp4 1\n")
    with pytest.raises(ValueError, match=r"line 1: .*expected class/video.avi"):
        list_examples(tmp_path / "trainlist01.txt")


def test_labels_that_look_alike_are_named(tmp_path, capsys):
    names = ["Run/1.avi", "run/2.avi", "\u00e9t\u00e9/3.avi", "e\u0301te\u0301/4.avi", "stop/5.avi"]
    touch(tmp_path, *names)
    assert len({each.label for each in list_examples(tmp_path)}) == 5
    said = capsys.readouterr().out
    assert "labels 'Run' and 'run' differ only" in said
    assert r"'e\u0301te\u0301' and '\xe9t\xe9'" in said and "stop" not in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\na,b\n", "but must be path,label"),
        ("path,label\n,b\n", "line 2"),
        ("path,label\na,b\nc, ; ;\n", "line 3"),
        ("path,label,split\na,b,sometimes\n", "split must be empty, train, val or test"),
        ("path,label\na,b\nc,b\n", r"found 1 class\(es\) \['b'\]"),
        (
            "path,label\na,b\nc,d,e\n",
            r"line 3: \['c', 'd', 'e'\]; the line has 3 cells, but there are 2 columns",
        ),
        ("path,label\na\nc,d\n", "line 2: .*path and label must not be empty"),
        ("path,label,Label\na,b,c\n", "a column occurs twice"),
        ("path,label,split\na,b,train\na,b,val\nc,d,val\n", "a is listed 2 times, as b train and"),
        ("path,label\na,b\n./a,c\nd,c\n", "a is listed 2 times, as b and as c"),
        ("label,youtube_id,time_start\nrun,x,1\n", "but must be path,label"),
        ("34870;Drumming Fingers\n", "the first line is '34870;Drumming Fingers', but must be"),
    ],
)
def test_bad_lists(tmp_path, text, message):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        list_examples(tmp_path / "list.csv")


def test_bad_paths_and_patterns(tmp_path):
    with pytest.raises(ValueError, match="nowhere: no such file or folder"):
        list_examples("nowhere")
    with pytest.raises(ValueError, match=r"found 0 class\(es\)"):
        list_examples(tmp_path)
    touch(tmp_path, "a/1.avi", "b/1.avi")
    with pytest.raises(ValueError, match="is not a regular expression"):
        list_examples(tmp_path, group_pattern="(")


def test_groups():
    assert group_of("v_Archery_g07_c03.avi") == "g07"
    assert group_of("match-final_clip12.mp4") == "match-final"
    assert group_of("fi031.mp4") == "fi031"
    assert group_of("fi031.mp4", r"(\d)\d\d$") == "0"


def test_a_pattern_that_matches_nothing_is_said(tmp_path, capsys):
    for name in ("a/x1.avi", "b/y2.avi"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    list_examples(tmp_path, group_pattern=r"_(cam\d)_")
    said = capsys.readouterr().out
    assert r"'_(cam\\d)_' matches none of the 2 videos, such as" in said
    list_examples(tmp_path, group_pattern=r"^[xy]")
    assert "matches none" not in capsys.readouterr().out


def test_a_folder_may_be_the_group(tmp_path, capsys):
    names = [f"{c}/rec{n}/{v}.avi" for c in "ab" for n in range(4) for v in ("front", "rear")]
    touch(tmp_path, *names)
    examples = list_examples(tmp_path)
    assert {each.group for each in examples} == {"front", "rear"}
    said = capsys.readouterr().out
    assert f"--group-pattern '{FOLDER_PATTERN}'" in said
    assert f"{tmp_path}: videos of the same name" in said
    for pattern in (FOLDER_PATTERN, r"rec\d", r"^\w/(rec\d)/"):
        found = list_examples(tmp_path, group_pattern=pattern)
        assert len({each.group for each in found}) == 4
        assert not capsys.readouterr().out
    found = assign_splits(list_examples(tmp_path, group_pattern=FOLDER_PATTERN), 0.25)
    held = {each.group for each in found if each.split == "val"}
    assert held and not held & {each.group for each in found if each.split == "train"}
    named = list_examples(tmp_path, group_pattern="fro")  # a name has it, so names alone count
    assert {each.group for each in named} == {"fro", "rear"}
    with pytest.raises(ValueError, match=r"such as rec1 of rec1/front\.mp4"):
        assign_splits([e for e in examples if e.group == "front"], 0.25)


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


def test_memory_of_earlier_readers_is_renewed(tmp_path):
    """What they found may be wrong; what this one found is not looked for again."""
    path = tmp_path / "a.avi"
    write_video(path, moving_square(3, (40, 60)), 25)
    fields = {"num_frames": 2, "fps": 2.0, "width": 8, "height": 6, "digest": "d"}
    fields |= {"times": [0.0, 0.5], "note": ""}
    memory = {str(path.resolve()): [stamp_video(path), fields]}
    (tmp_path / "videos.json").write_text(json.dumps(memory))
    found, problems = inspect_videos([str(path)], tmp_path)
    assert found == {str(path): probe(path)} and not problems
    stamp = path.stat()
    path.write_bytes(b"." * stamp.st_size)  # nothing but the memory can tell now
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert inspect_videos([str(path)], tmp_path) == (found, [])


def test_every_label_needs_a_readable_video():
    listed = [Example("1", "a;b"), Example("2", "a"), Example("3", "b;c")]
    with pytest.raises(ValueError, match="training video is left of c;"):
        check_readable(listed, listed[:2])
    check_readable(listed, listed[::2])


@pytest.mark.parametrize("splits", ["test", "val test"])
def test_something_must_be_trained_on(splits):
    examples = [Example(f"{s}{n}", "ab"[n], s, f"{n}") for s in splits.split() for n in (0, 1)]
    for refuse in (
        lambda: assign_splits(examples, 0.2),
        lambda: check_readable(examples, examples),
    ):
        with pytest.raises(ValueError, match=r"no video to train on: all . are in test"):
            refuse()


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
