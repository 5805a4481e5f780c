"""A jointed figure that signs: sentences of `utils/rendering/signs.py`, drawn from nothing.

The hands go from sign to sign on the shortest way, and everything they do is smoothed in time: how
a sign begins and ends depends on its neighbors, and quick signing cuts corners.
"""

from utils.rendering.figures import draw_figure, dress, paint_room, project
from utils.rendering.signs import HANDSHAPES, IDLE, ORIENTATIONS, READY, SIGNS

import numpy as np

FPS = 25
KEYS = 9  # moments of a stroke
RATE = 100  # moments a second that movements are made of
SMOOTHING = 0.12  # seconds
PACE, HASTE = 3.2, 4.5  # meters a second in signs, between them
BASES = np.array([(-0.05, 0.04), (-0.034, 0.1), (-0.011, 0.105), (0.012, 0.103), (0.034, 0.095)])
FINGERS = np.array([0.065, 0.095, 0.105, 0.097, 0.08])  # meters; from the thumb on
HEAD_PARTS = (
    (
        "shirt",
        0.2,
        (
            ("left shoulder", 0.08),
            ("right shoulder", 0.08),
            ("left hip", 0.14),
            ("right hip", 0.14),
        ),
    ),
    ("skin", 0.24, (("head", 0.05), ("neck", 0.05))),
    ("hair", 0.26, (("crown", 0.118),)),
    ("skin", 0.26, (("head", 0.11),)),
    ("hair", 0.26, (("left eye", 0.01),)),
    ("hair", 0.26, (("right eye", 0.01),)),
    ("mouth", 0.26, (("left lip", 0.009), ("right lip", 0.009))),
)
ARM_PARTS = (
    ("shirt", 0.24, (("shoulder", 0.072), ("elbow", 0.056))),
    ("shirt", 0.3, (("elbow", 0.055), ("wrist", 0.038))),
    ("skin", 0.36, (("wrist", 0.03), ("base 1", 0.024), ("base 4", 0.024), ("base 2", 0.024))),
    *(("skin", 0.38, ((f"base {i}", 0.016), (f"tip {i}", 0.0145))) for i in range(5)),
)
PARTS = HEAD_PARTS + tuple(
    (color, bit, tuple((f"{side} {joint}", radius) for joint, radius in balls))
    for color, bit, balls in ARM_PARTS
    for side in ("left", "right")
)


def _spread(rows, count):
    """Interpolate rows (n, columns) evenly at `count` places."""
    rows = np.array(rows, float)
    places = np.linspace(0, len(rows) - 1, count)
    return np.stack([np.interp(places, np.arange(len(rows)), column) for column in rows.T], 1)


def _trace(stroke):
    """Return what a hand is in a stroke: (KEYS, 15) of wrist, handshape, orientation."""
    shapes = [HANDSHAPES[shape] for shape in stroke.shapes]
    orientations = [ORIENTATIONS[orientation] for orientation in stroke.orientations]
    return np.hstack([_spread(rows, KEYS) for rows in (stroke.path, shapes, orientations)])


def _way(keys):
    """Return about how many meters the quicker hand goes from each moment to the next."""
    steps = np.diff(keys.reshape(len(keys), 2, 15)[..., :3], axis=0) * (0.18, 0.47, 0.5)
    return np.linalg.norm(steps, axis=-1).max(-1)


def _plan_sign(label, rng):
    """Return keys (moments, 30) of a label's performance by the right and the left hand."""
    gloss = find_gloss(label)
    right, left = (_trace(stroke) for stroke in SIGNS[gloss])
    if label.startswith("lh-"):
        right, left = left, right
    keys = np.hstack([right, left])
    if label.endswith("-PLUSPLUS"):
        keys = np.vstack([keys, keys])
    for hand in (0, 15):
        path = keys[:, hand : hand + 3]
        middle = path.mean(0)
        path[:] = middle + (path - middle) * rng.uniform(0.85, 1.15) + rng.normal(0, 0.05, 3)
    return keys


