"""Classification: videos, or their features, and what they show."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

from models.backbones import BACKBONES
from models.cutting import backbones_of, freeze, list_backbone, name_backbone, streams_of
from models.design import Design
from models.flops import count_flops
from models.networks import build, build_on_features, check_network
from models.pretrained.timesformer_weights import load_published
from models.pretrained.warm_start import warm_start
from tasks.classification.pictures import draw_classifier, read_strips
from tasks.classification.sources import inspect, open_parts, open_source
from tasks.features.runtimes import Runtime, keep_networks, pick_clips
from tasks.idle import Facts, say_idle
from tasks.job import Job
from tasks.plan import make_plan
from utils.clips.augmentation import Augmentation
from utils.clips.batches import Sequence, TrainingOrder
from utils.clips.inputs import predict_videos
from utils.clips.reading import check_flow, list_views, random_clip
from utils.command_line import pick_fields
from utils.data.datasets import list_examples
from utils.data.examples import SPLITS, check_readable, list_classes
from utils.data.splits import assign_splits, list_missing
from utils.features.lookup import find_length, own_features
from utils.features.settings import list_networks
from utils.pictures.saving import name_splits
from utils.places import PRETRAINED
from utils.runs.folders import keep_features, load_data, open_run, save_data
from utils.runs.networks import load_network
from utils.runs.saved_params import load_params
from utils.scores.caveats import say_all
from utils.scores.labelings import LABELINGS, choose_labeling, choose_thresholds, encode_targets
from utils.scores.metrics import format_report, score_classes
from utils.system.files import write_atomically
from utils.system.words import list_some, print_line

import numpy as np

# What it means that a split has no video of some classes.
_MISSING = {
    "train": "No training video of {}: the network cannot learn it.",
    "val": "No validation video of {}: the score and the choice of the best epoch leave it out.",
    "test": "No test video of {}: the test score leaves it out.",
}


def list_data(plan):
    """Return (`Plan`, examples, classes), nothing decoded yet.

    A run that goes on keeps its own lists, and its features unless others are given. Data that
    are files of features are their own.
    """
    params = plan.params
    if params.resume and ((folder := open_run(params)) / "splits.csv").is_file():
        listed, classes = load_data(folder)
        known = load_params(folder / "params.json").features
    else:
        listed = list_examples(params.data_path, params.video_root, params.group_pattern)
        classes = list_classes(listed, params.class_names)
        known = own_features([example.path for example in listed], params.data_path)
    return make_plan(replace(params, features=params.features or known)), listed, classes


def inspect_data(params, folder, listed, classes):
    """Look at every video once; return (readable examples with their splits, videos by path)."""
    paths = [example.path for example in listed]
    found, problems = inspect(paths, params)
    keep_features(folder, params.features, found)
    for _, problem in problems[:20]:
        print_line(f"  problem: {problem}")
    examples = [example for example in listed if example.path in found]
    check_readable(listed, examples)
    if not (params.resume and (folder / "splits.csv").is_file()):
        examples = assign_splits(examples, params.val_fraction, params.test_fraction, params.seed)
        check_readable(examples, examples)
        save_data(folder, examples, classes, problems)
    parts = ", ".join(f"{sum(e.split == s for e in examples)} {s}" for s in SPLITS)
    found_problems = f"; {len(problems)} problems, see {folder}/problems.txt" if problems else ""
    print_line(
        f"{len(examples)} videos of {len(classes)} classes: {parts}{found_problems}", flush=True
    )
    for split, missing in list_missing(examples, classes).items():
        print_line(_MISSING[split].format(list_some(missing)))
    return examples, found


def _start_from_run(network, start, stream):
    source = load_network(start)
    one_of_two = stream if len(streams_of(network)) > len(streams_of(source)) else ""
    kinds = ("loaded", "not loaded (starts at random)", "not used")
    for what, names in zip(kinds, warm_start(network, source, one_of_two), strict=True):
        layers = [name for name in names if name.startswith("backbone/")]
        shown = [name for name in names if name not in layers]
        if layers:
            title = BACKBONES[name_backbone(source)].title
            shown.insert(0, f"{title} ({len(layers)} layers)")
        print_line(f"{start}, {what}: {', '.join(shown) or 'nothing'}")


def load_start(network, plan):
    """Load published weights, or those of runs, into a new network and say what was loaded."""
    for stream, start in plan.starts.items():
        if Path(start, "best.keras").is_file():
            _start_from_run(network, Path(start), stream)
        elif plan.params.features:
            raise ValueError(
                f"weights is {start}, but on features ({plan.params.features}) only a head "
                "is trained, and no head is published. Give auto, or a run "
                "(weights/<run>)."
            )
        elif start != "none" and backbones_of(network):
            backbone = BACKBONES[name_backbone(network)]
            model = backbones_of(network)[stream]
            name = backbone.load_published(model, start, stream, PRETRAINED)
            print_line(
                f"{backbone.title} ({stream}) starts from the published weights {name} (every "
                "tensor checked)"
            )
        elif start != "none":
            name, notes = load_published(network, start, PRETRAINED)
            print_line(f"{network.name} starts from {name}: {'; '.join(notes)}")


def build_network(params, num_outputs, length=0):
    """Build the network that parameters name.

    Args:
        params: `Params`.
        num_outputs: number of logits.
        length: of the features that it is to take; 0 for clips.
    """
    name, segments, design = params.network, params.num_segments, pick_fields(params, Design)
    if length:
        return build_on_features(name, num_outputs, segments, length, params.stream, design)
    shape = (segments, params.frames_per_segment, params.frame_size)
    return build(name, num_outputs, *shape, params.stream, design)


def make_network(plan, num_outputs, length=0):
    """Build the network, load what it starts from, and choose what is trained.

    Args:
        plan: a `Plan`.
        num_outputs, length: as in `build_network`.
    """
    network = build_network(plan.params, num_outputs, length)
    load_start(network, plan)
    freeze(network, plan.trained_part, plan.params.train_batchnorm or plan.from_scratch)
    trained = sum(int(np.prod(variable.shape)) for variable in network.trainable_variables)
    work = f"{count_flops(network) / 2e9:.3g} billion multiply-adds a video"
    print_line(
        f"{network.name}: {network.count_params():,} parameters ({trained:,} trained), {work}"
    )
    return network


def make_drawer(plan, videos):
    """Return a function (index, number) -> the `Clip` of a video that training is given.

    The number is the epoch, or where features are cached, which of the video's versions: the first
    is the center view.

    Args:
        plan: a `Plan`.
        videos: of training: index -> `Video` or `VideoFeatures`.
    """
    params = plan.params
    augmentation = Augmentation(
        params.flip, params.color, params.rand_operations, params.rand_magnitude
    )

    def draw(index, number):
        if plan.caches_features and not number:
            return list_views(videos[index])[0]
        generator = np.random.default_rng([params.seed, number, index])
        return random_clip(videos[index], params.num_segments, generator, augmentation)

    return draw


def make_reader(plan, source, videos):
    """Return a function (index, epoch) -> training input, from the cache or a new random clip."""
    draw = make_drawer(plan, videos)
    if not plan.caches_features:
        return lambda index, epoch: source.read(draw(index, epoch))
    views, seed = plan.params.feature_views, plan.params.seed
    read = source.prepare([draw(i, view) for i in range(len(videos)) for view in range(views)])
    return lambda index, epoch: read(
        index * views + np.random.default_rng([seed, epoch, index]).integers(views)
    )


def make_sequences(plan, source, videos, targets):
    """Return the batches of the training videos and of the validation videos (None without)."""
    params = plan.params
    batches = {
        "batch_size": params.batch_size,
        "replicas": source.replicas,
        "workers": params.workers,
    }
    order = TrainingOrder(params.seed, params.balance, params.mixup, params.cutmix)
    reader = make_reader(plan, source, videos["train"])
    training = Sequence(reader, targets["train"], order=order, **batches)
    if not videos["val"]:
        return training, None
    read = source.prepare([source.list_views(video)[0] for video in videos["val"]])
    return training, Sequence(lambda index, epoch: read(index), targets["val"], **batches)


def score_validation(folder, labeling, targets, classes, data, predict):
    """Choose the thresholds on the validation examples, save them, and return the report.

    Args:
        folder: the run's.
        labeling: a key of `LABELINGS`.
        targets: of the validation examples.
        classes: names.
        data: the videos, as --data-path takes them.
        predict: function -> their probabilities.
    """
    probabilities = predict()
    thresholds = choose_thresholds(labeling, targets, probabilities)
    if thresholds:
        write_atomically(folder / "thresholds.json", json.dumps(thresholds) + "\n")
    report = score_classes(labeling, targets, probabilities, classes, thresholds)
    print_line("Best checkpoint on validation:", *format_report(report).split("\n"))
    for sentence in say_all(report, "val", data):
        print_line(sentence)
    return report


def plan_pictures(plan, source, predict, videos, labels, classes, run):
    """Return what draws the validation videos for TensorBoard, or None where it is not wanted.

    Args:
        plan: a `Plan`.
        source: where the videos come from.
        predict: function -> probabilities of the videos.
        videos: list of `Video`, or of `VideoFeatures`.
        labels: labeling and targets, as `tasks.classification.pictures.draw_classifier` takes them.
        classes: names.
        run: its name.
    """
    if not (videos and plan.params.pictures):
        return None
    strips = read_strips(source, videos, plan.clip_format)
    names = [Path(video.path).name for video in videos]
    return partial(draw_classifier, predict, strips, names, labels, classes, run)


def prepare(plan, scope, replicas):
    """Return the `Job` of training a classifier.

    Args:
        plan: a `Plan`.
        scope, replicas: of `utils.fitting.devices.choose_devices`.

    Raises:
        ValueError: data, a network or weights that cannot be.
    """
    check_network(plan.params.network, plan.trained_part, plan.params.embedder)
    check_flow(plan.clip_format)
    plan, listed, classes = list_data(plan)
    params = plan.params
    length = find_length([e.path for e in listed], params.features) if params.features else 0
    labeling = choose_labeling(params.activation, listed, classes)
    row = LABELINGS[labeling]
    with scope():
        network = make_network(plan, row.outputs(len(classes)), length)
    folder = open_run(params)
    examples, found = inspect_data(params, folder, listed, classes)
    if choose_labeling(params.activation, examples, classes) != labeling:
        raise ValueError(
            "None of the videos with several labels can be read; see the problems above."
        )
    members = {s: [e for e in examples if e.split == s] for s in SPLITS}
    videos = {s: [found[e.path] for e in members[s]] for s in SPLITS}
    targets = {s: encode_targets(labeling, members[s], classes) for s in SPLITS}
    views = {v for video in found.values() for v in video.views} if params.features else set()
    say_idle(Facts(plan, {example.split for example in listed}, bool(videos["val"]), views))
    with scope():
        runtime = Runtime(params.runtime, params.precision)
        pick = partial(pick_clips, [e.path for e in members["train"]], plan.clip_format)
        frozen, model = open_parts(plan, network, runtime, pick, folder)
    made_here = {frozen.fingerprint} if frozen and params.precision == "int8" else set()
    keep_networks(folder, made_here | list_networks(params.features))
    source = open_source(plan, network, frozen, replicas)
    training, validation = make_sequences(plan, source, videos, targets)
    with scope():
        loss = row.make_loss(params.label_smoothing, params.focal)
        metrics = row.metrics(row.outputs(len(classes)))
    val, batch_size = videos["val"], params.batch_size
    predict = partial(predict_videos, model, source, val, (1, 1), batch_size, labeling)
    known = (labeling, targets["val"], classes, params.data_path)
    score = partial(score_validation, folder, *known, predict)
    return Job(
        folder=folder,
        title=name_splits(folder.name, members, "videos"),
        network=network,
        model=model,
        training=training,
        validation=validation,
        loss=loss,
        metrics=metrics,
        monitor=row.monitor,
        score=score if val else lambda: None,
        draw=plan_pictures(
            plan, source, predict, val, (labeling, targets["val"]), classes, folder.name
        ),
        backbone=list_backbone(network),
    )
