"""Extraction on Ray as a user runs it: the files of the local command, whoever dies on the way."""

import os
import signal
import subprocess
import sys
import time

from scripts.benchmarks.extraction import find_actors
from scripts.extract_features import Options, extract_features, load_extractor
from support.commands import ROOT
from support.videos import moving_square
from utils.features.ray_extraction import plan_actors, start_ray
from utils.video.writing import write_video

import numpy as np
import pytest

# Two lengths of blocks, several blocks a video, batches that videos share.
SETTINGS = {"route": "dense", "chunk": 64, "batch_frames": 64, "endpoint": "Conv3d_2c_3x3"}
SETTINGS |= {"weights": "none", "window": 8, "short_side": 112, "frame_size": 112}
VIDEOS = 14


@pytest.mark.parametrize(
    ("nodes", "actors", "plan"),
    [
        ([(2, 0)], 0, (1, 2, {"num_cpus": 1.5}, 0.5)),  # a laptop
        ([(2, 0)], 2, (2, 1, {"num_cpus": 0.75}, 0.5)),
        ([(1, 0), (1, 0), (0, 0)], 2, (2, 1, {"num_cpus": 0.375}, 0.25)),
        ([(16, 0), (16, 0)], 0, (8, 4, {"num_cpus": 1.5}, 1)),
        ([(96, 8)], 0, (8, 4, {"num_gpus": 1}, 1)),
        ([(96, 8), (8, 0)], 16, (16, 4, {"num_gpus": 0.5}, 1)),
    ],
)
def test_actors_fit_the_machines(nodes, actors, plan):
    assert plan_actors(nodes, actors) == plan
    with pytest.raises(ValueError, match=r"no CPUs\. Start its workers"):
        plan_actors([(0, 0)])


def test_ray_is_asked_for_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=r"needs Ray.*pip install -r .*requirements-ray\.txt"):
        start_ray()
    with pytest.raises(ValueError, match="ray is a b; give one address"):
        Options("videos", "features", ray=("a", "b"))


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """Features of videos, one of them broken, by the local command."""
    folder = tmp_path_factory.mktemp("local")
    for index in range(VIDEOS):
        path = folder / f"videos/{index % 3}/{index:02}.avi"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, moving_square(9 + 13 * index % 70, (112, 128), seed=index), 25)
    (folder / "videos/broken.avi").write_bytes(b"no video")
    options = Options("videos", "features", **SETTINGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with pytest.raises(ValueError, match=f"1 of {VIDEOS + 1} videos failed"):
            extract_features(options)
    return folder, options


def test_rows_do_not_depend_on_what_shares_their_batch(local):
    extractor, _ = load_extractor(local[1])
    blocks = np.random.default_rng(0).integers(0, 256, (4, 32, 112, 112, 3), np.uint8)
    rows = extractor(blocks)
    assert np.array_equal(extractor(blocks[[3, 0, 0, 2]]), rows[[3, 0, 0, 2]])


def tree(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_killed_actor_loses_nothing(local, tmp_path):
    pytest.importorskip("ray", reason="pip install -r requirements-ray.txt")
    folder, store = local[0], tmp_path / "features"
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in SETTINGS.items()]
    command = [sys.executable, "-m", "scripts.extract_features", "--data", "videos", "--output"]
    with open(tmp_path / "said", "w") as said:
        process = subprocess.Popen(
            [*command, str(store), *flags, "--ray", "--ray-actors", "2"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdout=said,
            stderr=subprocess.STDOUT,
        )
    try:
        actors = []
        while len(actors) < 2 or not list(store.rglob("*.npy")):
            assert process.poll() is None, (tmp_path / "said").read_text()
            actors = find_actors(process.pid)
            time.sleep(0.1)
        os.kill(actors[0], signal.SIGKILL)
        status = process.wait(timeout=240)
    finally:
        process.kill()
    text = (tmp_path / "said").read_text()
    assert status == 1 and f"Error: 1 of {VIDEOS + 1} videos failed" in text, text
    assert f"{VIDEOS} videos, " in text
    assert tree(store) == tree(folder / "features")
