"""What videos show to a head that was trained on features."""

from pathlib import Path

from models.later import later
from tasks.answers import Seen, ShownRows, open_judge
from tasks.classification.questions import Inquiry
from tasks.features.reader import RowReader, refuse_live
from utils.clips.sampling import SAMPLINGS
from utils.clips.windows import cut_windows
from utils.runs.networks import load_network
from utils.scores.intervals import count_steps
from utils.scores.labelings import to_probabilities
from utils.video.reading import probe
from utils.video.views import CENTER, CROPS, spread_views

import numpy as np

# Pictures need Matplotlib, which answers do without.
explain_row_views = later("tasks.classification.explaining", "explain_row_views")
save_moments = later("tasks.classification.explaining", "save_moments")


class RowClassifier:
    """Predicts the classes of videos by a head that was trained on features.

    Args:
        inquiry: an `Inquiry`; its network takes rows, (batch, segments, channels).
        reader: a `tasks.features.reader.RowReader`.
        views: (clips, crops) that are averaged for a whole video.
        seconds: as in `tasks.classification.predicting.Classifier`.
    """

    kind, live, clip_format, watch = "classes", False, None, staticmethod(refuse_live)

    def __init__(self, inquiry, reader, views, seconds=(0, 0)):
        self.inquiry, self.network, self.judge = inquiry, inquiry.network, inquiry.judge
        self.reader, self.views, self.seconds = reader, views, seconds
        self.labels = self.judge.labels

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
        """Return the `Prediction` of a video."""
        video = probe(path).play_images_at(self.reader.row_format.image_fps)
        rate = self.reader.fps or video.fps
        rows, times = self.reader.read(video, CROPS[self.views[1]], on_progress)
        whole = [self._classify(rows[view], place) for place, view in spread_views(*self.views)]
        middle, plan = self._choose_rows(len(times)), self._plan_rows(rate)
        seen = Seen(count_steps(*plan))
        begins = np.maximum(times - self.reader.stride / rate / 2, 0)
        for window in cut_windows(zip(begins, rows[CENTER], strict=True), *plan):
            seen.add(window, self._classify(np.stack([row for _, row in window.items])))
        duration, whole = video.duration(self.reader.fps), np.mean(whole, axis=0)
        found = self.judge.conclude(path, duration, whole, seen, video.note)
        return found._replace(shown=ShownRows(rows[CENTER][middle], middle, times[middle]))

    def explain(self, prediction, label="", method=""):
        """Return the `Explanation` of by which of its rows of features a video is of a class.

        Args:
            prediction: of `predict_video`.
            label: the class; "" for the most probable.
            method: a key of `models.explaining.methods.METHODS`; "" for the first that fits.

        Raises:
            ValueError: a class that is not known, or a method that does not fit the network.
        """
        vectors, rows, seconds = prediction.shown
        asked = self.inquiry.ask(vectors[None], prediction.whole, label, method)
        image_fps = self.reader.row_format.image_fps
        return explain_row_views(asked, rows, seconds, prediction.video, image_fps)

    def draw(self, explanation, folder):
        """Write an explanation's picture; return {"sheet": path}, {} where the video is gone."""
        return save_moments(Path(folder), explanation, explanation.title)


def open_row_classifier(run, params, seconds, asked):
    """Return the `RowClassifier` of a run; arguments as of the openers in `tasks.predictors`."""
    asked.check_rows(run)
    judge, reader = open_judge(run, params), RowReader(run)
    views = params.eval_clips, params.eval_crops
    return RowClassifier(Inquiry(load_network(run), judge, params), reader, views, seconds)
