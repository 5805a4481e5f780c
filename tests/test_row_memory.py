"""Files of many arrays are opened once, and rows that fit into memory are read once."""

import gc
import os
import pickle
import weakref
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from support.videos import write_dataset
from utils.clips.inputs import ClipSource
from utils.clips.reading import Clip, ClipFormat
from utils.data.inspection import inspect_features
from utils.features import layouts
from utils.features.layouts import load_features
from utils.features.lookup import index_features, open_features
from utils.features.row_memory import RowMemory
from utils.video.reading import probe

import h5py
import numpy as np
import pytest

MANY = 40


def make_rows(number):
    return np.random.default_rng(number).normal(size=(3, 5)).astype("float16")


def write_npz(path, arrays):
    np.savez(path, **arrays)


def write_compressed(path, arrays):
    np.savez_compressed(path, **arrays)


def write_hdf5(path, arrays):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array


WRITERS = {"a.npz": write_npz, "b.npz": write_compressed, "c.h5": write_hdf5, "d.hdf5": write_hdf5}


@pytest.mark.parametrize("name", WRITERS)
def test_threads_read_a_file_of_many_arrays_and_see_that_it_was_replaced(tmp_path, name):
    path, write = tmp_path / name, WRITERS[name]
    for first in (0, 100):
        arrays = {f"v{i}": make_rows(first + i) for i in range(MANY)}
        write(tmp_path / f"new{path.suffix}", arrays)
        (tmp_path / f"new{path.suffix}").replace(path)
        assert set(index_features(path)) == set(arrays)
        asked = [*arrays] * 3
        with ThreadPoolExecutor(4) as pool:
            read = pool.map(lambda each: load_features(path, each), asked)
            for each, rows in zip(asked, read, strict=True):
                np.testing.assert_array_equal(rows, arrays[each])


def test_the_directory_of_an_npz_is_read_once_and_the_file_is_closed(tmp_path, monkeypatch):
    for name in ("a", "b"):
        write_npz(tmp_path / f"{name}.npz", {f"v{i}": make_rows(i) for i in range(MANY)})
    opened = []

    class Counted(zipfile.ZipFile):
        def __init__(self, *args):
            super().__init__(*args)
            opened.append(weakref.ref(self))

    monkeypatch.setattr(layouts.zipfile, "ZipFile", Counted)
    found, _ = inspect_features([f"v{i}.mp4" for i in range(MANY)], tmp_path / "a.npz", 4)
    for features in found.values():
        features.load()
    assert len(opened) == 1
    load_features(tmp_path / "b.npz", "v0")
    gc.collect()
    assert opened[0]() is None and opened[1]() is not None


def test_a_child_of_this_process_has_its_own_place_in_an_npz(tmp_path):
    write_npz(tmp_path / "a.npz", {"v0": make_rows(0)})
    load_features(tmp_path / "a.npz")
    assert layouts._open_stamped.cache_info().currsize == 1
    child = os.fork()
    if not child:
        os._exit(layouts._open_stamped.cache_info().currsize)
    assert os.waitpid(child, 0)[1] == 0


def test_hdf5_is_opened_once_and_others_may_write_to_it(tmp_path, monkeypatch):
    from utils.system import hdf5

    path = tmp_path / "a.h5"
    write_hdf5(path, {"v0": make_rows(0), "v1": make_rows(1)})
    monkeypatch.setattr(hdf5, "_shared", {})
    assert hdf5.share_hdf5(str(path)) is hdf5.share_hdf5(str(path))
    first = hdf5.share_hdf5(str(path))
    load_features(path, "v1")  # in a process of its own, which keeps it open
    write_hdf5(tmp_path / "b.h5", {"v0": make_rows(2)})
    assert hdf5.share_hdf5(str(tmp_path / "b.h5")) and not first
    with h5py.File(path, "a") as file:
        file["v1"][...] = make_rows(3)
    np.testing.assert_array_equal(load_features(path, "v1"), make_rows(3))


def count_reads(monkeypatch, where):
    """Return the list that the paths of what is read from the disk are put into."""
    read, reads = getattr(layouts, where.rpartition(".")[2]), []

    def counted(path, name=""):
        reads.append(Path(path).name)
        return read(path, name)

    monkeypatch.setattr(where, counted)
    return reads


@pytest.mark.parametrize(("most", "again"), [(1 << 30, 0), (make_rows(0).nbytes * 2, 2), (0, 4)])
def test_rows_that_fit_are_read_once(tmp_path, monkeypatch, most, again):
    memory, found = RowMemory(most), []
    for number in range(4):
        np.save(tmp_path / f"{number}.npy", make_rows(number))
        views = {"centre": (str(tmp_path / f"{number}.npy"), "")}
        found.append(open_features(f"{number}.mp4", views, memory))
    reads = count_reads(monkeypatch, "utils.features.video_features.load_features")
    for number, features in enumerate(found):
        np.testing.assert_array_equal(features.load(), make_rows(number))
        with pytest.raises(ValueError, match="read-only"):
            features.load()[0] = 0
    assert len(reads) == 2 * again


def test_a_file_that_changes_while_it_is_used(tmp_path):
    path = tmp_path / "a.npy"
    for most in (0, 1 << 20):
        np.save(path, make_rows(0))
        memory = RowMemory(most)
        first = np.array(memory.read(load_features, path))
        np.save(path, np.vstack([make_rows(1)] * 2))
        if most:
            np.testing.assert_array_equal(memory.read(load_features, path), first)
        else:
            with pytest.raises(ValueError, match=r"a\.npy: the file was changed after"):
                memory.read(load_features, path)


def test_a_memory_is_empty_in_another_process(tmp_path):
    np.save(tmp_path / "0.npy", make_rows(0))
    found, _ = inspect_features(["0.mp4"], tmp_path, 1)
    features = found["0.mp4"]
    copy = pickle.loads(pickle.dumps(features))
    assert copy == features and not copy.memory.kept and features.memory.kept
    np.testing.assert_array_equal(copy.load(), make_rows(0))
    np.testing.assert_array_equal(copy.thin(2).load(), make_rows(0)[::2])


def test_what_a_frozen_network_made_is_read_once(tmp_path, monkeypatch):
    import keras

    video = next(write_dataset(tmp_path / "videos", videos=1).rglob("*.avi"))
    inputs = keras.Input((1, 2, 32, 32, 3))
    frozen = keras.Model(inputs, keras.ops.mean(inputs, (2, 3, 4)))
    source = ClipSource(ClipFormat(1, 2, frame_size=32, short_side=32), frozen, tmp_path / "cache")
    clips = [Clip(probe(video), place) for place in (0.2, 0.8)]
    counted = count_reads(monkeypatch, "utils.clips.inputs.read_npy")
    read = source.prepare(clips)
    rows = [[read(index) for index in range(2)] for _ in range(3)]
    assert len(counted) == 2
    np.testing.assert_array_equal(rows[0], rows[2])
    np.testing.assert_array_equal(source.prepare(clips)(0), source.read(clips[0]).mean((1, 2, 3)))
