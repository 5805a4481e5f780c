"""Score a run's best checkpoint: python evaluate.py weights/<run> [--split test] [flags].

Two classifiers fused: python evaluate.py weights/<run> weights/<other> --fuse.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tasks.classification.scoring import score_videos
from tasks.recognition.scoring import score_sentences
from utils.runs.folders import check_run
from utils.runs.saved_params import load_params
from utils.system.commands import run_command

import tyro

# What a run was trained for: function of the options -> report, and the options that are its own.
TASKS = {
    "classification": (
        score_videos,
        ("eval_clips", "eval_crops", "flow_path", "fuse", "fusion_weight"),
    ),
    "recognition": (score_sentences, ("beam", "worst")),
}


@dataclass(frozen=True)
class Options:
    """Which run is scored, on what, and how."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """The run's folder, weights/<run>; or two to fuse."""
    split: str = ""
    """train, val (or dev) or test; empty: test, or val where there is no test split."""
    data_path: str = ""
    """Other data with the same classes, another corpus; empty: the run's own lists."""
    eval_clips: int = 0
    """Views in time that are averaged; 0: as the run's parameters say."""
    eval_crops: Literal[0, 1, 3] = 0
    """Views in space, 1 or 3; 0: as the run's parameters say."""
    workers: int = 0
    """Threads that read videos; 0: as the run's parameters say."""
    flow_path: str = ""
    """Folder of scripts.extract_flow; empty: as the run's parameters say."""
    features: str = ""
    """For runs on features: those of other data, moved ones, or ones made otherwise; empty: as the
    run's parameters say."""
    beam: int = 1
    """Recognition: prefixes that the search keeps; 1 takes the best class of each step."""
    worst: int = 10
    """Recognition: sentences with most errors whose alignment is shown."""
    fuse: bool = False
    """Add the logits of two runs, by a weight chosen on their validation videos."""
    fusion_weight: float | None = None
    """With --fuse, the second run's weight, 0 to 1, instead of a chosen one; 0.5 is the paper's."""

    def __post_init__(self):
        if self.beam < 1 or self.worst < 0:
            raise ValueError(f"beam is {self.beam}, worst {self.worst}; give 1 and 0 or more.")
        if len(self.runs) != 1 + self.fuse or len(set(self.runs)) < len(self.runs):
            raise ValueError("Give one run, or two and --fuse: python evaluate.py RUN RUN --fuse.")
        if self.fusion_weight is not None and not (self.fuse and 0 <= self.fusion_weight <= 1):
            raise ValueError(
                f"fusion_weight is {self.fusion_weight}; give 0 to 1, together with --fuse."
            )


def evaluate(options):
    """Score a run's best checkpoint, or two runs fused; their folders are all that is needed.

    Args:
        options: `Options`.

    Returns:
        The report that is written to report.json.

    Raises:
        ValueError: no run, no such split, options of another task, or nothing that can be scored.
    """
    run = options.runs[0]
    check_run(run)
    task = load_params(run / "params.json").task
    others = [name for other, (_, own) in TASKS.items() if other != task for name in own]
    defaults = {field.name: field.default for field in dataclasses.fields(Options)}
    for name in others:
        if getattr(options, name) != defaults[name]:
            raise ValueError(f"{name} is {getattr(options, name)}, but {run} is one of {task}.")
    return TASKS[task][0](options)


if __name__ == "__main__":
    run_command(lambda: evaluate(tyro.cli(Options, description=__doc__)))
