"""What to do about a dataset, in words: rules over the facts of `utils.dataset_report.analysis`.

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
    """Name files that cannot be read, or that end too early."""
    if broken := facts["broken"]:
        reasons = [f"{row['path']}: {row['reason']}" for row in broken]
        yield (
            "fix",
            f"{_count(len(broken))} of {facts['videos']} cannot be read, so training "
            "leaves them out. Copy or download them again, or delete them: "
            f"{list_some(reasons, 3)}",
        )
    if odd := facts["odd"]:
        yield (
            "check",
            f"{_count(len(odd))} may be cut off: {list_some(row['path'] for row in odd)}. "
            "Training uses the frames that can be decoded. Copy the files again, or "
            "re-encode them (ffmpeg -i OLD NEW.mp4).",
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
                f"{_count(len(wrong), 'pair')} of {what} with different labels. One label "
                f"of each pair must be wrong: {list_some(wrong, 3)}",
            )
        if pairs:
            yield (
                "check",
                f"{_count(len(pairs), 'pair')} of {what} ({kind}). Keep one video of each "
                f"pair, because a copy makes it count twice: {list_some(shown, 3)}",
            )


def advise_leak(facts):
    """Say how many held-out videos have a copy or their scene in training, and what to do."""
    split, clean = facts["split"], facts["clean_split"]
    if split.get("error"):
        yield "fix", f"No split can be made: {split['error']}"
    if not split["videos"]:
        return
    whose = "The given split" if split["given"] else "A random split, as training draws it,"
    kinds = ", ".join(f"{kind} {count}" for kind, count in split["pairs"].items() if count)
    text = (
        f"{whose} leaks: {split['videos']} of {split['held_out']} held-out videos have a "
        f"copy or another clip of their scene in training (pairs across splits: {kinds}). "
        "Scores on them will be too high. "
    )
    if facts["suggested_pattern"]:
        what, pattern = facts["suggested_pattern"]
        text += (
            f"The file names show which videos belong together ({what}): give --group-pattern "
            f"'{pattern}'. "
        )
    if split["remove"]:
        text += (
            f"Remove {_count(len(split['remove']))} from training; split.remove in "
            "analysis.json lists them. "
        )
    if clean:
        text += f"A split without leaks has been written: train with --data-path {clean['path']}"
    else:
        text += (
            "All videos are linked by copies or scenes, so no split without leaks is "
            "possible. Add videos of other scenes."
        )
    yield "fix", text


def advise_groups(facts):
    """Name groups that a given split separates."""
    if groups := facts["groups_across_splits"]:
        shown = [
            f"{group} ({', '.join(f'{split} {count}' for split, count in counts.items())})"
            for group, counts in groups.items()
        ]
        yield (
            "fix",
            f"{_count(len(groups), 'group')} of videos (by file name) in more than one "
            f"split: {list_some(shown)}. Move each group into one split. If the names do "
            "not mean groups, give another --group-pattern.",
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
            f"{list_some(shown, 8)}. Add videos or merge classes. Until then, train with "
            "--feature-views 4 and --dropout 0.8, and use cross-validation: the score of "
            "a single split is not reliable.",
        )
    low, high = min(trained, key=trained.get), max(trained, key=trained.get)
    if trained[high] >= UNEVEN * max(trained[low], 1):
        yield (
            "check",
            f"The classes are imbalanced: {high} has {trained[high]} training videos, "
            f"{low} has {trained[low]}. Try --balance weights or --balance sampling, and "
            "compare runs by F1 instead of accuracy.",
        )
    for split in SPLITS if given else ():
        missing = [name for name, row in rows.items() if not row["splits"].get(split)]
        if missing and len(missing) < len(rows):
            yield "fix", f"These classes have no {split} video: {list_some(missing)}."


def advise_clips(facts):
    """Say how many videos are shorter than the clips asked for, and which flags would fit."""
    clips, asked, total = facts["clips"], facts["parameters"], facts["readable"]
    length, segments = asked["frames_per_segment"], asked["num_segments"]
    if clips["looped"]:
        yield (
            "check" if clips["looped"] > total / 10 else "note",
            f"{clips['looped']} of {total} videos are shorter than a segment of {length} "
            "frames, so their frames are repeated. Nine of ten videos have at least "
            f"{clips['p10']} frames: --frames-per-segment {clips['fitting_length']} fits "
            "them.",
        )
    if clips["overlapping"] > max(total / 10, clips["looped"]):
        yield (
            "note",
            f"In {clips['overlapping']} of {total} videos the {segments} segments of "
            f"{length} frames overlap (the median is {clips['median']:g} frames), so the "
            "same frames are read more than once. --num-segments "
            f"{clips['fitting_segments']} fits nine of ten videos.",
        )


def advise_rates(facts):
    """Say what resampling does to mixed frame rates."""
    rates, fps = facts["all"]["formats"]["frame rate"], facts["parameters"]["fps"]
    if len(rates) < 2:
        return
    low, high = min(map(float, rates)), max(map(float, rates))
    if not fps:
        yield (
            "fix",
            f"Frame rates differ ({low:g} to {high:g}). With --fps 0 the network would see "
            "motion at different speeds; give --fps 25.",
        )
    elif low < 0.8 * fps:
        slow = sum(count for rate, count in rates.items() if float(rate) < 0.8 * fps)
        yield (
            "note",
            f"Frame rates differ ({low:g} to {high:g}). --fps {fps:g} makes them equal, "
            f"but repeats frames in the {_count(slow)} below {0.8 * fps:g}. The network "
            "could recognize a class by this stutter.",
        )


def advise_sizes(facts):
    """Name tiny and oddly shaped videos."""
    rows = facts["records"]
    mixed = any(row["width"] >= row["height"] for row in rows)
    shapes = (
        (f"with a short side below {TINY} pixels", lambda low, high, row: low < TINY),
        (
            f"with one side more than {LONG_SHAPE} times the other (the crop loses half of "
            "the frame)",
            lambda low, high, row: high > LONG_SHAPE * low,
        ),
        (
            "in portrait format, among others in landscape format",
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
    for paths, what in ((black, "Nearly black"), (still, "No motion")):
        if paths:
            yield "check", f"{what}: {_count(len(paths))}. Check them: {list_some(paths)}"


def _contrast(row):
    label, inside, outside = row["label"], *row.get("medians", row.get("shares"))
    if "value" in row:
        return f"{label} ({inside:.0%} are {row['value']}, {outside:.0%} of the others)"
    area = max(row["area"], 1 - row["area"])
    return f"{label} (median {inside:g} {row['unit']}, of the others {outside:g}; AUC {area:.2f})"


def advise_shortcuts(facts):
    """Say which classes differ in something other than the action."""
    for what in dict.fromkeys(row["what"] for row in facts["differences"]):
        rows = [row for row in facts["differences"] if row["what"] == what]
        classes = list_some(map(_contrast, rows), 4)
        if what in MEASURED:
            yield (
                "note",
                f"The {what} differs between classes, which may come from the action itself: "
                f"{classes}.",
            )
        else:
            yield (
                "check",
                f"The {what} differs between classes, and a network could learn it instead "
                "of the action. Convert all videos the same way, or test on videos "
                f"without this difference: {classes}.",
            )
    if (score := facts["shortcut_score"]) and (
        score["accuracy"] > score["chance"] + 0.3 * (1 - score["chance"])
    ):
        yield (
            "check",
            "File properties and brightness alone, without any picture, predict the class "
            f"with {score['accuracy']:.0%} accuracy (chance: {score['chance']:.0%}; scenes "
            "kept apart). A network should do clearly better than that.",
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
