"""Scores of recognizers: WER as sclite counts it, by signer, what is taken for what."""

import json
from collections import Counter
from typing import NamedTuple

from models.recognizer import count_channels
from tasks.options import list_flags
from tasks.plan import make_plan
from tasks.recognition.baseline import answer_by_nearest, find_known, score_apart
from tasks.recognition.searching import open_search
from tasks.recognition.through_backbone import choose_part, look_at_frames, open_sentences
from tasks.recognition.transcription import (
    FEATURES,
    Reading,
    Transcript,
    Trial,
    list_caveats,
    make_sequence,
    read_features,
)
from utils.data.examples import find_split
from utils.features.lookup import check_lengths
from utils.features.settings import ROWS, read_settings
from utils.pictures.mistakes import SHOWN, Case, Section, find_reason, save_mistakes
from utils.pictures.saving import name_scope
from utils.runs.folders import evaluation_folder, load_changed, load_data
from utils.runs.networks import load_network
from utils.runs.saved_params import load_params
from utils.scores.caveats import say_optimism
from utils.signing.corpora import find_corpus, list_sentences, load_sentences
from utils.signing.releases import SPLITS
from utils.signing.sclite import run_sclite, write_ctm, write_stm
from utils.signing.vocabulary import summarize_corpus
from utils.signing.wer import (
    align_corpus,
    count_confusions,
    count_errors,
    format_alignment,
    list_worst,
    score_corpus,
)
from utils.system.files import write_atomically
from utils.system.tables import write_csv
from utils.system.words import print_line

import keras


def choose_sentences(sentences, split):
    """Return (sentences of a split, its name); "val" is dev, "" test, or dev where there is none.

    Raises:
        ValueError: none of that split.
    """
    counts = Counter(sentence.split for sentence in sentences)
    wanted = find_split(split, SPLITS)
    wanted = wanted or next((name for name in ("test", "dev", "train") if counts[name]), "")
    if not counts[wanted]:
        known = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise ValueError(f"There is no sentence of split {split!r}; known: {known}.")
    return [sentence for sentence in sentences if sentence.split == wanted], wanted


def _as_dict(score):
    return vars(score) | {"wer": round(score.wer, 3)}


class Scored(NamedTuple):
    """Sentences that were scored.

    Attributes:
        sentences: list of `Sentence`.
        transcript: their `Transcript`.
        alignments: {id: alignment} of it.
    """

    sentences: list
    transcript: Transcript
    alignments: dict

    @property
    def score(self):
        """Errors and words of all."""
        return score_corpus(self.alignments)


def make_report(scored):
    """Return the figures of what was `Scored`, for report.json."""
    groups = {s.id: s.signer or "unknown" for s in scored.sentences}
    signers = {
        name: _as_dict(score)
        for name, score in score_corpus(scored.alignments, groups).items()
        if score.words
    }
    confusions = [
        {"reference": pair[0], "hypothesis": pair[1], "count": count}
        for pair, count in count_confusions(scored.alignments)
    ]
    return {
        "sentences": len(scored.sentences),
        **_as_dict(scored.score),
        "blanks": round(scored.transcript.decoded.blanks, 4),
        "blanks_reference": round(scored.transcript.decoded.blanks_reference, 4),
        "empty": scored.transcript.count_empty(),
        "signers": signers,
        "confusions": confusions,
    }


def save_for_sclite(folder, scored):
    """Write the two files that sclite scores.

    Returns:
        (their names, what is to be said: sclite's own figure beside ours, or why there are none).
    """
    signers = {s.id: s.signer for s in scored.sentences}
    references, hypotheses = folder / "references.stm", folder / "hypotheses.ctm"
    try:
        write_ctm(hypotheses, scored.transcript.hypotheses)
        write_stm(references, scored.transcript.references, signers)
    except ValueError as error:
        for path in (references, hypotheses):  # those of an earlier scoring
            path.unlink(missing_ok=True)
        return [], f"No files for sclite are written. {error}"
    return [hypotheses.name, references.name], compare_sclite(references, hypotheses, scored.score)


def compare_sclite(references, hypotheses, score):
    """Return sclite's own figure of the files of references and hypotheses, beside ours."""
    theirs = run_sclite(references, hypotheses)
    if theirs is None:
        return "sclite is not installed"
    return f"sclite: {theirs}" + ("" if theirs == score else ", which DIFFERS from ours")


