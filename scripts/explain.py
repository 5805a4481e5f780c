"""See why a run says what it says: python -m scripts.explain VIDEO --run weights/<run>."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tasks.classification.explaining import explain_rows, explain_video
from tasks.recognition.explaining import explain_sentence
from utils.runs.folders import check_run
from utils.runs.saved_params import load_params
from utils.system.commands import run_command

import tyro

# What a run is: (function of the options -> folder of what is written, options that are its own).
KINDS = {
    "videos": (explain_video, ("class_name", "method", "endpoint", "block")),
    "features": (explain_rows, ("class_name", "method", "features")),
    "recognition": (explain_sentence, ("features", "beam")),
}


@dataclass(frozen=True)
class Options:
    """What is explained, of which run, and how."""

    video: tyro.conf.Positional[str]
    """A video file or a folder of numbered images. For runs on features the video need not be
    there, and may be a file of features; for recognition it may be a sentence's id. Of recognition
    through a backbone the video itself is read."""
    run: Path
    """The run's folder, weights/<run>."""
    class_name: Annotated[str, tyro.conf.arg(name="class")] = ""
    """The class to explain; empty: the most probable."""
    method: str = ""
    """grad_cam (networks with a backbone), integrated_gradients (without), rollout (attention, of
    no class in particular) or occlusion (on features); empty: the first of these that fits."""
    endpoint: str = ""
    """Stage of the backbone where Grad-CAM looks, such as Mixed_4f; earlier ones see less, but
    finer. Empty: the last."""
    block: int = 0
    """Of a Transformer, whose attention is drawn too; 0: the last."""
    features: str = ""
    """For runs on features: other ones; empty: as the run's parameters say."""
    beam: int = 1
    """Recognition: prefixes that the search keeps; 1 takes the best class of each step."""
    output: str = ""
    """Folder of what is written; empty: explanations/<video's name>/ in the run's."""


def explain(options):
    """Explain what a run says of a video, on one page, explanation.html.

    Args:
        options: `Options`.

    Raises:
        ValueError: no run, nothing that can be read, or options of another kind of run.
    """
    check_run(options.run)
    params = load_params(options.run / "params.json")
    on_features = "features" if params.features else "videos"
    kind = params.task if params.task in KINDS else on_features
    run_one, own = KINDS[kind]
    known = {name for _, names in KINDS.values() for name in names}
    for field in dataclasses.fields(Options):
        given = getattr(options, field.name)
        if field.name in known - set(own) and given != field.default:
            raise ValueError(f"{field.name} is {given}, but {options.run} is one of {kind}.")
    folder = run_one(options)
    print(f"Written to {folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}")


if __name__ == "__main__":
    run_command(lambda: explain(tyro.cli(Options, description=__doc__)))
