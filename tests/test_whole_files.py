"""Files and folders that are whole or not there: full disks, two processes, what was left."""

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from support.commands import ROOT
from utils.rendering import samples
from utils.system import settings_files
from utils.system.commands import run_command
from utils.system.files import atomic_path, clear_leftovers, write_atomically
from utils.system.hdf5 import create_hdf5
from utils.system.locks import free_locks, take_lock, try_lock, wait_for_lock
from utils.video.flow_store import store_flow
from utils.video.video import Video

import h5py
import numpy as np
import pytest


def raise_text(kind, text):
    raise kind(text)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (lambda text: OSError(errno.ENOSPC, text), "No space left on device"),
        (lambda text: OSError(errno.EDQUOT, text), "Disk quota exceeded"),
        (OSError, "100000 requested and 65520 written"),  # NumPy's
        (RuntimeError, "Can't decrement id ref count (errno = 28, 'No space left on device')"),
        (KeyError, "a.h5: No space left on device [Op:SaveV2]"),  # another library's
    ],
)
def test_whoever_says_that_a_disk_is_full_the_folder_is_named(tmp_path, kind, text):
    with (
        pytest.raises(OSError, match=f"no space is left in {tmp_path}"),
        atomic_path(tmp_path / "a.npy"),
    ):
        raise_text(kind, text)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_that_nobody_named_is_looked_for(tmp_path, monkeypatch, capsys):
    def command():
        with open("/dev/full", "wb") as file:
            file.write(b"1")

    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        run_command(command)
    said = capsys.readouterr().err
    assert f"No space left on device: {tmp_path}, {tempfile.gettempdir()}, or where" in said


def test_a_lock_is_taken_on_a_full_disk(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refuse)
        take_lock(tmp_path / "lock", "The run x")
    with open(tmp_path / "lock", "rb") as file:
        assert not try_lock(file)
    free_locks()


def test_a_converter_that_hides_a_full_disk_in_its_own_error_is_seen_through(tmp_path):
    with pytest.raises(OSError, match="no space is left"), atomic_path(tmp_path / "out") as part:
        part.mkdir()
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise ValueError("cannot become onnx") from error


def test_other_errors_stay_what_they_are(tmp_path):
    with pytest.raises(ValueError, match="no video"), atomic_path(tmp_path / "a"):
        raise ValueError("no video")
    with pytest.raises(FileNotFoundError, match=r"other\.mp4"), atomic_path(tmp_path / "a"):
        (tmp_path / "other.mp4").read_bytes()


@pytest.mark.parametrize("write", [lambda p: p.write_bytes(bytes(9)), lambda p: np.save(p, [1])])
def test_a_file_is_refused_before_it_is_begun_where_it_has_no_room(tmp_path, monkeypatch, write):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    begun = []
    with pytest.raises(OSError, match="no space is left"), atomic_path(tmp_path / "a", 9) as part:
        begun.append(write(part))
    assert not begun and not list(tmp_path.iterdir())


def test_a_folder_that_is_there_is_not_replaced_and_an_empty_one_is(tmp_path):
    for name in ("empty", "full"):
        (tmp_path / name).mkdir()
    (tmp_path / "full/mine").write_text("1")
    for name in ("new", "empty"):
        with atomic_path(tmp_path / name) as part:
            part.mkdir()
        assert (tmp_path / name).is_dir()
    with pytest.raises(FileExistsError, match="full exists"), atomic_path(tmp_path / "full") as p:
        p.mkdir()
    assert (tmp_path / "full/mine").read_text() == "1"


def make_leftover(folder, age):
    part = folder / f".part-{age}"
    part.mkdir(parents=True)
    (part / "a").write_text("half")
    for path in (part / "a", part):
        os.utime(path, (path.stat().st_mtime - age,) * 2)
    return part


def test_what_a_dead_process_left_goes_and_what_a_living_one_writes_stays(tmp_path):
    dead, young = make_leftover(tmp_path / "deep/er", 100), make_leftover(tmp_path, 1)
    with atomic_path(tmp_path / "whole") as part:
        part.write_text("1")
        os.utime(part.parent, (1, 1))
        os.utime(part, (1, 1))
        clear_leftovers(tmp_path)
        assert part.exists() and young.exists() and not dead.exists()
    assert (tmp_path / "whole").exists()


def test_without_locks_an_hour_tells(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EBADF, "no locks on folders")

    monkeypatch.setattr("utils.system.files.try_lock", refuse)
    old, new = make_leftover(tmp_path, 4000), make_leftover(tmp_path, 100)
    clear_leftovers(tmp_path)
    assert new.exists() and not old.exists()


def test_the_next_write_into_a_folder_clears_it(tmp_path):
    dead = make_leftover(tmp_path / "run", 100)
    write_atomically(tmp_path / "run/state.json", "{}")
    assert [path.name for path in dead.parent.iterdir()] == ["state.json"]


