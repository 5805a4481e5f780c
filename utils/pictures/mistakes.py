"""Videos that a network errs on, or nearly does: a page and a picture of them."""

import shlex
from pathlib import Path
from typing import NamedTuple

from utils.pictures.frame_sheets import Strip, plot_strips, read_spread
from utils.pictures.html import find_address, render
from utils.pictures.saving import encode_frame
from utils.runs.folders import explanation_folder
from utils.system.commands import ROOT
from utils.system.files import whole_path, write_atomically

import numpy as np

FRAMES = 6  # of a video, evenly spread
SHOWN = 8  # videos of a section, at most
_SIDE = 240  # pixels of a frame's longer side
_GRAY = np.full((1, 120, 160, 3), 128, np.uint8)  # for a video that is gone


class Reason(NamedTuple):
    """Where a run's explanation of a video is found.

    Attributes:
        run: the run's name.
        page: of it, which need not be there yet.
        command: that writes the page, to be typed in any folder.
    """

    run: str
    page: Path
    command: str


class Case(NamedTuple):
    """A video and what was said of it.

    Attributes:
        path: of the video, or of its features; it need not be there.
        name: it is called by.
        facts: {what: text}, such as {"true": "fight 0.08", "predicted": "no_fight 0.92"}.
        reasons: list of `Reason`.
        compared: what is true and what was said, a line each; "" where the facts say it.
    """

    path: str
    name: str
    facts: dict
    reasons: list
    compared: str = ""


class Section(NamedTuple):
    """Cases of a kind: what they have in common, whether they are right, and a list of `Case`."""

    heading: str
    right: bool
    cases: list


def find_reason(run, video, name="", flags=()):
    """Return the `Reason` of what a run says of a video.

    Args:
        run: its folder.
        video: its path, or the id of a sentence.
        name: of the explanation's folder; "" for the one that scripts.explain chooses.
        flags: further words of the command.
    """
    folder = explanation_folder(whole_path(run), video)
    words = [video, "--run", whole_path(run), *flags]
    if name:
        folder = folder.with_name(name)
        words += ["--output", str(folder)]
    command = f"cd {shlex.quote(str(ROOT))} && python -m scripts.explain {shlex.join(words)}"
    return Reason(Path(run).name, folder / "explanation.html", command)


def save_mistakes(folder, title, sections):
    """Write mistakes.html and mistakes.png; return their names.

    Args:
        folder: where.
        title: what they are of.
        sections: list of `Section`.
    """
    shown, strips = [], []
    for section in sections:
        rows = []
        for case in section.cases:
            frames, problem = read_spread(case.path, FRAMES, _SIDE)
            rows.append(
                {
                    "case": case,
                    "file": find_address(case.path, folder) if Path(case.path).exists() else "",
                    "frames": [encode_frame(frame) for frame in frames],
                    "problem": problem,
                    "reasons": [
                        (each, find_address(each.page, folder), each.page.is_file())
                        for each in case.reasons
                    ],
                }
            )
            facts = [f"{what}: {text}" for what, text in case.facts.items()]
            color = "darkgreen" if section.right else "firebrick"
            label = "\n".join([case.name, *facts, *case.compared.splitlines()[:2]])
            strips.append(Strip(label, frames if len(frames) else _GRAY, color=color))
        shown.append((section.heading, rows))
    page = render("mistakes.html", title=f"Mistakes of {title}", sections=shown)
    write_atomically(folder / "mistakes.html", page)
    names = ["mistakes.html"]
    if strips:
        plot_strips(folder / "mistakes.png", strips, f"mistakes of {title}")
        names.append("mistakes.png")
    return names