# What training labels call a gloss, besides its own name.
VARIANTS = {
    "HABEN2": "HABEN",
    "KOMMEN-PLUSPLUS": "KOMMEN",
    "NORDRAUM": "NORD",
    "S0NNE": "SONNE",
    "SUEDRAUM": "SUED",
    "WESTRAUM": "WEST",
    "WIND-PLUSPLUS": "WIND",
    "ZEIGEN": "ZEIGEN-BILDSCHIRM",
    "cl-FLUSS": "FLUSS",
    "cl-KOMMEN": "KOMMEN",
    "lh-IX": "IX",
    "loc-BERG": "BERG",
    "loc-NORD": "NORD",
    "poss-MEIN": "MEIN",
    "qu-WAS": "WAS",
}
SILENT = ("__EMOTION__", "__LEFTHAND__")  # labels that the hands do not show


def find_gloss(label):
    """Return the key of `SIGNS` that a label means.

    Raises:
        ValueError: an unknown label; the known glosses are named.
    """
    gloss = VARIANTS.get(label, label)
    if gloss not in SIGNS:
        raise ValueError(f"No sign for {label!r}; known: {', '.join(SIGNS)}.")
    return gloss


def _move(labels, speed, rng):
    """Return the movement of a sentence at `FPS`, (frames, 30), smoothed."""
    rest = [np.hstack([_trace(stroke)[:1]] * 2) for stroke in (READY, IDLE)]
    signs = [_plan_sign(label, rng) for label in labels if label not in SILENT]
    pieces = [rest["__ON__" in labels[:1]], *signs, rest["__OFF__" in labels[-1:]]]
    keys, times = [pieces[0]], [0.0]
    for piece in pieces[1:]:
        gap = 0.07 + _way(np.vstack([keys[-1][-1], piece[0]]))[0] / HASTE
        pauses = 0.16 / KEYS + _way(piece) / PACE
        for pause in (gap, *pauses):
            times.append(times[-1] + pause * rng.uniform(0.9, 1.1) / speed)
        keys.append(piece)
    moments = np.arange(0, times[-1] + 1 / RATE, 1 / RATE)
    rows = np.stack([np.interp(moments, times, column) for column in np.vstack(keys).T], 1)
    window = np.hanning(round(SMOOTHING * RATE) + 2)[1:-1]
    half = len(window) // 2
    padded = np.pad(rows, ((half, len(window) - 1 - half), (0, 0)), mode="edge")
    smooth = [np.convolve(column, window / window.sum(), "valid") for column in padded.T]
    return np.stack(smooth, 1)[:: RATE // FPS]


def _unit(vectors):
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6)


def _place_arm(hand, bones):
    """Joints (frames, 3) of an arm, x outwards, from the 15 columns of one hand."""
    trunk, _, shoulder, upper_arm, forearm, *_ = bones
    forearm = 0.84 * forearm  # to the wrist
    joints = {"shoulder": np.array([shoulder, 0.95 * trunk, 0]) + np.zeros((len(hand), 3))}
    reach = hand[:, :3] * (shoulder, 0.95 * trunk, upper_arm + forearm) - joints["shoulder"]
    far = np.linalg.norm(reach, axis=1, keepdims=True)
    length = np.clip(far, abs(upper_arm - forearm) + 0.02, 0.99 * (upper_arm + forearm))
    along = reach / np.maximum(far, 1e-6)
    joints["wrist"] = joints["shoulder"] + length * along
    # The elbow: two bones of known lengths, bent outwards and down.
    cosine = (upper_arm**2 + length**2 - forearm**2) / (2 * upper_arm * length)
    bend = np.array([0.7, -1, -0.25])
    bend = _unit(bend - (along @ bend)[:, None] * along)
    joints["elbow"] = joints["shoulder"] + upper_arm * (
        cosine * along + np.sqrt(np.maximum(1 - cosine**2, 0)) * bend
    )
    fingers = _unit(hand[:, 9:12] + 1e-3)
    thumb = hand[:, 12:15] + (2e-3, -1e-3, 1e-3)
    thumb = _unit(thumb - (thumb * fingers).sum(1, keepdims=True) * fingers)
    palm = np.cross(fingers, thumb)
    for i, (aside, ahead) in enumerate(BASES):
        base = joints["wrist"] + ahead * fingers - aside * thumb
        angle = np.radians(hand[:, 8:9] * (i - 2.5) + (-30 if i == 0 else 0))
        aim = np.cos(angle) * fingers - np.sin(angle) * thumb
        curl = np.radians(150 * (1 - hand[:, 3 + i : 4 + i]))
        joints[f"base {i}"] = base
        joints[f"tip {i}"] = base + FINGERS[i] * (np.cos(curl) * aim + np.sin(curl) * palm)
    return joints


