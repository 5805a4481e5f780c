"""Export a network for other programs: python -m scripts.export_model weights/<run> --format onnx.

The export is loaded again in its own runtime and compared with the run on real videos (recognizers:
sentences). An export that differs is not kept.
"""

import json
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it starts from any folder

from models.later import later
from tasks.options import ExportOptions
from utils.command_line import Command
from utils.runs.export_formats import FORMATS, write_model
from utils.runs.folders import check_run
from utils.runs.networks import best_network
from utils.runs.saved_params import load_params
from utils.system.commands import run_command
from utils.system.files import atomic_path
from utils.system.progress import show_progress
from utils.system.words import print_line
from utils.version import VERSION

import numpy as np

# By task, what a run's export is made from and tried on: see `tasks.export_subject`.
SUBJECTS = {
    "classification": later("tasks.classification.exporting", "VideoSubject"),
    "recognition": later("tasks.recognition.exporting", "SentenceSubject"),
}
TIE = 1e-3  # probabilities this near count as the same top-1


class Allowed(NamedTuple):
    """What an export may differ by: the largest probability, and the share of equal top-1."""

    difference: float
    agreement: float


# OpenCV rounds a resized frame a little otherwise than a graph does; see
# `models.exporting.serving`.
ALLOWED = {
    "float32": Allowed(1e-3, 1.0),
    "preprocessing": Allowed(0.02, 1.0),
    "float16": Allowed(0.02, 1.0),
    "bfloat16": Allowed(0.02, 1.0),
    "int8": Allowed(0.3, 0.9),
}


def _read_pairs(subject):
    """Yield batches of two samples, for the run and for the export, of one where sizes differ."""
    starts = range(0, subject.checked, 2)
    for start in show_progress("Comparing the export with the run", "pair", starts):
        pairs = [subject.read(i) for i in range(start, min(start + 2, subject.checked))]
        alike = len({served.shape[1:] for _, served in pairs}) == 1
        for group in [pairs] if alike else [[pair] for pair in pairs]:
            yield tuple(subject.join(list(arrays)) for arrays in zip(*group, strict=True))


def compare(subject, run):
    """Compare an export with the run that it was made of.

    Args:
        subject: as in `tasks.export_subject`.
        run: function {name: array} -> the export's probabilities.

    Returns:
        A dict: samples, largest difference of a probability, share of equal top-1 (nearer than
        `TIE` is equal), seconds a sample of either, scores of either.

    Raises:
        ValueError: the export's answer has another shape, or is no number.
    """
    answers, seconds = ([], []), [0.0, 0.0]
    for both in _read_pairs(subject):
        for place, (ask, inputs) in enumerate(zip((subject.answer, run), both, strict=True)):
            begin = time.perf_counter()
            probabilities = ask(inputs)
            seconds[place] += time.perf_counter() - begin
            answers[place].extend(subject.split(probabilities, inputs))
    own, exported = (np.concatenate(each) for each in answers)
    if own.shape != exported.shape or not np.isfinite(exported).all():
        raise ValueError(
            f"The export returns {exported.shape}, but the run {own.shape}, or there are "
            "NaN. Nothing was written."
        )
    chosen = own[np.arange(len(own)), exported.argmax(1)]
    times = [round(total / len(answers[0]), 4) for total in seconds]
    return {
        "samples": len(answers[0]),
        "difference": float(np.abs(own - exported).max()),
        "agreement": float(np.mean(own.max(1) - chosen <= TIE)),
        "seconds": dict(zip(("run", "export"), times, strict=True)),
        "scores": {"run": subject.score(answers[0]), "export": subject.score(answers[1])},
    }


def _print_comparison(name, found, size):
    print_line(
        f"{name}, {found['samples']} samples: largest difference {found['difference']:.2g}, "
        f"top-1 agreement {found['agreement']:.3f}"
    )
    before, after = found["scores"].values()
    for words, value in before.items():
        change = after[words] - value
        print_line(f"{words}: run {value:.3f}, export {after[words]:.3f} ({change:+.3f})")
    own, exported = found["seconds"].values()
    print_line(f"{size:.1f} MB; {exported:.3g} s a sample (the run: {own:.3g} s)")


