"""Which videos are the same file, the same video saved again, or the same scene.

A video's signature is 16 small gray frames and a few colors. The frames' median over time is the
scene: it stays when people come and go. What a frame differs from it by is what happens: another
clip of the same camera has the scene in common, only a copy has what happens, in the same order, in
common too, however it was encoded.

The thresholds were chosen on 240 surveillance clips (Akti, Tataroglu and Ekenel, IPTA 2019), nine
kinds of copies of every fifth (three codecs, smaller, squashed, brighter, at half the frame rate, a
tenth cut off one end or both, a twentieth of each side) and drawn figures that do the same in other
rooms. 423 of 432 copies are found, the others as the same scene, and nothing else is called a copy
(other clips of a camera agree in what happens by less than 0.4); of 309 pairs of a scene, the
weakest looked right to the eye.
"""

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

SAME_SCENE = 0.5
SAME_EVENTS = 0.7
SAME_COLORS = 5.0  # mean difference of a scene's Cb and Cr, gray levels
SAME_STILL = 0.997  # of the scenes, where next to nothing happens
STILL = 1.0  # gray levels, root mean square
_FRAMES, _SIZE, _MARGIN = 16, 32, 4
_SHIFT = 3  # frames of 16 by which a copy may lie earlier or later
_CHUNK = 128
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


@dataclass(frozen=True)
class Pair:
    """Two videos, by index, that have something in common.

    Attributes:
        first, second: indices, the first smaller.
        kind: "near-duplicate" or "same scene".
        similarity: correlation of what happens for a near-duplicate, of the scenes otherwise (and
            where next to nothing happens).
    """

    first: int
    second: int
    kind: str
    similarity: float

    @property
    def indices(self):
        """(first, second)."""
        return self.first, self.second


def _pool_matrix(pixels, cells):
    """Return (cells, pixels): averages over equal stretches, with parts of pixels."""
    edges = np.linspace(0, pixels, cells + 1)
    left, right = np.arange(pixels), np.arange(1, pixels + 1)
    overlap = np.minimum(edges[1:, None], right) - np.maximum(edges[:-1, None], left)
    overlap = overlap.clip(0)
    return (overlap / overlap.sum(1, keepdims=True)).astype(np.float32)


def _apply(rows, columns, frames):
    """Return rows @ frames @ columns.T for (..., height, width), without matmul's slow stacks."""
    return np.tensordot(np.tensordot(frames, rows, (-2, 1)), columns, (-2, 1))


