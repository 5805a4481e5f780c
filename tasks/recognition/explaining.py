"""Why a recognizer reads these glosses: when it sees each of them, and with what probability."""

import os
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from models.ctc import BLANK, decode_glosses, encode_glosses
from tasks.recognition.searching import Heard, locate_labels, open_search
from tasks.recognition.sentence_rows import open_rows, read_stored, read_video
from tasks.recognition.transcription import read_logits, spell
from utils.pictures.frame_sheets import read_moments
from utils.pictures.gloss_timeline import Span, plot_alignment, save_spans
from utils.pictures.html import render
from utils.runs.folders import explanation_folder, load_data
from utils.runs.saved_params import load_params
from utils.scores.labelings import to_probabilities
from utils.signing.corpora import load_sentences
from utils.signing.wer import align_corpus, format_alignment
from utils.system.files import atomic_path, whole_path, write_atomically
from utils.system.words import escape, print_line
from utils.video.image_folders import IMAGE_FPS

import numpy as np

MEANING = (
    "The probability of each gloss at each time step, and the most probable alignment of "
    "all glosses. A recognizer trained with CTC recognizes a gloss at only a few steps "
    "within its sign. The starts and ends are therefore those of the network's answer, "
    "not of the movement."
)
MEANING_OF_PARTS = (
    "The probability of each gloss at each time step, and the parts of training sentences that "
    "the answer is put together from: each gloss lasts until the next one begins. A reference is "
    "aligned by the network's probabilities alone, which are high at only a few steps within a "
    "sign."
)


def say_meaning(search):
    """Return how the times of a `Search` are to be read."""
    return MEANING_OF_PARTS if search.splicer else MEANING


class Recognition(NamedTuple):
    """What a recognizer says of a sentence.

    Attributes:
        name: of the sentence, or of its video.
        path: of the video.
        sentence: the run's `Sentence`, or None for another one.
        logits: (steps, 1 + glosses).
        edges: (steps + 1,) seconds.
        found: list of the `Span` of each gloss that is recognized.
        notes: sentences on what is not known.
        image_fps: frames per second of the video where it is a folder of images.
        meaning: how the times are to be read.
    """

    name: str
    path: Path
    sentence: object
    logits: np.ndarray
    edges: np.ndarray
    found: list
    notes: list
    image_fps: float = IMAGE_FPS
    meaning: str = MEANING


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
        return self.recognition.meaning

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


def read_sentence_of(options, params, sentences, vocabulary):
    """Return the `Recognition` of a video by a run; arguments and errors as in `explain_sentence`.

    Args:
        options: `tasks.options.ExplanationOptions`.
        params: `Params` of the run.
        sentences: of the run.
        vocabulary: list of glosses.
    """
    run, sentence = options.run, find_sentence(options.video, sentences)
    path = Path(sentence.path if sentence else options.video)
    network, open_reader = open_rows(run, params)
    if params.features:
        found = read_stored(run, params, path, network)
    else:
        found = read_video(open_reader(), path)
    search = open_search(run, params.front, options.beam, network)
    logits = read_logits(network, found.rows, params.front, path)
    edges = found.find_edges(params.front, len(logits))
    located = search.locate(Heard(logits, found.rows))
    spans = place_glosses(located, logits, edges, vocabulary)
    name = sentence.id if sentence else str(path)
    said = logits, edges, spans, found.notes, found.image_fps, say_meaning(search)
    return Recognition(name, path, sentence, *said)


def place_glosses(located, logits, edges, vocabulary):
    """Return the `Span` of each gloss.

    Args:
        located: [(class, first step, step behind the last)].
        logits: (steps, 1 + glosses).
        edges: (steps + 1,) seconds.
        vocabulary: list of glosses.
    """
    probabilities = to_probabilities("single", logits)
    return [
        Span(
            decode_glosses([label], vocabulary)[0],
            float(edges[first]),
            float(edges[end]),
            float(probabilities[first:end, label].mean()),
        )
        for label, first, end in located
    ]


def compare(recognition, vocabulary, corpus):
    """Return the reference above the hypothesis, cleaned, as scoring aligns them."""
    sentence = recognition.sentence
    labels = encode_glosses([span.gloss for span in recognition.found], vocabulary)
    said = spell([labels], [sentence], vocabulary, corpus)
    return format_alignment(align_corpus(*said)[sentence.id])


def place_rows(recognition, vocabulary):
    """Return ({name: spans} of what was recognized and of the reference, notes)."""
    sentence, notes = recognition.sentence, list(recognition.notes)
    logits, rows = recognition.logits, {"recognised": recognition.found}
    if sentence:
        if unseen := [gloss for gloss in sentence.glosses if gloss not in vocabulary]:
            notes.append(
                "These glosses never occur in training, so they have no position: "
                f"{' '.join(unseen)}."
            )
        known = encode_glosses(sentence.glosses, vocabulary)
        try:
            located = locate_labels(logits, known)
            rows["reference"] = place_glosses(located, logits, recognition.edges, vocabulary)
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
        notes=[*alignment.notes, alignment.why],
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
    recognition = read_sentence_of(options, params, own, vocabulary)
    alignment = align_glosses(recognition, vocabulary)
    folder = explanation_folder(run, recognition.name, options.output)
    save_alignment(folder, alignment, vocabulary, f"{run.name}: {recognition.name}")
    compared = ""
    if recognition.sentence:
        compared = compare(recognition, vocabulary, params.corpus)
    _draw_page(folder, alignment, compared, run.name)
    print_line(*alignment.describe(compared).split("\n"))
    return folder
