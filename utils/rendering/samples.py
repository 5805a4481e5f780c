"""The built-in samples: figures that act, as folders of real videos that are rendered on first use.

`sample` has six actions. `sample_appearance` and `sample_order` are two label sets of one folder of
small, short videos, in which every performance is there twice, as played and backwards. What moves
shows in any frame; whether it goes up or down only in their order: who does not see the order says
the same of both twins, and is right about exactly one. The TimeSformer paper compares Kinetics and
Something-Something like this. `sample_signs` are single glosses of the signer of
`utils/rendering/signer.py`. For trying and testing the project, not for measuring it.
"""

import itertools
import json
import shutil
from collections.abc import Callable
from typing import NamedTuple

from utils.rendering.figures import ACTIONS, render_clip
from utils.rendering.signer import FPS, render_signing
from utils.rendering.signs import SIGNS
from utils.system.locks import wait_for_lock
from utils.system.progress import show_progress
from utils.video.reading import probe
from utils.video.writing import write_video

import numpy as np

BACKWARDS = {"raise_arms": "lower_arms", "stand_up": "sit_down"}
SMALL = (24, 72, 72)  # (frames, height, width)
GLOSSES = sorted(gloss for gloss in SIGNS if not gloss.startswith("__"))[:20]
PACES = (0.8, 1.2)  # of signing
_RECORD, _MADE_BY = "sample.json", "utils/sample.py"  # as older folders say


def _holds(folder, recipe):
    """Return whether a folder holds just what a recipe makes.

    Raises:
        ValueError: it holds what is not made here.
    """
    record = folder / _RECORD
    found = record.read_text() if record.is_file() else ""
    if found != recipe and folder.exists() and any(folder.iterdir()) and _MADE_BY not in found:
        raise ValueError(f"{folder} contains other files. Give a new or an empty folder.")
    return found == recipe


def _write_folder(folder, actions, parameters, clips):
    """Write clips, unless the folder holds just these actions and parameters.

    Of several processes one writes, the others wait for it.
    """
    recipe = {"made_by": _MADE_BY, "actions": sorted(actions), **parameters}
    text = json.dumps(recipe, indent=1)
    if not _holds(folder, text):
        with wait_for_lock(folder.with_name(f".{folder.name}.lock")):
            if not _holds(folder, text):
                total = len(actions) * parameters["actors"] * parameters["clips_per_actor"]
                bar = show_progress(f"Rendering {folder}", "video", clips, total)
                _replace_folder(folder, text, parameters, bar)


def _replace_folder(folder, recipe, parameters, clips):
    scratch = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(scratch, ignore_errors=True)
    new = scratch / "new"
    try:
        for action, actor, clip, frames, fps in clips:
            path = new / action / f"{action}_g{actor:02}_c{clip:02}.avi"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_video(path, frames, fps)
        (new / "README.txt").write_text(
            f"Videos rendered for trying and testing this project, with {parameters}.\n"
            "Other parameters replace the whole folder: keep nothing of yours in it.\n"
        )
        (new / _RECORD).write_text(recipe)
        if folder.exists():
            folder.rename(scratch / "old")
        new.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _count(actions, actors, clips_per_actor):
    return itertools.product(sorted(actions), range(1, actors + 1), range(1, clips_per_actor + 1))


def render_sample(folder, actors=8, clips_per_actor=2, seed=0):
    """Write <action>/<action>_g<actor>_c<clip>.avi, actors and clips counted from 01, in a folder.

    The folder appears when all is written: a killed call leaves a hidden one beside it, which the
    next call removes. A folder with the sample asked for is left alone.

    Args:
        folder: a `Path`; replaced if it holds another sample, a ValueError if it holds other files.
        actors, clips_per_actor, seed: see `render_clip`.
    """
    parameters = {"actors": actors, "clips_per_actor": clips_per_actor, "seed": seed}
    numbers = _count(ACTIONS, actors, clips_per_actor)
    clips = ((*number, *render_clip(*number, seed)) for number in numbers)
    _write_folder(folder, ACTIONS, parameters, clips)


def render_twins(folder, actors=120, clips_per_actor=1, seed=0):
    """Write small clips of the actions in `BACKWARDS`, each as played and backwards.

    All have 24 frames: 8 or 24 spread evenly are the same in both twins.

    Args:
        folder, actors, clips_per_actor, seed: as in `render_sample`.
    """

    def play():
        for action, actor, clip in _count(BACKWARDS, actors, clips_per_actor):
            frames, fps = render_clip(action, actor, clip, seed, SMALL)
            yield action, actor, clip, frames, fps
            yield BACKWARDS[action], actor, clip, frames[::-1], fps

    parameters = {"actors": actors, "clips_per_actor": clips_per_actor, "seed": seed}
    parameters["shape"] = SMALL
    _write_folder(folder, [*BACKWARDS, *BACKWARDS.values()], parameters, play())


def render_signs(folder, actors=5, clips_per_actor=3, seed=0):
    """Write clips of single glosses, each signer's at several speeds.

    Args:
        folder, actors, clips_per_actor, seed: as in `render_sample`; the actors are signers.
    """

    def play():
        for gloss, actor, clip in _count(GLOSSES, actors, clips_per_actor):
            own = (seed, 20, GLOSSES.index(gloss), actor, clip)
            pace = np.random.default_rng([*own, 1]).uniform(*PACES)
            yield gloss, actor, clip, render_signing([gloss], actor, own, pace), FPS

    parameters = {"actors": actors, "clips_per_actor": clips_per_actor, "seed": seed}
    _write_folder(folder, GLOSSES, parameters, play())


class Sample(NamedTuple):
    """A folder in data/, what renders it, and the class of each action."""

    folder: str
    render: Callable
    labels: dict[str, str]


SAMPLES = {
    "sample": Sample("sample", render_sample, {action: action for action in ACTIONS}),
    "sample_appearance": Sample(
        "sample_twins",
        render_twins,
        {"lower_arms": "arms", "raise_arms": "arms", "sit_down": "legs", "stand_up": "legs"},
    ),
    "sample_order": Sample(
        "sample_twins",
        render_twins,
        {"lower_arms": "down", "raise_arms": "up", "sit_down": "down", "stand_up": "up"},
    ),
    "sample_signs": Sample("sample_signs", render_signs, {gloss: gloss for gloss in GLOSSES}),
}


def draw_pattern(width, height, frames=75, seed=0):
    """Yield a moving, noisy pattern, for measuring: uint8 RGB (height, width, 3)."""
    generator = np.random.default_rng(seed)
    small = generator.integers(0, 255, (height // 8, width // 8, 3), np.uint8)
    picture = small.repeat(8, 0).repeat(8, 1)
    noise = generator.integers(0, 12, picture.shape, np.uint8)
    for index in range(frames):
        yield np.roll(picture, 5 * index, axis=1) // 2 + np.roll(noise, index, axis=0)


def render_video(path, width, height, frames=75, seed=0):
    """Write the pattern of `draw_pattern` as a video; return the `Video`."""
    write_video(path, draw_pattern(width, height, frames, seed), 25)
    return probe(path)
