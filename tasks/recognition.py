"""Recognition of continuous signing: a corpus, its features, and the glosses they spell."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from models.ctc import count_needed_steps, find_impossible
from models.recognizer import (
    POOLING_FRONTS,
    RecognitionLoss,
    build_recognizer,
    choose_front,
    count_pooled,
    output_lengths,
    set_statistics,
)
from tasks.job import Job
from tasks.transcription import load_sentences, make_sequence, measure, read_features
from tasks.watching import SHOWN, write_hypotheses
from utils.corpora import CORPORA, find_corpus, list_sentences
from utils.feature_store import MANIFEST, read_manifest
from utils.params import pick_fields
from utils.runs import keep_features, load_data, open_run, save_data
from utils.sentences import (
    RowChanges,
    SentenceSequence,
    change_rows,
    measure_statistics,
    read_sentence,
    save_sentences,
)
from utils.sequence import TrainingOrder
from utils.sheets import spread
from utils.vocabulary import encode_glosses, list_vocabulary, summarize_corpus

import numpy as np

MOST_IMPOSSIBLE = 0.01  # share of the training sentences


def list_data(params):
    """Return (sentences, vocabulary, problems) of a corpus, or of the run that goes on.

    The glosses of training sentences are what is trained on, those of others what is scored.
    """
    if params.resume and ((folder := open_run(params)) / "splits.csv").is_file():
        return *load_data(folder, load_sentences), []
    sentences, problems = list_sentences(params.data_path, params.corpus, needs_frames=False)
    if params.vocabulary == "raw":
        sentences = [replace(s, glosses=s.raw) if s.split == "train" else s for s in sentences]
    return sentences, None, problems


def find_stride(features, row_step=1):
    """Return the frames from a row to the next, every `row_step`th taken; None: nothing tells."""
    known = Path(features, MANIFEST).is_file()
    stride = read_manifest(features).get("stride") if known else None
    return stride and stride * row_step


def _share_impossible(needed, rows, front):
    return float(np.mean(output_lengths(rows, front) < needed))


def advise_stride(needed, rows, stride, row_step=1):
    """Say how rows would have to be taken or extracted, for CTC to spell nearly all sentences.

    Args:
        needed: steps that each needs, int array.
        rows: of each.
        stride: of the rows in frames; None if unknown.
        row_step: of the features' rows, every so-manyth is one of these.
    """
    for new in (new for new in (8, 4, 2, 1) if new < (stride or 16)):
        factor = (stride or 16) / new
        most = count_pooled(choose_front(new if stride else 4))
        fitting = (
            front
            for front in POOLING_FRONTS
            if count_pooled(front) <= most
            and _share_impossible(needed, (rows * factor).astype(int), front) <= MOST_IMPOSSIBLE
        )
        if front := next(fitting, ""):
            if row_step % factor == 0:
                return f"Give --row-step {row_step / factor:g}; --front {front} suits that."
            how = f"--stride {int(new)}" if stride else f"{factor:g} times as many rows"
            return f"Extract them anew with {how}; --front {front} suits that."
    return "No stride mends this; are these the features of other videos?"


def drop_impossible(sentences, labels, rows, front, stride, row_step=1):
    """Find the training sentences that have fewer steps than their glosses need.

    Args:
        sentences: of training.
        labels: of each, as classes.
        rows: of each, int array.
        front: a key of `FRONTS`.
        stride, row_step: as in `advise_stride`.

    Returns:
        [(id, reason)] of them.

    Raises:
        ValueError: they are more than `MOST_IMPOSSIBLE`; the stride that mends it is named.
    """
    steps = output_lengths(rows, front)
    found = find_impossible(labels, steps)
    needed = np.array([count_needed_steps(each) for each in labels])
    if len(found) <= MOST_IMPOSSIBLE * len(sentences):
        return [
            (sentences[i].id, f"{steps[i]} steps for glosses that need {needed[i]}") for i in found
        ]
    worst = sentences[found[0]].id, steps[found[0]], needed[found[0]]
    pooled = _share_impossible(needed, rows, "K5-K5") <= MOST_IMPOSSIBLE
    mend = "Give --front K5-K5." if pooled else advise_stride(needed, rows, stride, row_step)
    raise ValueError(
        f"{len(found)} of {len(sentences)} training sentences ({len(found) / len(sentences):.1%}) "
        f"have fewer steps than glosses (such as {worst[0]}: {worst[1]} steps, {worst[2]} needed), "
        f"with rows of stride {stride or 'unknown'} and front {front}: CTC cannot learn them. "
        f"{mend}"
    )


def make_training(params, sentences, infos, labels, deviation, replicas):
    """Return the batches of training sentences, changed at random."""
    changes, pooled = pick_fields(params, RowChanges), count_pooled(params.front)
    chosen = [infos[sentence.path] for sentence in sentences]
    least = [pooled * count_needed_steps(each) for each in labels]

    def read(index, epoch):
        generator = np.random.default_rng([params.seed, epoch, index])
        rows = read_sentence(chosen[index])
        return change_rows(rows, changes, least[index], deviation, generator)

    rows = [info.shape[0] for info in chosen]
    return SentenceSequence(
        read,
        labels,
        rows,
        round(max(rows) * (1 + params.rescale)) + 1,
        partial(output_lengths, front=params.front),
        batch_size=params.batch_size,
        order=TrainingOrder(params.seed),
        replicas=replicas,
        workers=params.workers,
    )


def _prepare_data(params):
    """Return (parameters, sentences, infos, vocabulary, problems) that training can begin with."""
    if not params.features:
        raise ValueError(
            "Recognition is trained on features: extract them with python -m "
            "scripts.extract_features --stride 4, and give their folder as features."
        )
    params = replace(params, corpus=find_corpus(params.data_path, params.corpus)[0])
    stride = find_stride(params.features, params.row_step)
    if params.front == "auto":
        params = replace(params, front=choose_front(stride or 4 * params.row_step))
    sentences, vocabulary, problems = list_data(params)
    sentences, infos, lost = read_features(sentences, params)
    vocabulary = vocabulary or list_vocabulary(sentences)
    training = [s for s in sentences if s.split == "train"]
    labels = [encode_glosses(s.glosses, vocabulary) for s in training]
    rows = np.array([infos[s.path].shape[0] for s in training])
    impossible = drop_impossible(training, labels, rows, params.front, stride, params.row_step)
    names = {name for name, _ in impossible}
    sentences = [s for s in sentences if s.id not in names]
    problems = [*problems, *lost, *impossible]
    cleaning = CORPORA[params.corpus].cleaning
    print(f"{params.corpus}: {summarize_corpus(sentences, problems, vocabulary, cleaning)}")
    known = stride or f"unknown (taken for {4 * params.row_step})"
    print(f"rows of stride {known}, front {params.front}")
    return params, sentences, infos, vocabulary, problems


def prepare(params, scope, replicas):
    """Return the `Job` of training a recognizer.

    Args:
        params: `Params`.
        scope, replicas: of `utils.fitting.choose_devices`.

    Raises:
        ValueError: a corpus, features or a network that cannot be.
    """
    params, sentences, infos, vocabulary, problems = _prepare_data(params)
    members = {split: [s for s in sentences if s.split == split] for split in ("train", "dev")}
    labels = [encode_glosses(s.glosses, vocabulary) for s in members["train"]]
    mean, variance = measure_statistics([infos[s.path] for s in members["train"]])
    with scope():
        sizes = (params.front, params.network, params.width, params.dropout)
        network = build_recognizer(len(mean), len(vocabulary), *sizes)
        set_statistics(network, mean, variance)
        loss = RecognitionLoss(params.auxiliary, params.distillation)
    print(f"{network.name}: {network.count_params():,} parameters", flush=True)
    folder = open_run(params)
    used = {s.path: infos[s.path] for s in sentences}
    keep_features(folder, params.features, used)
    if not (folder / "splits.csv").is_file():
        lines = [(name, f"{name}: {reason}") for name, reason in problems]
        save_data(folder, sentences, vocabulary, lines, save_sentences)
    batches = {"batch_size": params.batch_size, "workers": params.workers, "replicas": replicas}
    deviation = np.sqrt(variance)
    training = make_training(params, members["train"], infos, labels, deviation, replicas)
    dev, scored, few = members["dev"], (), ()

    def score_on(sentences):
        sequence = make_sequence(sentences, infos, vocabulary, params.front, **batches)
        return network, sequence, sentences, vocabulary, CORPORA[params.corpus].cleaning

    if dev:
        scored, few = score_on(dev), score_on([dev[i] for i in spread(len(dev), SHOWN)])
    return Job(
        folder=folder,
        network=network,
        model=type(network)(network.input, network.output),  # the kept one knows no optimizer
        training=training,
        validation=None,
        loss=loss,
        metrics=[],
        monitor="-val_wer",
        score=partial(_report_best, *scored) if scored else lambda: None,
        measure=partial(measure, *scored) if scored else None,
        draw=partial(write_hypotheses, *few) if few else None,
    )


def _report_best(*scored):
    """Print what the best checkpoint scores on dev, and return it."""
    report = measure(*scored)
    shown = ", ".join(f"{name.removeprefix('val_')} {n:.4g}" for name, n in report.items())
    print(f"Best checkpoint on dev: {shown}")
    if report["val_empty"] == 1:
        print("Every hypothesis is empty: it has learned nothing yet but the blank.")
    return report
