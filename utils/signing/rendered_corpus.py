"""A corpus of rendered signing, in the layout of the PHOENIX releases and with their oddities.

Training labels are raw: blanks doubled and trailing, prefixes and marks, labels without a sign, a
gloss called NULL, and one sentence of too few frames for its glosses. Dev has a gloss that training
lacks. The labels of dev and test are as scored where the release's are.
"""

from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

from utils.rendering.figures import save_frames
from utils.rendering.signer import SILENT, VARIANTS, render_signing
from utils.rendering.signs import SIGNS
from utils.signing.cleaning import clean_hypothesis
from utils.signing.corpora import BAD_SENTENCES
from utils.signing.releases import FRAMES, RELEASES, SPLITS
from utils.system.files import atomic_path

import numpy as np

UNSEEN = "NEBEL"  # in dev only
GLOSSES = sorted(gloss for gloss in SIGNS if not gloss.startswith("__") and gloss != UNSEEN)
HELD_OUT = {"phoenix2014_si5": ("dev", "test")}  # splits that only the last signer signs


class Layout(NamedTuple):
    """How a release names things.

    Attributes:
        names: of a sentence, from its day, its broadcast and its number.
        frames: of an image's path, from the sentence's name, its show and the frame's number.
        start: the number of the first frame.
        scored: whether dev and test are labeled as scored.
    """

    names: str
    frames: str
    start: int
    scored: bool


_2014 = Layout("{}_{}_default-{}", "{name}/1/{show}.avi_pid0_fn{number:06d}-0.png", 0, True)
LAYOUTS = {
    "phoenix2014": _2014,
    "phoenix2014_si5": _2014,
    "phoenix2014t": Layout("{}_{}-{}", "{name}/images{number:04d}.png", 1, False),
}


class Plan(NamedTuple):
    """A sentence to render.

    Attributes:
        name: its id.
        split: one of `SPLITS`.
        signer: its number, from 1.
        labels: what is signed, and labels without a sign.
        text: the labels as they are written.
        seed: of the performance.
        num_frames: None for as many as it takes.
    """

    name: str
    split: str
    signer: int
    labels: tuple[str, ...]
    text: str
    seed: tuple[int, ...]
    num_frames: int | None = None


def _deal(rng):
    """Yield glosses without end, each as often as the others."""
    while True:
        yield from rng.permutation(GLOSSES).tolist()


def _vary(glosses, clean, rng):
    """Return labels that `clean` makes these glosses of, some of them in their raw forms."""
    labels = ["__ON__"] if rng.random() < 0.15 else []
    for gloss in glosses:
        raw = [label for label, of in VARIANTS.items() if of == gloss]
        raw = [label for label in raw if clean([label]) == clean([gloss])]
        labels.append(str(rng.choice(raw)) if raw and rng.random() < 0.35 else gloss)
        labels += [gloss] if rng.random() < 0.02 else []  # signed twice in a row
        labels += [str(rng.choice(SILENT))] if rng.random() < 0.03 else []
    labels += ["__PU__"] if rng.random() < 0.1 else []
    return labels + (["__OFF__"] if rng.random() < 0.15 else [])


def _write_label(labels, rng):
    text = "".join(f"{label}{'  ' if rng.random() < 0.05 else ' '}" for label in labels)
    return text if rng.random() < 0.3 else text.rstrip()


def _pick_signer(signers, rng):
    """Draw one who is not the last; they are there unevenly, as in the releases."""
    shares = np.arange(signers - 1, 0, -1) ** 0.7
    return 1 + int(rng.choice(signers - 1, p=shares / shares.sum()))