def list_mistakes(scored, run, options):
    """Return the `Section` of the sentences with the most errors.

    Args:
        scored: `Scored`.
        run: its folder.
        options: `EvaluationOptions`.
    """
    worst, flags = list_worst(scored.alignments, len(scored.alignments)), list_flags(options)
    sentences = {sentence.id: sentence for sentence in scored.sentences}

    def make_case(name):
        sentence, score = sentences[name], count_errors(scored.alignments[name])
        # A run knows its own sentences by their ids, and those of other corpora by their videos.
        reason = find_reason(run, sentence.path if options.data_path else name, flags=flags)
        facts = {
            "signer": sentence.signer or "unknown",
            "errors": f"{score.errors} in {score.words} glosses",
        }
        lines = format_alignment(scored.alignments[name])
        return Case(sentence.path, name, facts, [reason], lines)

    heading = f"The most errors first: {min(len(worst), SHOWN)} of {len(worst)} with errors"
    return Section(heading, False, [make_case(name) for name in worst[:SHOWN]])


def save_evaluation(folder, report, scored):
    """Write a report, each sentence's result and all alignments.

    Args:
        folder: where.
        report: of `make_report`.
        scored: `Scored`.

    Returns:
        The files' names.
    """
    alignments, hypotheses = scored.alignments, scored.transcript.hypotheses
    write_atomically(folder / "report.json", json.dumps(report, indent=1) + "\n")
    rows = []
    for s in scored.sentences:
        score = count_errors(alignments[s.id])
        words = " ".join(word for word, _ in alignments[s.id] if word is not None)
        found = " ".join(hypotheses[s.id])
        rows.append((s.id, s.signer, score.errors, score.words, words, found))
    header = ("id", "signer", "errors", "words", "reference", "hypothesis")
    write_csv(folder / "predictions.csv", header, rows)
    every = list_worst(alignments, len(alignments))
    text = "".join(f"{name}\n{format_alignment(alignments[name])}\n\n" for name in every)
    write_atomically(folder / "alignments.txt", text)
    return ["report.json", "predictions.csv", "alignments.txt"]


def _print_report(report, scored, worst):
    alignments = scored.alignments
    print_line(f"{report['sentences']} sentences: {scored.score}")
    for name, row in report["signers"].items():
        print_line(f"  {name}: WER {row['wer']:.2f} % of {row['words']} words")
    print_line(
        f"share of blanks {report['blanks']:.3f} ({report['blanks_reference']:.3f} if each "
        f"gloss took one step), {report['empty']} empty hypotheses"
    )
    for name in list_worst(alignments, worst):
        print_line("", name, *format_alignment(alignments[name]).split("\n"))
    pairs = [row for row in report["confusions"] if row["reference"] and row["hypothesis"]]
    shown = [f"{row['reference']} -> {row['hypothesis']} {row['count']}" for row in pairs[:10]]
    print_line("", f"Confusions: {', '.join(shown) or 'none'}")


class Opened(NamedTuple):
    """Sentences that can be read, and what reads them.

    Attributes:
        network: what reads.
        sentences: list of `Sentence`.
        inputs: {path: what is read} of them.
        problems: [(id or path, problem)].
        reading: a `Reading`.
    """

    network: keras.Model
    sentences: list
    inputs: dict
    problems: list
    reading: Reading


def _open_inputs(run, network, sentences, plan):
    """Return what is `Opened` of sentences by a run."""
    params = plan.params
    if not (run / ROWS).is_file():
        sentences, inputs, problems = read_features(sentences, params)
        check_lengths(list(inputs.values()), count_channels(network))
        return Opened(network, sentences, inputs, problems, FEATURES)
    settings = read_settings(run)
    row_format = settings.make_row_format(params.row_step)
    sentences, inputs, problems = look_at_frames(sentences, params, row_format)
    inputs, reading = open_sentences(network, settings, inputs, plan)
    return Opened(choose_part(network, plan), sentences, inputs, problems, reading)


def _score_nearest(run, opened, scored, training, known):
    """Score the nearest training sentence's glosses; return (`score_apart`, why there is none)."""
    if opened.reading is not FEATURES:
        return None, "its rows are made of frames"
    if {s.split for s in scored.sentences} == {"train"}:
        return None, "these are the training sentences"
    params = load_params(run / "params.json")
    chosen = scored.sentences
    try:
        found = answer_by_nearest(opened.network, chosen, opened.inputs, training, params)
    except ValueError as error:
        return None, str(error)
    alignments = align_corpus(scored.transcript.references, found)
    return score_apart(alignments, known), ""


