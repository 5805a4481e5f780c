"""Why a classifier says what it says of a video: maps over its frames, or weights of its rows."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from models.explaining.choices import METHODS
from models.explaining.methods import Maps, map_windows
from tasks.answers import Judge, rank_labels
from tasks.classification.questions import Asked, Inquiry, check_class, load_rows, load_views
from tasks.classification.trust import Trust, try_maps
from tasks.plan import make_plan
from utils.features.lookup import find_features
from utils.features.settings import find_image_fps
from utils.fitting.devices import number_format
from utils.pictures.frame_sheets import read_moments
from utils.pictures.heat_maps import (
    plot_sheet,
    plot_weights,
    resize_maps,
    save_overlay,
    save_weights,
    weigh_frames,
)
from utils.pictures.html import name_video, render
from utils.runs.folders import explanation_folder, load_data
from utils.runs.networks import best_network, load_network
from utils.runs.saved_params import load_params
from utils.scores.labelings import choose_labeling
from utils.system.files import atomic_path, write_atomically
from utils.system.words import escape, print_line

import numpy as np


class Moment(NamedTuple):
    """A frame that counts for a decision.

    Attributes:
        seconds: when it is shown.
        weight: its share of the relevance.
        frame: uint8 RGB (height, width, 3), or None where the video is gone.
    """

    seconds: float
    weight: float
    frame: np.ndarray | None

    def __repr__(self):
        return f"{self.seconds:.2f} s: {self.weight:.1%}"


class Explanation(NamedTuple):
    """Why a network says that a video is of a class: how much each frame counts.

    Attributes:
        label, probability: the class and its probability.
        method: a key of `models.explaining.methods.METHODS`.
        indices: (frames,), numbers of the frames in the file; of features, of the rows.
        seconds: (frames,), when each is shown.
        weights: (frames,), each one's share of the relevance; they add up to 1.
        frames: uint8 RGB (frames, height, width, 3), as the network saw them; of features, what
            the video shows at those times, () where it is gone.
        coarse: `Maps` as the network gives them; None of features.
        note: why there are no frames; or "".
        trust: how far the maps can be believed, `Trust`; None of features.
    """

    label: str
    probability: float
    method: str
    indices: np.ndarray
    seconds: np.ndarray
    weights: np.ndarray
    frames: np.ndarray
    coarse: Maps | None = None
    note: str = ""
    trust: Trust | None = None

    @property
    def maps(self):
        """Return the relevance of each pixel, float (frames, height, width); None of features."""
        return self.coarse and resize_maps(*self.coarse, *self.frames.shape[:2])

    @property
    def title(self):
        """The class, its probability and the method."""
        return f"{self.label} {self.probability:.3f}, {self.method.replace('_', ' ')}"

    @property
    def why(self):
        """What is explained, and how, in words."""
        when = f"from {self.seconds[0]:.1f} to {self.seconds[-1]:.1f} s"
        said = f"Why {self.label}, {when}. {METHODS[self.method].meaning}"
        return " ".join(filter(None, [said, str(self.trust or ""), self.note]))

    def strongest(self, count=3):
        """Return the frames that decide, each a `Moment`, the one of most weight first.

        They are apart in time: neighbors of a frame that is taken are left out.

        Args:
            count: how many, at most.
        """
        chosen, gap = [], len(self.weights) / (2 * count)
        for index in np.argsort(-self.weights, kind="stable").tolist():
            if len(chosen) < count and all(abs(index - other) >= gap for other in chosen):
                chosen.append(index)
        frames = self.frames if len(self.frames) else [None] * len(self.weights)
        numbers = zip(self.seconds.tolist(), self.weights.tolist(), frames, strict=True)
        moments = [Moment(*each) for each in numbers]
        return [moments[index] for index in chosen]

    def __repr__(self):
        lines = [self.title, *(f"  {moment}" for moment in self.strongest(5)), self.why]
        return "\n".join(map(escape, lines))


def explain_views(asked, views):
    """Return the `Explanation` of what is `Asked` about the middle one of `Views`."""
    maps, frames = asked.explain(), views.frames
    weights = weigh_frames(*maps, len(frames))
    named = asked.label, float(asked.share), asked.method
    trust = try_maps(asked.question, maps)
    return Explanation(*named, views.indices, views.seconds, weights, frames, maps, trust=trust)


def explain_row_views(asked, rows, seconds, video, image_fps):
    """Return the `Explanation` of what is `Asked` about rows of features.

    Args:
        asked: an `Asked`.
        rows: numbers of the rows that the network is shown.
        seconds: of these rows.
        video: path of the video that they show; it need not be there.
        image_fps: frames per second of a folder of images.
    """
    weights = weigh_frames(*asked.explain(), len(rows))
    frames, missing = read_moments(Path(video), seconds, image_fps)
    named = asked.label, float(asked.share), asked.method
    return Explanation(*named, rows, seconds, weights, frames, None, missing)


def save_maps(folder, explanation, title):
    """Write the overlay video and the contact sheet of an `Explanation` of clips.

    Args:
        folder: where.
        explanation: `Explanation`.
        title: of the sheet.

    Returns:
        {"overlay" and "sheet": path}.
    """
    paths = {"overlay": str(folder / "overlay.mp4"), "sheet": str(folder / "contact_sheet.png")}
    frames, seconds, maps = explanation.frames, explanation.seconds, explanation.maps
    places = zip(explanation.indices, seconds, strict=True)
    labels = [f"frame {index}, {time:.2f} s" for index, time in places]
    plot_sheet(paths["sheet"], frames, {"relevance": maps}, labels, title)
    lines = [(explanation.title, label) for label in labels]
    gap = np.median(np.diff(seconds)) if len(seconds) > 1 else 1
    save_overlay(paths["overlay"], frames, maps, lines, 1 / np.clip(gap, 0.1, 1))
    return paths


def save_moments(folder, explanation, title):
    """Write the frames of an `Explanation` of features, each with its weight.

    Args:
        folder: where.
        explanation: `Explanation`.
        title: over all.

    Returns:
        {"sheet": path}, or {} where the video is gone.
    """
    if explanation.note:
        return {}
    path, numbers = folder / "frames.png", (explanation.seconds, explanation.weights)
    labels = [f"{time:.2f} s: {weight:.0%}" for time, weight in zip(*numbers, strict=True)]
    plot_sheet(path, explanation.frames, {}, labels, title)
    return {"sheet": str(path)}


def save_attention(path, question, block, views, subject):
    """Draw rollout and the raw attention of a block over the frames; return the block's maps."""
    frames = views.frames
    windows = map_windows(question, block)
    rows = {"rollout": METHODS["rollout"].explain(question)}
    rows |= {f"block {number}\n{name}": maps for name, (number, maps) in windows.items()}
    rows = {name: resize_maps(*maps, *frames.shape[:2]) for name, maps in rows.items()}
    labels = [f"{time:.2f} s" for time in views.seconds]
    title = f"{subject}: attention (does not depend on the class)"
    plot_sheet(path, frames, rows, labels, title)
    return {f"attention_{name.replace(' ', '_')}": m.values for name, (_, m) in windows.items()}


