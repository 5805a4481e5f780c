"""A dataset looked at before training: facts, advice, and a report of both."""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from textwrap import shorten, wrap

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
from utils.places import WEIGHTS
from utils.system.files import atomic_path, write_atomically
from utils.system.words import print_line

COLUMNS = "num_frames fps seconds width height codec size brightness motion".split()


def collect_facts(listed, records, problems, pairs, options):
    """Return the facts about the readable videos, ready for JSON.

    Args:
        listed: list of `Example`, the unreadable ones too.
        records: list of `Record`.
        problems: {"broken" and "odd": list of (path, reason)}.
        pairs: list of `Pair` of the records' indices.
        options: `scripts.analyze_dataset.Options`.
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
        options: `scripts.analyze_dataset.Options`.

    Returns:
        The facts, as in analysis.json.

    Raises:
        ValueError: no such data, as training would say; or no video that can be read.
    """
    listed = list_examples(options.data_path, options.video_root, options.group_pattern)
    folder = Path(
        options.output or Path(WEIGHTS, "analysis", Path(options.data_path).resolve().stem)
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
