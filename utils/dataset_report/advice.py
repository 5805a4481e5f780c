"""What to do about a dataset, in words: rules over the facts of `scripts/analyze_dataset.py`.

A rule takes the facts and yields (level, text): "fix" for what spoils training or its score,
"check" for what deserves a look, "note" for what is good to know.
"""

from utils.data.examples import SPLITS
from utils.dataset_report.facts import MEASURED
from utils.system.words import list_some

LEVELS = ("fix", "check", "note")
SMALL = 20  # training videos of a class
UNEVEN = 2.0  # largest class over smallest
LONG_SHAPE = 2.1  # longer side over shorter
TINY = 112  # pixels of the short side


def _count(number, noun="video"):
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _is_conflict(pair):
    return not set(pair["labels"][0].split(";")) & set(pair["labels"][1].split(";"))


def advise_broken(facts):
    """Name files that cannot be read, or not to their end."""
    if broken := facts["broken"]:
        reasons = [f"{row['path']}: {row['reason']}" for row in broken]
        yield (
            "fix",
            f"{_count(len(broken))} of {facts['videos']} cannot be read and will not be trained "
            f"on. Copy or download them again, or delete them: {list_some(reasons, 3)}",
        )
    if odd := facts["odd"]:
        yield (
            "check",
            f"{_count(len(odd))} may be cut off: {list_some(row['path'] for row in odd)}. Training "
            "uses the frames that decode; copy or re-encode them (ffmpeg -i OLD NEW.mp4).",
        )


def advise_copies(facts):
    """Name exact and near copies, those with different labels first."""
    for kind, what in (("exact duplicate", "the same file"), ("near-duplicate", "the same video")):
        pairs = [pair for pair in facts["pairs"] if pair["kind"] == kind]
        shown = ["{first} ({labels[0]}) = {second} ({labels[1]})".format(**pair) for pair in pairs]
        wrong = [text for text, pair in zip(shown, pairs, strict=True) if _is_conflict(pair)]
        if wrong:
            yield (
                "fix",
                f"{_count(len(wrong), 'pair')} of {what} with different labels; one label is "
                f"wrong: {list_some(wrong, 3)}",
            )
        if pairs:
            yield (
                "check",
                f"{_count(len(pairs), 'pair')} of {what} ({kind}); keep one of each, a copy only "
                f"counts twice: {list_some(shown, 3)}",
            )


def advise_leak(facts):
    """Tell how much of what is held out has a copy or its scene in training, and the remedy."""
    split, clean = facts["split"], facts["clean_split"]
    if split.get("error"):
        yield "fix", f"No split can be drawn: {split['error']}"
    if not split["videos"]:
        return
    whose = "The given split" if split["given"] else "A random split, as training draws it,"
    kinds = ", ".join(f"{kind} {count}" for kind, count in split["pairs"].items() if count)
    text = (
        f"{whose} leaks: {split['videos']} of {split['held_out']} held-out videos have a copy or "
        f"another clip of their scene in training (pairs across splits: {kinds}), so scores come "
        "out too good. "
    )
    if facts["suggested_pattern"]:
        what, pattern = facts["suggested_pattern"]
        text += f"The names tell ({what}): give --group-pattern '{pattern}'. "
    if split["remove"]:
        text += f"Take out {_count(len(split['remove']))} of training (split.remove in the JSON). "
    if clean:
        text += f"A split without it has been drawn: --data-path {clean['path']}"
    else:
        text += "Everything hangs together, so no clean split can be drawn: more scenes are needed."
    yield "fix", text


def advise_groups(facts):
    """Name groups that a given split tears apart."""
    if groups := facts["groups_across_splits"]:
        shown = [
            f"{group} ({', '.join(f'{split} {count}' for split, count in counts.items())})"
            for group, counts in groups.items()
        ]
        yield (
            "fix",
            f"In several splits: {_count(len(groups), 'group')} of file names, {list_some(shown)}. "
            "Move each into one split or, if the names mean nothing, give another --group-pattern.",
        )


def advise_classes(facts):
    """Name small and missing classes, and an imbalance."""
    rows, given = facts["classes"], facts["split"]["given"]
    trained = {
        name: row["splits"].get("train", 0) if given else row["videos"]
        for name, row in rows.items()
    }
    if small := {name: count for name, count in trained.items() if count < SMALL}:
        shown = [f"{name} {count}" for name, count in sorted(small.items(), key=lambda x: x[1])]
        yield (
            "fix" if min(small.values()) < 2 else "check",
            f"{len(small)} of {len(rows)} classes have fewer than {SMALL} training videos: "
            f"{list_some(shown, 8)}. Add videos or join classes; until then --feature-views 4, "
            "--dropout 0.8 and cross-validation, as one split says little.",
        )
    low, high = min(trained, key=trained.get), max(trained, key=trained.get)
    if trained[high] >= UNEVEN * max(trained[low], 1):
        yield (
            "check",
            f"Uneven: {high} has {trained[high]} training videos, {low} {trained[low]}. Try "
            "--balance weights or --balance sampling, and judge by F1, not accuracy.",
        )
    for split in SPLITS if given else ():
        missing = [name for name, row in rows.items() if not row["splits"].get(split)]
        if missing and len(missing) < len(rows):
            yield "fix", f"No {split} video of: {list_some(missing)}."


