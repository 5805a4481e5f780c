"""Why a recognizer reads these glosses: when it sees each of them, and with what probability."""

import os
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from models.ctc import BLANK, align, decode_glosses, encode_glosses
from models.recognizer import count_channels, count_pooled
from tasks.recognition.searching import Heard, open_search
from tasks.recognition.transcription import (
    find_gaps,
    load_recognizer,
    open_rows,
    read_logits,
    spell,
)
from utils.features.lookup import check_lengths, find_features
from utils.features.rows import row_edges
from utils.features.settings import find_image_fps, find_stride
from utils.pictures.frame_sheets import read_moments
from utils.pictures.gloss_timeline import Span, plot_alignment, save_spans
from utils.pictures.html import render
from utils.runs.folders import explanation_folder, load_data
from utils.runs.saved_params import load_params
from utils.scores.labelings import to_probabilities
from utils.signing.corpora import load_sentences
from utils.signing.row_changes import read_sentence
from utils.signing.wer import align_corpus, format_alignment
from utils.system.files import atomic_path, whole_path, write_atomically
from utils.system.words import escape, print_line
from utils.video.image_folders import IMAGE_FPS
from utils.video.reading import probe
from utils.video.resampling import FPS
from utils.video.views import CENTER

import keras
import numpy as np

MEANING = (
    "The probability of each gloss at each time step, and the most probable alignment of "
    "all glosses. A recognizer trained with CTC recognizes a gloss at only a few steps "
    "within its sign. The starts and ends are therefore those of the network's answer, "
    "not of the movement."
)


class Recognition(NamedTuple):
    """What a recognizer says of a sentence.

    Attributes:
        name: of the sentence, or of its video.
        path: of the video.
        sentence: the run's `Sentence`, or None for another one.
        logits: (steps, 1 + glosses).
        edges: (steps + 1,) seconds.
        found: the classes that are recognized.
        notes: sentences on what is not known.
        image_fps: frames per second of the video where it is a folder of images.
    """

    name: str
    path: Path
    sentence: object
    logits: np.ndarray
    edges: np.ndarray
    found: list
    notes: list
    image_fps: float = IMAGE_FPS


class Alignment(NamedTuple):
    """When a recognizer sees each of its glosses.

    Attributes:
        recognition: the `Recognition`.
        rows: {"recognised": spans}, and {"reference": spans} where it is known; lists of
            `utils.pictures.gloss_timeline.Span` (gloss, start, end, probability), in seconds.
        frames: uint8 RGB (glosses, height, width, 3), one in the middle of each that is recognized;
            () where the video is gone.
        notes: sentences on what is not known.
    """

    recognition: Recognition
    rows: dict
    frames: np.ndarray
    notes: list

    @property
    def spans(self):
        """The `Span` of each gloss that is recognized."""
        return self.rows["recognised"]

    @property
    def glosses(self):
        """What is recognized, in a line."""
        return " ".join(span.gloss for span in self.spans) or "no gloss"

    @property
    def why(self):
        """How it is to be read."""
        return MEANING

    def describe(self, compared=""):
        """Return lines for the screen: what is recognized, the notes, and when each gloss is.

        Args:
            compared: lines that compare it with the reference; "" for none.
        """
        lines = [f"{self.recognition.name}: {self.glosses}", *compared.split("\n"), *self.notes]
        spans = (
            f"  {span.start:6.2f} to {span.end:6.2f} s  {span.probability:.3f}  {span.gloss}"
            for span in self.spans
        )
        return "\n".join(map(escape, filter(None, [*lines, *spans])))

    def __repr__(self):
        return self.describe()


def find_sentence(given, sentences):
    """Return the sentence that has a given id or path, or None."""
    names = {given, whole_path(given), os.path.realpath(given)}
    return next((s for s in sentences if names & {s.id, s.path}), None)


class _Rows(NamedTuple):
    """Rows of a sentence, their seconds, what reads them, and what `Recognition` has of them."""

    network: keras.Model
    rows: np.ndarray
    seconds: np.ndarray
    image_fps: float
    notes: list


def _read_stored(run, params, path):
    """Return the `_Rows` of stored features."""
    network = load_recognizer(run, params.features)
    features = find_features(str(path), params.features, find_gaps(params)).thin(params.row_step)
    check_lengths([features], count_channels(network))
    known = find_stride(params.features, params.row_step, params.row_stride)
    stride = known or 4 * params.row_step
    times, told = features.find_times(stride)
    notes = [] if told else [f"The features have no times; {stride} / {FPS:g} s a row is assumed."]
    image_fps = find_image_fps(params.features)
    return _Rows(network, read_sentence(features), times, image_fps, notes)


def _read_video(run, params, path):
    """Return the `_Rows` of a video, whose backbone is in the run's own network (stage 2)."""
    network, reader = open_rows(run, params)
    video = probe(path).play_images_at(reader.row_format.image_fps)
    rows, times = reader.read(video)
    notes = [f"{path}: {video.note}"] if video.note else []
    return _Rows(network, rows[CENTER], times, reader.row_format.image_fps, notes)


