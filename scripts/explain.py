"""See why a run gives its answer: python -m scripts.explain VIDEO --run weights/<run>.

Writes explanation.html with heat maps over the video, or for sign language with the glosses over
time.
"""

import dataclasses
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it starts from any folder

from models.later import later
from tasks.options import ExplanationOptions
from utils.command_line import Command
from utils.runs.folders import check_run
from utils.runs.saved_params import load_params
from utils.system.commands import run_command
from utils.system.words import print_line

# What a run is: (function of the options -> folder of what is written, options that are its own).
KINDS = {
    "videos": (
        later("tasks.classification.explaining", "explain_video"),
        ("class_name", "method", "endpoint", "block"),
    ),
    "features": (
        later("tasks.classification.explaining", "explain_rows"),
        ("class_name", "method", "features"),
    ),
    "recognition": (
        later("tasks.recognition.explaining", "explain_sentence"),
        ("features", "beam"),
    ),
}


def explain(options):
    """Explain what a run says of a video, on one page, explanation.html.

    Args:
        options: `ExplanationOptions`.

    Raises:
        ValueError: no run, nothing that can be read, or options of another kind of run.
    """
    check_run(options.run)
    if Path(options.video, "params.json").is_file():
        raise ValueError(
            f"{options.video} is a run, not a video. Give the video first: VIDEO --run RUN"
        )
    params = load_params(options.run / "params.json")
    on_features = "features" if params.features else "videos"
    kind = params.task if params.task in KINDS else on_features
    run_one, own = KINDS[kind]
    known = {name for _, names in KINDS.values() for name in names}
    for field in dataclasses.fields(ExplanationOptions):
        given = getattr(options, field.name)
        if field.name in known - set(own) and given != field.default:
            raise ValueError(
                f"{field.name} is {given}, but {options.run} is a run of {kind}. Leave it out."
            )
    folder = run_one(options)
    print_line(f"Written to {folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}")


COMMAND = Command(__doc__, ExplanationOptions)

if __name__ == "__main__":
    run_command(lambda: explain(COMMAND.parse()))