def _say_apart(report, no_nearest):
    """Return lines: the WER of new sentences and of others, and of the nearest ones' glosses."""

    def tell(apart):
        parts = {"all": "wer", "glosses known": "known", "glosses new": "new"}
        shown = ((title, apart[key]) for title, key in parts.items())
        return ", ".join(f"{title} {n:.2f} %" for title, n in shown if n is not None)

    counts = (
        f"{report['known']} of {report['sentences']} sentences have glosses known from training"
    )
    lines = [f"{counts}: WER of {tell(report['apart'])}"]
    if not report["nearest"]:
        return [*lines, f"Not compared with the nearest training sentences: {no_nearest}"]
    lines.append(f"The nearest training sentence's glosses: WER of {tell(report['nearest'])}")
    if report["wer"] >= report["nearest"]["wer"]:
        lines.append("That is no better than the nearest training sentence (dynamic time warping).")
    return lines


def score_sentences(options):
    """Score a recognizer's best checkpoint.

    Args:
        options: `tasks.options.EvaluationOptions`.

    Returns:
        The report that is written to report.json.

    Raises:
        ValueError: no run, no such split, nothing readable, or nothing recognized at all.
    """
    run = options.runs[0]
    given = {name: getattr(options, name) for name in ("workers", "features", "cache_path")}
    plan = make_plan(load_changed(run, **given))
    params = plan.params
    own, vocabulary = load_data(run, load_sentences)
    network = load_network(run, ("logits", "recognizer"))
    corpus, sentences, problems = params.corpus, own, []
    if options.data_path:
        corpus = find_corpus(options.data_path)[0]
        needed = (run / ROWS).is_file()
        sentences, problems = list_sentences(options.data_path, needs_frames=needed)
    summary = summarize_corpus(sentences, problems, vocabulary, corpus)
    print_line(*f"{corpus}: {summary}".split("\n"))
    chosen, split = choose_sentences(sentences, options.split)
    opened = _open_inputs(run, network, chosen, plan)
    for name, problem in opened.problems:
        print_line(f"  problem: {name}: {problem}")
    sizes = {"batch_size": params.batch_size, "workers": params.workers}
    chosen, how = opened.sentences, (params.front, opened.reading)
    sequence = make_sequence(chosen, opened.inputs, vocabulary, *how, **sizes)
    search = open_search(run, params.front, options.beam, opened.network)
    found = Trial(opened.network, sequence, chosen, vocabulary, corpus).transcribe(search)
    if not any(found.hypotheses.values()):
        raise ValueError(
            f"All {len(chosen)} hypotheses of {split} are empty: {run} emits blanks only "
            f"({found.decoded.blanks:.0%} of the steps), so there is nothing to score. "
            "Train the run longer, or look at its history.csv."
        )
    scored = Scored(chosen, found, align_corpus(found.references, found.hypotheses))
    training = [s for s in own if s.split == "train"]
    known = find_known(found.references, training)
    nearest, no_nearest = _score_nearest(run, opened, scored, training, known)
    apart = score_apart(scored.alignments, known)
    report = make_report(scored) | {"known": len(known), "apart": apart, "nearest": nearest}
    name = search.name_scores(split)
    folder = evaluation_folder(run, name, options.data_path, options.features)
    names = save_evaluation(folder, report, scored)
    for_sclite, said_of_sclite = save_for_sclite(folder, scored)
    names += for_sclite
    title = name_scope(run.name, folder.name, len(chosen), "sentence")
    names += save_mistakes(folder, title, [list_mistakes(scored, run, options)])
    print_line(f"{split}, {search}:")
    _print_report(report, scored, options.worst)
    print_line(said_of_sclite)
    for line in _say_apart(report, no_nearest):
        print_line(line)
    scored_ids, splits = [s.id for s in chosen], {s.id: s.split for s in own}
    for sentence in (
        *say_optimism(scored_ids, splits, "sentences", "the best epoch"),
        *list_caveats(found, scored.score.wer),
    ):
        print_line(sentence)
    print_line(f"Written to {folder}: {', '.join(names)}")
    return report
