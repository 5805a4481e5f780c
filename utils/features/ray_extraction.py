"""The stages of `utils.features.extraction` on Ray Data: on all CPUs and GPUs of a cluster.

Tasks read videos and yield batches of blocks, a pool of actors runs them, and the driver puts their
rows together and writes them as they come. Ray holds reading back where the network is slower, and
does again what was lost with a process or a machine. Videos have the same path on all machines;
the driver alone needs the weights and the output.
"""

import itertools
import json
import logging
import os
import signal
from pathlib import Path

from utils.features.blocks import Failure, Part, read_video
from utils.features.extraction import batch_blocks
from utils.system.commands import ROOT

import numpy as np

_THREADS = 4  # CPUs of an actor without a GPU, by default
_ACTOR_SHARE = 0.75  # of a machine's CPUs are reserved for actors at most
_VIDEOS = 16  # read by a task, at most: their blocks share batches
_LOSSES = 10  # tasks that may die again and again, say of a decoder's crash
_LOST = "the process that read the video died. Run the same command again to retry"


def start_ray(address=""):
    """Start Ray on this machine, or join a cluster; this process leaves the GPUs to the actors.

    Args:
        address: of a cluster, as `ray.init` takes it; "" for this machine.

    Raises:
        ValueError: Ray is not installed.
        ConnectionError: there is no cluster.
    """
    try:
        import ray  # optional
        import ray.data
    except ImportError as error:
        raise ValueError(
            f"--ray needs Ray ({error}): pip install -r {ROOT / 'requirements-ray.txt'}"
        ) from error
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    modules = [str(ROOT / name) for name in ("models", "utils", "scripts")]
    stop = signal.getsignal(signal.SIGTERM)
    ray.init(address or "local", runtime_env={"py_modules": modules}, logging_level="warning")
    signal.signal(signal.SIGTERM, stop)  # Ray's handler exits as if something had failed
    os.environ["CUDA_VISIBLE_DEVICES"] = ""


def plan_actors(nodes, actors=0):
    """Plan how many actors there are, and what Ray reserves for them and for reading.

    Where there are no GPUs any machine could hold all actors, beside a task that reads: what is
    lost with one goes on on the others. Ray spreads them evenly.

    Args:
        nodes: list of (CPUs, GPUs) of each machine.
        actors: how many; 0: one per GPU, or without GPUs one per 4 CPUs.

    Returns:
        (actors, threads of each, {"num_cpus" or "num_gpus": of each}, CPUs of a task that reads).

    Raises:
        ValueError: the machines have no CPUs.
    """
    cpus, gpus = (sum(column) for column in zip(*nodes, strict=True))
    if not cpus:
        raise ValueError("The Ray cluster has no CPUs. Start its workers first.")
    smallest = min(count for count, _ in nodes if count)
    reader = min(1, smallest * (1 - _ACTOR_SHARE))
    threads = max(1, min(_THREADS, int(smallest)))
    if gpus:
        actors = actors or int(gpus)
        return actors, threads, {"num_gpus": min(1, gpus / actors)}, reader
    if actors:
        threads = max(1, min(int(smallest), int(cpus // actors)))
    actors = actors or max(1, sum(int(count // threads) for count, _ in nodes))
    return actors, threads, {"num_cpus": _ACTOR_SHARE * smallest / actors}, reader


def _everywhere(path):
    return str(Path(path).absolute())  # processes elsewhere begin in other folders


def _read(videos, row_format, batch_frames):
    """Yield rows of a table: batches of the blocks of videos, and last those that failed."""
    failures = []
    columns = (map(os.fsdecode, videos[column].tolist()) for column in ("path", "name"))
    named = zip(*columns, strict=True)
    items = itertools.chain.from_iterable(read_video(*video, row_format) for video in named)
    for parts, blocks in batch_blocks(items, batch_frames, failures.append):
        yield {"parts": [json.dumps(parts)], "failures": ["[]"], "blocks": blocks[None]}
    if failures:
        nothing = np.zeros((1,) * 6, np.uint8)
        yield {"parts": ["[]"], "failures": [json.dumps(failures)], "blocks": nothing}


class _Network:
    """An actor: a copy of the network."""

    def __init__(self, extractor):
        import ray

        self.extractor = ray.get(extractor)

    def __call__(self, batch):
        rows = np.zeros((1, 1, 1), np.float32)
        if batch["parts"][0] != "[]":
            rows = self.extractor(batch["blocks"][0])
        return {"parts": batch["parts"], "failures": batch["failures"], "rows": rows[None]}


def _stream(videos, row_format, extractor, batch_frames, actors):
    """Yield (parts, failures, rows) of batches, in any order."""
    import ray

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = _LOSSES
    context.target_max_block_size = batch_frames * row_format.frame_bytes  # about a batch
    found = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    nodes = [(each.get("CPU", 0), each.get("GPU", 0)) for each in found]
    count, threads, resources, reader = plan_actors(nodes, actors)
    group = max(1, min(_VIDEOS, len(videos) // int(4 * sum(cpus for cpus, _ in nodes))))
    rows = [  # as bytes: Arrow's strings are UTF-8
        {"path": os.fsencode(_everywhere(path)), "name": os.fsencode(name)} for path, name in videos
    ]
    row_format = row_format._replace(
        flow_path=row_format.flow_path and _everywhere(row_format.flow_path)
    )
    table = ray.data.from_items(rows, override_num_blocks=-(-len(rows) // group))
    table = table.map_batches(
        _read,
        batch_size=None,
        num_cpus=reader,
        fn_kwargs={"row_format": row_format, "batch_frames": batch_frames},
    ).map_batches(
        _Network,
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=count),
        fn_constructor_args=(ray.put(extractor),),
        runtime_env={"env_vars": {"TF_NUM_INTRAOP_THREADS": str(threads)}},
        **resources,
    )
    for row in table.iter_rows():
        parts = [Part(*each) for each in json.loads(row["parts"])]
        yield parts, [Failure(*each) for each in json.loads(row["failures"])], row["rows"]


def extract_on_ray(videos, row_format, extractor, collector, options, progress=lambda item: None):
    """Do as `utils.features.extraction.extract_rows` does, on the cluster of `start_ray`.

    Args:
        videos, row_format, collector, progress: as there.
        extractor: a network that can be pickled.
        options: (batch_frames, actors or 0).

    Raises:
        OSError: the store cannot be written.
    """
    paths = {name: path for path, name in videos}
    for parts, failures, found in _stream(videos, row_format, extractor, *options):
        for failure in failures:
            collector.fail(failure._replace(path=paths[failure.name]))
            progress(failure)
        for part, rows in zip(parts, found, strict=False):
            collector.add(part, rows)
            progress(part)
    for name in paths.keys() - collector.saved - collector.failures.keys():
        collector.fail(Failure(name, paths[name], _LOST, ""))