HOLD = """
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from utils.system.locks import take_lock
take_lock(sys.argv[1], "it")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds the lock tmp_path/lock."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_lock_names_its_process_and_ends_with_it(tmp_path, other):
    with pytest.raises(ValueError, match=f"The run x is in use by process {other.pid} on "):
        take_lock(tmp_path / "lock", "The run x")
    other.kill()
    other.wait()
    take_lock(tmp_path / "lock", "The run x")
    take_lock(tmp_path / "lock", "The run x")  # which this process has already
    with open(tmp_path / "lock", "rb") as file:
        assert not try_lock(file)
    free_locks()
    assert not (tmp_path / "lock").exists()


def test_of_many_that_wait_one_at_a_time_goes_on(tmp_path):
    """Who is done deletes the lock file, which others have open."""
    inside, most = [], []

    def work(_):
        with wait_for_lock(tmp_path / "lock"):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.002)
            inside.pop()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(80)))
    assert set(most) == {1} and not list(tmp_path.iterdir())


def test_a_file_system_without_locks_is_worked_on_without(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    take_lock(tmp_path / "lock", "The run x")
    free_locks()
    write_atomically(tmp_path / "a", "1")
    assert Path(tmp_path / "a").read_text() == "1"


def test_a_folder_deleted_while_it_is_written_is_named(tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(OSError, match="run"), atomic_path(folder / "a") as part:
        part.write_text("1")
        shutil.rmtree(folder)


@pytest.fixture
def short_files():
    """Files of at most 4096 bytes: the system refuses a longer one as a full disk does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, handler)


def write_flow(folder):
    """Write stored flow of noise: of 8 frames, or as many as there is room for."""
    video = Video("v.mp4", 8, 25.0, 64, 64, "digest")
    noise = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 2), np.uint8)
    written = []

    def compute(*_):
        for levels in noise:
            written.append(1)
            yield levels

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("utils.video.flow_store.compute_flow", compute)
        try:
            store_flow(folder, video, {"fps": 0})
        finally:
            written.append(len(written))
    return noise


def test_flow_is_written_and_read_back(tmp_path):
    noise = write_flow(tmp_path)
    with h5py.File(tmp_path / "digest.h5") as file:
        assert np.array_equal(file["flow"], noise) and file.attrs["source"] == "digest"


def test_flow_on_a_full_disk_names_the_folder_and_leaves_nothing(tmp_path, short_files):
    with pytest.raises(OSError, match=f"h5 was not written: no space is left in {tmp_path}"):
        write_flow(tmp_path)
    assert not list(tmp_path.iterdir())
    with create_hdf5(tmp_path / "small.h5") as (file, _):
        file["a"] = np.arange(3)
    with h5py.File(tmp_path / "small.h5") as file:  # HDF5 is as well as before
        assert file["a"][2] == 2


def test_of_two_kinds_of_features_one_makes_the_store(tmp_path, monkeypatch):
    """Two processes find no settings there; the one that comes second is refused."""
    path = tmp_path / "store/manifest.json"
    write = settings_files.write_first

    def be_late(path, settings):
        monkeypatch.setattr(settings_files, "write_first", write)
        with ThreadPoolExecutor() as pool:
            pool.submit(settings_files.open_kind, path, {"window": 1}, "features").result()
        write(path, settings)

    monkeypatch.setattr(settings_files, "write_first", be_late)
    with pytest.raises(ValueError, match="contains features of window 1, but window 2"):
        settings_files.open_kind(path, {"window": 2}, "features")
    assert settings_files.read_kind(path) == {"window": 1}


def test_who_waits_for_a_lock_finds_the_settings(tmp_path, monkeypatch):
    path, written = tmp_path / "store/manifest.json", []
    write = settings_files.write_atomically

    def write_slowly(path, text):
        time.sleep(0.1)
        written.append(text)
        write(path, text)

    monkeypatch.setattr(settings_files, "write_atomically", write_slowly)
    with ThreadPoolExecutor() as pool:
        calls = [pool.submit(settings_files.open_kind, path, {"a": n}, "rows") for n in range(3)]
    assert len(written) == 1 and sum(call.exception() is None for call in calls) == 1


def test_two_that_render_a_sample_at_once_have_it_once(tmp_path, monkeypatch):
    """Each deleted what the other had begun."""

    def render(action, actor, clip, seed):
        time.sleep(0.01)
        return np.zeros((2, 16, 16, 3), np.uint8), 25

    monkeypatch.setattr(samples, "render_clip", render)
    with ThreadPoolExecutor() as pool:
        calls = partial(samples.render_sample, actors=1, clips_per_actor=1)
        list(pool.map(calls, [tmp_path / "sample"] * 2))
    assert len(list((tmp_path / "sample").rglob("*.avi"))) == len(samples.ACTIONS)
    assert not list(tmp_path.glob(".*partial"))
