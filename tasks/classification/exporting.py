"""What a run of classification becomes where it is served, and the videos that it is tried on."""

from models.exporting.serving import serve_classifier
from tasks.classification.scoring import inspect_examples
from tasks.classification.sources import open_source
from tasks.export_subject import CALIBRATION, check_preprocessing, pick_form, pick_spread
from tasks.plan import make_plan
from utils.clips.reading import describe_format, read_whole
from utils.data.datasets import list_examples
from utils.data.examples import Example
from utils.features.lookup import own_features
from utils.runs.folders import load_changed, load_data
from utils.runs.networks import load_network
from utils.scores.labelings import (
    LABELINGS,
    choose_labeling,
    encode_targets,
    load_thresholds,
    to_probabilities,
)
from utils.scores.metrics import SUMMARIES, score_classes, spread_outputs
from utils.video.streams import STREAMS

import numpy as np


def _choose_videos(options, examples):
    """Return (examples to compare, more to calibrate on)."""
    checked = examples
    if options.videos:
        checked = [Example(str(path), "") for path in options.videos]
    elif options.data_path:
        checked = list_examples(options.data_path)
    if not options.videos:
        known = {example.split for example in checked}
        split = next((name for name in ("val", "test", "") if name in known), "train")
        checked = [example for example in checked if example.split == split]
    training = [example for example in examples if example.split == "train"]
    more = pick_spread(training, CALIBRATION) if options.calibrating else []
    return pick_spread(checked, options.count), more


def _read_videos(options, params, examples):
    """Return (their examples, the video of each, how many of them are to compare)."""
    checked, more = _choose_videos(options, examples)
    try:
        kept, (videos,) = inspect_examples(checked + more, [params])
    except ValueError as error:
        raise ValueError(
            f"{error} An export is compared with the run on videos. Give --videos FILE, "
            "--data-path or --features."
        ) from error
    readable = {video.path for video in videos}
    count = sum(example.path in readable for example in checked)
    if not count:
        raise ValueError(
            f"None of the {len(checked)} videos to compare on can be read, such as "
            f"{checked[0].path}. Give --videos FILE ..., or --data-path."
        )
    return kept, videos, count


class VideoSubject:
    """A classifier's subject, as in `tasks.export_subject`.

    Args:
        options: `tasks.options.ExportOptions`.

    Raises:
        ValueError: no run, no network, nothing to compare on, or preprocessing of what it does
            not see.
    """

    def __init__(self, options):
        run, features = options.run, options.features
        own, self.classes = load_data(run)
        if options.data_path and not features:
            paths = [example.path for example in list_examples(options.data_path)]
            features = own_features(paths, options.data_path)
        self.plan = make_plan(load_changed(run, features=features, cache_path=options.cache_path))
        params = self.plan.params
        self.crop = check_preprocessing(options, params)
        self.labeling = choose_labeling(params.activation, own, self.classes)
        self.activation = LABELINGS[self.labeling].activation
        self.thresholds = load_thresholds(run / "thresholds.json", self.labeling, self.classes)
        self.examples, self.videos, self.checked = _read_videos(options, params, own)
        self.calibrating = len(self.videos) - self.checked
        self.labeled = not options.videos
        self.network = load_network(run)
        self.source = open_source(self.plan, self.network)
        self.metadata = self._describe(self.serve(None))
        (self.name,) = self.metadata["input"]

    def _describe(self, served):
        name, array = next(iter(served.input.items()))
        values = {"frames": "RGB frames of any size, 0 to 255, cropped and scaled inside"}
        values |= {"rows": "features of the segments"}
        values |= {"clips": STREAMS[self.plan.params.stream].values}
        return {
            "task": "classification",
            "labeling": self.labeling,
            "network": self.plan.params.network,
            "activation": self.activation,
            "class_names": self.classes,
            "input": {name: {"shape": array.shape, "dtype": array.dtype, "values": values[name]}},
            "output": {"probabilities": {"shape": served.output["probabilities"].shape}},
            "clip": describe_format(self.plan.clip_format),
            "thresholds": self.thresholds,
        }

    def serve(self, flat):
        return serve_classifier(pick_form(self.network, flat), self.activation, self.crop)

    def read(self, index):
        clip = self.source.list_views(self.videos[index])[0]
        array = self.source.read(clip)
        return array, read_whole(clip, self.source.clip_format) if self.crop else array

    def join(self, arrays):
        return {self.name: np.stack(arrays)}

    def answer(self, inputs):
        logits = self.network(inputs[self.name], training=False)
        return spread_outputs(to_probabilities(self.labeling, logits), self.classes)

    def split(self, probabilities, inputs):
        return [row[None] for row in probabilities]

    def score(self, answers):
        if not self.labeled:
            return {}
        targets = encode_targets(self.labeling, self.examples[: self.checked], self.classes)
        outputs = LABELINGS[self.labeling].outputs(len(self.classes))
        found = np.concatenate(answers)[:, -outputs:]
        report = score_classes(self.labeling, targets, found, self.classes, self.thresholds)
        words, key = next(iter(SUMMARIES[self.labeling].items()))
        return {words: report[key]}
