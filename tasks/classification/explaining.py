"""Why a classifier says what it says of a video: maps over its frames, or weights of its rows."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from models.explaining.methods import METHODS, Question, choose_method, map_windows
from tasks.answers import rank_labels
from utils.clips.augmentation import restore_rgb
from utils.clips.inputs import FeatureSource
from utils.clips.reading import list_views, read_clip, time_frames
from utils.clips.sampling import SAMPLINGS
from utils.features.lookup import find_features
from utils.features.settings import find_image_fps
from utils.fitting.gradients import differentiate
from utils.pictures.heat_maps import (
    plot_moments,
    plot_sheet,
    plot_weights,
    resize_maps,
    save_overlay,
    save_weights,
    weigh_frames,
)
from utils.pictures.html import embed_picture, embed_video, make_page, make_table, make_text
from utils.runs.folders import explanation_folder, load_data
from utils.runs.networks import best_network, load_network
from utils.runs.saved_params import load_params
from utils.scores.labelings import choose_labeling, to_probabilities
from utils.scores.metrics import spread_outputs
from utils.system.files import atomic_path, write_atomically
from utils.video.reading import probe

import keras
import numpy as np


def load_views(video, params):
    """Read the views of a video that `evaluate.py` averages.

    Returns:
        (float32 clips (views, segments, frames, height, width, channels), what is seen in the
        middle one, uint8 RGB (segments x frames, height, width, 3), and for each of those the
        file's frame and its seconds).
    """
    form = params.clip_format
    views = list_views(probe(video), params.eval_clips, params.eval_crops)
    middle = views[len(views) // 2]
    clips = np.stack([read_clip(view, form) for view in views])
    seen = restore_rgb(read_clip(middle, replace(form, stream="rgb")))
    return clips, seen.reshape(-1, *seen.shape[2:]), *time_frames(middle, form)


def load_rows(features, channels, params):
    """Read the views of a video's features.

    Args:
        features: `VideoFeatures`.
        channels: of a row that the network takes.
        params: `Params`.

    Returns:
        (float32 (views, segments, channels); of the middle one, the rows' numbers, and their
        seconds; a note where the features tell no times).
    """
    source = FeatureSource(params.num_segments, channels)
    views = source.list_views(features, params.eval_clips, params.eval_crops)
    clips = np.stack(list(map(source.prepare(views), range(len(views)))))
    place = views[len(views) // 2].place
    rows = SAMPLINGS["segments"](features.num_rows, params.num_segments, 1, place)[:, 0]
    times, told = features.find_times()
    note = "" if told else "The features tell no times: a row is taken for 4 / 25 s."
    return clips, rows, times[rows], note


def predict_views(network, clips, labeling, classes):
    """Return the probabilities (classes,) of clips, averaged."""
    logits = np.concatenate([network(clip[None], training=False) for clip in clips])
    return spread_outputs(to_probabilities(labeling, logits), classes).mean(0)


def make_question(network, clips, params, labeling, asked):
    """Return the `Question` why the middle one of the views is of the class number `asked`."""
    return Question(
        network,
        clips[[len(clips) // 2]],
        column=0 if labeling == "binary" else asked,
        sign=-1 if labeling == "binary" and asked == 0 else 1,
        differentiate=differentiate,
        **{name: getattr(params, name) for name in ("activation", "pooling", "patch_size")},
    )


def save_maps(folder, maps, frames, indices, seconds, title):
    """Write the overlay video and the contact sheet.

    Args:
        folder: where.
        maps: `Maps`.
        frames: uint8 (frames, height, width, 3), what the network saw.
        indices, seconds: of these frames in the file.
        title: of the pictures.
    """
    large = resize_maps(*maps, *frames.shape[:2])
    labels = [f"frame {index}, {time:.2f} s" for index, time in zip(indices, seconds, strict=True)]
    plot_sheet(folder / "contact_sheet.png", frames, {"relevance": large}, labels, title)
    lines = [f"{title}\n{label}" for label in labels]
    gap = np.median(np.diff(seconds)) if len(seconds) > 1 else 1
    save_overlay(folder / "overlay.mp4", frames, large, lines, 1 / np.clip(gap, 0.1, 1))


def save_attention(path, question, block, frames, seconds):
    """Draw rollout and the raw attention of a block over the frames; return the block's maps."""
    windows = map_windows(question, block)
    rows = {"rollout": METHODS["rollout"].explain(question)}
    rows |= {f"block {number}\n{name}": maps for name, (number, maps) in windows.items()}
    rows = {name: resize_maps(*maps, *frames.shape[:2]) for name, maps in rows.items()}
    labels = [f"{time:.2f} s" for time in seconds]
    plot_sheet(path, frames, rows, labels, "attention, of no class in particular")
    return {f"attention_{name.replace(' ', '_')}": m.values for name, (_, m) in windows.items()}


# Picture of a page: (its heading, what it shows).
_PICTURES = {
    "contact_sheet.png": ("Where", "Frames as the network saw them; red is the most relevance."),
    "frames.png": ("Frames", "What the video shows at these times; the network saw its features."),
    "temporal_weights.png": ("When", "Each one's share of the relevance."),
    "attention.png": (
        "Attention",
        "Rollout follows attention through all layers to what is classified; a block's raw "
        "attention is the mean of its heads. Both are of no class in particular.",
    ),
}


class Answer(NamedTuple):
    """What a run says of a video, and what is explained of it.

    Attributes:
        question: a `Question`.
        method: a key of `METHODS`.
        title: the class that is explained, its probability and the method.
        note: the same in a sentence.
        probabilities: (classes,).
        classes: names.
    """

    question: Question
    method: str
    title: str
    note: str
    probabilities: np.ndarray
    classes: list


def draw_page(folder, title, answer, pictures):
    """Write explanation.html.

    Args:
        folder: with the pictures.
        title: of the page.
        answer: an `Answer`.
        pictures: their names, keys of `_PICTURES`.
    """
    top = rank_labels(answer.classes, answer.probabilities)
    rows = [(label, f"{probability:.3f}") for label, probability in top]
    parts = [make_text(answer.note), make_text(METHODS[answer.method].meaning)]
    parts.append(make_table(("class", "probability"), rows))
    for name in pictures:
        heading, words = _PICTURES[name]
        parts += [make_text(heading, "h2"), make_text(words)]
        if name == "contact_sheet.png":
            parts.append(embed_video((folder / "overlay.mp4").read_bytes()))
        parts.append(embed_picture((folder / name).read_bytes(), "png", heading, "plot"))
    write_atomically(folder / "explanation.html", make_page(title, parts))


def _load(options):
    """Return a run's (parameters, labeling, classes); refuse what is no run or no class of it."""
    own, classes = load_data(options.run)
    best_network(options.run)
    params = load_params(options.run / "params.json")
    if options.class_name and options.class_name not in classes:
        name, known = options.class_name, ", ".join(classes)
        raise ValueError(f"Unknown class {name!r}; the run knows {known}.")
    return params, choose_labeling(params.activation, own, classes), classes


def _answer(options, network, clips, run):
    """Predict a video; print and return the `Answer`."""
    params, labeling, classes = run
    method = choose_method(options.method, network)
    probabilities = predict_views(network, clips, labeling, classes)
    predicted = int(np.argmax(probabilities))
    asked = classes.index(options.class_name) if options.class_name else predicted
    question = make_question(network, clips, params, labeling, asked)
    question = replace(question, endpoint=options.endpoint)
    said = f"{classes[asked]} {probabilities[asked]:.3f}"
    view = f", in the middle one of {len(clips)} views" if len(clips) > 1 else ""
    note = f"Explained: {said}, by {method}{view}"
    print(f"{options.video}: {classes[predicted]} {probabilities[predicted]:.3f}\n{note}")
    title = f"{said}, {method.replace('_', ' ')}"
    return Answer(question, method, title, f"{note}.", probabilities, classes)


def _finish(options, answer, arrays, pictures):
    """Write maps.npz and the page; return the folder."""
    folder = explanation_folder(options, options.video)
    known = {"probabilities": answer.probabilities, "classes": np.array(answer.classes)}
    with atomic_path(folder / "maps.npz") as temporary:
        np.savez(temporary, **arrays, **known)
    draw_page(folder, f"{options.video}: {answer.title}", answer, pictures)
    return folder


def explain_video(options):
    """Lay over a video what a run's network decides by, in space and time.

    Args:
        options: `scripts.explain.Options`.

    Returns:
        The folder of what is written.

    Raises:
        ValueError: no run, no video, or a class, method or block that is not there.
    """
    params, labeling, classes = _load(options)
    clips, frames, indices, seconds = load_views(Path(options.video), params)
    network = load_network(options.run)
    keras.config.set_dtype_policy(params.precision)
    answer = _answer(options, network, clips, (params, labeling, classes))
    folder = explanation_folder(options, options.video)
    arrays = {"frames": indices, "seconds": seconds}
    pictures = ["contact_sheet.png", "temporal_weights.png"]
    if METHODS["rollout"].fits(network):
        pictures.append("attention.png")
        path = folder / pictures[-1]
        arrays |= save_attention(path, answer.question, options.block, frames, seconds)
    maps = METHODS[answer.method].explain(answer.question)
    save_maps(folder, maps, frames, indices, seconds, answer.title)
    weights, shape = weigh_frames(*maps, len(indices)), (params.num_segments, -1)
    numbers = np.repeat(np.arange(params.num_segments), len(indices) // params.num_segments)
    columns = {"segment": numbers, "frame": indices}
    save_weights(folder / "temporal_weights.csv", columns, seconds, weights)
    curves = seconds.reshape(shape), weights.reshape(shape)
    plot_weights(folder / pictures[1], *curves, answer.title)
    arrays |= dict(zip(("times", "rows", "columns"), maps.centers, strict=True))
    return _finish(options, answer, arrays | {"maps": maps.values}, pictures)


def explain_rows(options):
    """Say which rows of a video's features a run on features decides by.

    Args:
        options: `scripts.explain.Options`; the video need not be there, or is a file of features.

    Returns:
        The folder of what is written.

    Raises:
        ValueError: no run, no features of the video, ones of another width, or a class or method
            that is not there.
    """
    params, labeling, classes = _load(options)
    params = replace(params, features=options.features or params.features)
    features, network = find_features(options.video, params.features), load_network(options.run)
    clips, rows, seconds, note = load_rows(features, network.input_shape[-1], params)
    answer = _answer(options, network, clips, (params, labeling, classes))
    folder, pictures = explanation_folder(options, options.video), ["temporal_weights.png"]
    weights = weigh_frames(*METHODS[answer.method].explain(answer.question), len(rows))
    save_weights(folder / "temporal_weights.csv", {"row": rows}, seconds, weights)
    plot_weights(folder / pictures[0], seconds[None], weights[None], answer.title)
    moments = (find_image_fps(params.features), seconds, weights, answer.title)
    if not (missing := plot_moments(folder / "frames.png", Path(options.video), *moments)):
        pictures.insert(0, "frames.png")
    if notes := [text for text in (note, missing) if text]:
        print("\n".join(notes))
    answer = answer._replace(note=" ".join([answer.note, *notes]))
    arrays = {"rows": rows, "seconds": seconds, "maps": weights}
    return _finish(options, answer, arrays, pictures)
