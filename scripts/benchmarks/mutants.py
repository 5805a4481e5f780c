"""Damaged files of every kind that the product reads, each read in a process of its own.

`scripts.benchmarks.faults` counts what becomes of them. A reader either reads what it is given or
refuses it in an error that names the file.
"""

import faulthandler
import json
import multiprocessing
import os
import resource
import shutil
import struct
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from pathlib import Path
from typing import NamedTuple

from models.later import later
from scripts.benchmarks.kills import CRASHED, HUNG, UNNAMED
from utils.data.datasets import list_examples
from utils.data.examples import Example
from utils.data.inspection import inspect_features, inspect_videos
from utils.features.extraction import load_failures
from utils.features.layouts import read_npy
from utils.features.rows import row_starts
from utils.features.store import (
    array_path,
    is_done,
    read_manifest,
    save_features,
    settings_hash,
)
from utils.features.store import open_store as open_features_store
from utils.params import Params
from utils.runs.folders import load_data, load_state, save_data
from utils.runs.networks import load_network
from utils.runs.saved_params import save_params
from utils.runs.summaries import read_run
from utils.signing.corpora import list_sentences
from utils.signing.releases import RELEASES, SPLITS
from utils.system.measuring import explain
from utils.video.flow import flow_kind
from utils.video.flow_store import is_stored, open_store, read_flow, store_flow
from utils.video.reading import probe, resized_frames, skim
from utils.video.views import CENTER

import av
import h5py
import numpy as np
from PIL import Image

savemat = later("scipy.io", "savemat")
read_tensors = later("models.pretrained.i3d_files", "read_tensors")
read_file = later("models.pretrained.timesformer_weights", "read_file")
SaveRun = later("utils.fitting.callbacks", "SaveRun")

READ, REFUSED = "read", "refused"
_SIZE, _FRAMES = (64, 48), 12  # of rendered videos
_FLOW = flow_kind("farneback", 25, 48)


class Kind(NamedTuple):
    """A kind of file that is damaged.

    Attributes:
        make: function of an empty folder; it writes a sound file, perhaps others beside it, and
            returns its path.
        read: function of the path that reads it as the product does.
        share: how many mutants it gets, beside the other kinds.
        group: what it is counted with in docs/reliability.md.
    """

    make: Callable
    read: Callable
    share: float = 1.0
    group: str = "records, manifests, kept features, remembered videos"


def _draw_pictures(count=_FRAMES):
    generator = np.random.default_rng(0)
    picture = generator.integers(0, 256, (_SIZE[1] // 8, _SIZE[0] // 8, 3), np.uint8)
    picture = picture.repeat(8, 0).repeat(8, 1)
    return [np.roll(picture, 3 * index, axis=1) for index in range(count)]


def _write_video(path, encoder, pixels="yuv420p"):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, 25)
        (stream.width, stream.height), stream.pix_fmt = _SIZE, pixels
        for picture in _draw_pictures():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode())


def _refuse(problems, *paths):
    """Raise what was said of files that were left out, each in its own words."""
    for path, problem in problems:
        if path in map(str, paths):
            raise ValueError(problem)
    raise AssertionError(f"{paths} left out without a word: {problems}")