def read_sentence_of(options, params, sentences):
    """Return the `Recognition` of a video by a run; arguments and errors as in `explain_sentence`.

    Args:
        options: `tasks.options.ExplanationOptions`.
        params: `Params` of the run.
        sentences: of the run.
    """
    sentence = find_sentence(options.video, sentences)
    path = Path(sentence.path if sentence else options.video)
    read = _read_stored if params.features else _read_video
    found = read(options.run, params, path)
    logits = read_logits(found.network, found.rows, params.front, path)
    search = open_search(options.run, params.front, options.beam, found.network)
    (classes,) = search.find([Heard(logits, found.rows)])
    edges = row_edges(found.seconds)[:: count_pooled(params.front)][: len(logits) + 1]
    name = sentence.id if sentence else str(path)
    return Recognition(name, path, sentence, logits, edges, classes, found.notes, found.image_fps)


def place_glosses(logits, labels, edges, vocabulary):
    """Return the `Span` of each label, by the most probable alignment of all of them.

    Args:
        logits: (steps, 1 + glosses).
        labels: classes.
        edges: (steps + 1,) seconds.
        vocabulary: list of glosses.

    Raises:
        ValueError: fewer steps than the labels need.
    """
    probabilities, spans = to_probabilities("single", logits), align(logits, labels).tolist()
    return [
        Span(
            gloss,
            float(edges[start]),
            float(edges[end]),
            float(probabilities[start:end, label].mean()),
        )
        for gloss, label, (start, end) in zip(
            decode_glosses(labels, vocabulary), labels, spans, strict=True
        )
    ]


def compare(sentence, labels, vocabulary, corpus):
    """Return the reference above the hypothesis, cleaned, as scoring aligns them."""
    said = spell([labels], [sentence], vocabulary, corpus)
    return format_alignment(align_corpus(*said)[sentence.id])


def place_rows(recognition, vocabulary):
    """Return ({name: spans} of what was recognized and of the reference, notes)."""
    sentence, notes = recognition.sentence, list(recognition.notes)
    where = (recognition.edges, vocabulary)
    rows = {"recognised": place_glosses(recognition.logits, recognition.found, *where)}
    if sentence:
        if unseen := [gloss for gloss in sentence.glosses if gloss not in vocabulary]:
            notes.append(
                "These glosses never occur in training, so they have no position: "
                f"{' '.join(unseen)}."
            )
        known = encode_glosses(sentence.glosses, vocabulary)
        try:
            rows["reference"] = place_glosses(recognition.logits, known, *where)
        except ValueError as error:
            notes.append(f"The reference cannot be aligned: {error}")
    return rows, notes


def align_glosses(recognition, vocabulary):
    """Return the `Alignment` of what is recognized; the video need not be there."""
    rows, notes = place_rows(recognition, vocabulary)
    frames, seconds = (), [span.middle for span in rows["recognised"]]
    if seconds:
        frames, missing = read_moments(recognition.path, seconds, recognition.image_fps)
        notes += [missing] if missing else []
    return Alignment(recognition, rows, frames, notes)


def save_alignment(folder, alignment, vocabulary, title):
    """Write alignment.csv, probabilities.npz and alignment.png, whose title is given."""
    recognition, rows, frames, _ = alignment
    probabilities = to_probabilities("single", recognition.logits)
    placed = {span.gloss for spans in rows.values() for span in spans}
    shown = [gloss for gloss in vocabulary if gloss in placed]
    curves = {"": probabilities[:, BLANK]}
    curves |= dict(zip(shown, probabilities.T[encode_glosses(shown, vocabulary)], strict=True))
    plot_alignment(folder / "alignment.png", recognition.edges, curves, rows, frames, title)
    save_spans(folder / "alignment.csv", rows)
    arrays = {"edges": recognition.edges, "probabilities": probabilities}
    with atomic_path(folder / "probabilities.npz") as temporary:
        np.savez(temporary, glosses=np.array(vocabulary), **arrays)


def _draw_page(folder, alignment, compared, run):
    """Write explanation.html: what was recognized, the picture, when each gloss is."""
    page = render(
        "recognition.html",
        title=f"{run}: {alignment.recognition.name}: {alignment.glosses}",
        compared=compared,
        notes=[*alignment.notes, MEANING],
        picture=(folder / "alignment.png").read_bytes(),
        rows=alignment.rows,
    )
    write_atomically(folder / "explanation.html", page)


def explain_sentence(options):
    """Align the glosses that a recognizer reads in a sentence, and its reference where it is known.

    Args:
        options: `tasks.options.ExplanationOptions`; the video is a sentence's id or path, or a
            file of features.

    Returns:
        The folder of what is written.

    Raises:
        ValueError: no run, no features of the video, or ones of another width.
    """
    run, params = options.run, load_params(options.run / "params.json")
    own, vocabulary = load_data(run, load_sentences)
    params = replace(params, features=options.features or params.features)
    recognition = read_sentence_of(options, params, own)
    alignment = align_glosses(recognition, vocabulary)
    folder = explanation_folder(run, recognition.name, options.output)
    save_alignment(folder, alignment, vocabulary, f"{run.name}: {recognition.name}")
    compared = ""
    if recognition.sentence:
        compared = compare(recognition.sentence, recognition.found, vocabulary, params.corpus)
    _draw_page(folder, alignment, compared, run.name)
    print_line(*alignment.describe(compared).split("\n"))
    return folder
