"""What TensorBoard shows of a run's validation examples while it trains."""

from contextlib import suppress

from tasks.job import SHOWN
from utils.clips.reading import list_views, time_frames
from utils.clips.sampling import spread
from utils.pictures.frame_sheets import Strip, plot_strips
from utils.pictures.run_plots import plot_classes, plot_confusion
from utils.pictures.saving import name_scope
from utils.scores.metrics import decide_classes, score_classes, spread_outputs
from utils.video.reading import read_rgb
from utils.video.video import VideoError

import numpy as np

FRAMES = 6  # of a video


def read_strips(source, videos, clip_format):
    """Read frames of a few videos, those of the center view that a network is tested on.

    Args:
        source: `ClipSource`, or `FeatureSource` whose videos are shown where they are there.
        videos: list of what the source has views of.
        clip_format: a `ClipFormat`.

    Returns:
        {index among the videos: uint8 RGB (frames, frame_size, frame_size, 3)}.
    """
    strips = {}
    for index in spread(len(videos), SHOWN).tolist() if videos else ():
        with suppress(VideoError):  # features may be all that there is
            view = list_views(source.find_video(videos[index]))[0]
            shown = time_frames(view, clip_format)[0]
            chosen = shown[spread(len(shown), FRAMES)]
            size = (clip_format.short_side, clip_format.frame_size, view.transform.crop)
            strips[index] = read_rgb(view.video, chosen, *size)
    return strips


def describe_prediction(name, truth, decided, probabilities, classes):
    """Return (text, whether all is right) about a video.

    Args:
        name: of the video.
        truth, decided: bool (classes,), what it shows and what is predicted.
        probabilities: (classes,).
        classes: names.
    """
    names = np.array(classes)
    true = ", ".join(names[truth]) or "none"
    said = [f"{names[i]} {probabilities[i]:.2f}" for i in np.flatnonzero(decided)]
    likeliest = int(np.argmax(probabilities))
    said = said or [f"none ({names[likeliest]} {probabilities[likeliest]:.2f})"]
    text = f"{name}\ntrue: {true}\npredicted: {', '.join(said)}"
    return text, bool(np.array_equal(truth, decided))


def draw_classifier(predict, strips, names, labels, classes, run, folder, moment):
    """Draw what a classifier makes of its validation videos.

    Args:
        predict: function -> their probabilities (videos, outputs).
        strips: of `read_strips`; none, no frames are drawn.
        names: of the videos.
        labels: (a key of `utils.scores.labelings.LABELINGS`, targets (videos, outputs)).
        classes: names.
        run: its name.
        folder: where `confusion.png` is written (of several labels a video: `classes.png`, each
            class's scores), and `clips.png`.
        moment: which epoch it is, in words.
    """
    title = name_scope(f"{run}, {moment}", "val", len(names))
    (labeling, targets), probabilities = labels, predict()
    report = score_classes(labeling, targets, probabilities, classes)
    if "confusion" in report:
        plot_confusion(report["confusion"], classes, folder / "confusion.png", title)
    else:
        plot_classes(report["per_class"], folder / "classes.png", title)
    decided = decide_classes(labeling, probabilities)
    truth = spread_outputs(targets, classes) > 0.5
    scores, rows = spread_outputs(probabilities, classes), []
    for index, frames in strips.items():
        each = truth[index], decided[index], scores[index]
        text, right = describe_prediction(names[index], *each, classes)
        rows.append(Strip(text, frames, color="darkgreen" if right else "firebrick"))
    if rows:
        plot_strips(folder / "clips.png", rows, title)
