"""The predictor of a recognizer: of a video, or of its file of rows, its glosses."""

from functools import cached_property
from pathlib import Path

from models.ctc import drop_blank
from tasks.answers import Prediction
from tasks.features.reader import refuse_live
from tasks.recognition.explaining import (
    Recognition,
    align_glosses,
    place_glosses,
    save_alignment,
    say_meaning,
)
from tasks.recognition.searching import Heard, open_search
from tasks.recognition.sentence_rows import open_rows, read_stored, read_video
from tasks.recognition.transcription import read_logits
from utils.features.layouts import is_stored
from utils.pictures.gloss_timeline import Span
from utils.runs.folders import load_data
from utils.scores.intervals import Interval
from utils.scores.labelings import to_probabilities
from utils.signing.cleaning import clean_hypothesis
from utils.video.image_folders import IMAGE_FPS


class Recognizer:
    """Predicts the glosses of continuous signing, with their times.

    Args:
        run: its folder.
        params: its `Params`.

    Attributes:
        network: what of it reads rows (`models.recognizer`).
        labels: the vocabulary.
        search: a `tasks.recognition.searching.Search`.
    """

    kind, live, clip_format, watch = "glosses", False, None, staticmethod(refuse_live)

    def __init__(self, run, params):
        self.run, self.params = run, params
        self.labels = load_data(run, lambda path: None)[1]
        self.network, self._open_reader = open_rows(run, params)
        self.search = open_search(run, params.front, network=self.network)

    @cached_property
    def reader(self):
        """The `tasks.features.reader.RowReader` of videos, made when the first one is read.

        Raises:
            ValueError: as `tasks.recognition.sentence_rows.open_rows` says.
        """
        return self._open_reader()

    def predict_video(self, path, on_progress=lambda done, total: None):
        """Return the `Prediction` of a video: what the search finds, and the steps that say it.

        A gloss lasts as long as the steps that say it; CTC often says it in one or two steps of
        those that it really takes. With templates it lasts until the next one begins.

        Args:
            path: a video file, a folder of numbered images, or a file of rows such as those that
                the run was trained on.
            on_progress: function of the rows of features done and of all of them.

        Raises:
            VideoError: not a video, or a frame that cannot be decoded; it is named.
            ValueError: rows that do not fit the run, or a video whose rows cannot be made.
        """
        if is_stored(path):
            found = read_stored(self.run, self.params, path, self.network)
        else:
            found = read_video(self.reader, path, on_progress)
        front = self.params.front
        logits = read_logits(self.network, found.rows, front, path)
        edges = found.find_edges(front, len(logits))
        located = self.search.locate(Heard(logits, found.rows))
        spans = place_glosses(located, logits, edges, self.labels)
        return Prediction(
            str(path),
            found.duration,
            [],
            clean_hypothesis([span.gloss for span in spans], self.params.corpus),
            [Interval(span.start, span.end, span.gloss, span.probability) for span in spans],
            edges,
            drop_blank(to_probabilities("single", logits)),
            " ".join(found.notes),
            logits=logits,
        )

    def explain(self, prediction):
        """Return the `Alignment` of a prediction: when each gloss is said, and how probable it is.

        Args:
            prediction: of `predict_video`.
        """
        video, said = Path(prediction.video), prediction.intervals
        found = [Span(each.label, each.start, each.end, each.score) for each in said]
        image_fps = IMAGE_FPS if is_stored(video) else self.reader.row_format.image_fps
        seen = prediction.logits, prediction.times, found, [], image_fps, say_meaning(self.search)
        return align_glosses(Recognition(video.name, video, None, *seen), self.labels)

    def draw(self, explanation, folder):
        """Write an explanation's picture and its numbers; return {"sheet": path of the PNG}."""
        save_alignment(Path(folder), explanation, self.labels, explanation.recognition.name)
        return {"sheet": str(Path(folder, "alignment.png"))}


def open_recognizer(run, params, seconds, asked):
    """Return the `Recognizer` of a run; arguments as of the openers in `tasks.predictors`."""
    asked.check_rows(run)
    if any(seconds):
        raise ValueError(f"{run} recognizes whole videos. Leave out window and step.")
    recognizer = Recognizer(run, params)
    if not all(map(is_stored, asked.videos)):
        recognizer.reader  # noqa: B018 (what it lacks is said once, not of each video)
    return recognizer
