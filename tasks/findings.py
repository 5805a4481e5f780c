"""What was found in many videos: a line each, a summary, tables, and JSON."""

import json
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from utils.system.files import whole_path, write_atomically
from utils.system.tables import write_csv
from utils.system.words import list_some

_LISTED = 10  # classes of a summary


def describe(prediction):
    """Return a `Prediction` as a dict for JSON, without the steps."""
    intervals = [
        {**each._asdict(), "start": round(each.start, 3), "end": round(each.end, 3)}
        for each in prediction.intervals
    ]
    return {
        "video": prediction.video,
        "duration": round(prediction.duration, 3),
        "labels": prediction.labels,
        "top": [{"label": label, "probability": p} for label, p in prediction.top],
        "intervals": intervals,
        "note": prediction.note,
    }


def name_tables(path):
    """Return the paths of the table of videos and of that of intervals.

    Args:
        path: of the first, or a folder for both.
    """
    path = Path(path)
    if path.suffix == ".csv":
        return path, path.with_name(f"{path.stem}_intervals.csv")
    return path / "predictions.csv", path / "intervals.csv"


@dataclass
class Findings:
    """What was found in videos so far.

    Args:
        classes: names of a classifier's classes; none of a recognizer.
        trained: real paths of the videos that the network was trained on.

    Attributes:
        found: [dict of `describe`].
        shares: of each of them the probability of each class; empty for glosses.
        failed: {path: why}.
    """

    classes: list
    trained: set
    found: list = field(default_factory=list)
    shares: list = field(default_factory=list)
    failed: dict = field(default_factory=dict)

    def add(self, prediction):
        """Take a `Prediction`."""
        self.found.append(describe(prediction))
        self.shares.append(prediction.whole if self.classes else [])

    def find_label(self, video):
        """Return the class that the folder of a video names, or ""."""
        name = Path(whole_path(video)).parent.name
        return name if name in self.classes else ""

    def summarize(self):
        """Return lines: how many videos of which class, and how many folders agree."""
        lines = [f"{len(self.found)} videos"]
        if not self.classes:
            return lines
        counts = Counter(label for each in self.found for label in each["labels"])
        told = list_some((f"{count} {label}" for label, count in counts.most_common()), _LISTED)
        lines = [f"{len(self.found)} videos: {told or 'none of a known class'}"]
        own = [each for each in self.found if self.find_label(each["video"])]
        if own:
            right = sum(self.find_label(each["video"]) in each["labels"] for each in own)
            lines.append(
                f"{right} of {len(own)} have the class that their folder names "
                f"(accuracy {right / len(own):.3f})"
            )
            seen = sum(os.path.realpath(each["video"]) in self.trained for each in own)
            if seen:
                lines.append(
                    f"The network was trained on {seen} of these videos, so it may do worse on "
                    "new ones"
                )
        return lines

    def save_tables(self, path):
        """Write a table with a row a video, and one with a row an interval.

        Args:
            path: as `name_tables` takes it.
        """
        videos, intervals = name_tables(path)
        rows = (
            (
                each["video"],
                self.find_label(each["video"]),
                ";".join(each["labels"]) if self.classes else " ".join(each["labels"]),
                *(f"{top['probability']:.6f}" for top in each["top"][:1]),
                f"{each['duration']:.3f}",
                *(f"{share:.6f}" for share in shares),
            )
            for each, shares in zip(self.found, self.shares, strict=True)
        )
        score = ("score",) if self.classes else ()
        write_csv(videos, ("video", "label", "predicted", *score, "seconds", *self.classes), rows)
        rows = (
            (
                each["video"],
                f"{one['start']:.3f}",
                f"{one['end']:.3f}",
                one["label"],
                f"{one['score']:.6f}",
            )
            for each in self.found
            for one in each["intervals"]
        )
        write_csv(intervals, ("video", "start", "end", "label", "score"), rows)

    def save_json(self, path, run):
        """Write all as JSON.

        Args:
            path: of the file.
            run: folder of the run, or None.
        """
        run = None if run is None else str(run)
        failures = [{"video": path, "reason": why} for path, why in self.failed.items()]
        whole = {"run": run, "videos": self.found, "failed": failures}
        write_atomically(path, json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
