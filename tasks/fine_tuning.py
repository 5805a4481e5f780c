"""Recognition through I3D (stage 2): stage 1's run, its I3D, and sentences as frames or maps.

What lies before the endpoint where training begins is frozen: its maps are computed once a
sentence and kept, unless frames are to change at random.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

from models.dense import SHARED, Extractor, build_maps
from models.end_to_end import (
    build_end_to_end,
    build_windows,
    copy_units,
    list_units,
    trained_part,
)
from models.i3d import ENDPOINTS, TOP
from models.pretrained import PRETRAINED
from tasks.backbones import find_units, start_maps
from tasks.transcription import FEATURES, Reading
from utils.augmentation import list_levels
from utils.blocks import RowFormat
from utils.corpora import leave_out
from utils.extraction import Collector, Progress, extract_rows
from utils.feature_rows import FeatureInfo, thin_rows
from utils.feature_store import (
    CENTRE,
    array_path,
    is_done,
    open_store,
    read_record,
    settings_hash,
)
from utils.features import fingerprint
from utils.frames import FrameInfo, read_frames
from utils.inspection import inspect_videos
from utils.manifest import read_kind
from utils.runs import load_network
from utils.sentences import pad_rows

import keras

ROWS = "rows.json"  # in a run's folder: the settings of the features it began with
_NEEDED = (
    "window stride edges route endpoint stream fps image_fps short_side frame_size dtype precision "
    "chunk shared weights fingerprint"
).split()
_WAITING = 256 << 20  # bytes of frames
_BATCH_FRAMES = 128


def read_settings(run):
    """Return the settings of the features that a recognizer's run began with.

    Raises:
        ValueError: nothing tells them.
    """
    path = Path(run, ROWS)
    if path.is_file():
        return read_kind(path)
    path = Path(run, "features.json")
    settings = (read_kind(path).get("manifest") if path.is_file() else None) or {}
    if missing := [name for name in _NEEDED if name not in settings]:
        raise ValueError(
            f"{run}: nothing tells how its features were made (no {missing[0]} in {path.name}), "
            "so I3D cannot go on from them. Train stage 1 on what scripts.extract_features wrote."
        )
    return settings


def check_settings(settings, finetune, caches):
    """Raise a ValueError where I3D cannot be trained from an endpoint on behind such features.

    Args:
        settings: of `read_settings`.
        finetune: the endpoint, or "all".
        caches: whether the frozen part's maps are kept.
    """
    if settings["stream"] != "rgb":
        raise ValueError(f"The features are of {settings['stream']}; only RGB's I3D is trained.")
    start = 0 if finetune == "all" else ENDPOINTS.index(finetune)
    last = "Features" if settings["endpoint"] in TOP else settings["endpoint"]
    if start > ENDPOINTS.index(last):
        raise ValueError(f"finetune is {finetune}, behind the features' endpoint {last}.")
    shared = settings["shared"] if settings["route"] == "dense" else ""
    if shared and (not caches or start <= ENDPOINTS.index(shared)):
        raise ValueError(
            f"finetune is {finetune}, but the features are of the route dense, whose windows share "
            f"all up to {shared}: that must stay frozen, with its maps kept. Give an endpoint "
            "behind it (and feature_views 1), or train stage 1 on features of --route windows."
        )


def make_form(settings, row_step):
    """Return the `RowFormat` of the rows that a recognizer sees.

    On the route dense all rows are computed, and those between left out afterwards: fewer of them
    would be cut into other chunks.
    """
    same = {name: settings[name] for name in RowFormat._fields if name in settings}
    alone = settings["route"] == "windows"
    lengths = (settings["window"],) if alone else tuple(settings["chunk"])
    own = {"lengths": lengths, "views": (CENTRE,), "step": row_step if alone else 1}
    return RowFormat(**same | own | {"flow": RowFormat().flow})


def look_at_frames(sentences, params, form):
    """Decode all sentences' videos once, and remember it.

    Args:
        sentences: list of `Sentence`.
        params: `Params`.
        form: a `RowFormat`.

    Returns:
        (those that have rows, {path: `FrameInfo`}, [(id or path, problem)]).
    """
    paths = [sentence.path for sentence in sentences]
    videos, notes = inspect_videos(paths, params.cache_path, params.workers)
    reasons, infos = {path: note for path, note in notes if path not in videos}, {}
    for path, video in videos.items():
        if Path(path).is_dir():
            video = replace(video, fps=form.image_fps)
        infos[path] = FrameInfo(path, video, form)
        try:
            infos[path].shape  # noqa: B018 (too few frames for a row)
        except ValueError as error:
            reasons[path] = f"{path}: {error}"
    kept, lost = leave_out(sentences, [reasons.get(path, "") for path in paths], "The corpus")
    return kept, infos, lost + [(path, note) for path, note in notes if path in videos]


def _load_i3d(settings, run):
    """Return the I3D of a window that made some features, and its layers {name: layer}."""
    size, endpoint, name = settings["frame_size"], settings["endpoint"], settings["weights"]["rgb"]
    keras.utils.set_random_seed(0)  # as in scripts.extract_features, for weights none
    maps = build_maps("rgb", size, endpoint)
    start_maps(maps, PRETRAINED[name]["weights"] if name in PRETRAINED else name, "rgb")
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(settings["precision"])
    same = fingerprint(maps) == settings["fingerprint"]["rgb"]
    keras.config.set_dtype_policy(policy)
    if not same:
        raise ValueError(
            f"The features of {run} were made by an I3D that began with {name}, but what is found "
            "under that name now has other weights."
        )
    return {layer.name: layer for layer in maps.layers}


def open_network(params, settings):
    """Return the network that stage 2 begins with: the run's recognizer behind its features' I3D.

    Args:
        params: `Params`.
        settings: of `read_settings`.

    Raises:
        ValueError: weights that are no more to be had.
    """
    run = Path(params.weights)
    recognizer = load_network(run, ("logits", "recognizer"))
    i3d = build_windows(settings["window"], settings["frame_size"], settings["endpoint"])
    if units := find_units(recognizer).get("rgb"):  # of stage 2 itself
        recognizer = recognizer.get_layer("recognizer")
    else:
        units = _load_i3d(settings, run)
        keras.utils.set_random_seed(params.seed)
    copy_units(units, i3d)
    stride = settings["stride"] * params.row_step
    return build_end_to_end(i3d, recognizer, params.trained_part, stride, params.windows)


def _cache_maps(network, settings, infos, params):
    """Run the frozen part over all sentences that it was not yet run over.

    Returns:
        {path: `FeatureInfo`} of the maps, a row a window.
    """
    cut = ENDPOINTS[ENDPOINTS.index(params.trained_part) - 1]
    form = next(iter(infos.values())).form
    maps = build_maps("rgb", form.frame_size, cut)
    copy_units(list_units(network), maps)
    own = {"endpoint": cut, "fingerprint": fingerprint(maps)}
    own |= {"precision": params.precision, "row_step": form.step}
    settings = {name: settings[name] for name in _NEEDED if name != "weights"} | own
    store = Path(params.cache_path, "features", settings_hash(settings))
    open_store(store, settings)
    missing = {
        path: info.video.digest
        for path, info in infos.items()
        if not is_done(store, info.video.digest, info.video.digest, settings)
    }
    if missing:
        print(f"Running the frozen part of I3D over {len(missing)} sentences", flush=True)
        stages = (form.window, form.row_stride, "", settings["shared"] or SHARED)
        extractor = Extractor({"rgb": maps}, {"rgb": list_levels("rgb")}, *stages)
        collector = Collector(store, settings, form.views, settings["dtype"])
        how = (_BATCH_FRAMES, params.workers, _WAITING)
        progress = Progress(missing, 1)
        extract_rows(list(missing.items()), form, extractor, collector, how, progress)
        progress.bar.close()
        for failure in collector.failures.values():
            raise ValueError(f"{failure.path}: {failure.reason}")
    found = {}
    for path, info in infos.items():
        name = info.video.digest
        views = {CENTRE: (str(array_path(store, name)), "")}
        found[path] = FeatureInfo(views, tuple(read_record(store, name)["shape"]), name)
        found[path] = thin_rows(found[path], params.row_step // form.step)
    return found


def choose_part(network, params):
    """Return what of a network is trained: what lies behind the frozen part's maps, or all."""
    return trained_part(network) if params.caches_features else network


def open_sentences(network, settings, infos, params):
    """Return what the part of a network that is trained reads of sentences, and how.

    Args:
        network: of `open_network`, or a run's best.
        settings: of `read_settings`.
        infos: {path: `FrameInfo`}.
        params: `Params`.

    Returns:
        ({path: info}, `Reading`).
    """
    if params.caches_features:
        return _cache_maps(network, settings, infos, params), FEATURES
    view = {"window": settings["window"], "stride": settings["stride"] * params.row_step}
    return infos, Reading(read_frames, partial(pad_rows, name="frames", **view))
