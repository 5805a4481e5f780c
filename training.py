"""Train a video classifier, or go on with a run: python training.py [--resume] [flags]."""

import keras
import numpy as np

from models.networks import build, check_network, freeze, split
from models.pretrained import load_pretrained
from utils.clips import list_views, random_clip, read_clip
from utils.commands import run_command
from utils.datasets import SPLITS, assign_splits, check_readable, list_examples
from utils.features import ClipSource, predict_videos
from utils.fitting import SaveRun, choose_devices, compile_classifier, load_state, make_callbacks
from utils.inspection import inspect_videos
from utils.metrics import format_report, score_classes
from utils.params import parse_params
from utils.runs import load_data, open_run, save_data
from utils.sequence import Sequence
from utils.visualization import plot_history


def prepare_data(params, folder):
    """Return (examples, infos, classes); a run that goes on keeps its own lists."""
    resumed = params.resume and (folder / "splits.csv").is_file()
    if resumed:
        listed, classes = load_data(folder)
    else:
        listed = list_examples(params.data_path, params.video_root, params.group_pattern)
        classes = sorted({example.label for example in listed})
    infos, problems = inspect_videos([e.path for e in listed], params.cache_path, params.workers)
    for _, problem in problems[:20]:
        print(f"  problem: {problem}")
    examples = [example for example in listed if example.path in infos]
    check_readable(listed, examples)
    if not resumed:
        examples = assign_splits(examples, params.val_fraction, params.test_fraction, params.seed)
        check_readable(examples, examples)
        save_data(folder, examples, classes, problems)
    print(f"{len(examples)} videos of {len(classes)} classes, {len(problems)} problems", end="; ")
    print(", ".join(f"{s} {sum(e.split == s for e in examples)}" for s in SPLITS), flush=True)
    return examples, infos, classes


def make_network(params, num_classes):
    """Build the network and load the backbone's published weights."""
    network = build(
        params.network,
        num_classes,
        params.num_segments,
        params.frames_per_segment,
        params.frame_size,
        params.stream,
        params.dropout,
    )
    if params.weights != "none":
        name = load_pretrained(network.get_layer("backbone").layer, params.weights, params.stream)
        print(f"I3D begins with {name}, every tensor as published")
    scratch = params.weights == "none"
    freeze(network, params.trained_part, params.train_batchnorm or scratch)
    return network


def make_reader(params, source, videos):
    """Return a function (index, epoch) -> training input, from the cache or a new random clip."""

    def random_view(index, *draw):
        generator = np.random.default_rng([params.seed, *draw, index])
        return random_clip(
            *videos[index], params.num_segments, generator, params.flip, params.color
        )

    if not params.caches_features:
        return lambda index, epoch: read_clip(random_view(index, epoch), source.form)
    views = params.feature_views
    read = source.prepare(
        [
            random_view(index, view) if view else list_views(*videos[index])[0]
            for index in range(len(videos))
            for view in range(views)
        ]
    )
    return lambda index, epoch: read(
        index * views + np.random.default_rng([params.seed, epoch, index]).integers(views)
    )


def train(params):
    """Train from parameters; return (run folder, validation report or None)."""
    check_network(params.network, params.trained_part)
    keras.utils.set_random_seed(params.seed)
    keras.config.set_dtype_policy(params.precision)
    scope, replicas = choose_devices(params.gpus)
    folder = open_run(params)
    examples, infos, classes = prepare_data(params, folder)
    with scope:
        network = make_network(params, len(classes))
        frozen, model = (
            split(network, params.trained_part) if params.caches_features else (None, network)
        )
        compile_classifier(model, params.momentum)

    source = ClipSource(params.clip_format, frozen, params.cache_path, params.workers, replicas)
    videos = {s: [(e.path, infos[e.path]) for e in examples if e.split == s] for s in SPLITS}
    labels = {s: [classes.index(e.label) for e in examples if e.split == s] for s in SPLITS}
    targets = {s: keras.utils.to_categorical(labels[s], len(classes)) for s in SPLITS}
    batches = {"batch_size": params.batch_size, "replicas": replicas, "workers": params.workers}
    sequence = Sequence(
        make_reader(params, source, videos["train"]),
        targets["train"],
        seed=params.seed,
        balance=params.balance,
        **batches,
    )
    validation = None
    if videos["val"]:
        read = source.prepare([list_views(*video)[0] for video in videos["val"]])
        validation = Sequence(lambda index, epoch: read(index), targets["val"], **batches)

    saver = SaveRun(folder, network, load_state(folder) if params.resume else None)
    sequence.start(saver.state["epoch"])
    model.fit(
        sequence,
        validation_data=validation,
        epochs=params.epochs,
        initial_epoch=saver.state["epoch"],
        shuffle=False,  # the sequence shuffles; Keras would shuffle its batches unseeded
        callbacks=make_callbacks(saver, params.learning_rates, params.rate_epochs),
        verbose=2 if params.caches_features else 1,
    )
    plot_history(saver.state["history"], folder / "history.png")
    report = None
    if videos["val"]:
        network.load_weights(folder / "best.keras")
        probabilities = predict_videos(model, source, videos["val"], batch_size=params.batch_size)
        report = score_classes(labels["val"], probabilities, classes)
        print(f"Best checkpoint on validation:\n{format_report(report)}")
    print(f"The run lies in {folder}; score it with: python evaluate.py {folder}")
    return folder, report


if __name__ == "__main__":
    run_command(lambda: train(parse_params()))
