"""Stores of features and foreign layouts: what is written is whole, what is read is numbers."""

import errno
import json
import os
import struct
import zipfile
import zlib
from pathlib import Path

from utils.features import store as feature_store
from utils.features.layouts import load_features
from utils.features.lookup import index_features, locate_features
from utils.features.store import (
    is_done,
    leave_records,
    name_features,
    open_store,
    read_manifest,
    save_features,
    settings_hash,
)

import h5py
import numpy as np
import pytest
from scipy.io import savemat

SETTINGS = {"version": 1, "window": 16, "stride": 4, "views": ("centre", "flip")}
MATLAB = b"MATLAB 7.3 MAT-file, HDF5 schema 1.00 .".ljust(124) + b"\0\2IM"
ROWS = np.random.default_rng(0).random((5, 8)).astype("float16")


def save(folder, name="run/a", settings=SETTINGS, **changes):
    record = {"source": "digest", "settings": settings_hash(settings), "times": [0.5]}
    save_features(folder, name, {"centre": ROWS, "flip": -ROWS} | changes, record)


def test_a_video_is_done_by_content_and_settings(tmp_path):
    open_store(tmp_path, SETTINGS)
    assert not is_done(tmp_path, "run/a", "digest", SETTINGS)
    save(tmp_path)
    assert is_done(tmp_path, "run/a", "digest", dict(reversed(SETTINGS.items())))
    assert not is_done(tmp_path, "run/a", "another", SETTINGS)
    assert not is_done(tmp_path, "run/a", "digest", SETTINGS | {"stride": 8})
    files = sorted(
        p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("[!.]*") if p.is_file()
    )
    assert files == ["manifest.json", "run/a.flip.npy", "run/a.json", "run/a.npy"]
    assert json.loads((tmp_path / "run/a.json").read_text()) == {
        "source": "digest",
        "settings": settings_hash(SETTINGS),
        "times": [0.5],
        "views": ["centre", "flip"],
        "shape": [5, 8],
    }
    read = load_features(tmp_path / "run/a.flip.npy")
    assert read.dtype == np.float16
    np.testing.assert_array_equal(read, -ROWS)
    whole = (tmp_path / "run/a.flip.npy").read_bytes()
    (tmp_path / "run/a.flip.npy").write_bytes(whole[:-2])
    assert not is_done(tmp_path, "run/a", "digest", SETTINGS)
    save(tmp_path)
    (tmp_path / "run/a.npy").unlink()
    assert not is_done(tmp_path, "run/a", "digest", SETTINGS)
    save(tmp_path)
    (tmp_path / "run/a.json").write_text("{")
    assert not is_done(tmp_path, "run/a", "digest", SETTINGS)


