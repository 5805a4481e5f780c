"""All that the page of `scripts.demo` shows of a video, piece by piece as it is found."""

from pathlib import Path

from models.backbones import BACKBONES, DEFAULT
from tasks.classification.embedding import EMBEDDINGS, Neighbors
from tasks.plan import make_plan
from tasks.predictors import open_predictor
from utils.pictures.answer_html import draw_answer, draw_intervals, draw_note
from utils.pictures.captions import save_captions
from utils.runs.saved_params import load_params
from utils.video.reading import probe, read_length, skim
from utils.video.video import VideoError

import numpy as np

_NEAREST = 6  # training videos that are shown
_SIDE = 320  # pixels of the longer side of their pictures
_DOUBT = 3  # times the limit: headers may be wrong that far before nothing is decoded
_MOST_PIXELS = 4096 * 2304  # of a frame; decoders keep up to 16 of them
_GRAY = np.full((180, 320, 3), 128, np.uint8)  # for a video that is no longer there


def check_video(video, limit):
    """Raise a VideoError for a video that asks for too much; no more than the limit is decoded.

    Args:
        video: its path.
        limit: in seconds.

    Raises:
        VideoError: it cannot be read, lasts longer, or has frames of more than `_MOST_PIXELS`.
    """
    told = read_length(video)
    if told > _DOUBT * limit:
        raise VideoError(
            f"{video}: the video is {told:.1f} s long, but this page takes at most "
            f"{limit:g} s. Cut out the part that matters."
        )
    probe(video, limit, _MOST_PIXELS)


def _read_middle(path):
    try:
        return skim(path, 1, _SIDE)[2][0, 0]
    except VideoError:
        return _GRAY


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
        self.neighbors = None
        if run is None:
            title, data = BACKBONES[DEFAULT].title, BACKBONES[DEFAULT].published.data
            self.about = f"This is the published {title}, trained on {data}. It knows {known}."
            return
        params = load_params(Path(run, "params.json"))
        self.about = f"This is the run {Path(run).name} ({params.network}). It knows {known}."
        if self.predictor.clip_format and Path(run, "embeddings", EMBEDDINGS).is_file():
            self.neighbors = Neighbors(run, self.predictor.network, make_plan(params))

    def show(self, video, folder, limit, on_progress):
        """Yield {name: what is shown} of a video, as each is found.

        answer, timeline, why: HTML; captions: path of a video; overlay and sheet: paths of a
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
        check_video(video, limit)
        prediction = self.predictor.predict_video(
            video, lambda done, total: on_progress(done / total, "Looking")
        )
        spans = prediction.intervals, prediction.duration
        yield {"answer": draw_answer(prediction), "timeline": draw_intervals(*spans)}
        on_progress(None, "Writing captions")
        captions = Path(folder, "captions.webm")
        save_captions(captions, video, *spans, self.predictor.kind == "glosses")
        yield {"captions": str(captions)}
        on_progress(None, "Explaining")
        explanation = self.predictor.explain(prediction)
        yield {
            "why": draw_note(explanation.why),
            **self.predictor.draw(explanation, Path(folder)),
        }
        if self.neighbors:
            on_progress(None, "Searching")
            found = self.neighbors.find(video, _NEAREST)
            shown = [(_read_middle(path), f"{cosine:.2f} {label}") for path, label, cosine in found]
            yield {"similar": shown}