def advise_clips(facts):
    """Tell how many videos are shorter than the clips asked for, and which flags would fit."""
    clips, asked, total = facts["clips"], facts["parameters"], facts["readable"]
    length, segments = asked["frames_per_segment"], asked["num_segments"]
    if clips["looped"]:
        yield (
            "check" if clips["looped"] > total / 10 else "note",
            f"{clips['looped']} of {total} videos are shorter than a segment of {length} frames "
            f"and will be looped; nine in ten have {clips['p10']} frames or more. "
            f"--frames-per-segment {clips['fitting_length']} fits.",
        )
    if clips["overlapping"] > max(total / 10, clips["looped"]):
        yield (
            "note",
            f"In {clips['overlapping']} of {total} videos the {segments} segments of {length} "
            f"frames overlap (median {clips['median']:g} frames): the same frames are read "
            f"repeatedly. --num-segments {clips['fitting_segments']} fits nine in ten.",
        )


def advise_rates(facts):
    """Tell what resampling does to mixed frame rates."""
    rates, fps = facts["all"]["formats"]["frame rate"], facts["parameters"]["fps"]
    if len(rates) < 2:
        return
    low, high = min(map(float, rates)), max(map(float, rates))
    if not fps:
        yield "fix", f"Frame rates differ, {low:g} to {high:g}; --fps 0 would mix speeds: --fps 25."
    elif low < 0.8 * fps:
        slow = sum(count for rate, count in rates.items() if float(rate) < 0.8 * fps)
        yield (
            "note",
            f"Frame rates differ, {low:g} to {high:g}. --fps {fps:g} evens them out, but repeats "
            f"frames in the {_count(slow)} below {0.8 * fps:g}; stutter could give a class away.",
        )


def advise_sizes(facts):
    """Name tiny and oddly shaped videos."""
    rows = facts["records"]
    mixed = any(row["width"] >= row["height"] for row in rows)
    shapes = (
        (f"with a short side under {TINY} pixels", lambda low, high, row: low < TINY),
        (
            f"over {LONG_SHAPE} times as long as wide (the crop loses half)",
            lambda low, high, row: high > LONG_SHAPE * low,
        ),
        (
            "in portrait among landscape",
            lambda low, high, row: mixed and row["height"] == high > low,
        ),
    )
    for what, is_odd in shapes:
        sides = [(*sorted((row["width"], row["height"])), row) for row in rows]
        odd = [row for low, high, row in sides if is_odd(low, high, row)]
        if odd:
            shown = [f"{row['path']} ({row['width']}x{row['height']})" for row in odd]
            yield "check", f"{_count(len(odd))} {what}: {list_some(shown, 3)}"


def advise_still(facts):
    """Name videos that are black or do not move."""
    black = [row["path"] for row in facts["records"] if row["brightness"] < 8]
    still = [row["path"] for row in facts["records"] if row["motion"] < 0.02]
    for paths, what in ((black, "Black"), (still, "Nothing moves")):
        if paths:
            yield "check", f"{what} in {_count(len(paths))}, have a look: {list_some(paths)}"


def _contrast(row):
    label, inside, outside = row["label"], *row.get("medians", row.get("shares"))
    if "value" in row:
        return f"{label} ({inside:.0%} are {row['value']}, of the others {outside:.0%})"
    area = max(row["area"], 1 - row["area"])
    return f"{label} (median {inside:g}, of the others {outside:g} {row['unit']}; AUC {area:.2f})"


def advise_shortcuts(facts):
    """Tell which classes differ in what is not the action."""
    for what in dict.fromkeys(row["what"] for row in facts["differences"]):
        rows = [row for row in facts["differences"] if row["what"] == what]
        classes = list_some(map(_contrast, rows), 4)
        if what in MEASURED:
            yield "note", f"The {what} tells classes apart; it may be the action: {classes}."
        else:
            yield (
                "check",
                f"The {what} tells classes apart, and a network could learn it instead of the "
                f"action; convert all videos alike, or test where it does not hold: {classes}.",
            )
    if (score := facts["shortcut_score"]) and (
        score["accuracy"] > score["chance"] + 0.3 * (1 - score["chance"])
    ):
        yield (
            "check",
            f"File properties and brightness alone, no picture, tell the classes with "
            f"{score['accuracy']:.0%} (chance {score['chance']:.0%}; scenes held apart): a network "
            "must do clearly better than that.",
        )


ADVICE = (
    advise_broken,
    advise_leak,
    advise_groups,
    advise_copies,
    advise_classes,
    advise_clips,
    advise_rates,
    advise_sizes,
    advise_still,
    advise_shortcuts,
)


def advise(facts):
    """Return [{"level", "text"}] of all `ADVICE`, what to fix first."""
    found = [(level, text) for rule in ADVICE for level, text in rule(facts)]
    found.sort(key=lambda row: LEVELS.index(row[0]))
    return [{"level": level, "text": text} for level, text in found]