def _read_video(path):
    """Look a video through, beside a sound one, then read its frames, as a training does."""
    good = str(path.with_name("good.avi"))
    videos, problems = inspect_videos([str(path), good], path.with_name("cache"), 1)
    assert good in videos, problems
    if str(path) not in videos:
        _refuse(problems, path)
    video = videos[str(path)]
    picked = sorted({*range(0, video.num_frames, max(1, video.num_frames // 16))})
    assert len([*resized_frames(video, picked, 32)]) == len(picked)
    skim(path, 3)


def _video(suffix, *encoding):
    def make(folder):
        _write_video(folder / "good.avi", "mjpeg", "yuvj420p")
        _write_video(folder / f"damaged{suffix}", *encoding)
        return folder / f"damaged{suffix}"

    return Kind(make, _read_video, group="videos")


def _image(suffix):
    def make(folder):
        _write_video(folder / "good.avi", "mjpeg", "yuvj420p")
        (folder / "frames").mkdir()
        for index, picture in enumerate(_draw_pictures(3)):
            Image.fromarray(picture).save(folder / "frames" / f"{index:04}{suffix}")
        return folder / "frames" / f"0001{suffix}"

    def read(path):
        good = str(path.parents[1] / "good.avi")
        frames = str(path.parent)
        videos, problems = inspect_videos([frames, good], path.parents[1] / "cache", 1)
        assert good in videos, problems
        if frames not in videos:
            _refuse(problems, frames)
        assert len([*resized_frames(videos[frames], [0, 1, 2], 32)]) == 3

    return Kind(make, read, group="images")


def _rows(seed=0):
    return np.random.default_rng(seed).normal(size=(24, 32)).astype("float32")


def _write_hdf5(path, rows):
    with h5py.File(path, "w") as file:
        file.create_dataset("features", data=rows, compression="gzip", chunks=(6, 32))


def _write_mat73(path, rows):
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("features", data=rows.T)
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")


FEATURES = {
    ".npy": np.save,
    ".npz": lambda path, rows: np.savez_compressed(path, features=rows),
    ".h5": _write_hdf5,
    ".mat": lambda path, rows: savemat(path, {"features": rows}, do_compression=True),
    "-plain.mat": lambda path, rows: savemat(path, {"features": rows}),
    "-73.mat": _write_mat73,
}


def _read_features(path):
    """Look features through, beside sound ones, then load them, as a training does."""
    videos = [f"{stem}.mp4" for stem in (path.stem, "good")]
    found, problems = inspect_features(videos, str(path.parent), 1)
    assert "good.mp4" in found, problems
    if path.stem + ".mp4" not in found:
        _refuse(problems, path.stem + ".mp4")
    found[path.stem + ".mp4"].load()


def _features(suffix):
    def make(folder):
        np.save(folder / "good.npy", _rows(1))
        FEATURES[suffix](folder / f"damaged{suffix}", _rows())
        return folder / f"damaged{suffix}"

    return Kind(make, _read_features, group="features")


def _make_stored(folder, name):
    """Write a store of features as `scripts.extract_features` does; return one of its files."""
    (folder / "manifest.json").write_text(json.dumps({"stride": 4, "window": 16}, indent=1))
    starts = row_starts(96, 16, 4, "replicate").tolist()
    record = {"digest": "0" * 32, "settings": "0" * 32, "times": [each / 25 for each in starts]}
    for stem in ("good", "damaged"):
        save_features(folder, stem, {CENTER: _rows(len(stem))}, record)
    (folder / "failures.csv").write_text("path,reason,digest\na.mp4,a.mp4: broken,0123\n")
    return folder / name


def _read_stored(path):
    found, problems = inspect_features(["damaged.mp4", "good.mp4"], str(path.parent), 1)
    assert len(found) == 2, problems
    found["damaged.mp4"].find_times()
    read_manifest(path.parent)
    load_failures(path.parent)


_KEPT = {"network": "tiny"}


def _make_kept(folder, name):
    """Write a clip's frozen features as a training keeps them; return one of their files."""
    open_features_store(folder, _KEPT)
    record = {"source": "0123", "settings": settings_hash(_KEPT)}
    save_features(folder, "clip", {CENTER: _rows()}, record)
    return folder / name


def _read_kept(path):
    """What was kept is looked up, or said not to be there."""
    open_features_store(path.parent, _KEPT)
    if is_done(path.parent, "clip", "0123", _KEPT):
        np.array(read_npy(array_path(path.parent, "clip")))


def _make_flow(folder, name="{digest}.h5"):
    _write_video(folder / "video.avi", "mjpeg", "yuvj420p")
    video = probe(folder / "video.avi")
    store = folder / "flow"
    open_store(store, _FLOW)
    store_flow(store, video, _FLOW)
    return store / name.format(digest=video.digest)


def _read_flow(path):
    video = probe(path.parents[1] / "video.avi")
    open_store(path.parent, _FLOW)
    if is_stored(path.parent, video, _FLOW):
        read_flow(video, np.arange(4), _FLOW, str(path.parent), 48)


def _make_memory(folder):
    _write_video(folder / "good.avi", "mjpeg", "yuvj420p")
    inspect_videos([str(folder / "good.avi")], folder / "cache", 1)
    return folder / "cache" / "videos.json"


def _read_memory(path):
    """What was remembered of a video is looked up, or found anew: never refused."""
    good = str(path.parents[1] / "good.avi")
    videos, problems = inspect_videos([good], path.parent, 1)
    assert len(videos) == 1, problems
    assert [*resized_frames(videos[good], [0, 5], 32)]


def _listed(name, text, read=lambda path: list_examples(str(path))):
    def make(folder):
        (folder / name).write_text(text)
        return folder / name

    return Kind(make, read, group="lists and corpora")


def _make_phoenix(folder):
    for split in SPLITS:
        path = folder / RELEASES["phoenix2014"].annotations.format(split)
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = (f"{split}{n}|{split}{n}/1/*.png|Signer0{n}|REGEN SONNE" for n in range(3))
        path.write_text("\n".join(["id|folder|signer|annotation", *lines, ""]))
    return folder / RELEASES["phoenix2014"].annotations.format("dev")


def _read_phoenix(path):
    list_sentences(str(path.parents[2]), needs_frames=False)


_UCF = "".join(
    f"{label}/v_{label}_g0{n}_c01.avi {i}\n" for i, label in enumerate("ab", 1) for n in (1, 2)
)


def _make_run(folder, name):
    """Write a run on features as a training leaves it; return one of its files."""
    import keras

    folder = folder / "run"
    folder.mkdir()
    save_params(
        Params(data_path="videos", network="i3d_lstm", features="features"), folder / "params.json"
    )
    examples = [Example(f"{n}.mp4", "ab"[n % 2], "train" if n else "val", str(n)) for n in range(4)]
    save_data(folder, examples, ["a", "b"], [])
    row = {"epoch": 1, "loss": 1.0, "val_loss": 1.0, "val_accuracy": 0.5, "seconds": 1.0}
    state = {
        "epoch": 1,
        "best": 0.5,
        "best_epoch": 1,
        "weights": "last-0001.weights.h5",
        "history": [row],
    }
    (folder / "state.json").write_text(json.dumps(state, indent=1))
    (folder / "evaluation/val").mkdir(parents=True)
    (folder / "evaluation/val/report.json").write_text('{"accuracy": 0.5, "videos": 1}')
    inputs = keras.Input((4, 32))
    outputs = keras.layers.Dense(2, name="head")(keras.layers.LSTM(4)(inputs))
    network = keras.Model(inputs, outputs)
    network.save(folder / "best.keras")
    network.save_weights(folder / "last-0001.weights.h5")
    return folder / name


def _read_run(path):
    folder = path.parent if path.parent.name == "run" else path.parents[2]
    read_run(folder)
    load_data(folder)


def _of_run(name, read=_read_run, share=0.5):
    return Kind(lambda folder: _make_run(folder, name), read, share, "runs")


def _read_network(path):
    load_network(path.parent).predict_on_batch(np.zeros((1, 4, 32), "float32"))


def _read_last(path):
    """Load the last weights as a training that goes on does."""
    network = load_network(path.parent)
    saver = SaveRun(path.parent, network, state=load_state(path.parent))
    saver.set_model(network)
    saver.on_train_begin()


def _make_tensors(folder):
    path = folder / "i3d.npz"
    np.savez(path, **{f"unit{n}/conv_3d/w": _rows(n) for n in range(3)})
    return path


def _make_safetensors(folder):
    from safetensors.numpy import save_file

    save_file({f"layer{n}.weight": _rows(n) for n in range(3)}, folder / "model.safetensors")
    return folder / "model.safetensors"


def _make_checkpoint(folder):
    import tensorflow as tf

    tf.train.Checkpoint(w=tf.Variable(_rows())).write(str(folder / "model.ckpt"))
    return folder / "model.ckpt.index"


KINDS = {
    "MP4, H.264": _video(".mp4", "libx264"),
    "MP4, HEVC": _video("-hevc.mp4", "libx265"),
    "MOV, ProRes": _video(".mov", "prores_ks", "yuv422p10le"),
    "Matroska, FFV1": _video(".mkv", "ffv1"),
    "WebM, VP9": _video(".webm", "libvpx-vp9"),
    "MP4, AV1": _video("-av1.mp4", "libsvtav1"),
    "raw H.264": _video(".h264", "libx264"),
    "AVI, MPEG-4": _video(".avi", "mpeg4"),
    "AVI, MJPEG": _video("-mjpeg.avi", "mjpeg", "yuvj420p"),
    "MPEG-TS, MPEG-2": _video(".ts", "mpeg2video"),
    "FLV": _video(".flv", "flv1"),
    "GIF": _video(".gif", "gif", "rgb8"),
    "PNG": _image(".png"),
    "JPEG": _image(".jpg"),
    "TIFF": _image(".tif"),
    "BMP": _image(".bmp"),
    "WebP": _image(".webp"),
    "features .npy": _features(".npy"),
    "features .npz": _features(".npz"),
    "features .h5": _features(".h5"),
    "features .mat, compressed": _features(".mat"),
    "features .mat": _features("-plain.mat"),
    "features .mat, v7.3": _features("-73.mat"),
    "store: record": Kind(lambda folder: _make_stored(folder, "damaged.json"), _read_stored, 0.5),
    "store: manifest": Kind(
        lambda folder: _make_stored(folder, "manifest.json"), _read_stored, 0.5
    ),
    "store: failures": Kind(lambda folder: _make_stored(folder, "failures.csv"), _read_stored, 0.5),
    "kept features": Kind(lambda folder: _make_kept(folder, "clip.npy"), _read_kept, 0.5),
    "kept features: record": Kind(lambda folder: _make_kept(folder, "clip.json"), _read_kept, 0.5),
    "flow .h5": Kind(_make_flow, _read_flow, group="stored flow"),
    "flow: its kind": Kind(
        lambda folder: _make_flow(folder, "flow.json"), _read_flow, 0.5, "stored flow"
    ),
    "remembered videos": Kind(_make_memory, _read_memory, 0.5),
    "list .csv": _listed(
        "list.csv", "path,label,split\na.mp4,run,train\nb.mp4,jump,val\nc.mp4,run,\n"
    ),
    "UCF101 list": _listed("trainlist01.txt", _UCF),
    "corpus .csv": _listed(
        "corpus.csv",
        "path,glosses,split,id,signer\na.mp4,HELLO YOU,train,1,s\nb.mp4,YOU,dev,2,s\n"
        "c.mp4,HELLO,test,3,t\n",
        lambda path: list_sentences(str(path), needs_frames=False),
    ),
    "PHOENIX-2014 table": Kind(_make_phoenix, _read_phoenix, group="lists and corpora"),
    "run: parameters": _of_run("params.json"),
    "run: lists": _of_run("splits.csv"),
    "run: classes": _of_run("classes.json"),
    "run: state": _of_run("state.json"),
    "run: report": _of_run("evaluation/val/report.json"),
    "run: network": _of_run("best.keras", _read_network, 0.3),
    "run: last weights": _of_run("last-0001.weights.h5", _read_last, 0.3),
    "weights .npz": Kind(_make_tensors, read_tensors, 0.5, "published weights"),
    "weights .safetensors": Kind(_make_safetensors, read_file, 0.5, "published weights"),
    "weights, checkpoint": Kind(_make_checkpoint, read_tensors, 0.3, "published weights"),
}


def _replace_node(value, generator):
    """Return a JSON value with something else in the place of one part of it."""
    odd = (
        None,
        True,
        -1,
        0,
        1e308,
        2**63,
        float("nan"),
        "",
        "../x",
        "\x1b[2J",
        [],
        {},
        [[]],
        "9" * 400,
    )
    if not isinstance(value, (dict, list)) or not value or generator.random() < 0.2:
        return odd[generator.integers(len(odd))]
    keys = list(value) if isinstance(value, dict) else range(len(value))
    key = keys[generator.integers(len(keys))]
    other = value.copy()
    if generator.random() < 0.2:
        del other[key]
    else:
        other[key] = _replace_node(value[key], generator)
    return other


def _flip(data, generator, place):
    data[place] ^= 1 << int(generator.integers(8))


def _fill(data, generator, place):
    count = int(generator.integers(1, 33))
    data[place : place + count] = bytes([int(generator.choice([0, 255, 128]))]) * count


def _scramble(data, generator, place):
    data[place : place + 16] = generator.bytes(16)


def _number(data, generator, place):
    """Write a number that is too large for any size, in either order of bytes."""
    number = int(generator.choice([0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, 0x7FFFFFF0, 1 << 20]))
    data[place : place + 4] = struct.pack(str(generator.choice(["<I", ">I"])), number)


def _cut(data, generator, place):
    del data[place:]


def _drop(data, generator, place):
    del data[place : place + int(generator.integers(1, 65))]


def _double(data, generator, place):
    data[place:place] = data[place : place + int(generator.integers(1, 257))]


CHANGES = (_flip, _flip, _fill, _scramble, _number, _number, _cut, _drop, _double)


def mutate(data, generator, is_json=False):
    """Return damaged bytes of a file.

    Args:
        data: the sound ones.
        generator: `np.random.Generator`.
        is_json: whether every second time a part is replaced that leaves it JSON.
    """
    if is_json and generator.random() < 0.5:
        return json.dumps(_replace_node(json.loads(data), generator)).encode()
    data = bytearray(data)
    for _ in range(int(generator.integers(1, 4))):
        # Headers and tables, which lie at the ends, as often as all that lies between.
        ends = generator.random() < 0.5
        place = int(generator.integers(max(1, min(len(data), 512) if ends else len(data))))
        if ends and generator.random() < 0.3:
            place = max(0, len(data) - 1 - place)
        if data:
            CHANGES[generator.integers(len(CHANGES))](data, generator, min(place, len(data) - 1))
    return bytes(data)


def _read_alone(read, path, gibibytes, pipe):
    """Read a file in this process, which may take so much memory; send what became of it."""
    os.setsid()
    faulthandler.disable()
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1), os.dup2(silent, 2)
    with open("/proc/self/statm") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + int(gibibytes * 2**30),) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        outcome = READ, read(path) or ""
    except (ValueError, OSError) as error:
        named = any(
            name in str(error)
            for name in (path.name, path.stem, *(each.name for each in [*path.parents][:3]))
        )
        outcome = REFUSED if named else UNNAMED, explain(error)
    except BaseException as error:
        outcome = CRASHED, explain(error)
    pipe.send(outcome)
    pipe.close()
    os._exit(0)


class Child(NamedTuple):
    """A process that reads a mutant: what it is, where it works, until when."""

    what: tuple
    process: multiprocessing.Process
    pipe: multiprocessing.connection.Connection
    folder: tempfile.TemporaryDirectory
    path: Path
    end: float


def _finish(child):
    """Return (outcome, why) of a child that has ended, or has had its time."""
    if time.monotonic() >= child.end and child.process.is_alive() and not child.pipe.poll():
        child.process.kill()
        child.process.join()
        return HUNG, "its time was up"
    try:
        outcome = child.pipe.recv()
    except EOFError:
        child.process.join()
        return CRASHED, f"exit status {child.process.exitcode}"
    child.process.join()
    return outcome


def run_mutants(kinds, count, seed, workers=2, seconds=20.0, gibibytes=2.0, keep=None):
    """Read damaged files, each in a process of its own.

    Args:
        kinds: {name: `Kind`}.
        count: mutants of all kinds together, by their shares.
        seed: of all of them.
        workers: processes at once.
        seconds: that one may take.
        gibibytes: of memory that one may ask for, above what the process begins with.
        keep: folder for the mutants that crash, hang or are refused without their name.

    Yields:
        (name of the kind, number of the mutant, outcome, why).
    """
    fork, total = multiprocessing.get_context("fork"), sum(kind.share for kind in kinds.values())
    with tempfile.TemporaryDirectory() as scratch:
        running = []

        def harvest(at_most):
            while len(running) > at_most:
                left = max(0, min(child.end for child in running) - time.monotonic())
                wait([child.pipe for child in running], left)
                for child in running[:]:
                    if child.pipe.poll() or time.monotonic() >= child.end:
                        running.remove(child)
                        outcome, why = _finish(child)
                        if keep and outcome in (CRASHED, HUNG, UNNAMED):
                            name = "-".join(map(str, (*child.what, child.path.name)))
                            Path(keep).mkdir(parents=True, exist_ok=True)
                            shutil.copy(
                                child.path, Path(keep, name.replace(" ", "_").replace("/", "_"))
                            )
                        child.folder.cleanup()
                        yield *child.what, outcome, why

        for place, (name, kind) in enumerate(kinds.items()):
            sound = Path(scratch, str(place))
            sound.mkdir()
            relative = _make_alone(fork, kind, sound)
            data = (sound / relative).read_bytes()
            for number in range(round(count * kind.share / total)):
                generator = np.random.default_rng([seed, place, number])
                folder = tempfile.TemporaryDirectory(dir=scratch)
                shutil.copytree(sound, folder.name, dirs_exist_ok=True)
                path = Path(folder.name, relative)
                path.write_bytes(mutate(data, generator, path.suffix == ".json"))
                ours, theirs = fork.Pipe(False)
                arguments = (kind.read, path, gibibytes, theirs)
                process = fork.Process(target=_read_alone, args=arguments)
                process.start()
                theirs.close()
                end = time.monotonic() + seconds
                running.append(Child((name, number), process, ours, folder, path, end))
                yield from harvest(workers - 1)
        yield from harvest(0)


def _make_alone(fork, kind, folder):
    """Write a kind's files, and read them, in a process of its own; return the path in the folder.

    This process stays fit to be forked: what TensorFlow starts, threads do not outlive.
    """

    def make(folder):
        path = kind.make(folder)
        kind.read(path)
        return str(path.relative_to(folder))

    ours, theirs = fork.Pipe(False)
    process = fork.Process(target=_read_alone, args=(make, folder, 8, theirs))
    process.start()
    theirs.close()
    outcome, found = ours.recv()
    process.join()
    if outcome != READ:
        raise RuntimeError(f"A sound file could not be made or read: {found}")
    return found
