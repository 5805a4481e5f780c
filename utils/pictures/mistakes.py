"""Videos that a network errs on, or nearly does: a page and a picture of them."""

import os
import shlex
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from utils.pictures.frame_sheets import Strip, plot_strips
from utils.pictures.html import render
from utils.pictures.saving import encode_frame
from utils.runs.folders import explanation_folder
from utils.system.commands import ROOT
from utils.system.files import whole_path, write_atomically
from utils.video.reading import skim
from utils.video.video import VideoError

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


def find_address(path, folder):
    """Return the address of a file for a page in a folder.

    It is relative, so it goes on working where both are moved together.
    """
    try:
        relative = Path(os.path.relpath(whole_path(path), whole_path(folder)))
    except ValueError:  # another drive of Windows
        return Path(whole_path(path)).as_uri()
    return quote(os.fsencode(relative.as_posix()))


def read_frames(path):
    """Read frames of a video, evenly spread.

    Returns:
        (uint8 RGB (frames, height, width, 3), ""), or (none of them, why).
    """
    try:
        return skim(path, FRAMES, _SIDE)[2][:, 0], ""
    except VideoError as error:
        return _GRAY[:0], f"No frames are shown: {error}"


def save_mistakes(folder, title, sections):
    """Write mistakes.html and mistakes.png; return their names.

    Args:
        folder: where.
        title: over all.
        sections: list of `Section`.
    """
    shown, strips = [], []
    for section in sections:
        rows = []
        for case in section.cases:
            frames, problem = read_frames(case.path)
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
    page = render("mistakes.html", title=title, sections=shown)
    write_atomically(folder / "mistakes.html", page)
    names = ["mistakes.html"]
    if strips:
        plot_strips(folder / "mistakes.png", strips, title)
        names.append("mistakes.png")
    return names
