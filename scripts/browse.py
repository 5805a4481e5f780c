"""See the clips that training sees: python -m scripts.browse my_videos [training.py's flags].

Draws a sheet per video, after sampling, cropping and augmentation: first the test view, then random
training clips. With MixUp or CutMix, the first batch is drawn too.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it starts from any folder

from models.later import later
from tasks.training_flags import check_data, check_flags, parse_params
from utils.clips.augmentation import UNCHANGED
from utils.clips.reading import check_flow, list_views, read_clip, time_frames
from utils.clips.sampling import spread
from utils.command_line import Command
from utils.data.examples import check_readable
from utils.places import WEIGHTS
from utils.system.commands import run_command
from utils.system.files import fit_name, write_atomically
from utils.system.progress import show_progress
from utils.system.words import print_line

import numpy as np
import tyro

list_data = later("tasks.classification.training", "list_data")
make_drawer = later("tasks.classification.training", "make_drawer")
make_plan = later("tasks.plan", "make_plan")
Sequence = later("utils.clips.batches", "Sequence")
TrainingOrder = later("utils.clips.batches", "TrainingOrder")
inspect_videos = later("utils.data.inspection", "inspect_videos")
assign_splits = later("utils.data.splits", "assign_splits")
paint_clips = later("utils.pictures.frame_sheets", "paint_clips")
plot_strips = later("utils.pictures.frame_sheets", "plot_strips")
render = later("utils.pictures.html", "render")
choose_labeling = later("utils.scores.labelings", "choose_labeling")
encode_targets = later("utils.scores.labelings", "encode_targets")
spread_outputs = later("utils.scores.metrics", "spread_outputs")


@dataclass(frozen=True)
class Options:
    """What is drawn. All flags of training.py can follow."""

    data_path: tyro.conf.Positional[str]
    """What --data-path of training.py takes. It comes first."""
    videos: int = 8
    """Number of training videos, spread over the classes."""
    draws: int = 4
    """Random clips per video."""
    columns: int = 8
    """Frames shown per clip."""
    output: str = ""
    """Folder to write to. Empty: weights/browse/<data>/."""

    def __post_init__(self):
        for name, low in (("videos", 1), ("draws", 0), ("columns", 1)):
            if getattr(self, name) < low:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least {low}.")


def describe_transform(transform, stream):
    """Say what a `Transform` does to a clip, a line each."""
    lines = [f"crop at {transform.crop[0]:.2f}, {transform.crop[1]:.2f}"]
    lines += ["mirrored"] * transform.flip
    if stream != "flow" and transform[2:5] != UNCHANGED[2:5]:
        changes = transform.brightness, transform.contrast, transform.saturation
        lines.append("brightness {:+.2f}, contrast {:.2f}, saturation {:.2f}".format(*changes))
    return lines + [f"{name} {magnitude:+.2f}" for name, magnitude in transform.operations]


def show_clip(name, clip, clip_format, columns):
    """Read a clip.

    Args:
        name: of it.
        clip, clip_format: `Clip` and `ClipFormat`.
        columns: frames that are kept.

    Returns:
        (label, captions, float32 (frames, height, width, channels)).
    """
    array, seconds = read_clip(clip, clip_format), time_frames(clip, clip_format)[1]
    frames = array.reshape(-1, *array.shape[2:])
    chosen = spread(len(frames), columns)
    label = "\n".join([name, *describe_transform(clip.transform, clip_format.stream)])
    return label, tuple(f"{second:.2f} s" for second in seconds[chosen]), frames[chosen]


def plan_clips(plan, video, draw, index, draws):
    """Return [(name, `Clip`)] of a training video: how it is tested, then what training draws.

    Args:
        plan: a `Plan`.
        video: a `Video`.
        draw: of `tasks.classification.training.make_drawer`.
        index: of the video.
        draws: at most.
    """
    if plan.caches_features:
        views = plan.params.feature_views
        versions = range(1, min(views, draws + 1))
        names = [f"version {number + 1} of {views}" for number in versions]
        only = ", all that training sees" if views == 1 else ", version 1"
    else:
        versions, only = range(draws), ""
        names = [f"epoch {number + 1}" for number in versions]
    drawn = [(name, draw(index, n)) for name, n in zip(names, versions, strict=True)]
    return [(f"test view{only}", list_views(video)[0]), *drawn]


def inspect_some(params, listed, choose):
    """Decode some of the training videos; whatever is broken is left out, and others are chosen.

    Args:
        params: `Params`.
        listed: list of `Example`.
        choose: function of the training examples -> indices of those wanted.

    Returns:
        (training examples, {index: `Video`}).

    Raises:
        ValueError: nothing readable is left of a class or split.
    """
    left = listed
    while True:
        examples = assign_splits(left, params.val_fraction, params.test_fraction, params.seed)
        training = [example for example in examples if example.split == "train"]
        paths = {index: training[index].path for index in choose(training)}
        wanted = list(dict.fromkeys(paths.values()))
        found, problems = inspect_videos(wanted, params.cache_path, params.workers)
        whole = len(found) == len(wanted)
        for path, problem in problems:
            if whole or path not in found:  # what is chosen again is said at the end
                print_line(f"  problem: {problem}")
        if whole:
            return training, {index: found[path] for index, path in paths.items()}
        left = [e for e in left if e.path not in wanted or e.path in found]
        check_readable(listed, left)


def choose_videos(training, count):
    """Return the indices of at most `count` training examples, spread over the classes."""
    by_label = sorted(range(len(training)), key=lambda index: training[index].label)
    return [by_label[place] for place in spread(len(by_label), count)]


def make_batches(params, targets, read=None):
    """Return the batches of training, as training makes them.

    Args:
        params: `Params`.
        targets: of `encode_targets`.
        read: function (index, epoch) -> clip; None where only the order is asked for.
    """
    order = TrainingOrder(params.seed, params.balance, params.mixup, params.cutmix)
    return Sequence(read, targets, params.batch_size, order)


def draw_batch(path, batches, names, classes, clip_format, columns):
    """Draw the first batch.

    Args:
        path: of the PNG.
        batches: of `make_batches`.
        names: of the training videos.
        classes: names.
        clip_format: a `ClipFormat`.
        columns: frames that are shown of a clip.
    """
    inputs, targets, _ = batches[0]
    shares, named = spread_outputs(targets, classes), []
    for index, clip, share in zip(batches.order, inputs, shares, strict=False):
        parts = [f"{share[i]:.2f} {classes[i]}" for i in np.flatnonzero(share)]
        frames = clip.reshape(-1, *clip.shape[2:])
        label = f"{names[index]}, mixed\n{', '.join(parts)}"
        named.append((label, (), frames[spread(len(frames), columns)]))
    title = f"the first batch of {len(names)} training videos"
    plot_strips(path, paint_clips(named, clip_format.stream), title)


def write_index(path, title, facts, sheets):
    """Write a page of all sheets.

    Args:
        path: of the HTML.
        title: of the page.
        facts: a line.
        sheets: {file name: heading}.
    """
    write_atomically(path, render("sheets.html", title=title, facts=facts, sheets=sheets))


def draw_sheets(options, plan, videos, labels, folder):
    """Draw a sheet a video.

    Args:
        options: `Options`.
        plan: a `Plan`.
        videos: index -> `Video`.
        labels: {index of those that are drawn: label}.
        folder: where.

    Returns:
        {file name: heading}.
    """
    draw, clip_format, sheets = make_drawer(plan, videos), plan.clip_format, {}
    for index, label in show_progress("Drawing sheets", "video", labels.items(), len(labels)):
        video = videos[index]
        facts = f"{video.duration():.2f} s, {video.width}x{video.height}"
        heading = f"{video.path} (train, {label}, {facts}, {video.fps:.4g} frames a second)"
        clips = plan_clips(plan, video, draw, index, options.draws)
        named = [show_clip(name, clip, clip_format, options.columns) for name, clip in clips]
        name = fit_name(f"{len(sheets):02d}_{Path(video.path).stem}", len(".png")) + ".png"
        plot_strips(folder / name, paint_clips(named, clip_format.stream), heading)
        sheets[name] = heading
    return sheets


def browse(options, params):
    """Draw what training is given.

    Args:
        options: `Options`.
        params: `Params` of the training.

    Returns:
        The folder of what is written.

    Raises:
        ValueError: no such data, nothing readable, or a training that sees no frames.
    """
    if params.task != "classification":
        raise ValueError(
            f"{params.task} is trained on features, which cannot be shown as pictures. Browse "
            "the data of a classification run."
        )
    plan = make_plan(params)
    clip_format = plan.clip_format
    check_flow(clip_format)
    plan, listed, classes = list_data(plan)
    params = plan.params
    if params.features:
        raise ValueError(
            f"features ({params.features}) cannot be shown as pictures. Leave out --features."
        )
    labeling = choose_labeling(params.activation, listed, classes)
    mixes = bool(params.mixup or params.cutmix)
    shown = mixes and not plan.caches_features

    def choose(training):
        targets = encode_targets(labeling, training, classes)
        order = make_batches(params, targets).order[: params.batch_size * shown]
        return [*choose_videos(training, options.videos), *order.tolist()]

    training, videos = inspect_some(params, listed, choose)
    folder = Path(options.output or Path(WEIGHTS, "browse", Path(params.data_path).resolve().stem))
    labels = {index: training[index].label for index in choose_videos(training, options.videos)}
    sheets = draw_sheets(options, plan, videos, labels, folder)
    if shown:
        draw, targets = make_drawer(plan, videos), encode_targets(labeling, training, classes)
        batches = make_batches(params, targets, lambda *drawn: read_clip(draw(*drawn), clip_format))
        names = [Path(example.path).name for example in training]
        draw_batch(folder / "batch.png", batches, names, classes, clip_format, options.columns)
        sheets["batch.png"] = "The first batch"
    elif mixes:
        print("MixUp is not shown, because it blends cached features instead of frames.")
    facts = (
        f"{clip_format.segments} x {clip_format.frames} frames at {clip_format.fps:g} a second, "
        f"{clip_format.frame_size} pixels, stream {clip_format.stream}. "
        f"Up to {options.columns} frames are shown."
    )
    write_index(folder / "index.html", f"What training sees of {params.data_path}", facts, sheets)
    print_line(f"Written to {folder}: index.html, {', '.join(sheets)}")
    return folder


def main(arguments=None):
    """Browse with a command line, a list of strings; None for the program's own."""
    options, flags = COMMAND.parse(arguments)
    return browse(options, check_data(parse_params([*flags, "--data-path", options.data_path])))


COMMAND = Command(__doc__, Options, check_flags)

if __name__ == "__main__":
    run_command(main)
