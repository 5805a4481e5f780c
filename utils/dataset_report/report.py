"""One HTML file about a dataset: what it holds, what to do about it, its pictures."""

from html import escape

from utils.dataset_report.duplicates import join
from utils.dataset_report.leaks import KINDS, crossing
from utils.dataset_report.plots import PLOTS
from utils.pictures.html import embed_picture, make_page, make_table

MOST_PAIRS = 30  # of each kind that are shown
MOST_PICTURES = 100  # in the classes' galleries together


def _figure(record):
    example = record.example
    what = (
        f"{example.path} — {' '.join(filter(None, (example.label, example.split)))}, "
        f"{record.width}x{record.height}, {record.num_frames} frames, {record.fps:.4g}/s"
    )
    picture = embed_picture(record.picture, "jpeg", example.path)
    return f"<figure>{picture}<figcaption>{escape(what)}</figcaption></figure>"


def _tiles(facts):
    scenes = facts["scenes"]
    pairs = {kind: sum(pair["kind"] == kind for pair in facts["pairs"]) for kind in KINDS[:2]}
    duration = facts["all"]["properties"]["duration"]
    tiles = (
        (facts["videos"], "videos"),
        (len(facts["classes"]), "classes"),
        (len(facts["broken"]), "broken"),
        (pairs["exact duplicate"], "exact duplicate pairs"),
        (pairs["near-duplicate"], "near-duplicate pairs"),
        (scenes["videos"], f"videos share one of {len(scenes['members'])} scenes"),
        (f"{duration['median']:.3g} s", f"median, {duration['min']:.3g} to {duration['max']:.3g}"),
    )
    inner = "".join(f'<div class="tile"><b>{n}</b>{escape(what)}</div>' for n, what in tiles)
    return f'<div class="tiles">{inner}</div>'


def _classes(facts):
    columns = ("duration", "frames", "frame rate", "short side", "brightness", "motion")
    header = ["class", "videos", *(f"{name}, median" for name in columns), "split"]
    rows = []
    for name, row in facts["classes"].items():
        medians = [
            f"{row['properties'][c]['median']:.4g}" if row["videos"] else "" for c in columns
        ]
        splits = [f"{split} {count}" for split, count in row["splits"].items() if split != "none"]
        rows.append([name, row["videos"], *medians, ", ".join(splits) or "not given"])
    return make_table(header, rows)


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
    """Yield sections of pictures, one for each kind of pair that there is."""
    across = set(crossing(pairs, splits))
    roots = join(len(records), [pair.indices for pair in pairs])
    for kind in KINDS:
        chosen = _choose(pairs, kind, across, roots)
        if chosen:
            number = sum(pair.kind == kind for pair in pairs)
            shown = min(len(chosen), MOST_PAIRS)
            each = ", one of each scene" if kind == "same scene" else ""
            yield f"<h2>{kind.capitalize()}: {number} pairs, {shown} shown{each}</h2>"
        for pair in chosen[:MOST_PAIRS]:
            sides = " and ".join(splits[index] for index in pair.indices)
            text = f"similarity {pair.similarity:.3f}, in {sides}"
            figures = "".join(_figure(records[index]) for index in pair.indices)
            yield f'<div class="pair"><p>{escape(text)}</p>{figures}</div>'


def _gallery(records, names):
    """Yield the first, middle and last videos of each class, as many as there is room for."""
    room = min(4, max(1, MOST_PICTURES // len(names)))
    for name in names[:MOST_PICTURES]:
        inside = [record for record in records if name in record.example.labels]
        chosen = inside[:: max(1, -(-len(inside) // room))][:room]
        yield f'<h3>{escape(name)}</h3><div class="gallery">{"".join(map(_figure, chosen))}</div>'


def make_report(facts, records, pairs, splits, plots):
    """Return the report as one string of HTML.

    Args:
        facts: of `scripts/analyze_dataset.py`, its advice included.
        records: list of `Record`.
        pairs: list of `Pair` of their indices.
        splits: the split of each, given or drawn.
        plots: of `draw_plots`.
    """
    title = f"Dataset {facts['data_path']}"
    advice = "".join(
        f'<div class="advice {row["level"]}"><b>{row["level"]}</b> {escape(row["text"])}</div>'
        for row in facts["advice"]
    )
    shown = "".join(
        f"<h3>{escape(PLOTS[name][0])}</h3>{embed_picture(plot, 'png', PLOTS[name][0], 'plot')}"
        for name, plot in plots.items()
    )
    problems = [(row["path"], row["reason"]) for row in facts["broken"] + facts["odd"]]
    parts = [
        "<p>Frame counts, rates and codecs are the headers'; the rest is measured on 16 pairs of "
        "neighboring frames of each video. All numbers: analysis.json.</p>",
        _tiles(facts),
        "<h2>What to do</h2>",
        advice or "<p>Nothing was found.</p>",
        "<h2>Classes</h2>",
        _classes(facts),
        shown,
        *(
            ["<h2>Broken or odd files</h2>", make_table(("file", "why"), problems)]
            if problems
            else []
        ),
        *_pairs(records, pairs, splits),
        "<h2>Videos of each class</h2>",
        *_gallery(records, list(facts["classes"])),
    ]
    return make_page(title, parts)
