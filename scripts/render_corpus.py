"""Render a sign language corpus for trying: python -m scripts.render_corpus FOLDER.

A drawn figure signs made-up sentences. The folder looks like PHOENIX-2014 or PHOENIX-2014-T. After
a stop, the same command continues with the sentences that are missing.
"""

import json
import os
import sys
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it starts from any folder

from utils.command_line import Command
from utils.signing.releases import RELEASES, SPLITS
from utils.signing.rendered_corpus import LAYOUTS, list_rows, plan_corpus, render_sentence
from utils.system.commands import run_command
from utils.system.files import write_atomically
from utils.system.locks import free_locks, take_lock
from utils.system.processes import run_tasks
from utils.system.progress import show_progress
from utils.system.words import print_line
from utils.video.flow import limit_threads

import tyro

RECIPE = "rendered.json"


@dataclass(frozen=True)
class Options:
    """What is rendered."""

    folder: tyro.conf.Positional[str]
    """Folder in which the corpus' own folder is made."""
    kind: Literal[tuple(LAYOUTS)] = "phoenix2014"
    """Release whose folder layout and labels are imitated."""
    train: int = 320
    """Training sentences."""
    dev: int = 40
    """Validation sentences."""
    test: int = 40
    """Test sentences. The last signer appears only here."""
    signers: int = 5
    """Number of signers, at least 2."""
    glosses: tuple[int, int] = (3, 12)
    """Glosses per sentence, at least and at most."""
    seed: int = 0
    """Random seed."""
    workers: int = 0
    """Processes. 0: one per core."""


def _open_folder(options):
    """Return the release's folder; refuse one made with other options, or by another process."""
    folder = Path(options.folder, RELEASES[options.kind].folder)
    take_lock(folder.with_name(f".{folder.name}.lock"), f"The corpus {folder}")
    recipe = {k: v for k, v in asdict(options).items() if k not in ("folder", "workers")}
    text, path = json.dumps(recipe, indent=1), folder / RECIPE
    found = path.read_text() if path.is_file() else ""
    if found != text and folder.exists() and any(folder.iterdir()):
        raise ValueError(
            f"{folder} contains {'a corpus of other options' if found else 'other files'}. "
            "Give a new folder."
        )
    write_atomically(path, text)
    return folder


def render_corpus(options):
    """Write a corpus: its frames, then its tables.

    Args:
        options: `Options`.

    Raises:
        ValueError: options that cannot be, or a folder that holds something else.
    """
    counts = (options.train, options.dev, options.test)
    plans = plan_corpus(options.kind, counts, options.signers, options.seed, options.glosses)
    try:
        _render(plans, _open_folder(options), options)
    finally:
        free_locks()


def _render(plans, folder, options):
    workers = options.workers or os.cpu_count() or 1
    calls = {i: (render_sentence, plan, options.kind, folder) for i, plan in enumerate(plans)}
    with closing(run_tasks(calls, workers, limit_threads)) as done:
        bar = show_progress("Rendering", "sentence", done, len(plans))
        rendered = [numbers for _, numbers, _ in bar]
    frames, size = (sum(numbers) for numbers in zip(*rendered, strict=True))
    for split in SPLITS:
        rows = list_rows(plans, options.kind, split)
        table = folder / RELEASES[options.kind].annotations.format(split)
        write_atomically(table, "\n".join([*rows, ""]))
    print_line(f"{folder} contains {len(plans)} sentences, {frames} frames, {size / 2**20:.0f} MiB")


COMMAND = Command(__doc__, Options)

if __name__ == "__main__":
    run_command(
        lambda: render_corpus(COMMAND.parse()),
        "run the same command to continue with the sentences that are not done yet",
    )
