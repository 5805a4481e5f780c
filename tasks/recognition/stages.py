"""What recognition is trained on: features (stage 1), or frames through a backbone (stage 2)."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from models.ctc import encode_glosses
from models.recognizer import build_recognizer, see_rows, set_statistics
from tasks.plan import make_plan
from tasks.recognition.ctc_fit import drop_impossible
from tasks.recognition.through_backbone import (
    check_settings,
    choose_part,
    look_at_frames,
    open_network,
    open_sentences,
)
from tasks.recognition.transcription import FEATURES, Reading, read_features
from utils.clips.augmentation import Augmentation
from utils.command_line import pick_fields
from utils.features.settings import ROWS, find_stride, read_settings
from utils.params import Params
from utils.runs.folders import check_run, load_data, open_run
from utils.runs.saved_params import load_params
from utils.signing.corpora import find_corpus, list_sentences, load_sentences
from utils.signing.row_changes import (
    RowChanges,
    change_sentence,
    check_points,
    measure_statistics,
)
from utils.signing.sentence_frames import change_frames
from utils.signing.vocabulary import list_vocabulary, summarize_corpus
from utils.system.words import print_line

import keras
import numpy as np

_ROWS = ("missing", "row_stride")
_ARRANGED = ("relative_to", "coordinates", "velocities", "standard")  # of `ArrangeRows`


def make_arrangement(params):
    """Return the arguments of `models.rows.ArrangeRows`; {} where rows are taken as they are."""
    asked = {name: getattr(params, name) for name in _ARRANGED}
    own = params.missing != "refuse" or any(asked[name] != getattr(Params, name) for name in asked)
    return asked if own else {}


class Material(NamedTuple):
    """A corpus, ready to be trained on.

    Attributes:
        params: `Params`, the front and the corpus decided.
        sentences: list of `Sentence`.
        inputs: {path: `VideoFeatures`, or `SentenceFrames`} of them.
        vocabulary: list of glosses.
        problems: [(id or path, problem)].
    """

    params: Any
    sentences: list
    inputs: dict
    vocabulary: list
    problems: list


class Stage(NamedTuple):
    """What is trained, and how it reads.

    Attributes:
        network: what is kept.
        part: of it, what reads and is trained.
        inputs: {path: `VideoFeatures` or `SentenceFrames`} that the part's sentences are read by.
        reading: a `Reading`.
        change: function (one of `inputs`, least rows, generator) -> a training sentence, changed at
            random.
        settings: files of the run's folder, {name: dict for JSON}.
    """

    network: keras.Model
    part: keras.Model
    inputs: dict
    reading: Reading
    change: Callable
    settings: dict


def list_data(params):
    """Return (sentences, vocabulary, problems) of a corpus, or of the run that goes on.

    The glosses of training sentences are what is trained on, those of others what is scored.
    """
    if params.resume and ((folder := open_run(params)) / "splits.csv").is_file():
        return *load_data(folder, load_sentences), []
    sentences, problems = list_sentences(
        params.data_path, params.corpus, needs_frames=not params.features
    )
    if params.vocabulary == "raw":
        sentences = [replace(s, glosses=s.raw) if s.split == "train" else s for s in sentences]
    return sentences, None, problems


def _prepare_material(params, look, vocabulary, stride):
    """Return the `Material` of a run.

    Args:
        params: `Params`, the front chosen.
        look: function (sentences, params) -> (those that can be used, {path: input}, problems).
        vocabulary: of the recognizer that the run begins with; None to list it.
        stride: of the rows in frames; None if unknown.
    """
    params = replace(params, corpus=find_corpus(params.data_path, params.corpus)[0])
    sentences, known, problems = list_data(params)
    sentences, inputs, lost = look(sentences, params)
    vocabulary = vocabulary or known or list_vocabulary(sentences)
    training = [s for s in sentences if s.split == "train"]
    labels = [encode_glosses(s.glosses, vocabulary) for s in training]
    rows = np.array([inputs[s.path].num_rows for s in training])
    impossible = drop_impossible(training, labels, rows, params.front, stride, params.row_step)
    names = {name for name, _ in impossible}
    sentences = [s for s in sentences if s.id not in names]
    problems = [*problems, *lost, *impossible]
    text = summarize_corpus(sentences, problems, vocabulary, params.corpus)
    print_line(*f"{params.corpus}: {text}".split("\n"))
    print_line(f"features have stride {stride or 'unknown'}; front {params.front}", flush=True)
    return Material(params, sentences, inputs, vocabulary, problems)


def prepare_features(plan, scope):
    """Return the (`Material`, `Stage`) of a recognizer on features."""
    params = plan.params
    stride = find_stride(params.features, params.row_step, params.row_stride)
    material = _prepare_material(params, read_features, None, stride)
    chosen = [material.inputs[s.path] for s in material.sentences if s.split == "train"]
    mean, variance = measure_statistics(chosen)
    changes = {"changes": pick_fields(params, RowChanges), "deviation": np.sqrt(variance)}
    check_points(len(mean), changes["changes"])
    arrangement = make_arrangement(params)
    with scope():
        sizes = (params.front, params.network, params.width, params.dropout, arrangement)
        more = params.slow, params.auxiliary_at
        network = build_recognizer(len(mean), len(material.vocabulary), *sizes, *more)
        if arrangement:
            mean, variance = measure_statistics(
                chosen, partial(see_rows, network, normalized=False)
            )
        set_statistics(network, mean, variance)
    change = partial(change_sentence, **changes)
    return material, Stage(network, network, material.inputs, FEATURES, change, {})


# What stage 2 has of the run that it begins with.
_KEPT = (
    *("network", "front", "width", "dropout", "slow", "auxiliary_at", "vocabulary", "row_step"),
    *(*_ROWS, *_ARRANGED),
)


def _take_over(params):
    """Return the `Plan` of parameters with what the run that stage 2 begins with decides."""
    run = Path(params.weights)
    check_run(run)
    began = load_params(run / "params.json")
    if began.task != params.task:
        raise ValueError(f"weights is {run}, a run of {began.task}; give a run of {params.task}.")
    if params.front not in ("auto", began.front):
        raise ValueError(
            f"front is {params.front}, but {run} has front {began.front}. Leave out front."
        )
    kept = {name: getattr(began, name) for name in _KEPT}
    print_line(f"{run}: {', '.join(f'{name} {value}' for name, value in kept.items())}")
    return make_plan(replace(params, **kept))


def prepare_frames(plan, scope):
    """Return the (`Material`, `Stage`) of a run's recognizer behind its features' backbone."""
    plan = _take_over(plan.params)
    params = plan.params
    settings = read_settings(params.weights)
    check_settings(settings, plan.trained_part, plan.caches_features)
    _, vocabulary = load_data(params.weights, load_sentences)
    look = partial(look_at_frames, row_format=settings.make_row_format(params.row_step))
    stride = settings.stride * params.row_step
    material = _prepare_material(params, look, vocabulary, stride)
    with scope():
        network = open_network(plan, settings)
        part = choose_part(network, plan)
    inputs, reading = open_sentences(network, settings, material.inputs, plan)
    changes = pick_fields(params, RowChanges)
    if plan.caches_features:  # noise is for rows
        of_rows = {"noise": 0, "hide_rows": 0, "hide_channels": 0, "affine": 0}
        change = partial(change_sentence, changes=replace(changes, **of_rows), deviation=0)
    else:
        fields = (params.flip, params.color, params.rand_operations, params.rand_magnitude)
        change = partial(change_frames, changes=changes, augmentation=Augmentation(*fields))
    stage = Stage(network, part, inputs, reading, change, {ROWS: settings.to_json()})
    return material, stage
