"""Predictors of what reads rows of features: of a video's rows its classes, or its glosses."""

from pathlib import Path

from models.ctc import align, decode_glosses, drop_blank, encode_glosses
from models.recognizer import count_pooled
from tasks.answers import Prediction
from tasks.features.reader import refuse_live
from tasks.recognition.explaining import (
    Recognition,
    align_glosses,
    save_alignment,
)
from tasks.recognition.searching import Heard, open_search
from tasks.recognition.transcription import locate_glosses, open_rows, read_logits
from utils.runs.folders import load_data
from utils.scores.intervals import Interval
from utils.scores.labelings import to_probabilities
from utils.signing.cleaning import clean_hypothesis
from utils.video.reading import probe
from utils.video.views import CENTER

import numpy as np


class Recognizer:
    """Predicts the glosses of continuous signing, with their times.

    Args:
        network: a recognizer (`models.recognizer`).
        labels: the vocabulary.
        reader: a `tasks.features.reader.RowReader`.
        front: of the network, a key of `FRONTS`.
        corpus: a key of `utils.signing.cleaning.CLEANINGS`, by whose rules glosses are cleaned.
        search: a `tasks.recognition.searching.Search`.
    """

    kind, live, clip_format, watch = "glosses", False, None, staticmethod(refuse_live)

    def __init__(self, network, labels, reader, front, corpus, search):
        self.network, self.labels, self.reader = network, labels, reader
        self.front, self.corpus, self.search = front, corpus, search

    def _locate(self, heard, probabilities):
        """Return [(class, first step, step behind the last)] of what is recognized."""
        if not self.search.name:
            return locate_glosses(probabilities)
        logits, (found,) = heard.logits, self.search.find([heard])
        return [
            (label, *span) for label, span in zip(found, align(logits, found).tolist(), strict=True)
        ]

    def predict_video(self, path, on_progress=lambda done, total: None):
        """Return the `Prediction` of a video: what the search finds, and the steps that say it.

        A gloss lasts as long as the steps that say it; CTC often says it in one or two steps of
        those that it really takes.

        Args:
            path: a video file, or a folder of numbered images.
            on_progress: function of the rows of features done and of all of them.

        Raises:
            VideoError: not a video, or a frame that cannot be decoded; it is named.
        """
        video = probe(path).play_images_at(self.reader.row_format.image_fps)
        duration, rate = video.duration(self.reader.fps), self.reader.fps or video.fps
        rows, times = self.reader.read(video, on_progress=on_progress)
        logits = read_logits(self.network, rows[CENTER], self.front, path)
        probabilities = to_probabilities("single", logits)
        pooled = count_pooled(self.front)
        begins = np.append(times[::pooled][: len(probabilities)], times[-1])
        begins = np.clip(begins - self.reader.stride / rate / 2, 0, duration)
        begins[-1] = duration
        found = self._locate(Heard(logits, rows[CENTER]), probabilities)
        intervals = [
            Interval(
                float(begins[first]),
                float(begins[end]),
                decode_glosses([gloss], self.labels)[0],
                float(probabilities[first:end, gloss].mean()),
            )
            for gloss, first, end in found
        ]
        words = clean_hypothesis([each.label for each in intervals], self.corpus)
        return Prediction(
            str(path),
            duration,
            [],
            words,
            intervals,
            begins,
            drop_blank(probabilities),
            video.note,
            logits=logits,
        )

    def explain(self, prediction):
        """Return the `Alignment` of a prediction: when each gloss is said, and how probable it is.

        Args:
            prediction: of `predict_video`.
        """
        logits, video = prediction.logits, Path(prediction.video)
        found = encode_glosses([each.label for each in prediction.intervals], self.labels)
        image_fps = self.reader.row_format.image_fps
        said = None, logits, prediction.times, found, [], image_fps
        return align_glosses(Recognition(video.name, video, *said), self.labels)

    def draw(self, explanation, folder):
        """Write an explanation's picture and its numbers; return {"sheet": path of the PNG}."""
        save_alignment(Path(folder), explanation, self.labels, explanation.recognition.name)
        return {"sheet": str(Path(folder, "alignment.png"))}


def open_recognizer(run, params, seconds, asked):
    """Return the `Recognizer` of a run; arguments as of the openers in `tasks.predictors`."""
    asked.check_rows(run)
    if any(seconds):
        raise ValueError(f"{run} recognizes whole videos. Leave out window and step.")
    vocabulary = load_data(run, lambda path: None)[1]
    network, reader = open_rows(run, params)
    how = params.front, params.corpus, open_search(run, params.front, network=network)
    return Recognizer(network, vocabulary, reader, *how)