def plan_corpus(kind, counts, signers=5, seed=0, lengths=(3, 12)):
    """Plan all sentences of a corpus.

    Args:
        kind: a key of `LAYOUTS`.
        counts: sentences of train, dev and test.
        signers: how many; the last one is in test only (with `phoenix2014_si5`, in dev and test).
        seed: of everything.
        lengths: glosses a sentence, at least and at most.

    Returns:
        List of `Plan`, in the order of `SPLITS`.

    Raises:
        ValueError: an unknown kind, fewer than two signers, a split without a sentence, or
            lengths that are none.
    """
    if kind not in LAYOUTS:
        raise ValueError(f"Unknown kind {kind!r}; known: {', '.join(LAYOUTS)}.")
    if signers < 2 or min(counts) < 1:
        raise ValueError(
            f"{signers} signers and {', '.join(map(str, counts))} sentences; give at least "
            "2 signers, and at least 1 sentence for train, dev and test."
        )
    if not 1 <= lengths[0] <= lengths[1]:
        raise ValueError(f"Sentences of {lengths[0]} to {lengths[1]} glosses; give 1 or more.")
    layout, clean = LAYOUTS[kind], partial(clean_hypothesis, corpus=kind)
    plans, day = [], date(2009, 7, 1)
    for split, count in zip(SPLITS, counts, strict=True):
        draw = np.random.default_rng([seed, SPLITS.index(split)])
        dealt = _deal(draw)
        for place in range(count):
            rng = np.random.default_rng([seed, SPLITS.index(split), place])
            glosses = [next(dealt) for _ in range(rng.integers(lengths[0], lengths[1] + 1))]
            if split == "dev" and place in (0, count // 2):
                glosses[-1] = UNSEEN
            labels = _vary(glosses, clean, rng)
            written = clean(labels) if layout.scored and split != "train" else labels
            broadcast = str(rng.choice(("tagesschau", "heute")))
            name = layout.names.format(f"{day:%d%B_%Y_%A}", broadcast, rng.integers(14))
            last = split in HELD_OUT.get(kind, ()) or (split == "test" and place % 3 == 0)
            signer = signers if last else _pick_signer(signers, rng)
            text = _write_label(written, rng)
            own = (seed, 10 + SPLITS.index(split), place)
            plans.append(Plan(name, split, signer, tuple(labels), text, own))
            day += timedelta(1)
    if not layout.scored:  # PHOENIX-2014-T, which has no such sentence
        return plans
    bad = tuple(GLOSSES[:12])
    name = next(iter(BAD_SENTENCES))
    return [Plan(name, "train", 1, bad, " ".join(bad), (seed, 3), len(bad) // 2), *plans]


def render_sentence(plan, kind, root, speeds=(0.85, 1.15)):
    """Write the frames of a sentence, all or none; those that are there are left alone.

    Args:
        plan: a `Plan`.
        kind: a key of `LAYOUTS`.
        root: folder of the release.
        speeds: factor on the signer's own speed, at least and at most.

    Returns:
        (frames, bytes) that are there now.
    """
    layout = LAYOUTS[kind]
    home = Path(root, FRAMES, plan.split)
    sample = layout.frames.format(name=plan.name, show="", number=0)
    folder = (home / sample).parent
    if not folder.is_dir():
        speed = np.random.default_rng([*plan.seed, 1]).uniform(*speeds)
        frames = render_signing(plan.labels, plan.signer, plan.seed, speed, plan.num_frames)
        show = plan.name.split("_default-")[0]
        numbers = range(layout.start, layout.start + len(frames))
        with atomic_path(home / plan.name) as temporary:
            paths = [
                temporary.parent / layout.frames.format(name=plan.name, show=show, number=number)
                for number in numbers
            ]
            paths[0].parent.mkdir(parents=True)
            save_frames(paths, frames)
    sizes = [path.stat().st_size for path in folder.iterdir()]
    return len(sizes), sum(sizes)


def list_rows(plans, kind, split):
    """Return the lines of a split's table as the release has them, the header first."""
    release = RELEASES[kind]
    rows = ["|".join(release.header)]
    for plan in plans:
        if plan.split == split:
            known = (plan.name, f"{plan.name}/1/*.png", f"Signer{plan.signer:02d}", plan.text)
            cells = {"start": "-1", "end": "-1", "translation": f'{plan.text.lower().strip()} "." '}
            cells |= dict(zip(release.columns, known, strict=True))
            rows.append("|".join(cells[column] for column in release.header))
    return rows
