"""Flow and features of videos on a GPU, on Keras and JAX: parts of scripts.benchmarks.gpu.

python -m scripts.benchmarks.gpu_video TASK, a JSON object of `scripts.benchmarks.gpu`.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from models.tvl1 import build_tvl1
from scripts.benchmarks.extraction import make_extractor
from utils.features.blocks import RowFormat, read_video
from utils.features.extraction import Collector, extract_rows, read_ahead
from utils.fitting.devices import number_format
from utils.rendering.figures import ACTIONS, render_clip
from utils.rendering.samples import render_video
from utils.system.commands import ROOT
from utils.system.measuring import make_recorder
from utils.video.flow import limit_threads, make_method

import keras
import numpy as np

POLICIES = {"bfloat16": "mixed_bfloat16", "float32": "float32"}


def measure_flow(recorder, task):
    """Print rows of TV-L1 of whole batches, and of OpenCV's on one and on all cores."""
    height, width = task["flow_size"]
    shown, actions = [], sorted(ACTIONS)
    for actor in range(-(-max(task["flow_batches"]) // 32)):
        action = actions[actor % len(actions)]
        shown.append(render_clip(action, actor, 1, 0, (33, height, width))[0][..., 1])
    first, second = (np.concatenate([x[cut] for x in shown]) for cut in (np.s_[:-1], np.s_[1:]))
    found, model = {}, build_tvl1(height, width)
    what = {"part": "flow", "name": f"TV-L1 of {width}x{height}"}

    def prepare(batch):
        pair = [
            keras.ops.convert_to_tensor(x[:batch, ..., None], "float32") for x in (first, second)
        ]

        def call():
            found["ours"] = np.asarray(model.predict_on_batch(pair))

        return call

    def prepare_threads(threads, count):
        limit_threads(1)
        pool = ThreadPoolExecutor(threads)

        def estimate(place):
            return make_method("tvl1")(first[place], second[place])

        def call():
            found["opencv"] = np.stack(list(pool.map(estimate, range(count))))

        return call

    def compare():
        count = min(len(found["ours"]), len(found["opencv"]))
        apart = np.linalg.norm(found["ours"][:count] - found["opencv"][:count], axis=-1)
        apart = apart.mean(axis=(1, 2))
        return {"pairs": count, "mean_pixels": float(apart.mean()), "worst": float(apart.max())}

    batches, cores = task["flow_batches"], len(os.sched_getaffinity(0))
    for batch in batches[:1]:
        recorder.row(partial(prepare, batch), batch, **what, framework="keras on jax", batch=batch)
    count = min(2 * cores, batches[0])
    who = {"framework": f"opencv, {cores} threads", "batch": count}
    recorder.row(partial(prepare_threads, cores, count), count, **what, **who)
    recorder.number(compare, **what | {"name": "TV-L1 against OpenCV's"})
    for batch in batches[1:]:
        recorder.row(partial(prepare, batch), batch, **what, framework="keras on jax", batch=batch)
    recorder.row(partial(prepare_threads, 1, 1), 1, **what, framework="opencv, 1 thread", batch=1)


def _extract(videos, row_format, extractor, how):
    """Extract videos into a folder that goes."""
    with tempfile.TemporaryDirectory() as folder:
        collector = Collector(folder, {}, row_format.views)
        extract_rows(videos, row_format, extractor, collector, how)


def run_extraction(folder, task, workers, limit):
    """Run scripts.extract_features on a folder of videos as a user does; return its row.

    Args:
        folder: where videos/ is.
        task: of the part.
        workers: reading threads.
        limit: seconds after which it is ended.
    """
    size = ["--frame-size", task["frame_size"], "--short-side", task["frame_size"] * 8 // 7]
    flags = ["--precision", "mixed_bfloat16", "--batch-frames", task["batch_frames"], *size]
    command = ["-m", "scripts.extract_features", "--data", folder / "videos", "--weights", "none"]
    command += ["--output", folder / "rows", "--workers", workers, *flags]
    begin = time.perf_counter()
    whole, options = [sys.executable, *map(str, command)], {"capture_output": True, "text": True}
    try:
        done = subprocess.run(whole, cwd=ROOT, check=False, timeout=limit, **options)
    except subprocess.TimeoutExpired:
        raise ValueError(f"ended after {limit:.0f} s") from None
    seconds = time.perf_counter() - begin
    if done.returncode:
        raise ValueError(done.stderr[-300:])
    said = next(line for line in done.stdout.splitlines()[::-1] if "rows/s" in line)
    return {"seconds": seconds, "said": said, "files": len(list(folder.rglob("*.npy")))}


def measure_extraction(recorder, task):
    """Print rows of features from files: reading alone, both routes, and the script itself."""
    workers, size, chunk = len(os.sched_getaffinity(0)), task["frame_size"], task["chunk"]
    row_format = RowFormat(16, 4, "replicate", frame_size=size, short_side=size * 8 // 7)
    how = task["batch_frames"], workers, 2 << 30
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        folder = Path(folder)
        (folder / "videos").mkdir()
        one = folder / "0.avi"
        video = render_video(one, 320, 240, task["video_frames"])
        for index in range(task["videos"]):
            shutil.copy(one, folder / f"videos/{index}.avi")
        videos = [(str(path), path.stem) for path in (folder / "videos").iterdir()]
        frames = len(videos) * video.num_frames
        about = {"part": "extraction", "unit": "frames of video", "videos": len(videos)}

        def read():
            for _ in read_ahead(lambda each: read_video(*each, row_format), videos, workers, 64):
                pass

        name = f"reading 320x240, {workers} threads, windows"
        recorder.row(lambda: read, frames, **about, name=name)
        name = "scripts.extract_features, windows, start and compilation included"
        what = about | {"precision": "bfloat16", "frames": frames, "name": name}
        # Some time is left for the other rows.
        recorder.number(lambda: run_extraction(folder, task, workers, 0.7 * recorder.left), **what)
        for precision, route in itertools.product(task["precisions"], ("dense", "windows")):
            length = chunk if route == "dense" else row_format.window
            own = row_format._replace(lengths=(length,))
            with number_format(POLICIES[precision]):
                extractor = make_extractor(own)
            count = max(1, task["batch_frames"] // length)
            shape = count, length, size, size, 3
            blocks = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
            call = partial(extractor, blocks)
            rows = count * ((length - own.window) // own.stride + 1)
            what = {"part": "extraction", "precision": precision}
            name = f"{route}, network alone from memory"
            recorder.row(lambda call=call: call, 4 * rows, **about | what, name=name)
            call = partial(_extract, videos, own, extractor, how)
            recorder.row(lambda call=call: call, frames, **about | what, name=f"{route}, files")


PARTS = {"flow": measure_flow, "extraction": measure_extraction}


if __name__ == "__main__":
    _TASK = json.loads(sys.argv[1])
    PARTS[_TASK["part"]](make_recorder(_TASK), _TASK)
