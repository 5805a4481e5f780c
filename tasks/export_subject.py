"""What a run's network becomes where it is served, and the samples that it is tried on."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from models.ctc import decode
from models.exporting.portable import make_portable
from models.exporting.serving import serve_classifier, serve_recognizer
from models.recognizer import count_pooled, output_lengths
from tasks.classification.scoring import read_infos
from tasks.recognition.scoring import choose_sentences
from tasks.recognition.transcription import load_recognizer, load_sentences, read_features, spell
from utils.clips.reading import describe_form, list_views, read_clip, read_whole
from utils.clips.sampling import spread
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
from utils.signing.batches import pad_rows
from utils.signing.corpora import CORPORA, find_corpus, list_sentences
from utils.signing.row_changes import read_sentence
from utils.signing.wer import align_corpus, score_corpus

import keras
import numpy as np

CALIBRATION = 16  # training samples whose ranges a quantised network gets
_CLIPS = {
    "rgb": "red, green, blue / 127.5 - 1",
    "flow": "optical flow, x and y, in pixels, cut at 20 and divided by 20",
    "both": "red, green, blue / 127.5 - 1, then optical flow, cut at 20 pixels and divided by 20",
}


class Subject(NamedTuple):
    """A run's network, and what it is tried on.

    Attributes:
        served: function whether I3D is to be flat, or None for no change -> the model to write.
        metadata: dict of what its user must know.
        read: function index -> (what the run's network sees, what the served one does).
        join: function of a list of either -> {name: array (batch, ...)}.
        answer: function of such a batch -> the run's own probabilities.
        split: function (probabilities, batch) -> list of arrays (rows, classes), one a sample.
        score: function of such a list -> {name: number}, empty without labels.
        checked, calibrating: how many samples to compare, and how many more to calibrate on.
    """

    served: Callable
    metadata: dict
    read: Callable
    join: Callable
    answer: Callable
    split: Callable
    score: Callable
    checked: int
    calibrating: int


def _spread(items, count):
    """Return so many of a list, evenly spread; all for 0."""
    return [items[i] for i in spread(len(items), min(count or len(items), len(items)))]


def _prepare_network(network, serve):
    """Return the function of `Subject` that makes the model to write."""
    return lambda flat: serve(network if flat is None else make_portable(network, flat))


def _choose_videos(options, examples, calibrating):
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
    return _spread(checked, options.count), _spread(training, CALIBRATION) if calibrating else []


def _read_videos(options, params, examples, calibrating):
    """Return (their examples, (path, info) of each, how many of them are to compare)."""
    checked, more = _choose_videos(options, examples, calibrating)
    try:
        kept, (videos,) = read_infos(checked + more, [params])
    except ValueError as error:
        raise ValueError(
            f"{error} An export is tried on them: give --videos FILE, --data-path or --features."
        ) from error
    readable = {path for path, _ in videos}
    count = sum(example.path in readable for example in checked)
    if not count:
        raise ValueError(
            f"None of the {len(checked)} videos to compare on can be read, such as "
            f"{checked[0].path}; give --videos FILE ..., or --data-path."
        )
    return kept, videos, count


def _check_preprocessing(options, params):
    if not options.preprocessing:
        return None
    if params.task != "classification" or params.features or params.stream != "rgb":
        seen = "features" if params.features else f"the stream {params.stream}"
        raise ValueError(
            f"{options.run} sees {seen}; --preprocessing is for runs on RGB frames: leave it out."
        )
    return params.short_side, params.frame_size


def _describe_videos(params, labeling, classes, served):
    name, array = next(iter(served.input.items()))
    values = {"frames": "RGB frames of any size, 0 to 255, cropped and scaled inside"}
    values |= {"rows": "features of the segments", "clips": _CLIPS[params.stream]}
    return {
        "task": "classification",
        "labeling": labeling,
        "network": params.network,
        "activation": LABELINGS[labeling].activation,
        "class_names": classes,
        "input": {name: {"shape": array.shape, "dtype": array.dtype, "values": values[name]}},
        "output": {"probabilities": {"shape": served.output["probabilities"].shape}},
        "clip": describe_form(params.clip_format),
    }


def _score_nothing(answers):
    return {}


def _score_videos(labeling, targets, classes, thresholds, answers):
    outputs = LABELINGS[labeling].outputs(len(classes))
    report = score_classes(
        labeling, targets, np.concatenate(answers)[:, -outputs:], classes, thresholds
    )
    words, key = next(iter(SUMMARIES[labeling].items()))
    return {words: report[key]}


def prepare_videos(options, calibrating):
    """Return the `Subject` of a classifier.

    Args:
        options: `scripts.export_model.Options`.
        calibrating: whether training samples are wanted.

    Raises:
        ValueError: no run, no network, nothing to compare on, or preprocessing of what it does
            not see.
    """
    run = options.run
    own, classes = load_data(run)
    if options.data_path and not options.features:
        paths = [example.path for example in list_examples(options.data_path)]
        options = replace(options, features=own_features(paths, options.data_path))
    params = load_changed(run, options, ("features",))
    crop = _check_preprocessing(options, params)
    labeling = choose_labeling(params.activation, own, classes)
    thresholds = load_thresholds(run / "thresholds.json", labeling, classes)
    examples, videos, checked = _read_videos(options, params, own, calibrating)
    score = _score_nothing
    if not options.videos:
        targets = encode_targets(labeling, examples[:checked], classes)
        score = partial(_score_videos, labeling, targets, classes, thresholds)
    network, form = load_network(run), params.clip_format
    activation = LABELINGS[labeling].activation
    served = _prepare_network(network, lambda n: serve_classifier(n, activation, crop))
    described = _describe_videos(params, labeling, classes, served(None))
    name = next(iter(described["input"]))

    def read(index):
        clip = list_views(*videos[index])[0]
        array = read_clip(clip, form)
        return array, read_whole(clip, form) if crop else array

    def answer(inputs):
        logits = network(inputs[name], training=False)
        return spread_outputs(to_probabilities(labeling, logits), classes)

    return Subject(
        served=served,
        metadata=described | {"thresholds": thresholds},
        read=read,
        join=lambda arrays: {name: np.stack(arrays)},
        answer=answer,
        split=lambda probabilities, _: [row[None] for row in probabilities],
        score=score,
        checked=checked,
        calibrating=len(videos) - checked,
    )


def _choose_sentences(options, params, own, calibrating):
    """Return (sentences to compare, more to calibrate on, their infos, the corpus)."""
    corpus, sentences = params.corpus, own
    if options.data_path:
        corpus = find_corpus(options.data_path)[0]
        sentences, _ = list_sentences(options.data_path, needs_frames=False)
    splits = {sentence.split for sentence in sentences}
    chosen, _ = choose_sentences(sentences, "dev" if "dev" in splits else "")
    chosen = _spread(chosen, options.count)
    more = [sentence for sentence in own if sentence.split == "train"]
    more = _spread(more, CALIBRATION) if calibrating else []
    kept, infos, problems = read_features(chosen + more, params)
    for name, problem in problems:
        print(f"  problem: {name}: {problem}")
    chosen = [sentence for sentence in chosen if sentence in kept]
    if not chosen:
        raise ValueError(f"{params.features} has no features of the sentences to compare on.")
    return chosen, [sentence for sentence in more if sentence in kept], infos, corpus


def _score_sentences(sentences, vocabulary, cleaning, answers):
    found = [decode(rows[None], [len(rows)])[0] for rows in answers]
    references, hypotheses = spell(found, sentences, vocabulary, cleaning)
    return {"WER": score_corpus(align_corpus(references, hypotheses)).wer}


def _describe_sentences(params, vocabulary, served):
    return {
        "task": "recognition",
        "network": params.network,
        "activation": "softmax",
        "class_names": ["<blank>", *vocabulary],
        "thresholds": [],
        "input": {
            "features": {
                "shape": served.input["features"].shape,
                "dtype": "float32",
                "values": "rows of features, padded at the end",
            },
            "lengths": {"shape": (None,), "dtype": "int32", "values": "rows that are real"},
        },
        "output": {"probabilities": {"shape": served.output["probabilities"].shape}},
        "rows_a_step": count_pooled(params.front),
    }


def prepare_sentences(options, calibrating):
    """Return the `Subject` of a recognizer; arguments and errors as of `prepare_videos`."""
    run, params = options.run, load_changed(options.run, options, ("features",))
    _check_preprocessing(options, params)
    if options.format == "litert":
        raise ValueError(
            f"{run} reads sentences of any length in loops, which LiteRT has no operations of its "
            "own for; give savedmodel, onnx or keras."
        )
    if options.videos:
        raise ValueError(f"{run} recognises sentences of features: give --data-path, not videos.")
    own, vocabulary = load_data(run, load_sentences)
    network = load_recognizer(run, params.features)
    chosen, more, infos, corpus = _choose_sentences(options, params, own, calibrating)
    sentences = chosen + more
    served = _prepare_network(network, serve_recognizer)

    def read(index):
        rows = read_sentence(infos[sentences[index].path])
        return rows, rows

    def split(probabilities, inputs):
        steps = output_lengths(inputs["lengths"], params.front)
        return [rows[:count] for rows, count in zip(probabilities, steps, strict=True)]

    return Subject(
        served=served,
        metadata=_describe_sentences(params, vocabulary, served(None)),
        read=read,
        join=lambda arrays: pad_rows(arrays, [max(map(len, arrays))]),
        answer=lambda inputs: keras.ops.convert_to_numpy(
            keras.ops.softmax(network(inputs, training=False)[:, 0])
        ),
        split=split,
        score=partial(_score_sentences, chosen, vocabulary, CORPORA[corpus].cleaning),
        checked=len(chosen),
        calibrating=len(more),
    )
