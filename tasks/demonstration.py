"""All that the page of `scripts.demo` shows of a video, piece by piece as it is found."""

from dataclasses import replace
from pathlib import Path

from models.ctc import decode
from models.explaining.methods import METHODS, choose_method
from tasks.classification.embedding import EMBEDDINGS, Neighbors
from tasks.classification.explaining import load_views, make_question, save_maps
from tasks.classification.predicting import Classifier
from tasks.classification.predicting_on_features import RowClassifier
from tasks.predictors import open_predictor
from tasks.recognition.explaining import (
    MEANING,
    Recognition,
    place_rows,
    save_recognition,
    show_frames,
)
from tasks.recognition.predicting import Recognizer
from utils.params import Params
from utils.pictures.answer_html import draw_answer, draw_intervals
from utils.pictures.captions import save_captions
from utils.pictures.heat_maps import plot_moments, weigh_frames
from utils.runs.saved_params import load_params
from utils.video.reading import VideoError, probe, skim

import keras
import numpy as np

_NEAREST = 6  # training videos that are shown
_SIDE = 320  # pixels of the longer side of their pictures
_DOUBT = 3  # times the limit: headers may be wrong that far before nothing is decoded
_GRAY = np.full((180, 320, 3), 128, np.uint8)  # for a video that is no longer there


def check_length(video, limit):
    """Raise a VideoError for a video of more seconds than the limit; or that cannot be read.

    Args:
        video: its path.
        limit: in seconds.
    """
    for look, most in ((lambda: skim(video, 1)[0], _DOUBT * limit), (lambda: probe(video), limit)):
        seconds = look().duration()
        if seconds > most:
            raise VideoError(
                f"{video}: it lasts {seconds:.1f} s, and {limit:g} s are the most that this page "
                "takes; cut out the part that matters."
            )


def _read_middle(path):
    try:
        return skim(path, 1, _SIDE)[2][0, 0]
    except VideoError:
        return _GRAY


def _ask(predictor, params, clips, shares):
    """Return (`Method`, `Question` about clips, class, title) of what has the largest share."""
    asked = int(np.argmax(shares))
    network, labeling = predictor.network, predictor.judge.labeling
    method = choose_method("", network)
    title = f"{predictor.labels[asked]} {shares[asked]:.3f}, {method.replace('_', ' ')}"
    question = make_question(network, clips, params, labeling, asked)
    return METHODS[method], question, predictor.labels[asked], title


def _say_why(label, seconds, method):
    return f"Why **{label}**, from {seconds[0]:.1f} to {seconds[-1]:.1f} s. {method.meaning}"


def _share(predictor, prediction):
    """Return the probability of each class in the whole video."""
    top = dict(prediction.top)
    return np.array([top.get(label, 0) for label in predictor.labels])


def _explain_frames(predictor, params, prediction, folder):
    """Explain one centered clip: what a run says of the whole video, or, where the clip is only a
    part of it, what is seen there."""
    centered = replace(params, eval_clips=1, eval_crops=1)
    clips, frames, indices, seconds = load_views(Path(prediction.video), centered)
    shares = _share(predictor, prediction)
    if not predictor.views:
        step = np.searchsorted(prediction.times[1:-1], np.median(seconds), "right")
        shares = prediction.probabilities[step]
    keras.config.set_dtype_policy(params.precision)
    method, question, label, title = _ask(predictor, params, clips, shares)
    save_maps(folder, method.explain(question), frames, indices, seconds, title)
    paths = {"overlay": "overlay.mp4", "sheet": "contact_sheet.png"}
    why = {"why": _say_why(label, seconds, method)}
    return why | {name: str(folder / file) for name, file in paths.items()}


def _explain_rows(predictor, params, prediction, folder):
    """Explain by which of its rows of features a video is of its class."""
    clips, seconds = predictor.seen
    method, question, label, title = _ask(predictor, params, clips, _share(predictor, prediction))
    weights = weigh_frames(*method.explain(question), len(seconds))
    why, path = _say_why(label, seconds, method), folder / "frames.png"
    moments = (predictor.reader.form.image_fps, seconds, weights, title)
    if missing := plot_moments(path, Path(prediction.video), *moments):
        return {"why": f"{why} {missing}"}
    return {"why": why, "sheet": str(path)}


def _explain_glosses(predictor, params, prediction, folder):
    """Show when each gloss is said, and with what probability."""
    logits, video = predictor.seen, Path(prediction.video)
    (found,) = decode(logits[None], [len(logits)])
    recognition = Recognition(video.name, video, None, logits, prediction.times, found, [])
    rows, _ = place_rows(recognition, predictor.labels)
    frames, _ = show_frames(recognition, rows["recognised"])
    save_recognition(folder, recognition, rows, frames, predictor.labels)
    return {"why": MEANING, "sheet": str(folder / "alignment.png")}


# Predictor: function (predictor, parameters, prediction, folder) -> why, and paths of pictures.
_EXPLAINERS = {
    Classifier: _explain_frames,
    RowClassifier: _explain_rows,
    Recognizer: _explain_glosses,
}


class Demonstration:
    """A network that is shown videos.

    Args:
        run: a run's folder; None for the 400 classes of Kinetics.

    Attributes:
        predictor: of `tasks.predictors.open_predictor`.
        about: what the network is, in a sentence.

    Raises:
        ValueError: as `open_predictor` and `Neighbors`.
    """

    def __init__(self, run=None):
        self.predictor = open_predictor(run)
        labels = self.predictor.labels
        known = f"{len(labels)} {self.predictor.kind}"
        if len(labels) <= 10:
            known += f": {', '.join(labels)}"
        if run is None:
            self.params = Params(network="i3d", num_segments=1, frames_per_segment=64)
            self.about = f"The published I3D, trained on Kinetics. It knows {known}."
        else:
            self.params = load_params(Path(run, "params.json"))
            self.about = f"The run {Path(run).name}, {self.params.network}. It knows {known}."
        self.neighbors = None
        sees_frames = isinstance(self.predictor, Classifier)
        if run and sees_frames and Path(run, "embeddings", EMBEDDINGS).is_file():
            self.neighbors = Neighbors(run, self.predictor.network, self.params)

    def show(self, video, folder, limit, on_progress):
        """Yield {name: what is shown} of a video, as each is found.

        answer, timeline: HTML; captions: path of a video; why: text, overlay and sheet: paths of a
        video and a picture; similar: [(picture, text)]. No overlay where a network sees rows of
        features; the last only where there are embeddings.

        Args:
            video: its path.
            folder: where videos and pictures are written.
            limit: seconds that it may last.
            on_progress: function of the share that is done, and of what is done now.

        Raises:
            ValueError: it is too long, or cannot be read.
        """
        check_length(video, limit)
        prediction = self.predictor.predict_video(
            video, lambda done, total: on_progress(done / total, "Looking")
        )
        spans = prediction.intervals, prediction.duration
        yield {"answer": draw_answer(prediction), "timeline": draw_intervals(*spans)}
        on_progress(None, "Writing captions")
        captions = Path(folder, "captions.webm")
        save_captions(captions, video, *spans, self.predictor.kind == "glosses")
        yield {"captions": str(captions)}
        if explain := _EXPLAINERS.get(type(self.predictor)):
            on_progress(None, "Explaining")
            yield explain(self.predictor, self.params, prediction, Path(folder))
        if self.neighbors:
            on_progress(None, "Searching")
            found = self.neighbors.find(video, _NEAREST)
            shown = [
                (_read_middle(path), f"{label}, {cosine:.2f}") for path, label, cosine in found
            ]
            yield {"similar": shown}
