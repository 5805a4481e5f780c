"""Predictors of what reads rows of features: of a video's rows its classes, or its glosses."""

from models.recognizer import count_pooled
from tasks.answers import Prediction, Seen, open_judge
from tasks.features.reader import RowReader, open_rows
from tasks.recognition.transcription import locate_glosses, read_logits
from utils.clips.sampling import SAMPLINGS
from utils.clips.windows import cut_windows
from utils.features.store import CENTRE
from utils.runs.folders import load_data
from utils.runs.networks import load_network
from utils.scores.intervals import Interval
from utils.scores.labelings import to_probabilities
from utils.signing.cleaning import CLEANINGS
from utils.signing.corpora import CORPORA
from utils.signing.vocabulary import decode_glosses
from utils.video.reading import probe
from utils.video.resampling import timeline

import numpy as np

_SIDES = {1: (CENTRE,), 3: ("left", CENTRE, "right")}  # of eval_crops


def _refuse_live(*_):
    raise ValueError(
        "This run sees rows of features, which are made of whole videos: it cannot follow a "
        "camera. Give a video file, or a run that was trained to classify videos."
    )


def _inspect(path, reader):
    """Return (`VideoInfo`, seconds, frames per second that are seen) of a video."""
    info = probe(path, reader.form.image_fps)
    rate = reader.fps or info.fps
    return info, len(timeline(info, reader.fps)) / rate, rate


class RowClassifier:
    """Predicts the classes of videos by a head that was trained on features.

    Args:
        network: `keras.Model` from (batch, segments, channels) to logits.
        judge: a `tasks.answers.Judge`.
        reader: a `tasks.features.reader.RowReader`.
        views: (clips, crops) that are averaged for a whole video.
        seconds: as of `tasks.predictors.Classifier`.

    Attributes:
        seen: of the last video, the rows of the view in the middle (1, segments, channels), and
            their seconds.
    """

    kind, live, form, watch = "classes", False, None, staticmethod(_refuse_live)

    def __init__(self, network, judge, reader, views, seconds=(0, 0)):
        self.network, self.judge, self.reader, self.views = network, judge, reader, views
        self.seconds, self.labels, self.seen = seconds, judge.labels, None

    def _plan_rows(self, rate):
        window, step = (round(each * rate / self.reader.stride) for each in self.seconds)
        window = window or self.network.input_shape[1]
        return window, step or max(1, window // 2)

    def _choose_rows(self, count, place=0.5):
        """Return which of so many rows the network is shown, sampled as in training."""
        return SAMPLINGS["segments"](count, self.network.input_shape[1], 1, place)[:, 0]

    def _classify(self, rows, place=0.5):
        """Return the probabilities (outputs,) of rows."""
        logits = self.network.predict_on_batch(rows[self._choose_rows(len(rows), place)][None])
        return to_probabilities(self.judge.labeling, logits)[0]

    def predict_video(self, path, on_progress=lambda done, total: None):
        """Return the `Prediction` of a video; as of `tasks.predictors.Classifier`."""
        info, duration, rate = _inspect(path, self.reader)
        clips, crops = self.views
        rows, times = self.reader.read(path, info, _SIDES[crops], on_progress)
        whole = [
            self._classify(rows[side], (clip + 0.5) / clips)
            for clip in range(clips)
            for side in _SIDES[crops]
        ]
        middle = self._choose_rows(len(times))
        self.seen = rows[CENTRE][middle][None], times[middle]
        plan, seen = self._plan_rows(rate), Seen([], [], [])
        begins = np.maximum(times - self.reader.stride / rate / 2, 0)
        for window in cut_windows(zip(begins, rows[CENTRE], strict=True), *plan):
            seen.add(window, self._classify(np.stack([row for _, row in window.items])))
        whole, about = np.mean(whole, axis=0), (duration, info.note)
        return self.judge.conclude(path, whole, seen, plan, about)


class Recognizer:
    """Predicts the glosses of continuous signing, with their times.

    Args:
        network: a recognizer (`models.recognizer`).
        labels: the vocabulary.
        reader: a `tasks.features.reader.RowReader`.
        front: of the network, a key of `FRONTS`.
        cleaning: a key of `CLEANINGS`.

    Attributes:
        seen: the logits of the last video, (steps, 1 + glosses).
    """

    kind, live, form, watch = "glosses", False, None, staticmethod(_refuse_live)

    def __init__(self, network, labels, reader, front, cleaning):
        self.network, self.labels, self.reader = network, labels, reader
        self.front, self.cleaning, self.seen = front, cleaning, None

    def predict_video(self, path, on_progress=lambda done, total: None):
        """Return the `Prediction` of a video: the best gloss of each step, equal neighbours merged.

        A gloss lasts as long as the steps that say it; CTC often says it in one or two steps of
        those that it really takes.

        Args:
            path: a video file, or a folder of numbered images.
            on_progress: function of the rows of features done and of all of them.

        Raises:
            VideoError: not a video, or a frame that cannot be decoded; it is named.
        """
        info, duration, rate = _inspect(path, self.reader)
        rows, times = self.reader.read(path, info, on_progress=on_progress)
        self.seen = read_logits(self.network, rows[CENTRE], self.front, path)
        probabilities = to_probabilities("single", self.seen)
        pooled = count_pooled(self.front)
        begins = np.append(times[::pooled][: len(probabilities)], times[-1])
        begins = np.clip(begins - self.reader.stride / rate / 2, 0, duration)
        begins[-1] = duration
        found = locate_glosses(probabilities)
        intervals = [
            Interval(
                float(begins[first]),
                float(begins[end]),
                decode_glosses([gloss], self.labels)[0],
                float(probabilities[first:end, gloss].mean()),
            )
            for gloss, first, end in found
        ]
        words = CLEANINGS[self.cleaning].hypothesis([each.label for each in intervals])
        return Prediction(
            str(path), duration, [], list(words), intervals, begins, probabilities[:, 1:], info.note
        )


def open_row_classifier(run, params, seconds):
    """Return the `RowClassifier` of a run; arguments as of the openers in `tasks.predictors`."""
    judge, reader = open_judge(run, params), RowReader(run)
    views = params.eval_clips, params.eval_crops
    return RowClassifier(load_network(run), judge, reader, views, seconds)


def open_recognizer(run, params, seconds):
    """Return the `Recognizer` of a run; arguments as of the openers in `tasks.predictors`."""
    if any(seconds):
        raise ValueError(f"{run} recognises whole videos; leave out window and step.")
    vocabulary = load_data(run, lambda path: None)[1]
    network, reader = open_rows(run, params)
    cleaning = CORPORA[params.corpus].cleaning
    return Recognizer(network, vocabulary, reader, params.front, cleaning)
