"""Score a run on its test or validation videos: python evaluate.py weights/<run> [--split test].

Two runs are fused by: python evaluate.py weights/<run> weights/<other run> --fuse.
"""

import dataclasses

from models.later import later
from tasks.options import EvaluationOptions
from utils.command_line import Command
from utils.runs.folders import check_run
from utils.runs.saved_params import load_params
from utils.system.commands import run_command

# What a run was trained for: function of the options -> report, and the options that are its own.
TASKS = {
    "classification": (
        later("tasks.classification.scoring", "score_videos"),
        ("eval_clips", "eval_crops", "flow_path", "fuse", "fusion_weight"),
    ),
    "recognition": (later("tasks.recognition.scoring", "score_sentences"), ("beam", "worst")),
}


def evaluate(options):
    """Score a run's best checkpoint, or two runs fused; their folders are all that is needed.

    Args:
        options: `EvaluationOptions`.

    Returns:
        The report that is written to report.json.

    Raises:
        ValueError: no run, no such split, options of another task, or nothing that can be scored.
    """
    run = options.runs[0]
    check_run(run)
    task = load_params(run / "params.json").task
    others = [name for other, (_, own) in TASKS.items() if other != task for name in own]
    defaults = {field.name: field.default for field in dataclasses.fields(EvaluationOptions)}
    for name in others:
        if getattr(options, name) != defaults[name]:
            raise ValueError(
                f"{name} is {getattr(options, name)}, but {run} is a run of {task}. Leave it out."
            )
    return TASKS[task][0](options)


COMMAND = Command(__doc__, EvaluationOptions)

if __name__ == "__main__":
    run_command(lambda: evaluate(COMMAND.parse()))