def _allow(options, precision):
    """Return the `Allowed` of an export of a run of a precision."""
    names = [options.precision, *["preprocessing"] * options.preprocessing]
    names += ["float16"] * (precision != "float32")
    rows = [ALLOWED[name] for name in names]
    difference = max(row.difference for row in rows)
    agreement = min(row.agreement for row in rows)
    return Allowed(
        difference if options.tolerance is None else options.tolerance,
        agreement if options.agreement is None else options.agreement,
    )


def _check(options, precision, found):
    allowed = _allow(options, precision)
    if found["difference"] > allowed.difference or found["agreement"] < allowed.agreement:
        raise ValueError(
            f"The export differs from {options.run} by up to {found['difference']:.2g} "
            f"(allowed: {allowed.difference:g}), and has the same top-1 class for "
            f"{found['agreement']:.3f} of the samples (required: {allowed.agreement:g}). "
            "Nothing was written. Change what is allowed with --tolerance and --agreement."
        )


def _list_metadata(options, described):
    packages = ("keras", "tensorflow", *FORMATS[options.format].needs)
    return described | {
        "run": options.run.name,
        "format": options.format,
        "precision": options.precision,
        "version": VERSION,
        "versions": {name: import_module(name).__version__ for name in packages},
    }


def write_and_load(options, network, subject, metadata, folder):
    """Write a run's network, and load it in its own runtime.

    Args:
        options: `ExportOptions`.
        network: its name, for the error.
        subject: as in `tasks.export_subject`.
        metadata: what is written inside.
        folder: where.

    Returns:
        (path of what is written, MB of it, function {name: array} -> probabilities).

    Raises:
        ValueError: the format cannot hold the network, or its runtime not run it.
    """
    row, precision = FORMATS[options.format], options.precision
    # Those to calibrate on come after those to compare on, which stand in where there are none.
    start = subject.checked if subject.calibrating else 0
    places = range(start, subject.checked + subject.calibrating)
    samples = (subject.join([subject.read(place)[1]]) for place in places)
    model = subject.serve(row.flat if row.portable else None)
    try:
        path, size = write_model(options.format, precision, model, folder, metadata, samples)
        run = row.run(path)
        run(subject.join([subject.read(0)[1]]))  # what it lacks shows here; later calls are timed
    except Exception as error:  # converters and runtimes have many kinds
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        said = f"{options.run}: {network} cannot become {options.format} {precision}: {reason}"
        raise ValueError(said) from error
    return path, size, run


def export_model(options):
    """Export a run's network, run it in its own runtime, and compare it with the run.

    Args:
        options: `ExportOptions`.

    Returns:
        What `compare` found.

    Raises:
        ValueError: no run, one without a finished epoch, a target that is there, nothing to
            compare on, or an export that does not agree: then nothing is written.
    """
    check_run(options.run)
    best_network(options.run)
    if options.folder.exists():
        raise ValueError(f"{options.folder} exists already; delete it, or give another --output.")
    import keras  # slow: the errors above, and those of the flags, come first

    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "Exports need the TensorFlow backend, but Keras runs on "
            f"{keras.backend.backend()}. Set KERAS_BACKEND=tensorflow."
        )
    params = load_params(options.run / "params.json")
    subject = SUBJECTS[params.task](options)
    metadata = _list_metadata(options, subject.metadata)
    with atomic_path(options.folder) as temporary:
        temporary.mkdir()
        loaded = write_and_load(options, params.network, subject, metadata, temporary)
        path, size, run = loaded
        found = compare(subject, run)
        _print_comparison(f"{options.format} {options.precision}", found, size)
        _check(options, params.precision, found)
        text = json.dumps(metadata | {"compared": found}, indent=1) + "\n"
        (temporary / "metadata.json").write_text(text)
    print_line(f"Written to {options.folder}: {path.name}, metadata.json")
    return found


COMMAND = Command(__doc__, ExportOptions)

if __name__ == "__main__":
    run_command(lambda: export_model(COMMAND.parse()))
