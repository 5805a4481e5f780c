"""What a run of classification becomes where it is served, and the videos that it is tried on."""

from functools import partial

from models.exporting.serving import serve_classifier
from tasks.classification.scoring import inspect_examples
from tasks.classification.sources import open_source
from tasks.export_subject import (
    CALIBRATION,
    Subject,
    check_preprocessing,
    pick_spread,
    prepare_network,
)
from tasks.plan import make_plan
from utils.clips.reading import describe_format, read_whole
from utils.data.datasets import list_examples
from utils.data.examples import Example
from utils.features.lookup import own_features
from utils.runs.folders import load_changed, load_data
from utils.runs.networks import load_network
from utils.scores.labelings import (
    LABELINGS,
    choose_labeling,
    encode_targets,
    load_thresholds,
    to_probabilities,
)
from utils.scores.metrics import SUMMARIES, score_classes, spread_outputs
from utils.video.streams import STREAMS

import numpy as np


def _choose_videos(options, examples):
    """Return (examples to compare, more to calibrate on)."""
    checked = examples
    if options.videos:
        checked = [Example(str(path), "") for path in options.videos]
    elif options.data_path:
        checked = list_examples(options.data_path)
    if not options.videos:
        known = {example.split for example in checked}
        split = next((name for name in ("val", "test", "") if name in known), "train")
        checked = [example for example in checked if example.split == split]
    training = [example for example in examples if example.split == "train"]
    more = pick_spread(training, CALIBRATION) if options.calibrating else []
    return pick_spread(checked, options.count), more


def _read_videos(options, params, examples):
    """Return (their examples, the video of each, how many of them are to compare)."""
    checked, more = _choose_videos(options, examples)
    try:
        kept, (videos,) = inspect_examples(checked + more, [params])
    except ValueError as error:
        raise ValueError(
            f"{error} An export is tried on them: give --videos FILE, --data-path or --features."
        ) from error
    readable = {video.path for video in videos}
    count = sum(example.path in readable for example in checked)
    if not count:
        raise ValueError(
            f"None of the {len(checked)} videos to compare on can be read, such as "
            f"{checked[0].path}; give --videos FILE ..., or --data-path."
        )
    return kept, videos, count


def _describe_videos(plan, labeling, classes, served):
    name, array = next(iter(served.input.items()))
    values = {"frames": "RGB frames of any size, 0 to 255, cropped and scaled inside"}
    values |= {"rows": "features of the segments", "clips": STREAMS[plan.params.stream].values}
    return {
        "task": "classification",
        "labeling": labeling,
        "network": plan.params.network,
        "activation": LABELINGS[labeling].activation,
        "class_names": classes,
        "input": {name: {"shape": array.shape, "dtype": array.dtype, "values": values[name]}},
        "output": {"probabilities": {"shape": served.output["probabilities"].shape}},
        "clip": describe_format(plan.clip_format),
    }


def _score_nothing(answers):
    return {}


def _score_videos(labeling, targets, classes, thresholds, answers):
    outputs = LABELINGS[labeling].outputs(len(classes))
    report = score_classes(
        labeling, targets, np.concatenate(answers)[:, -outputs:], classes, thresholds
    )
    words, key = next(iter(SUMMARIES[labeling].items()))
    return {words: report[key]}


def prepare_videos(options):
    """Return the `Subject` of a classifier.

    Args:
        options: `tasks.options.ExportOptions`.

    Raises:
        ValueError: no run, no network, nothing to compare on, or preprocessing of what it does
            not see.
    """
    run, features = options.run, options.features
    own, classes = load_data(run)
    if options.data_path and not features:
        paths = [example.path for example in list_examples(options.data_path)]
        features = own_features(paths, options.data_path)
    plan = make_plan(load_changed(run, features=features))
    params = plan.params
    crop = check_preprocessing(options, params)
    labeling = choose_labeling(params.activation, own, classes)
    thresholds = load_thresholds(run / "thresholds.json", labeling, classes)
    examples, videos, checked = _read_videos(options, params, own)
    score = _score_nothing
    if not options.videos:
        targets = encode_targets(labeling, examples[:checked], classes)
        score = partial(_score_videos, labeling, targets, classes, thresholds)
    network = load_network(run)
    source = open_source(plan, network)
    activation = LABELINGS[labeling].activation
    served = prepare_network(network, lambda n: serve_classifier(n, activation, crop))
    described = _describe_videos(plan, labeling, classes, served(None))
    name = next(iter(described["input"]))

    def read(index):
        clip = source.list_views(videos[index])[0]
        array = source.read(clip)
        return array, read_whole(clip, source.clip_format) if crop else array

    def answer(inputs):
        logits = network(inputs[name], training=False)
        return spread_outputs(to_probabilities(labeling, logits), classes)

    return Subject(
        served=served,
        metadata=described | {"thresholds": thresholds},
        read=read,
        join=lambda arrays: {name: np.stack(arrays)},
        answer=answer,
        split=lambda probabilities, _: [row[None] for row in probabilities],
        score=score,
        checked=checked,
        calibrating=len(videos) - checked,
    )
