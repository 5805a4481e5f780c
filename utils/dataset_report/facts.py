"""A dataset in numbers: classes, properties, formats, the clips it gives, ways to cheat."""

from collections import Counter
from pathlib import Path

from utils.video.resampling import count_slots

import numpy as np

# Property: (unit, from a record to a number).
PROPERTIES = {
    "duration": ("seconds", lambda record: record.seconds),
    "frames": ("frames", lambda record: record.num_frames),
    "frame rate": ("frames/s", lambda record: record.fps),
    "short side": ("pixels", lambda record: min(record.width, record.height)),
    "bit rate": ("kbit/s", lambda record: 0.008 * record.size / record.seconds),
    "brightness": ("mean luma, 0 to 255", lambda record: record.brightness),
    "motion": ("gray levels between neighboring frames", lambda record: record.motion),
}
# Format: from a record to a name.
FORMATS = {
    "resolution": lambda record: f"{record.width}x{record.height}",
    "frame rate": lambda record: f"{record.fps:.4g}",
    "codec": lambda record: record.codec,
    "container": lambda record: Path(record.path).suffix.lower(),
}
MEASURED = ("bit rate", "motion")  # what a class may rightly differ in
FEWEST = 10  # videos of a class, and of the others, that a difference is looked for in


def measure(records, name):
    """Return the values of a property, one a record."""
    return np.array([PROPERTIES[name][1](record) for record in records])


def summarize(records):
    """Return {"videos", "splits", "properties", "formats"} of records, ready for JSON."""
    splits = Counter(record.example.split or "none" for record in records)
    properties = {}
    for name in PROPERTIES if records else ():
        values = measure(records, name)
        quantiles = np.quantile(values, [0, 0.1, 0.5, 0.9, 1]).round(3).tolist()
        columns = ("min", "p10", "median", "p90", "max")
        properties[name] = dict(zip(columns, quantiles, strict=True))
        properties[name]["mean"] = round(float(values.mean()), 3)
    formats = {name: dict(Counter(map(of, records)).most_common()) for name, of in FORMATS.items()}
    return {
        "videos": len(records),
        "splits": dict(splits),
        "properties": properties,
        "formats": formats,
    }


def members(records, label):
    """Return which records have a label, as a boolean array."""
    return np.array([label in record.example.labels for record in records], bool)


def summarize_clips(records, segments, length, fps):
    """Count the videos that are too short for what training samples of them.

    Args:
        records: list of `Record`.
        segments, length: segments per video, frames per segment.
        fps: frames per second after resampling; 0: the file's own.

    Returns:
        Dict: "looped" videos have fewer frames than one segment, "overlapping" fewer than all
        segments together (the looped included); "fitting_segments" and "fitting_length" are what
        nine in ten videos have room for; "median" and "p10" are resampled frames.
    """
    frames = np.array([count_slots(r.seconds, fps) if fps else r.num_frames for r in records], int)
    p10 = int(np.quantile(frames, 0.1))
    return {
        "looped": int((frames < length).sum()),
        "overlapping": int((frames < segments * length).sum()),
        "median": float(np.median(frames)),
        "p10": p10,
        "fitting_segments": max(1, p10 // length),
        "fitting_length": min(length, max(8, p10)),
    }


def _differing_properties(records, inside):
    from sklearn.metrics import roc_auc_score  # slow, and data that are not there need none

    for name, (unit, _) in PROPERTIES.items():
        values = measure(records, name)
        area = roc_auc_score(inside, values)
        if max(area, 1 - area) >= 0.8:
            medians = [round(float(np.median(values[side])), 2) for side in (inside, ~inside)]
            yield {"what": name, "unit": unit, "area": round(float(area), 3), "medians": medians}


def _differing_formats(records, inside):
    for name, of in FORMATS.items():
        values = np.array([of(record) for record in records])
        shares = {
            value: [float(np.mean(values[side] == value)) for side in (inside, ~inside)]
            for value in set(values.tolist())
        }
        value = max(shares, key=lambda value: abs(shares[value][0] - shares[value][1]))
        if abs(shares[value][0] - shares[value][1]) >= 0.5:
            yield {"what": name, "value": value, "shares": [round(s, 3) for s in shares[value]]}


def find_differences(records, labels):
    """Return what tells a class from the others without a look at the action.

    Returns:
        List of dicts: "label" and "what"; for a property "area" under the ROC curve (0.8 or more,
        or 0.2 or less) and "medians" inside and outside the class; for a format "value" and its
        "shares" inside and outside (half of all, or more, apart). Classes with few videos are
        left out; of two classes, the second.
    """
    rows = []
    for label in labels[: 1 if len(labels) == 2 else None]:
        inside = members(records, label)
        if min(inside.sum(), (~inside).sum()) >= FEWEST:
            found = [*_differing_properties(records, inside), *_differing_formats(records, inside)]
            rows += [{"label": label, **row} for row in found]
    return rows


def score_shortcuts(records, groups):
    """Return how well classes are told from the files' properties and brightness alone.

    A decision tree of depth four (5-fold, groups held together) sees `PROPERTIES` that the
    action does not change, the width, height and codec; no picture.

    Args:
        records: list of `Record`; only those of one label are used.
        groups: one a record.

    Returns:
        {"accuracy", "chance"}, balanced over classes; None where a class has fewer than ten.
    """
    chosen = [i for i, record in enumerate(records) if len(record.example.labels) == 1]
    records = [records[i] for i in chosen]
    counts = Counter(record.example.labels[0] for record in records)
    if len(counts) < 2 or min(counts.values()) < FEWEST:
        return None
    classes, codecs = sorted(counts), sorted({record.codec for record in records})
    columns = [measure(records, name) for name in PROPERTIES if name not in MEASURED]
    columns += [[r.width for r in records], [r.height for r in records]]
    columns += [[codecs.index(record.codec) for record in records]]
    truth = np.array([classes.index(record.example.labels[0]) for record in records])
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(max_depth=4, class_weight="balanced", random_state=0)
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    held = [groups[i] for i in chosen]
    if len(set(held)) < 5:
        return None
    guess = cross_val_predict(tree, np.column_stack(columns), truth, groups=held, cv=folds)
    recalls = [np.mean(guess[truth == index] == index) for index in range(len(classes))]
    return {"accuracy": round(float(np.mean(recalls)), 3), "chance": round(1 / len(classes), 3)}