def sign(frames):
    """Return the signature of a video.

    Args:
        frames: uint8 RGB (frames, height, width, 3), evenly spread over the video.

    Returns:
        (uint8 (16, 32, 32), luma, fewer frames repeated; float32 (4, 4, 2), Cb and Cr).
    """
    frames = frames[np.arange(_FRAMES) * len(frames) // _FRAMES]
    luma, middle = frames @ LUMA, np.median(frames, axis=0).astype(np.float32)
    differences = middle[..., [2, 0]] - (middle @ LUMA)[..., None]
    rows, columns = (_pool_matrix(pixels, _SIZE) for pixels in luma.shape[1:])
    gray = np.rint(_apply(rows, columns, luma)).clip(0, 255).astype(np.uint8)
    rows, columns = (_pool_matrix(pixels, 4) for pixels in luma.shape[1:])
    colors = _apply(rows, columns, np.moveaxis(differences, 2, 0))
    return gray, np.moveaxis(colors, 0, 2) * np.array([0.564, 0.713], np.float32)


def _blur_matrix(sigma=3.0):
    places = np.arange(_SIZE)
    weights = np.exp(-0.5 * ((places[:, None] - places) / sigma) ** 2)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


_BLUR = _blur_matrix()


def _unit(vectors):
    """Return the vectors without their mean, of length 1; those below half a gray level shorter."""
    vectors = vectors - vectors.mean(-1, keepdims=True)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.maximum(lengths, 0.5 * vectors.shape[-1] ** 0.5)


def _details(signatures):
    """Return (videos, frames, values): no large-scale shading, no margin (bars, captions)."""
    frames = signatures.astype(np.float32)
    inner = slice(_MARGIN, -_MARGIN)
    return (frames - _apply(_BLUR, _BLUR, frames))[..., inner, inner].reshape(*frames.shape[:2], -1)


def _split(signatures):
    """Return (scenes (videos, values), what happens (videos, frames, values), whether little does).

    The first two are unit vectors.
    """
    details = _details(signatures)
    scenes = np.median(details, axis=1)
    events = details - scenes[:, None]
    still = (events**2).mean((1, 2)) < STILL**2
    return _unit(scenes), _unit(events), still


def _compare(ones, others):
    """Return (ones, others): how well each frame's best match in the other agrees, on average."""
    shape = (*ones.shape[:2], *others.shape[:2])
    cosines = np.tensordot(ones, others, (2, 2)).reshape(shape)
    distant = np.abs(np.subtract.outer(np.arange(_FRAMES), np.arange(_FRAMES))) > _SHIFT
    cosines -= 2 * distant[None, :, None, :].astype(np.float32)
    return np.minimum(cosines.max(3).mean(1), cosines.max(1).mean(2))


def find_pairs(signatures, colors):
    """Compare every video with every other.

    Args:
        signatures, colors: uint8 (videos, 16, 32, 32) and float32 (videos, 4, 4, 2), of `sign`.

    Returns:
        List of `Pair`.
    """
    chunks = [slice(start, start + _CHUNK) for start in range(0, len(signatures), _CHUNK)]
    scenes, still = (
        np.concatenate(parts)
        for parts in zip(*(_split(signatures[chunk])[::2] for chunk in chunks), strict=True)
    )
    pairs = []
    for row, column in combinations_with_replacement(chunks, 2):
        similar = scenes[row] @ scenes[column].T
        places = np.nonzero(np.triu(similar, 1 if row == column else -_CHUNK) >= SAME_SCENE)
        apart = np.abs(colors[row][places[0]] - colors[column][places[1]]).mean((1, 2, 3))
        places = tuple(place[apart <= SAME_COLORS] for place in places)
        if not len(places[0]):
            continue
        (rows, in_rows), (columns, in_columns) = (np.unique(p, return_inverse=True) for p in places)
        events = [_split(signatures[s][used])[1] for s, used in ((row, rows), (column, columns))]
        alike = _compare(*events)[in_rows, in_columns]
        first, second = places[0] + row.start, places[1] + column.start
        scene = similar[places]
        same = (alike >= SAME_EVENTS) | (still[first] & still[second] & (scene >= SAME_STILL))
        values = (first, second, np.where(alike >= SAME_EVENTS, alike, scene), same)
        for *indices, similarity, copied in zip(*(v.tolist() for v in values), strict=True):
            pairs.append(Pair(*indices, "near-duplicate" if copied else "same scene", similarity))
    return pairs


def find_copies(paths):
    """Return lists of the indices of files with equal content; only files of one size are read."""
    groups = defaultdict(list)
    for index, path in enumerate(paths):
        groups[Path(path).stat().st_size].append(index)
    copies = defaultdict(list)
    for size, indices in groups.items():
        for index in indices if len(indices) > 1 else ():
            with open(paths[index], "rb") as file:
                copies[size, hashlib.file_digest(file, "blake2b").digest()].append(index)
    return [indices for indices in copies.values() if len(indices) > 1]


def join(count, links):
    """Return for each of `count` indices the smallest one that links, pairs of indices, lead to."""
    ends = np.array(links, int).reshape(-1, 2).T
    linked = coo_array((np.ones(len(links), bool), tuple(ends)), (count, count))
    _, parts = connected_components(linked, directed=False)
    _, firsts = np.unique(parts, return_index=True)
    return firsts[parts].tolist()