def _place_joints(movement, bones, rng):
    """Joints (frames, 3) in meters, from the middle of the hips: x to one's left, y up, z ahead."""
    trunk, neck, *_ = bones
    times = np.arange(len(movement)) / FPS
    waves = np.sin(2 * np.pi * (rng.uniform(0.2, 0.6, (3, 1)) * times + rng.uniform(size=(3, 1))))
    head = np.array([0, 1.24 * trunk + 0.4 * neck, 0.03]) + (0.012, 0.006, 0.01) * waves.T
    still = np.zeros((len(movement), 3))
    joints = {"neck": still + [0, trunk, 0], "head": head, "crown": head + [0, 0.026, -0.028]}
    for side, sign, hand in (("left", 1, movement[:, 15:]), ("right", -1, movement[:, :15])):
        arm = _place_arm(hand, bones)
        arm["hip"] = still + [1.3 * bones[5], -0.05, 0]
        arm["eye"] = head + [0.042, 0.012, 0.102]
        arm["lip"] = head + [0.022, -0.052, 0.098]
        joints |= {f"{side} {joint}": place * (sign, 1, 1) for joint, place in arm.items()}
    return joints


def render_signing(labels, signer, seed, speed=1.0, num_frames=None):
    """Render a sentence; the same arguments give the same frames.

    Args:
        labels: list of glosses, keys of `SIGNS`, `VARIANTS` or `SILENT`. A label `lh-...` is done
            by the left hand, one of `...-PLUSPLUS` twice.
        signer: its number; with `seed[0]` it decides the looks, the size, and the usual speed.
        seed: sequence of integers; they decide the performance and the room.
        speed: factor on the signer's own.
        num_frames: spread the sentence over so many frames; None for as many as it takes.

    Returns:
        uint8 (frames, 260, 210, 3), RGB, 25 a second.

    Raises:
        ValueError: an unknown label, or none that shows.
    """
    if not any(label not in SILENT for label in labels):
        raise ValueError(f"There is nothing to sign in {labels}.")
    width, height = 210, 260
    looks, rng = np.random.default_rng([seed[0], signer]), np.random.default_rng(seed)
    bones, girth, colors = dress(looks)
    speed = speed * looks.uniform(0.88, 1.14)
    scale = looks.uniform(0.92, 1.04) * 104 / bones[0]
    dark, colors["mouth"] = looks.uniform(0.3, 0.75), colors["skin"] * (0.8, 0.5, 0.5)
    colors["shirt"] = colors["shirt"] * dark
    _, _, walls = dress(rng)
    frames = _move(labels, speed, rng)
    if num_frames:
        frames = frames[np.linspace(0, len(frames) - 1, num_frames).round().astype(int)]
    room = paint_room(walls, width, height, height, rng)
    yaw, rise = np.radians(rng.uniform((-14, -2), (14, 5)))
    feet = np.array([width / 2, height + 6]) + rng.normal(0, 4, 2)
    joints = _place_joints(frames, bones, rng)
    view = yaw, rise, scale, feet
    seen = {joint: project(place, *view) for joint, place in joints.items()}
    shown = np.repeat(room[None], len(frames), 0)
    draw_figure(shown, seen, colors, scale * (0.9 + 0.1 * girth), PARTS)
    return shown
