"""The memory of what was found of videos: killed midway, shared by two processes, damaged."""

import json
import math
from dataclasses import replace

from utils.data import inspection
from utils.data.inspection import inspect_videos
from utils.video.video import Video

import pytest

VIDEO = Video("", 3, 25.0, 8, 8, "d", (0.0, 0.1, 0.3), "odd", 0.5, 0.001, 0.4, ((1, 2),))


@pytest.fixture
def probed(tmp_path, monkeypatch):
    """Paths that were decoded, as far as anyone can tell; `probed.also` is called for each."""

    class Probed(list):
        def also(self, path):
            pass

    calls = Probed()

    def probe(path):
        calls.also(path)
        calls.append(path)
        return replace(VIDEO, path=path, digest=path)

    monkeypatch.setattr(inspection, "probe", probe)
    for name in "abcdef":
        (tmp_path / name).write_text(name)
    monkeypatch.chdir(tmp_path)
    return calls


def read_memory():
    with open("cache/videos.json") as file:
        return json.load(file)


def inspect(paths):
    return inspect_videos(list(paths), "cache", workers=1)[0]


def test_what_was_found_is_remembered_as_it_was(probed):
    first = inspect("abc")
    assert inspect("abc") == first and probed == list("abc")
    assert first["a"] == replace(VIDEO, path="a", digest="a")


def test_what_was_found_is_written_while_others_are_decoded(probed, monkeypatch):
    """SIGKILL leaves no time to write: what is there after each video is there for ever."""
    monkeypatch.setattr(inspection, "_PAUSE", 0)
    written = []
    probed.also = lambda path: written.append(len(read_memory()) if probed else 0)
    inspect("abcd")
    assert written == [0, 1, 2, 3]


def test_all_that_was_found_is_written_when_it_is_stopped(probed):
    def stop(path):
        if path == "c":
            raise KeyboardInterrupt

    probed.also = stop
    with pytest.raises(KeyboardInterrupt):
        inspect("abc")
    assert len(read_memory()) == 2


def test_two_commands_with_one_memory_keep_what_both_found(probed):
    def begin_another(path):
        if path == "b":
            inspect("def")

    probed.also = begin_another
    inspect("abc")
    assert len(read_memory()) == 6


def test_nothing_new_is_not_written(probed, monkeypatch):
    inspect("abc")
    monkeypatch.setattr(inspection, "write_atomically", None)
    inspect("abc")


def change(name, value):
    return lambda entry: entry[1].update({name: value})


DAMAGES = {
    "no stamp": lambda entry: entry.pop(0),
    "another version": lambda entry: entry[0].__setitem__(0, 1),
    "another field": change("other", 1),
    "a field less": lambda entry: entry[1].pop("keys"),
    "fields": lambda entry: entry.__setitem__(1, [1]),
    **{
        f"{name} {value}": change(name, value)
        for name, values in {
            "num_frames": ["3", 0, 2.0, None],
            "fps": ["25", 0, math.nan, None],
            "width": [8.5, [8]],
            "digest": [7, None],
            "times": ["abc", [0, 1], [0, "1", 2], {}],
            "note": [None],
            "length": ["1"],
            "keys": [[1, 2], [[1]], [["1", 2]], "ab", None],
        }.items()
        for value in values
    },
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_entry_is_decoded_again(probed, damage):
    first = inspect("ab")
    memory = read_memory()
    damage(next(iter(memory.values())))
    with open("cache/videos.json", "w") as file:
        json.dump(memory, file)
    assert inspect("ab") == first and probed == ["a", "b", "a"]
    assert inspect("ab") == first and probed == ["a", "b", "a"]


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"7", b'{"a": ', b"\xff\xfe", b"[" * 100_000, b'{"/": null}']
)
def test_a_damaged_memory_is_made_anew(probed, content):
    inspect("a")
    with open("cache/videos.json", "wb") as file:
        file.write(content)
    inspect("a")
    assert probed == ["a", "a"] and len(read_memory()) in (1, 2)
