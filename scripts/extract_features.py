"""Turn videos into features: python -m scripts.extract_features --data my_videos --output features.

Writes an array per video, one row for every few frames, computed by a published backbone or by the
backbone of a run. After a stop, the same command continues with the videos that are missing.
"""

import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it starts from any folder

from models.backbones import BACKBONES, DEFAULT, FEATURES
from models.later import later
from utils.checks import check_precision, check_sizes
from utils.command_line import Command
from utils.data.datasets import list_paths
from utils.features.blocks import RowFormat
from utils.features.extraction import FAILURES, Collector, Progress, extract_rows, list_missing
from utils.features.rows import EDGES
from utils.features.settings import FeatureSettings
from utils.features.store import find_manifest, name_features, open_store
from utils.params import Params
from utils.runs.openvino import check_openvino
from utils.system.commands import IncompleteError, run_command
from utils.system.files import clear_leftovers
from utils.system.progress import format_seconds
from utils.system.words import print_line
from utils.video.flow import FLOWS, flow_kind
from utils.video.flow_store import check_store, find_store
from utils.video.image_folders import IMAGE_FPS, is_image_folder
from utils.video.listing import describe_others
from utils.video.streams import STREAMS
from utils.video.views import CENTER, VIEWS

build_maps = later("models.dense", "build_maps")
make_extractor = later("tasks.features.networks", "make_extractor")
pick_blocks = later("tasks.features.networks", "pick_blocks")
prepare_extractor = later("tasks.features.networks", "prepare_extractor")
start_maps = later("tasks.features.networks", "start_maps")
fingerprint = later("utils.clips.inputs", "fingerprint")
extract_on_ray = later("utils.features.ray_extraction", "extract_on_ray")
start_ray = later("utils.features.ray_extraction", "start_ray")
choose_precision = later("utils.fitting.devices", "choose_precision")
number_format = later("utils.fitting.devices", "number_format")

_POLICIES = {"bfloat16": "mixed_bfloat16"}  # precision: what Keras calls it, where all is frozen
_LEAST_STEPS = 4  # of the last map of a chunk, unless a window is longer
_STAGES = [stage.name for backbone in BACKBONES.values() for stage in backbone.stages]
_ENDPOINTS = [name for backbone in BACKBONES.values() for name in backbone.row_endpoints]


