"""Look at a dataset before training: python -m scripts.analyze_dataset my_videos.

Writes a report (report.html) with class sizes, durations, broken files, duplicates, leaks between
splits, shortcuts that a network could use, and advice. It reads headers and a few frames per video,
so it is fast. scripts.check_data decodes whole videos.
"""

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import shorten, wrap

from utils.command_line import Command
from utils.data.datasets import list_examples
from utils.data.examples import save_examples
from utils.dataset_report.advice import advise
from utils.dataset_report.duplicates import join
from utils.dataset_report.facts import find_differences, score_shortcuts, summarize, summarize_clips
from utils.dataset_report.leaks import (
    draw_clean_split,
    find_split_groups,
    judge_split,
    list_scenes,
    relate,
    suggest_pattern,
)
from utils.dataset_report.plots import draw_plots
from utils.dataset_report.report import make_report
from utils.dataset_report.skimming import skim_examples
from utils.params import Params
from utils.system.commands import run_command
from utils.system.files import atomic_path, write_atomically
from utils.system.words import print_line

import tyro

COLUMNS = "num_frames fps seconds width height codec size brightness motion".split()


@dataclass(frozen=True)
class Options:
    """What is analyzed. Advice is about training with the same values."""

    data_path: tyro.conf.Positional[str]
    """What --data-path of training.py takes: a folder of class folders, a .csv or a UCF101 list."""
    output: str = ""
    """Folder to write to. Empty: weights/analysis/<data>/."""
    video_root: str = Params.video_root
    """Folder that the paths in a .csv or UCF101 list start from. Empty: the folder of the list."""
    group_pattern: str = Params.group_pattern
    """Regular expression that tells which videos belong together, as in training."""
    val_fraction: float = Params.val_fraction
    """Share of the videos that training would use for validation if the data has no split."""
    test_fraction: float = Params.test_fraction
    """Share of the videos that training would use for testing if the data has no split."""
    seed: int = Params.seed
    """Random seed of that split."""
    num_segments: int = Params.num_segments
    """Segments per video in training."""
    frames_per_segment: int = Params.frames_per_segment
    """Frames per segment in training."""
    fps: float = Params.fps
    """Frame rate in training. 0: keep every frame of the file."""
    workers: int = Params.workers
    """Threads that read videos."""

    def __post_init__(self):
        for name in ("num_segments", "frames_per_segment", "workers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        if self.fps < 0:
            raise ValueError(f"fps is {self.fps}; it must be 0 or more.")
        for name in ("val_fraction", "test_fraction"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be in [0, 1).")


def collect_facts(listed, records, problems, pairs, options):
    """Return the facts about the readable videos, ready for JSON.

    Args:
        listed: list of `Example`, the unreadable ones too.
        records: list of `Record`.
        problems: {"broken" and "odd": list of (path, reason)}.
        pairs: list of `Pair` of the records' indices.
        options: `Options`.
    """
    examples = [record.example for record in records]
    labels = sorted({label for example in listed for label in example.labels})
    scenes = list_scenes(examples, pairs)
    roots = join(len(records), [pair.indices for pair in pairs])
    return {
        "data_path": options.data_path,
        "parameters": asdict(options),
        "videos": len(listed),
        "readable": len(records),
        **{
            name: [{"path": path, "reason": reason} for path, reason in rows]
            for name, rows in problems.items()
        },
        "all": summarize(records),
        "classes": {
            label: summarize([r for r in records if label in r.example.labels]) for label in labels
        },
        "pairs": [
            asdict(pair)
            | dict(zip(("first", "second"), (examples[i].path for i in pair.indices), strict=True))
            | {"labels": [examples[i].label for i in pair.indices]}
            for pair in pairs
            if pair.kind != "same scene"
        ],
        "scenes": {"videos": sum(map(len, scenes)), "members": scenes},
        "groups_across_splits": find_split_groups(examples),
        "clips": summarize_clips(
            records, options.num_segments, options.frames_per_segment, options.fps
        ),
        "differences": find_differences(records, labels),
        "shortcut_score": score_shortcuts(records, roots),
        "records": [
            vars(r.example) | {name: getattr(r, name) for name in COLUMNS} for r in records
        ],
    }


def offer_split(examples, pairs, options, folder):
    """Write split.csv, a split that no pair crosses; return what is known of it, or None."""
    fractions = (options.val_fraction, options.test_fraction)
    clean = draw_clean_split(examples, pairs, fractions, options.seed)
    if clean is None:
        return None
    with atomic_path(folder / "split.csv") as temporary:
        save_examples(clean, temporary)
    counts = Counter(example.split for example in clean)
    return {"path": str(folder / "split.csv"), "splits": dict(counts)}


def print_facts(facts):
    """Print the counts and the advice."""
    kinds = Counter(pair["kind"] for pair in facts["pairs"])
    counts = ", ".join(f"{name} {row['videos']}" for name, row in facts["classes"].items())
    print_line(
        f"{facts['readable']} of {facts['videos']} videos can be read: {shorten(counts, 200)}"
    )
    print_line(
        f"{kinds['exact duplicate']} pairs of exact duplicates, {kinds['near-duplicate']} "
        f"pairs of near-duplicates; {facts['scenes']['videos']} videos share one of "
        f"{len(facts['scenes']['members'])} scenes"
    )
    for row in facts["advice"]:
        text = f"{row['level']}: {row['text']}"
        print_line(*wrap(text, 100, subsequent_indent="  ", break_long_words=False))


def analyze_dataset(options):
    """Look at a dataset; write report.html, analysis.json and pictures, and print the advice.

    Args:
        options: `Options`.

    Returns:
        The facts, as in analysis.json.

    Raises:
        ValueError: no such data, as training would say; or no video that can be read.
    """
    listed = list_examples(options.data_path, options.video_root, options.group_pattern)
    folder = Path(
        options.output or Path("weights/analysis", Path(options.data_path).resolve().stem)
    )
    records, broken, odd = skim_examples(listed, options.workers)
    if not records:
        raise ValueError(
            f"None of the {len(listed)} videos can be read, such as {': '.join(broken[0])}"
        )
    examples, pairs = [record.example for record in records], relate(records)
    facts = collect_facts(listed, records, {"broken": broken, "odd": odd}, pairs, options)
    fractions = (options.val_fraction, options.test_fraction)
    facts["split"], splits = judge_split(examples, pairs, fractions, options.seed)
    leaks = facts["split"]["videos"] or facts["groups_across_splits"]
    facts["clean_split"] = offer_split(examples, pairs, options, folder) if leaks else None
    facts["suggested_pattern"] = suggest_pattern(examples, pairs)
    facts["advice"] = advise(facts)
    plots = draw_plots(records)
    for name, content in plots.items():
        with atomic_path(folder / f"{name}.png") as temporary:
            temporary.write_bytes(content)
    write_atomically(folder / "report.html", make_report(facts, records, pairs, splits, plots))
    write_atomically(folder / "analysis.json", json.dumps(facts, indent=1) + "\n")
    print_facts(facts)
    names = ["report.html", "analysis.json", *(f"{name}.png" for name in plots)]
    print_line(
        f"Written to {folder}: {', '.join(names + ['split.csv'] * bool(facts['clean_split']))}"
    )
    return facts


COMMAND = Command(__doc__, Options)

if __name__ == "__main__":
    run_command(lambda: analyze_dataset(COMMAND.parse()))
