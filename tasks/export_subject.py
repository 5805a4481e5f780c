"""What exports of both tasks share.

A subject is a run's network, and what an export of it is tried on: `VideoSubject` of
`tasks.classification.exporting`, `SentenceSubject` of `tasks.recognition.exporting`. Both have

* metadata: dict of what a user of the export must know,
* checked, calibrating: how many examples to compare, and how many more to calibrate on,
* serve(flat): the model to write; a backbone in it is flat, or not, or left alone for None,
* read(index): (what the run's network sees of an example, what the export sees),
* join(arrays): a list of either as a batch, {name: array (batch, ...)},
* answer(inputs): the run's own probabilities for such a batch,
* split(probabilities, inputs): a list of arrays (rows, classes), one an example,
* score(answers): {name: number} of such a list, empty without labels.
"""

from models.exporting.portable import make_portable
from utils.clips.sampling import spread

CALIBRATION = 16  # training examples whose ranges a quantized network gets


def pick_spread(items, count):
    """Return so many of a list, evenly spread; all for 0."""
    return [items[i] for i in spread(len(items), min(count or len(items), len(items)))]


def pick_form(network, flat):
    """Return a network with its backbone flat, or not, or, for None, as it is."""
    return network if flat is None else make_portable(network, flat)


def check_preprocessing(options, params):
    """Return (short side, frame size) that an export crops to, or None where it does not.

    Args:
        options: `tasks.options.ExportOptions`.
        params: `Params` of the run.

    Raises:
        ValueError: preprocessing was asked for, and the run sees no RGB frames.
    """
    if not options.preprocessing:
        return None
    if params.task != "classification" or params.features or params.stream != "rgb":
        seen = "features" if params.features else f"the stream {params.stream}"
        raise ValueError(
            f"{options.run} reads {seen}, but --preprocessing is for runs on RGB frames. "
            "Leave it out."
        )
    return params.short_side, params.frame_size