@dataclass(frozen=True)
class Options:
    """What a row of features is, of which videos."""

    data: str
    """Any folder tree of videos, one video, or what --data-path of training.py takes. A folder of
    numbered images is a video too."""
    output: str
    """Folder to write to. It gets the same folder tree as the data."""
    backbone: Literal[tuple(BACKBONES)] = DEFAULT
    """Network that computes the features."""
    window: int = 16
    """Frames that one row sees, at least 8."""
    stride: int = 4
    """Frames from one row to the next."""
    edges: Literal[tuple(EDGES)] = "replicate"
    """replicate: one row per stride; the first and last frames are repeated. drop: only windows
    that lie wholly inside the video."""
    route: Literal["windows", "dense"] = "windows"
    """windows: each window alone, as papers do. dense: faster; windows share computations and also
    see the frames around them. dense needs windows of a multiple of 8."""
    chunk: int = 128
    """dense: frames computed together, a multiple of 32. Short videos use a half or a quarter of
    it."""
    shared: Literal[tuple(dict.fromkeys(_STAGES))] = BACKBONES[DEFAULT].dense.shared
    """dense: last stage that windows share. An earlier stage is slower, and closer to --route
    windows."""
    endpoint: Literal[tuple(dict.fromkeys(_ENDPOINTS))] = FEATURES
    """Output of the backbone that is written, averaged over space. Features has 1024 numbers per
    row, Mixed_4f 832."""
    stream: Literal[tuple(STREAMS)] = "rgb"
    """rgb, flow, or both: the numbers of RGB, then those of flow."""
    weights: str = "kinetics"
    """Pretrained weights: kinetics, imagenet_kinetics, inflated (flow, made from RGB's), none, a
    file, or a run (weights/<run>) whose backbone is used."""
    flow_weights: str = ""
    """Two streams: the weights for flow. Empty: as --weights."""
    views: tuple[Literal[tuple(VIEWS)], ...] = (CENTER,)
    """Crops along the longer side, and their mirror images. The center view is written to a.npy,
    its mirror image to a.flip.npy."""
    dtype: Literal["float32", "float16"] = "float32"
    """Number format of the files."""
    runtime: Literal["keras", "openvino"] = Params.runtime
    """What computes the network. openvino in int8 is faster on CPUs; it needs
    requirements-openvino.txt."""
    precision: Literal["auto", "float32", "bfloat16", "int8", "mixed_bfloat16", "mixed_float16"] = (
        Params.precision
    )
    """Number format of the network. int8 needs --runtime openvino; it is calibrated once for each
    network, on these videos. auto: that of the features that are there already; otherwise bfloat16
    on CPUs that gain by it, and float32 on others."""
    fps: float = Params.fps
    """Frame rate that videos are resampled to. The weights expect 25. 0: keep every frame of the
    file."""
    image_fps: float = IMAGE_FPS
    """Frame rate of folders of images."""
    short_side: int = Params.short_side
    """Frames are resized so that the shorter side has this many pixels, then cropped. The weights
    expect 256. 0: stretch the whole frame to the square without cropping."""
    frame_size: int = Params.frame_size
    """Height and width of the crop in pixels, at least 112. The weights expect 224."""
    flow: Literal[tuple(FLOWS)] = Params.flow
    """Optical flow method, for flow that is not stored."""
    flow_path: str = Params.flow_path
    """Folder that scripts.extract_flow wrote. Empty: its default folder, if there is one."""
    batch_frames: int = 128
    """Frames per batch of the network. A GPU takes more."""
    workers: int = Params.workers
    """Threads that read videos."""
    read_ahead: int = 256
    """MiB of frames that may wait for the network."""
    ray: tuple[str, ...] | None = None
    """Run on Ray: on this machine, or on a cluster if its address is given (auto: the cluster of
    this machine). All machines must see the videos at the same path."""
    ray_actors: int = 0
    """Copies of the network on Ray. 0: one per GPU, or one per 4 CPUs if there is no GPU."""
    retry: bool = False
    """Try videos again that failed before."""
    video_root: str = Params.video_root
    """Folder that the paths in a .csv or UCF101 list start from. Empty: the folder of the list."""
    cache_path: str = Params.cache_path
    """Folder of the cache; stored flow is looked for here."""

    def __post_init__(self):
        backbone = BACKBONES[self.backbone]
        lows = {"stride": 1, "batch_frames": 8, "workers": 1, "read_ahead": 1}
        lows |= {"fps": 0, "image_fps": 0.01, "ray_actors": 0}
        lows |= {"window": backbone.clip.least_frames, "frame_size": backbone.clip.least_size}
        for name, low in lows.items():
            if getattr(self, name) < low:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least {low}.")
        check_sizes(self.short_side, self.frame_size, self.stream)
        check_precision(self.runtime, self.precision)
        if len(self.ray or ()) > 1:
            raise ValueError(f"ray is {' '.join(self.ray)}; give one address, or none.")
        if CENTER not in self.views or len(set(self.views)) < len(self.views):
            raise ValueError(
                f"views are {', '.join(self.views)}; they must include {CENTER}, and each only "
                "once."
            )
        if self.endpoint not in backbone.row_endpoints:
            known = ", ".join(backbone.row_endpoints)
            raise ValueError(
                f"endpoint is {self.endpoint}; {backbone.title} gives features at {known}."
            )
        if self.route == "dense":
            self._check_dense(backbone)

    def _check_dense(self, backbone):
        factor = backbone.time_stride
        if not backbone.dense:
            raise ValueError(
                f"route is dense, but windows of {backbone.title} share no computation. "
                "Give windows."
            )
        backbone.get_stage(self.shared)
        if self.window % factor:
            raise ValueError(
                f"window is {self.window}, but --route dense needs a multiple of {factor}, "
                f"by which {backbone.title} divides time. Give such a window, or --route "
                "windows."
            )
        shortest = _LEAST_STEPS * factor
        if self.chunk % shortest or self.chunk < self.window:
            raise ValueError(
                f"chunk is {self.chunk}; it must be a multiple of {shortest}, and at least "
                f"the window of {self.window}."
            )

    @property
    def lengths(self):
        """Frames of the blocks that the network is built for."""
        if self.route == "windows":
            return (self.window,)
        shortest = _LEAST_STEPS * BACKBONES[self.backbone].time_stride
        shortest = min(max(self.window, shortest), self.chunk)
        return tuple(n for n in (self.chunk, self.chunk // 2, self.chunk // 4) if n >= shortest)

    @property
    def flow_kind(self):
        """All that decides the flow's values."""
        return flow_kind(self.flow, self.fps, self.short_side)

    @property
    def row_format(self):
        """The `RowFormat`."""
        path = self.flow_path or find_store(self.cache_path, self.flow_kind)
        if path and STREAMS[self.stream].has_flow:
            check_store(path, self.flow_kind)
        same = {name: getattr(self, name) for name in RowFormat._fields if hasattr(self, name)}
        return RowFormat(**same | {"flow_path": path})

    @property
    def starts(self):
        """{stream: what its backbone starts from}."""
        flow = (self.flow_weights or self.weights) if self.stream == "both" else self.weights
        return {
            each: flow if each == "flow" else self.weights for each in STREAMS[self.stream].parts
        }


def list_data(options):
    """Return ([path] of the videos, the folder that the features' tree mirrors).

    Raises:
        ValueError: no such data, or no video in it; output and data in one another.
    """
    path = Path(options.data)
    if path.is_dir() and not is_image_folder(path):
        output, root = Path(options.output).resolve(), path.resolve()
        if output.is_relative_to(root) or root.is_relative_to(output):
            raise ValueError(
                f"output {options.output} and data {options.data} lie inside one another. "
                "Give an output folder outside the data."
            )
    found = list_paths(options.data, options.video_root)
    if found.others:
        print_line(describe_others(found.others))
    return found.videos, found.folder


def settle_precision(options):
    """Return the precision to compute in: that of features that are there, where it is auto."""
    precision = options.precision
    if precision == "auto":
        begun = find_manifest(options.output)
        same = begun.get("runtime", "keras") == options.runtime
        precision = begun.get("precision", "") if same else ""
    precision = precision or choose_precision(options.runtime)
    return _POLICIES.get(precision, precision) if options.runtime == "keras" else precision


def load_extractor(options, paths=()):
    """Build the network and load its weights; return (the extractor, `FeatureSettings`).

    Args:
        options: `Options`.
        paths: of the videos, some of which int8 is calibrated on.
    """
    import keras  # slow: the errors of flags and data come first

    if options.runtime == "openvino":
        check_openvino()
    keras.utils.set_random_seed(0)
    precision = settle_precision(options)
    maps, names, backbone = {}, {}, BACKBONES[options.backbone]
    for stream, start in options.starts.items():
        shape = (options.window, options.frame_size, options.endpoint)
        with number_format(precision):
            maps[stream] = build_maps(backbone, stream, *shape)
        names[stream] = start_maps(maps[stream], start, stream)
        print_line(
            f"{backbone.title} ({stream}) starts from the weights {names[stream]}", flush=True
        )
    same = "window stride edges route endpoint stream fps image_fps short_side frame_size".split()
    dense = options.route == "dense"
    settings = FeatureSettings(
        **{name: getattr(options, name) for name in (*same, "dtype", "runtime", "views")},
        precision=precision,
        chunk=options.lengths if dense else None,
        shared=options.shared if dense else None,
        flow=options.flow_kind if STREAMS[options.stream].has_flow else None,
        weights=names,
        fingerprint={stream: fingerprint(each) for stream, each in maps.items()},
        backbone=backbone.name,
    )
    pick = partial(pick_blocks, paths, options.row_format)
    return prepare_extractor(make_extractor(maps, settings), settings, pick)


def extract_features(options):
    """Extract the features of videos; list what failed on screen and in failures.csv.

    Args:
        options: `Options`.

    Raises:
        ValueError: no such data, a store of other settings, or all videos failed.
        IncompleteError: some of the videos failed.
        OSError: the store cannot be written.
    """
    paths, root = list_data(options)
    names, folder, row_format = name_features(paths, root), Path(options.output), options.row_format
    if options.ray is not None:
        start_ray(*options.ray)
    extractor, made = load_extractor(options, paths)
    settings = made.to_json()
    open_store(folder, settings)
    clear_leftovers(folder)
    missing, failed = list_missing(names, folder, settings, options.retry, options.workers)
    done = len(names) - len(missing) - len(failed)
    print_line(f"{done} of {len(names)} videos are done already, {len(failed)} failed before")
    collector = Collector(folder, settings, row_format.views, options.dtype, failed)
    collector.save_failures()
    if missing:
        begin, progress = time.perf_counter(), Progress(missing, len(row_format.views))
        run, how = extract_rows, (options.workers, options.read_ahead << 20)
        if options.ray is not None:
            run, how = extract_on_ray, (options.ray_actors,)
        how = (options.batch_frames, *how)
        with progress:
            run(list(missing.items()), row_format, extractor, collector, how, progress)
        seconds, rows = time.perf_counter() - begin, collector.rows
        print_line(
            f"{len(collector.saved)} videos, {rows} rows in {format_seconds(seconds)} "
            f"({rows / seconds:.2f} rows/s)"
        )
    paths = {name: path for path, name in names.items()}
    for name, note in collector.notes.items():
        print_line(f"  warning: {paths[name]}: {note}")
    for failure in collector.failures.values():
        print_line(f"  failed: {failure.path}: {failure.reason}")
    if collector.failures:
        kind = IncompleteError if len(collector.failures) < len(names) else ValueError
        raise kind(
            f"{len(collector.failures)} of {len(names)} videos failed; see "
            f"{folder}/{FAILURES}. Give --retry to try them again."
        )


COMMAND = Command(__doc__, Options)

if __name__ == "__main__":
    run_command(
        lambda: extract_features(COMMAND.parse()),
        "run the same command to continue with the videos that are not done yet",
    )