# Picture of a page: (its heading, what it shows).
_PICTURES = {
    "contact_sheet.png": (
        "Where",
        "The frames as the network saw them. Red marks the most relevant places.",
    ),
    "frames.png": (
        "Frames",
        "The frames of the video at these times. The network saw only their features.",
    ),
    "temporal_weights.png": (
        "When",
        "How much each time counts. 100 % is what it would if all counted alike.",
    ),
    "attention.png": (
        "Attention",
        "Rollout follows attention through all layers. The raw attention of a block is "
        "the mean of its heads. Neither depends on the class.",
    ),
}


class Answer(NamedTuple):
    """What a run says of a video, and what is explained of it.

    Attributes:
        asked: `Asked`.
        note: what is explained, in a sentence.
        probabilities: (classes,).
        classes: names.
    """

    asked: Asked
    note: str
    probabilities: np.ndarray
    classes: list


def draw_page(folder, title, answer, explanation, pictures):
    """Write explanation.html.

    Args:
        folder: with the pictures.
        title: of the page.
        answer: an `Answer`.
        explanation: its `Explanation`.
        pictures: their names, keys of `_PICTURES`.
    """
    top = rank_labels(answer.classes, answer.probabilities)
    page = render(
        "classification.html",
        title=title,
        note=answer.note,
        meanings=[METHODS[explanation.method].meaning, *filter(None, [explanation.trust])],
        probabilities=[(label, f"{probability:.3f}") for label, probability in top],
        pictures=[(*_PICTURES[name], (folder / name).read_bytes()) for name in pictures],
        video=(folder / "overlay.mp4").read_bytes() if "contact_sheet.png" in pictures else b"",
    )
    write_atomically(folder / "explanation.html", page)


def _open(options):
    """Return the `Inquiry` of a run; refuse what is no run or no class of it."""
    own, classes = load_data(options.run)
    best_network(options.run)
    params = load_params(options.run / "params.json")
    check_class(options.class_name, classes)
    judge = Judge(classes, choose_labeling(params.activation, own, classes))
    return Inquiry(load_network(options.run), judge, params)


