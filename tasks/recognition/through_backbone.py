"""Recognition through a backbone (stage 2): stage 1's run, and sentences as frames or maps.

What lies before the stage where training begins is frozen: its maps are computed once a
sentence and kept, unless frames are to change at random.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

from models.backbones import BACKBONES
from models.dense import build_maps
from models.end_to_end import (
    build_end_to_end,
    build_windows,
    copy_units,
    list_units,
    trained_part,
)
from tasks.features.networks import find_units, load_maps, make_extractor
from tasks.recognition.transcription import FEATURES, Reading
from utils.clips.inputs import fingerprint
from utils.data.inspection import inspect_videos
from utils.features.extraction import Collector, Progress, extract_rows
from utils.features.row_memory import RowMemory
from utils.features.store import array_path, is_done, open_store, read_record, settings_hash
from utils.features.video_features import VideoFeatures
from utils.runs.networks import load_network
from utils.signing.batches import pad_rows
from utils.signing.corpora import leave_out
from utils.signing.sentence_frames import SentenceFrames, read_frames
from utils.system.words import print_line
from utils.video.views import CENTER

import keras

_WAITING = 256 << 20  # bytes of frames
_BATCH_FRAMES = 128


def check_settings(settings, finetune, caches):
    """Raise a ValueError where the backbone of such features cannot be trained from a stage on.

    Args:
        settings: `FeatureSettings`.
        finetune: the stage, or "all".
        caches: whether the frozen part's maps are kept.
    """
    backbone = BACKBONES[settings.backbone]
    backbone.check_start(finetune)
    if settings.stream != "rgb":
        raise ValueError(
            f"The features are of stream {settings.stream}, but only the {backbone.title} "
            "of rgb can be trained."
        )
    places = {name: place for place, name in enumerate(backbone.endpoints)}
    start, last = places.get(finetune, 0), settings.endpoint
    last = backbone.row_endpoints[-1] if last in backbone.top else last
    if start > places[last]:
        raise ValueError(
            f"finetune is {finetune}, which lies behind the endpoint of the features, {last}. "
            "Give an earlier stage."
        )
    shared = settings.shared if settings.dense else ""
    if shared and (not caches or start <= places[shared]):
        raise ValueError(
            f"finetune is {finetune}, but the features are of route dense, whose windows "
            f"share all layers up to {shared}. These must stay frozen, with their maps "
            f"kept. Give a stage behind {shared} and feature_views 1, or train stage 1 on "
            "features of --route windows."
        )


def look_at_frames(sentences, params, row_format):
    """Decode all sentences' videos once, and remember it.

    Args:
        sentences: list of `Sentence`.
        params: `Params`.
        row_format: a `RowFormat`.

    Returns:
        (those that have rows, {path: `SentenceFrames`}, [(id or path, problem)]).
    """
    paths = [sentence.path for sentence in sentences]
    videos, notes = inspect_videos(paths, params.cache_path, params.workers)
    reasons, inputs = {path: note for path, note in notes if path not in videos}, {}
    for path, video in videos.items():
        inputs[path] = SentenceFrames(video.play_images_at(row_format.image_fps), row_format)
        try:
            inputs[path].num_rows  # noqa: B018 (too few frames for a row)
        except ValueError as error:
            reasons[path] = f"{path}: {error}"
    kept, lost = leave_out(sentences, [reasons.get(path, "") for path in paths], "The corpus")
    return kept, inputs, lost + [(path, note) for path, note in notes if path in videos]


def open_network(plan, settings):
    """Return what stage 2 begins with: the run's recognizer behind its features' backbone.

    Args:
        plan: a `Plan`.
        settings: `FeatureSettings`.

    Raises:
        ValueError: weights that are no longer available.
    """
    params = plan.params
    run = Path(params.weights)
    recognizer = load_network(run, ("logits", "recognizer"))
    model = build_windows(BACKBONES[settings.backbone], *settings.shape)
    if units := find_units(recognizer).get("rgb"):  # of stage 2 itself
        recognizer = recognizer.get_layer("recognizer")
    else:
        units = {layer.name: layer for layer in load_maps(settings, run)["rgb"].layers}
        keras.utils.set_random_seed(params.seed)
    copy_units(units, model)
    stride = settings.stride * params.row_step
    return build_end_to_end(model, recognizer, plan.trained_part, stride, params.windows)


def _cache_maps(network, settings, inputs, plan):
    """Run the frozen part over all sentences that it was not yet run over.

    Returns:
        {path: `VideoFeatures`} of the maps, a row a window.
    """
    params, backbone = plan.params, BACKBONES[settings.backbone]
    cut = backbone.cut_before(plan.trained_part).name
    row_format = next(iter(inputs.values())).row_format
    maps = build_maps(backbone, "rgb", settings.window, row_format.frame_size, cut)
    copy_units(list_units(network), maps)
    kind = settings.describe_maps(cut, fingerprint(maps), params.precision, row_format.step)
    store = Path(params.cache_path, "features", settings_hash(kind))
    open_store(store, kind)
    missing = {
        path: sentence.video.digest
        for path, sentence in inputs.items()
        if not is_done(store, sentence.video.digest, sentence.video.digest, kind)
    }
    if missing:
        title = backbone.title
        print_line(
            f"Computing features of {len(missing)} sentences with the frozen part of {title}",
            flush=True,
        )
        rows = replace(settings.in_keras(), stride=row_format.row_stride, endpoint="")
        extractor = make_extractor({"rgb": maps}, rows)
        collector = Collector(store, kind, row_format.views, settings.dtype)
        how = (_BATCH_FRAMES, params.workers, _WAITING)
        with Progress(missing, 1) as progress:
            extract_rows(list(missing.items()), row_format, extractor, collector, how, progress)
        for failure in collector.failures.values():
            raise ValueError(f"{failure.path}: {failure.reason}")
    found, memory = {}, RowMemory()
    for path, sentence in inputs.items():
        name = sentence.video.digest
        views = {CENTER: (str(array_path(store, name)), "")}
        features = VideoFeatures(path, views, *read_record(store, name)["shape"], name, memory)
        found[path] = features.thin(params.row_step // row_format.step)
    return found


def choose_part(network, plan):
    """Return what of a network is trained: what lies behind the frozen part's maps, or all."""
    return trained_part(network) if plan.caches_features else network


def open_sentences(network, settings, inputs, plan):
    """Return what the part of a network that is trained reads of sentences, and how.

    Args:
        network: of `open_network`, or a run's best.
        settings: `FeatureSettings`.
        inputs: {path: `SentenceFrames`}.
        plan: a `Plan`.

    Returns:
        ({path: input}, `Reading`).
    """
    if plan.caches_features:
        return _cache_maps(network, settings, inputs, plan), FEATURES
    view = {"window": settings.window, "stride": settings.stride * plan.params.row_step}
    return inputs, Reading(read_frames, partial(pad_rows, name="frames", **view))
