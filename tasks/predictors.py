"""What a video shows: a run's answer, or without a run one of the 400 classes of Kinetics.

    predictor = open_predictor("weights/<run>")     # open_predictor(): Kinetics
    prediction = predictor.predict_video("a.mp4")
    prediction.top, prediction.labels, prediction.intervals
    predictor.explain(prediction).strongest()       # the frames that decided

All predictors have `labels` (names), `kind` ("classes" or "glosses"), `clip_format` (the
`ClipFormat` of what they see; None: rows of features), `live` (whether they can `watch` a
camera), `predict_video`, `explain`, which says why, and `draw`, which writes the explanation's
pictures. The answer for a whole video (`top`, `labels`) is the mean
over the run's evaluation views, what `evaluate.py` scores; for Kinetics, which has no such views,
over the video's windows. `intervals` come from windows that slide over the video.
"""

from pathlib import Path

from models.later import later
from tasks.classification.continual import ContinualClassifier, check_continual
from tasks.classification.predicting import open_classifier, open_published
from tasks.classification.predicting_on_features import open_row_classifier
from tasks.features.runtimes import AS_THE_RUN, Asked
from utils.checks import check_continual_runtime
from utils.runs.folders import check_run
from utils.runs.networks import best_network
from utils.runs.saved_params import load_params

open_recognizer = later("tasks.recognition.predicting", "open_recognizer")  # it draws: Matplotlib

# (task, whether on features): function (run, parameters, seconds of windows, how to compute) ->
# predictor.
_OPENERS = {
    ("classification", False): open_classifier,
    ("classification", True): open_row_classifier,
    ("recognition", True): open_recognizer,
    ("recognition", False): open_recognizer,
}


def open_predictor(run=None, window=0.0, step=0.0, continual=False, asked=AS_THE_RUN):
    """Return what predicts videos: a `Classifier`, `RowClassifier` or `Recognizer`.

    Args:
        run: folder of a run; None for the 400 classes of Kinetics.
        window: seconds of a window of long videos; 0 for the frames that a clip has (Kinetics: 64
            at 25 a second).
        step: seconds from a window to the next; 0 for half a window, or where it is continual for
            the least: 8 frames with I3D, or of a run of several segments one of them.
        continual: whether the backbone sees each frame once: `ContinualClassifier`.
        asked: in which runtime and precision, `tasks.features.runtimes.Asked`.

    Raises:
        ValueError: not a run, weights that cannot be fetched, features that cannot be made of a
            video, or a run or runtime that cannot predict continually.
    """
    wrap = ContinualClassifier if continual else lambda predictor: predictor
    if continual:
        check_continual_runtime(asked.runtime, asked.precision)
        asked = Asked("keras", "float32")  # nothing is converted; layers keep their number format
    if run is None:
        return wrap(open_published((window, step), asked))
    check_run(run)
    params = load_params(Path(run, "params.json"))
    best_network(run)
    if continual:
        check_continual(run, params)
    opener = _OPENERS[params.task, bool(params.features)]
    return wrap(opener(Path(run), params, (window, step), asked))