def test_other_settings_are_refused_by_name(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    open_store(tmp_path, SETTINGS)
    open_store(tmp_path, SETTINGS)
    assert read_manifest(tmp_path) == SETTINGS | {"views": ["centre", "flip"]}
    other = SETTINGS | {"stride": 8, "flow": "tvl1"}
    with pytest.raises(ValueError, match="features of stride 4, flow None, but stride 8"):
        open_store(tmp_path, other)
    with pytest.raises(ValueError, match=r"empty contains no manifest\.json"):
        read_manifest(tmp_path / "empty")
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(ValueError, match=r"manifest\.json is damaged: it contains no JSON object"):
        open_store(tmp_path, SETTINGS)


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    real, calls = np.save, []

    def fill(path, array, **options):
        real(path, array, **options)
        calls.append(path)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(feature_store.np, "save", fill)
    with pytest.raises(OSError, match="no space is left"):
        save(tmp_path)
    monkeypatch.undo()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["a.npy"]
    assert not is_done(tmp_path, "run/a", "digest", SETTINGS)
    with pytest.raises(ValueError, match="b: its views have different shapes"):
        save(tmp_path, "b", left=ROWS[:2])
    assert not list(tmp_path.glob("b*"))


def test_names_are_the_videos_and_never_the_same(tmp_path):
    names = {
        "train/run/b.mp4": "train/run/b",
        "a.mp4": "a.mp4",
        "a.avi": "a.avi",
        "a.mp4.mkv": "a.mp4.mkv",
        "c.flip.mp4": "c.flip.mp4",
        "d.x.mp4": "d.x",
        "frames": "frames",
    }
    paths = {str(tmp_path / path): name for path, name in names.items()}
    assert name_features(list(paths), tmp_path) == paths
    with pytest.raises(ValueError, match=r"elsewhere\.mp4 is not in"):
        name_features([str(tmp_path.parent / "elsewhere.mp4")], tmp_path)


def write_mat73(path, array):
    """Write what MATLAB 7.3 does: HDF5 behind 512 bytes, the last axis first."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file["x"] = array.T
    with open(path, "r+b") as file:
        file.write(MATLAB)


@pytest.mark.parametrize("array", [ROWS, np.asfortranarray(ROWS), ROWS[0], np.arange(6.0)[None]])
def test_arrays_are_read_in_many_threads(tmp_path, monkeypatch, array):
    """Python's parser in two threads at once fails before 3.11.8, so headers are read without."""
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", features=array)
    monkeypatch.delattr("ast.literal_eval")
    for name in ("a.npy", "a.npz"):
        read = load_features(tmp_path / name)
        assert read.dtype == array.dtype
        np.testing.assert_array_equal(read, np.atleast_2d(array))


@pytest.mark.parametrize(
    "header", ['{"shape": (5, 8), "fortran_order": False, "descr": "<f2"}', ""]
)
def test_headers_that_numpy_did_not_write(tmp_path, header):
    data = header.ljust(117).encode() + b"\n"
    start = b"\x93NUMPY\x01\x00" + len(data).to_bytes(2, "little") + data
    (tmp_path / "a.npy").write_bytes(start + ROWS.tobytes())
    if header:
        np.testing.assert_array_equal(load_features(tmp_path / "a.npy"), ROWS)
    else:
        with pytest.raises(ValueError, match=r"a\.npy: no array of numbers"):
            load_features(tmp_path / "a.npy")


def write_hdf5(path, **arrays):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array


WRITERS = {
    "a.npy": lambda path: np.save(path, ROWS),
    "one.npz": lambda path: np.savez(path, x=ROWS),
    "key.npz": lambda path: np.savez(path, features=ROWS, times=[1]),
    "five.mat": lambda path: savemat(path, {"x": ROWS.astype("float32")}),
    "seven.mat": lambda path: write_mat73(path, ROWS.astype("float32")),
    "one.h5": lambda path: write_hdf5(path, x=ROWS),
    "key.hdf5": lambda path: write_hdf5(path, features=ROWS, times=[1]),
    "large.npy": lambda path: np.save(path, ROWS.reshape(1, 5, 1, 1, 8)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_layouts_hold_rows(tmp_path, name):
    WRITERS[name](tmp_path / name)
    read = load_features(tmp_path / name)
    assert read.shape == (5, 8)
    np.testing.assert_array_equal(read, ROWS)


def test_a_vector_is_one_row(tmp_path):
    np.save(tmp_path / "a.npy", ROWS[0])
    savemat(tmp_path / "a.mat", {"x": ROWS[0].astype("float32")[:, None]})
    for path in tmp_path.iterdir():
        np.testing.assert_array_equal(load_features(path), ROWS[:1])


class Trap:
    """Pickled, it would make a file when it is loaded."""

    def __reduce__(self):
        return open, ("sprung", "w")


def i32(*numbers):
    """Return integers as the bytes of a .mat file."""
    return struct.pack(f"<{len(numbers)}i", *numbers)


def format_header(shape):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()


def write_header(path, shape):
    """Write a .npy file that says it has more rows than it has."""
    path.write_bytes(format_header(shape) + ROWS.tobytes())


def zip_header(path, shape, kind=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("features.npy", format_header(shape) + ROWS.tobytes())


def lie(path):
    """Write a .npz file whose directory says that its array has 100 bytes."""
    zip_header(path, (5, 8))
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\1\2")
    data[place + 24 : place + 28] = i32(100)
    path.write_bytes(data)


def savemat_as(path, change):
    savemat(path, {"features": ROWS.astype("float32")})
    path.write_bytes(change(path.read_bytes()))


def compress_rows(path):
    """Write a .mat file whose compressed array says it has 8 GiB."""
    savemat(path, {"features": ROWS.astype("float32")})
    element = path.read_bytes()[128:].replace(i32(5, 8, 5, 8), i32(5, 8, 1 << 28, 8))
    data = zlib.compress(element)
    path.write_bytes(path.read_bytes()[:128] + i32(15, len(data)) + data)


def write_dataset(path, **options):
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("features", **options)
    with open(path, "r+b") as file:
        file.write(MATLAB)


def write_links(path, **links):
    with h5py.File(path, "w") as file:
        for name, link in links.items():
            file[name] = link


def secret(path):
    """Write a file that is none of features; return its path."""
    path.with_suffix(".secret").write_bytes(b"password")
    return str(path.with_suffix(".secret"))


def other(path):
    """Write another file of features; return its path."""
    write_dataset(path.with_suffix(".other"), data=ROWS)
    return str(path.with_suffix(".other"))


def see_other(path):
    layout = h5py.VirtualLayout(ROWS.shape, ROWS.dtype)
    layout[:] = h5py.VirtualSource(other(path), "features", ROWS.shape)
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("features", layout)


BAD = {
    "object.npy": (lambda p: np.save(p, np.array([Trap()]), allow_pickle=True), "Python objects"),
    "object.npz": (lambda p: np.savez(p, np.array([Trap()])), "Python objects"),
    "pickle.npy": (lambda p: p.write_bytes(b"\x80\x04."), "no array of numbers can be read"),
    "empty.npy": (lambda p: p.write_bytes(b""), "no array of numbers can be read"),
    "two.npz": (
        lambda p: np.savez(p, a=ROWS, b=ROWS),
        r"it contains 2 arrays \(a, b\); expected a single one",
    ),
    "cut.npz": (lambda p: p.write_bytes(b"PK\x03\x04"), "no array of numbers can be read"),
    "cell.mat": (lambda p: savemat(p, {"x": {"y": 1}}), "expected numbers"),
    "text.mat": (lambda p: p.write_bytes(b"x" * 600), "no array of numbers can be read"),
    "text.h5": (lambda p: p.write_bytes(b"x" * 600), "no array of numbers can be read"),
    "words.npy": (
        lambda p: np.save(p, np.array(["a"])),
        "the array has the type <U1; expected numbers",
    ),
    "maps.npy": (lambda p: np.save(p, np.zeros((2, 3, 5))), r"shape \(2, 3, 5\); expected \(rows"),
    "none.npy": (lambda p: np.save(p, np.zeros((0, 4))), r"shape \(0, 4\); expected \(rows"),
    "rows.npy": (lambda p: write_header(p, (10**12, 8)), "bytes are allowed for a video"),
    "short.npy": (lambda p: write_header(p, (10**6, 8)), "length is greater than file size"),
    "negative.npy": (lambda p: write_header(p, (-1, 8)), "no array of numbers"),
    "rows.npz": (lambda p: zip_header(p, (10**12, 8)), "bytes are allowed for a video"),
    "short.npz": (lambda p: zip_header(p, (10**6, 8)), "no array of numbers"),
    "lies.npz": (lie, "no array of numbers"),
    "other.npz": (
        lambda p: zip_header(p, (1, 8), zipfile.ZIP_LZMA),
        "its compression is not one of NumPy",
    ),
    "folder.npy": (lambda p: p.mkdir(), "not a regular file"),
    "pipe.npy": (os.mkfifo, "not a regular file"),
    "empty.mat": (lambda p: p.write_bytes(b""), "no array of numbers can be read"),
    "rows.mat": (
        lambda p: savemat_as(p, lambda data: data.replace(i32(5, 8, 5, 8), i32(5, 8, 1 << 30, 8))),
        "bytes are allowed for a video",
    ),
    "bomb.mat": (compress_rows, "bytes are allowed for a video"),
    "rows.h5": (
        lambda p: write_dataset(p, shape=(1 << 40, 8), dtype="f4", chunks=(8, 8)),
        "bytes are allowed for a video",
    ),
    "words.h5": (lambda p: write_dataset(p, data=["a", "b"]), "expected numbers"),
    "scalar.h5": (lambda p: write_dataset(p, data=1.0), "no array"),
    "null.h5": (lambda p: write_dataset(p, data=h5py.Empty("f4")), "no array"),
    "external.h5": (
        lambda p: write_dataset(p, shape=(8,), dtype="u1", external=[(secret(p), 0, 8)]),
        "stored in another file",
    ),
    "external.mat": (
        lambda p: write_dataset(p, shape=(8,), dtype="u1", external=[(secret(p), 0, 8)]),
        "stored in another file",
    ),
    "virtual.h5": (see_other, "stored in another file"),
    "link.h5": (
        lambda p: write_links(p, features=h5py.ExternalLink(other(p), "features")),
        "stored in another file",
    ),
    "soft.h5": (
        lambda p: write_links(p, a=h5py.SoftLink("/b"), c=h5py.ExternalLink(other(p), "/")),
        "a does not exist, or is a link",
    ),
    "gone.npy": (lambda p: None, "No such file"),
    "a.txt": (lambda p: None, r"not a file of features; known suffixes: \.npy, \.npz"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_named_and_nothing_in_them_runs(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write, message = BAD[name]
    write(tmp_path / name)
    with pytest.raises(ValueError, match=message) as raised:
        load_features(tmp_path / name)
    assert name in str(raised.value) and "allow_pickle=True" not in str(raised.value)
    assert not Path("sprung").exists()


def test_features_are_found_by_the_longest_name(tmp_path):
    for name in ("run/a", "a", "b.mp4", "b"):
        save(tmp_path, name)
    np.savez(tmp_path / "run/a.npz", ROWS)
    located = locate_features(["/data/run/a.avi", "x/a.avi", "b.mp4", "c.mp4"], tmp_path)
    centers = {path: Path(views["centre"][0]) for path, views in located.items()}
    assert centers == {
        "/data/run/a.avi": tmp_path / "run/a.npy",
        "x/a.avi": tmp_path / "a.npy",
        "b.mp4": tmp_path / "b.mp4.npy",
    }
    assert all(list(views) == ["centre", "flip"] for views in located.values())
    with pytest.raises(ValueError, match=r"the name fits two videos, x/a\.avi and y/a\.avi"):
        locate_features(["x/a.avi", "y/a.avi"], tmp_path)
    with pytest.raises(ValueError, match=r"no features of any of the 1 videos \(such as z\.avi\)"):
        locate_features(["z.avi"], tmp_path)
    with pytest.raises(ValueError, match="features nowhere: no such file or folder"):
        index_features("nowhere")
    write_hdf5(tmp_path / "all.h5", **{"run/v1": ROWS, "v2/features": ROWS})
    assert list(index_features(tmp_path / "all.h5")) == ["run/v1", "v2"]


def test_links_to_features_are_followed_once(tmp_path):
    for name in ("F/run/a", "F/.hidden/x", "elsewhere/b"):
        save(tmp_path, name)
    (tmp_path / "F/run/up").symlink_to(tmp_path / "F")
    (tmp_path / "F/run/again").symlink_to(tmp_path / "F/run")
    (tmp_path / "F/more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "F/c.npy").symlink_to(tmp_path / "elsewhere/b.npy")
    os.mkfifo(tmp_path / "F/waiting")
    names = [name for name in index_features(tmp_path / "F") if not name.endswith(".flip")]
    assert names == ["c", "more/b", "run/a"]


def test_records_and_views_are_no_videos():
    files = ["c/a.npy", "c/a.json", "c/a.flip.npy", "c/b.left.npy"]
    assert leave_records(files) == ["c/a.npy", "c/b.left.npy"]
    mixed = [*files, "c/a.avi"]
    assert leave_records(mixed) == mixed


def test_large_arrays_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("utils.features.layouts.MOST_BYTES", ROWS.nbytes - 1)
    np.save(tmp_path / "a.npy", ROWS)
    np.savez_compressed(tmp_path / "a.npz", ROWS)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(ValueError, match=rf"{name}: .* at most 79 bytes are allowed"):
            load_features(tmp_path / name)


def test_damaged_bytes_are_a_named_error(tmp_path):
    np.save(tmp_path / "a.npy", ROWS)
    np.savez(tmp_path / "b.npz", features=ROWS)
    savemat(tmp_path / "c.mat", {"features": ROWS.astype(float)})
    write_hdf5(tmp_path / "d.h5", features=ROWS)
    generator = np.random.default_rng(0)
    for path in list(tmp_path.iterdir()):
        whole = path.read_bytes()
        for number in range(30):
            damaged = np.frombuffer(whole, np.uint8).copy()
            places = generator.integers(0, min(len(whole), 200), 4)
            damaged[places] = generator.integers(0, 256, 4)
            changed = tmp_path / f"{number}{path.suffix}"
            changed.write_bytes(damaged)
            try:
                assert load_features(changed).size
            except ValueError as error:
                assert str(changed) in str(error)


def test_chunks_of_other_axes_do_not_hang(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("features", data=ROWS, chunks=(1, 8))
    layout = b"\x03\x02\x03"  # version, chunked, axes and one more
    assert path.read_bytes().count(layout) == 1
    path.write_bytes(path.read_bytes().replace(layout, b"\x03\x02\x02"))
    with pytest.raises(ValueError, match=r"a\.h5: no array of numbers"):
        load_features(path)
