"""One HTML file about a dataset: what it holds, what to do about it, its pictures."""

from utils.dataset_report.duplicates import join
from utils.dataset_report.leaks import KINDS, crossing
from utils.dataset_report.plots import PLOTS
from utils.pictures.html import render

MOST_PAIRS = 30  # of each kind that are shown
MOST_PICTURES = 100  # in the classes' galleries together


def _describe(record):
    example = record.example
    return (
        f"{example.path} — {' '.join(filter(None, (example.label, example.split)))}, "
        f"{record.width}x{record.height}, {record.num_frames} frames, {record.fps:.4g}/s"
    )


def _tiles(facts):
    """Return (number, what it counts) of each tile."""
    scenes = facts["scenes"]
    pairs = {kind: sum(pair["kind"] == kind for pair in facts["pairs"]) for kind in KINDS[:2]}
    duration = facts["all"]["properties"]["duration"]
    return (
        (facts["videos"], "videos"),
        (len(facts["classes"]), "classes"),
        (len(facts["broken"]), "broken"),
        (pairs["exact duplicate"], "exact duplicate pairs"),
        (pairs["near-duplicate"], "near-duplicate pairs"),
        (scenes["videos"], f"videos share one of {len(scenes['members'])} scenes"),
        (f"{duration['median']:.3g} s", f"median, {duration['min']:.3g} to {duration['max']:.3g}"),
    )


def _classes(facts):
    """Return the header and the rows of the classes' table."""
    columns = ("duration", "frames", "frame rate", "short side", "brightness", "motion")
    header = ["class", "videos", *(f"{name}, median" for name in columns), "split"]
    rows = []
    for name, row in facts["classes"].items():
        medians = [
            f"{row['properties'][c]['median']:.4g}" if row["videos"] else "" for c in columns
        ]
        splits = [f"{split} {count}" for split, count in row["splits"].items() if split != "none"]
        rows.append([name, row["videos"], *medians, ", ".join(splits) or "not given"])
    return header, rows


def _choose(pairs, kind, across, roots):
    """Return the pairs of a kind, those across splits and the closest first; one for each scene."""
    chosen = [pair for pair in pairs if pair.kind == kind]
    chosen.sort(key=lambda pair: (pair not in across, -pair.similarity))
    if kind == "same scene":
        closest = {}
        for pair in chosen:
            closest.setdefault(roots[pair.first], pair)
        chosen = list(closest.values())
    return chosen


def _pairs(records, pairs, splits):
    """Yield for each kind of pair that there is a heading, and a text and the records of each."""
    across = set(crossing(pairs, splits))
    roots = join(len(records), [pair.indices for pair in pairs])
    for kind in KINDS:
        chosen = _choose(pairs, kind, across, roots)
        if chosen:
            number = sum(pair.kind == kind for pair in pairs)
            shown = min(len(chosen), MOST_PAIRS)
            each = ", one for each scene" if kind == "same scene" else ""
            sides = [
                (
                    f"similarity {pair.similarity:.3f}, in "
                    f"{' and '.join(splits[index] for index in pair.indices)}",
                    [records[index] for index in pair.indices],
                )
                for pair in chosen[:MOST_PAIRS]
            ]
            yield f"{kind.capitalize()}: {number} pairs, {shown} shown{each}", sides


def _gallery(records, names):
    """Yield each class and a few of its videos, evenly spread, as many as there is room for."""
    room = min(4, max(1, MOST_PICTURES // len(names)))
    for name in names[:MOST_PICTURES]:
        inside = [record for record in records if name in record.example.labels]
        yield name, inside[:: max(1, -(-len(inside) // room))][:room]


def make_report(facts, records, pairs, splits, plots):
    """Return the report as one string of HTML.

    Args:
        facts: of `utils.dataset_report.analysis`, its advice included.
        records: list of `Record`.
        pairs: list of `Pair` of their indices.
        splits: the split of each, given or drawn.
        plots: of `draw_plots`.
    """
    return render(
        "dataset.html",
        title=f"Dataset {facts['data_path']}",
        tiles=_tiles(facts),
        advice=facts["advice"],
        classes=_classes(facts),
        plots=[(PLOTS[name][0], plot) for name, plot in plots.items()],
        problems=[(row["path"], row["reason"]) for row in facts["broken"] + facts["odd"]],
        kinds=_pairs(records, pairs, splits),
        gallery=_gallery(records, list(facts["classes"])),
        describe=_describe,
    )
