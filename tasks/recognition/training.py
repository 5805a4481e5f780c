"""Recognition of continuous signing: a corpus, its rows, and the glosses they spell."""

import json
from functools import partial

from models.ctc import count_needed_steps, encode_glosses
from models.end_to_end import list_backbone
from models.language import Language
from models.recognizer import RecognitionLoss, count_pooled, output_lengths
from tasks.features.runtimes import keep_networks
from tasks.idle import Facts, say_idle
from tasks.job import SHOWN, Job
from tasks.recognition.searching import (
    BEAM,
    MOST,
    UNWEIGHED,
    Search,
    build_model,
    list_searches,
    save_search,
)
from tasks.recognition.stages import prepare_features, prepare_frames
from tasks.recognition.templates import NETWORKS, make_splicer
from tasks.recognition.transcription import (
    LossMeter,
    Trial,
    clean_all,
    list_caveats,
    make_sequence,
    measure,
    sum_up,
)
from utils.clips.batches import TrainingOrder
from utils.clips.sampling import spread
from utils.features.settings import list_networks
from utils.pictures.recognition_plot import plot_recognition
from utils.pictures.saving import name_scope, name_splits
from utils.runs.folders import keep_features, load_state, open_run, save_data
from utils.signing.batches import SentenceSequence
from utils.signing.corpora import save_sentences
from utils.signing.recall import PathTable, RecallTable
from utils.signing.splicing import Spliced, Splicer
from utils.signing.wer import align, format_alignment
from utils.system.files import write_atomically
from utils.system.words import print_line

import numpy as np


def _make_training(params, sentences, labels, stage, batches):
    """Return the batches of training sentences, changed at random."""
    pooled = count_pooled(params.front)
    chosen = [stage.inputs[sentence.path] for sentence in sentences]
    rows = [each.num_rows for each in chosen]
    share = params.splice if params.features else 0
    splicer = Splicer(labels, rows, share, params.seed, pooled)

    def read(index, epoch):
        generator = np.random.default_rng([params.seed, epoch, index])
        parts = splicer.draw(index, epoch)
        source = chosen[index] if parts is None else Spliced(parts, chosen)
        least = pooled * count_needed_steps(splicer.spell(index, parts))
        return stage.change(source, least, generator)

    def spell(index, epoch):
        return splicer.spell(index, splicer.draw(index, epoch))

    return SentenceSequence(
        read,
        labels,
        rows,
        round(max(rows) * (1 + params.rescale)) + 1,
        partial(output_lengths, front=params.front),
        stage.reading.pad,
        order=TrainingOrder(params.seed),
        spell=spell if share else None,
        **batches,
    )


def _begin_run(material, stage):
    """Open the run's folder and write what it is trained on; return it."""
    params = material.params
    folder = open_run(params)
    keep_features(
        folder, params.features, {s.path: stage.inputs[s.path] for s in material.sentences}
    )
    keep_networks(folder, list_networks(params.features))
    for name, settings in stage.settings.items():
        write_atomically(folder / name, json.dumps(settings, indent=1) + "\n")
    if not (folder / "splits.csv").is_file():
        lines = [(name, f"{name}: {reason}") for name, reason in material.problems]
        save_data(folder, material.sentences, material.vocabulary, lines, save_sentences)
    return folder