def _answer(options, inquiry, clips):
    """Predict a video; print and return the `Answer`."""
    probabilities, classes = inquiry.predict(clips), inquiry.judge.labels
    asked = inquiry.ask(clips, probabilities, options.class_name, options.method)
    question = replace(asked.question, endpoint=options.endpoint)
    view = f", in the middle one of {len(clips)} views" if len(clips) > 1 else ""
    note = f"Explained: {asked.said}, by {asked.method}{view}"
    predicted = int(np.argmax(probabilities))
    print_line(f"{options.video}: {classes[predicted]} {probabilities[predicted]:.3f}", note)
    return Answer(asked._replace(question=question), f"{note}.", probabilities, classes)


def _name_subject(options):
    """Return the run and the video, as pictures name them."""
    return f"{options.run.name}, {name_video(options.video)}"


def _finish(options, answer, explanation, arrays, pictures):
    """Write maps.npz and the page; return the folder."""
    folder = explanation_folder(options.run, options.video, options.output)
    known = {"probabilities": answer.probabilities, "classes": np.array(answer.classes)}
    with atomic_path(folder / "maps.npz") as temporary:
        np.savez(temporary, **arrays, **known)
    title = f"{options.run.name}, {options.video}: {explanation.title}"
    draw_page(folder, title, answer, explanation, pictures)
    return folder


def explain_video(options):
    """Lay over a video what a run's network decides by, in space and time.

    Args:
        options: `tasks.options.ExplanationOptions`.

    Returns:
        The folder of what is written.

    Raises:
        ValueError: no run, no video, or a class, method or block that is not there.
    """
    inquiry = _open(options)
    params = inquiry.params
    clip_format = make_plan(params).clip_format
    views = load_views(Path(options.video), clip_format, params.eval_clips, params.eval_crops)
    folder = explanation_folder(options.run, options.video, options.output)
    indices = views.indices
    arrays = {"frames": indices, "seconds": views.seconds}
    pictures = ["contact_sheet.png", "temporal_weights.png"]
    with number_format(params.precision):
        answer = _answer(options, inquiry, views.clips)
        if views.note:
            odd = f"{options.video}: {views.note}"
            print_line(f"  warning: {odd}")
            answer = answer._replace(note=f"{answer.note} {odd}.")
        asked = answer.asked
        if METHODS["rollout"].fits(inquiry.network):
            pictures.append("attention.png")
            shown = asked.question, options.block, views, _name_subject(options)
            arrays |= save_attention(folder / pictures[-1], *shown)
        explanation = explain_views(asked, views)
    print_line(explanation.trust)
    title = f"{_name_subject(options)}: {explanation.title}"
    save_maps(folder, explanation, title)
    weights, shape = explanation.weights, (params.num_segments, -1)
    numbers = np.repeat(np.arange(params.num_segments), len(indices) // params.num_segments)
    columns = {"segment": numbers, "frame": indices}
    save_weights(folder / "temporal_weights.csv", columns, views.seconds, weights)
    curves = views.seconds.reshape(shape), weights.reshape(shape)
    plot_weights(folder / pictures[1], *curves, title)
    maps, centers = explanation.coarse
    arrays |= dict(zip(("times", "rows", "columns"), centers, strict=True))
    return _finish(options, answer, explanation, arrays | {"maps": maps}, pictures)


def explain_rows(options):
    """Say which rows of a video's features a run on features decides by.

    Args:
        options: `tasks.options.ExplanationOptions`; the video need not be there, or is a file of
            features.

    Returns:
        The folder of what is written.

    Raises:
        ValueError: no run, no features of the video, ones of another width, or a class or method
            that is not there.
    """
    inquiry = _open(options)
    params = replace(inquiry.params, features=options.features or inquiry.params.features)
    features = find_features(options.video, params.features)
    views = load_rows(features, inquiry.network.input_shape[-1], params)
    answer = _answer(options, inquiry, views.clips)
    folder = explanation_folder(options.run, options.video, options.output)
    pictures = ["temporal_weights.png"]
    rows, seconds = views.rows, views.seconds
    shown = options.video, find_image_fps(params.features)
    explanation = explain_row_views(answer.asked, rows, seconds, *shown)
    weights = explanation.weights
    save_weights(folder / "temporal_weights.csv", {"row": rows}, seconds, weights)
    title = f"{_name_subject(options)}: {explanation.title}"
    plot_weights(folder / pictures[0], seconds[None], weights[None], title)
    if save_moments(folder, explanation, title):
        pictures.insert(0, "frames.png")
    if notes := [text for text in (views.note, explanation.note) if text]:
        print_line(*notes)
    answer = answer._replace(note=" ".join([answer.note, *notes]))
    arrays = {"rows": rows, "seconds": seconds, "maps": weights}
    return _finish(options, answer, explanation, arrays, pictures)
