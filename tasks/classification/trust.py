"""How far an explanation's map can be believed: what the network says of the places it names.

The places that a map ranks highest are shown to the network alone, the rest blurred (insertion),
and the rest is shown without them (deletion). A map is worth its look if its places tell more about
the class than a blob in the middle of every frame, which knows nothing of the video. Petsiuk et
al., RISE, BMVC 2018; Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018.
"""

from typing import NamedTuple

from models.later import later

import numpy as np

resize_maps = later("utils.pictures.heat_maps", "resize_maps")  # it imports Matplotlib
CELLS = 14  # a side is ranked in so many
SHARES = (0.15, 0.5)  # of all cells, that are shown or taken away
_BLUR = 24 / 224  # standard deviation of the blur, in sides
_BLOB = 1 / 4  # and of the blob in the middle


def _weigh(length, deviation):
    """Return the matrix (length, length) of a Gaussian filter along an axis."""
    places = np.arange(length)
    kernel = np.exp(-0.5 * ((places[:, None] - places) / deviation) ** 2)
    return (kernel / kernel.sum(1, keepdims=True)).astype(np.float32)


def blur(clip, deviation=_BLUR):
    """Blur (..., height, width, channels); by default until no shape is left.

    Args:
        clip: float array.
        deviation: standard deviation of the Gaussian filter, in sides.
    """
    rows, columns = (_weigh(length, deviation * length) for length in clip.shape[-3:-1])
    return np.einsum("ij,...jkc,lk->...ilc", rows, clip, columns, optimize=True)


def rank_cells(maps):
    """Return the rank of each cell, from 0 for the most relevant to below 1.

    Of cells that are alike, such as those that count for nothing, the ones near relevant ones come
    first: what is shown is in few pieces.

    Args:
        maps: (frames, height, width).

    Returns:
        (frames, CELLS, CELLS).
    """
    frames, side = maps.shape[:2]
    middles = ((np.arange(CELLS) + 0.5) * side / CELLS).astype(int)
    cells, near = (
        each[:, middles][:, :, middles].ravel() for each in (maps, blur(maps[..., None])[..., 0])
    )
    order = np.lexsort((np.random.default_rng(0).random(cells.size), -near, -cells))
    ranks = np.empty(cells.size)
    ranks[order] = np.arange(cells.size) / cells.size
    return ranks.reshape(frames, CELLS, CELLS)


def draw_blob(frames, side):
    """Return a blob in the middle of every frame, (frames, side, side)."""
    places = (np.arange(side) - (side - 1) / 2) / (_BLOB * side)
    bell = np.exp(-0.5 * places**2)
    return np.broadcast_to(np.outer(bell, bell), (frames, side, side))


class Curves(NamedTuple):
    """The class's log-odds in a clip of which parts are blurred.

    Attributes:
        inserted: (shares,), where only the most relevant places are shown.
        deleted: (shares,), where all but them are shown.
    """

    inserted: np.ndarray
    deleted: np.ndarray

    @property
    def gap(self):
        """How much more the places tell than the rest: the difference of the means."""
        return float(np.mean(self.inserted) - np.mean(self.deleted))


def delete_and_insert(question, maps, shares=SHARES):
    """Return the `Curves` of a map.

    Args:
        question: a `Question` about a clip.
        maps: (frames, height, width) of all segments.
        shares: of the cells, that are shown or taken away.
    """
    clip, side = question.clip[0], question.clip.shape[3]
    cells = np.arange(side) * CELLS // side
    ranks = rank_cells(maps)[:, cells][:, :, cells].reshape(*clip.shape[:-1], 1)
    blurred = blur(clip)
    inserted = question.score(np.where(ranks < share, clip, blurred) for share in shares)
    deleted = question.score(np.where(ranks < share, blurred, clip) for share in shares)
    return Curves(inserted, deleted)


class Trust(NamedTuple):
    """How much more a map's places tell of the class than the rest of the clip, in log-odds.

    Attributes:
        gap: of the map.
        blob: of a blob in the middle of every frame.
    """

    gap: float
    blob: float

    @property
    def carries(self):
        """Whether the map tells more than the blob."""
        return self.gap > max(self.blob, 0)

    def __str__(self):
        gap, blob = (round(value, 1) + 0.0 for value in self)  # no -0.0
        measured = (
            "We blurred parts of the clip, and compared the network's score of the class (its "
            "log-odds) with only the marked places sharp and with only the rest sharp: the "
            f"difference is {gap:.1f}. For a blob in the middle of every frame, which knows "
            f"nothing of the video, it is {blob:.1f}."
        )
        if self.carries:
            return (
                f"How far to believe this map: the marked places count for the answer. {measured} "
                "Read the map as regions, not as outlines."
            )
        return (
            f"How far to believe this map: not at all. {measured} The map carries nothing about "
            "where."
        )


def try_maps(question, maps):
    """Return the `Trust` in `Maps` that explain a clip; places that are all alike tell nothing."""
    frames, side = question.clip.shape[1] * question.clip.shape[2], question.clip.shape[3]
    blob = delete_and_insert(question, draw_blob(frames, side)).gap
    if np.ptp(maps.values) == 0:
        return Trust(0.0, blob)
    return Trust(delete_and_insert(question, resize_maps(*maps, frames, side)).gap, blob)