def prepare(plan, scope, replicas):
    """Return the `Job` of training a recognizer.

    Args:
        plan: a `Plan`.
        scope, replicas: of `utils.fitting.devices.choose_devices`.

    Raises:
        ValueError: a corpus, features or a network that cannot be.
    """
    on_features = bool(plan.params.features)
    if not on_features and plan.params.finetune in ("auto", "none"):
        raise ValueError(
            "Recognition is trained on features. Extract them with python -m "
            "scripts.extract_features --stride 4, and give their folder as features. To "
            "train the backbone too, give such a run as weights, and a stage as finetune."
        )
    material, stage = (prepare_features if on_features else prepare_frames)(plan, scope)
    params, sentences, vocabulary = material.params, material.sentences, material.vocabulary
    members = {split: [s for s in sentences if s.split == split] for split in ("train", "dev")}
    say_idle(Facts(plan, validates=bool(members["dev"])))
    labels = [encode_glosses(s.glosses, vocabulary) for s in members["train"]]
    with scope():
        loss = RecognitionLoss(
            params.auxiliary, params.distillation, smoothing=params.label_smoothing
        )
    counts = (
        stage.network.count_params(),
        sum(np.prod(v.shape) for v in stage.part.trainable_variables),
    )
    print_line(
        f"{stage.network.name}: {counts[0]:,} parameters ({counts[1]:,} trained)", flush=True
    )
    folder = _begin_run(material, stage)
    batches = {"batch_size": params.batch_size, "workers": params.workers, "replicas": replicas}
    batches["most"] = max(len(sentence.glosses) for sentence in sentences)
    training = _make_training(params, members["train"], labels, stage, batches)
    part, dev, trial, few, tables = stage.part, members["dev"], None, None, ()
    title = name_splits(folder.name, members, "sentences")
    meter = LossMeter(loss, part.output_shape)

    def try_on(sentences):
        options = (stage.inputs, vocabulary, params.front, stage.reading)
        sequence = make_sequence(sentences, *options, **batches)
        return Trial(part, sequence, sentences, vocabulary, params.corpus, meter)

    if dev:
        said = (clean_all(members[split], params.corpus).values() for split in ("train", "dev"))
        middle = sorted(dev, key=lambda sentence: len(sentence.glosses))[len(dev) // 2]
        glosses = clean_all([middle], params.corpus)[middle.id]
        tables = (
            RecallTable(folder / "recall.csv", *said),
            PathTable(folder / "steps.csv", middle, glosses),
        )
        trial, few = try_on(dev), try_on([dev[i] for i in spread(len(dev), SHOWN)])

    def score():
        report = _report_best(trial) if trial else None
        if trial:
            history = load_state(folder)["history"]
            plot_recognition(history, *tables, folder / "recognition.png", title)
        if params.language_model:
            model = build_model(sentences, vocabulary, params.language_model)
            given = Language(model, *(params.language_weights or UNWEIGHED))
            tried = [] if params.language_weights else list_searches(model)
            save_search(folder, choose(Search(BEAM, given), tried))
        if params.templates:
            own, bigram = params.template_weights, build_model(sentences, vocabulary, 2)
            what = (params.front, sentences, stage.inputs, vocabulary, bigram)
            splicer = make_splicer(part, *what, own)
            every = () if own else (splicer.weights._replace(network=n) for n in NETWORKS)
            tried = [Search(splicer=splicer.weigh(each)) for each in every]
            choose(Search(splicer=splicer), tried).splicer.save(folder)
        return report

    def choose(given, tried):
        some = [dev[i] for i in spread(len(dev), MOST)] if dev and tried else []
        return _choose(given, tried, try_on(some) if some else None)

    return Job(
        folder=folder,
        title=title,
        network=stage.network,
        model=type(part)(part.input, part.output),  # the kept one knows no optimizer
        training=training,
        validation=None,
        loss=loss,
        metrics=[],
        monitor="-val_wer",
        score=score,
        measure=partial(measure, trial, *tables) if trial else None,
        draw=partial(write_hypotheses, few, folder.name) if few else None,
        backbone=[] if on_features else list_backbone(stage.network),
    )


def _report_best(trial):
    """Print what the best checkpoint scores on dev, and return it."""
    found = trial.transcribe()
    report = sum_up(found, found.align())
    shown = ", ".join(f"{name.removeprefix('val_')} {n:.4g}" for name, n in report.items())
    print_line(f"Best checkpoint on dev: {shown}")
    for sentence in list_caveats(found, report["val_wer"]):
        print_line(sentence)
    return report


def _choose(given, tried, trial):
    """Return the `Search` with the lowest WER of a `Trial`, or the given one where there is none.

    Args:
        given: `Search`.
        tried: list of them.
        trial: `tasks.recognition.transcription.Trial` of dev sentences, or None.
    """
    if not trial:
        print_line(f"Sequences are searched for with {given}")
        return given
    search, wer = trial.weigh(tried)
    count = len(trial.sentences)
    print_line(f"Chosen on {count} dev sentences: {search}, WER {wer:.2f} % of them")
    return search


def write_hypotheses(trial, run, folder, moment):
    """Write what is recognized in a `Trial`, beside the references, to `sentences.md`.

    Args:
        trial: `tasks.recognition.transcription.Trial`.
        run: its name.
        folder: where.
        moment: which epoch it is, in words.
    """
    found = trial.transcribe()
    texts = [name_scope(f"{run}, {moment}", "dev", len(found.references), "sentence")]
    for name, words in found.references.items():
        lines = format_alignment(align(words, found.hypotheses[name])).splitlines()
        texts.append("\n".join([f"**{name}**", "", *(f"    {line}" for line in lines)]))
    write_atomically(folder / "sentences.md", "\n\n".join(texts) + "\n")
