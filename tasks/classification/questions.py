"""What a classifier is asked of a video: its views, and why they are of a class."""

from dataclasses import replace
from typing import NamedTuple

from models.explaining.choices import METHODS, choose_method
from models.explaining.methods import Question
from tasks.answers import Judge
from utils.clips.augmentation import restore_rgb
from utils.clips.inputs import FeatureSource
from utils.clips.reading import list_views, read_clip, time_frames
from utils.clips.sampling import SAMPLINGS
from utils.fitting.gradients import differentiate
from utils.params import Params
from utils.scores.labelings import to_probabilities
from utils.scores.metrics import spread_outputs
from utils.system.words import list_some
from utils.video.reading import probe
from utils.video.resampling import FPS

import keras
import numpy as np


class Views(NamedTuple):
    """The views of a video that are averaged, and what is seen in the middle one.

    Attributes:
        clips: float32 (views, segments, frames, height, width, channels).
        frames: uint8 RGB (segments x frames, height, width, 3).
        indices, seconds: of each of these frames, in the file.
        note: what is odd about the file, or "".
    """

    clips: np.ndarray
    frames: np.ndarray
    indices: np.ndarray
    seconds: np.ndarray
    note: str


class RowViews(NamedTuple):
    """The views of a video's features that are averaged, and what is seen in the middle one.

    Attributes:
        clips: float32 (views, segments, channels).
        rows, seconds: of each segment, the number of its row and its time.
        note: where the features tell no times; or "".
    """

    clips: np.ndarray
    rows: np.ndarray
    seconds: np.ndarray
    note: str


class Asked(NamedTuple):
    """What a network is asked: why a video is of a class.

    Attributes:
        label: the class.
        share: its probability.
        method: a key of `METHODS`.
        question: what the method answers.
    """

    label: str
    share: float
    method: str
    question: Question

    @property
    def said(self):
        """The class and its probability."""
        return f"{self.label} {self.share:.3f}"

    def explain(self):
        """Return the `Maps` that answer."""
        return METHODS[self.method].explain(self.question)


def check_class(label, labels):
    """Raise a ValueError for a class that is not among the labels, unless it is ""."""
    if label and label not in labels:
        raise ValueError(f"Unknown class {label!r}; known: {list_some(labels, 20)}.")


class Inquiry(NamedTuple):
    """A network that can be asked.

    Attributes:
        network: from clips, or rows of features, to logits.
        judge: a `tasks.answers.Judge`.
        params: `Params` of the run.
    """

    network: keras.Model
    judge: Judge
    params: Params

    def predict(self, clips):
        """Return the probabilities (classes,) of the views of a video, averaged."""
        logits = np.concatenate([self.network(clip[None], training=False) for clip in clips])
        probabilities = to_probabilities(self.judge.labeling, logits)
        return spread_outputs(probabilities, self.judge.labels).mean(0)

    def ask(self, clips, shares, label="", method=""):
        """Return what is `Asked` about the middle one of the views.

        Args:
            clips: the views.
            shares: probabilities (classes,) of the video.
            label: the class; "" for the most probable.
            method: a key of `METHODS`; "" for the first that fits.

        Raises:
            ValueError: a class that the network does not know, or a method that does not fit it.
        """
        check_class(label, self.judge.labels)
        labels, method = self.judge.labels, choose_method(method, self.network)
        asked = labels.index(label) if label else int(np.argmax(shares))
        binary = self.judge.labeling == "binary"
        names = "activation", "pooling", "patch_size"
        question = Question(
            self.network,
            clips[[len(clips) // 2]],
            column=0 if binary else asked,
            sign=-1 if binary and asked == 0 else 1,
            differentiate=differentiate,
            **{name: getattr(self.params, name) for name in names},
        )
        return Asked(labels[asked], shares[asked], method, question)


def load_views(video, clip_format, clips=1, crops=1):
    """Return the `Views` of a video that are averaged when it is scored.

    Args:
        video: its path.
        clip_format: a `ClipFormat`.
        clips, crops: views in time and in space.
    """
    found = probe(video)
    views = list_views(found, clips, crops)
    middle = views[len(views) // 2]
    arrays = np.stack([read_clip(view, clip_format) for view in views])
    seen = restore_rgb(read_clip(middle, replace(clip_format, stream="rgb")))
    moments = time_frames(middle, clip_format)
    return Views(arrays, seen.reshape(-1, *seen.shape[2:]), *moments, found.note)


def load_rows(features, channels, params):
    """Return the `RowViews` of a video's features.

    Args:
        features: `VideoFeatures`.
        channels: of a row that the network takes.
        params: `Params`.
    """
    source = FeatureSource(params.num_segments, channels)
    views = source.list_views(features, params.eval_clips, params.eval_crops)
    clips = np.stack(list(map(source.prepare(views), range(len(views)))))
    place = views[len(views) // 2].place
    rows = SAMPLINGS["segments"](features.num_rows, params.num_segments, 1, place)[:, 0]
    times, told = features.find_times()
    note = "" if told else f"The features tell no times: a row is taken for 4 / {FPS:g} s."
    return RowViews(clips, rows, times[rows], note)
