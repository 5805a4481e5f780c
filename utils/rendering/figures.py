"""Jointed figures that act: clips drawn from nothing, for the built-in samples and the signer.

Every actor has a body, clothes and a room, and does every action in them, so that only the order
of the poses tells actions apart.
"""

from colorsys import hsv_to_rgb
from typing import NamedTuple

import cv2
import numpy as np


class Pose(NamedTuple):
    """Limbs (forwards, outwards) in degrees from hanging, the trunk's lean, meters in the air."""

    lean: float = 2
    upper_arm: tuple[float, float] = (-4, 12)
    forearm: tuple[float, float] = (14, 6)
    thigh: tuple[float, float] = (4, 5)
    shin: tuple[float, float] = (-4, 4)
    lift: float = 0


STAND = Pose()
ARMS_OUT = Pose(upper_arm=(0, 82), forearm=(0, 92))
ARMS_UP = Pose(lean=-2, upper_arm=(0, 158), forearm=(0, 172))
HOP = ARMS_OUT._replace(thigh=(8, 14), shin=(-14, 13), lift=0.16)
STAR = ARMS_UP._replace(thigh=(4, 25), shin=(-4, 23))
CROUCH = Pose(38, upper_arm=(62, 12), forearm=(84, 4), thigh=(88, 16), shin=(-32, 6))
SIT = Pose(8, upper_arm=(40, 16), forearm=(66, 2), thigh=(132, 12), shin=(34, 6))

ACTIONS = {  # a path of poses, and how often a second it goes to and fro; None: once in a clip
    "jumping_jacks": ((STAND, HOP, STAR), (0.9, 1.3)),
    "lower_arms": ((ARMS_UP, ARMS_OUT, STAND), None),
    "raise_arms": ((STAND, ARMS_OUT, ARMS_UP), None),
    "sit_down": ((STAND, CROUCH, SIT), None),
    "squats": ((STAND, CROUCH), (0.75, 1.05)),
    "stand_up": ((SIT, CROUCH, STAND), None),
}
SIZES = ((320, 240), (340, 256), (240, 320))  # (width, height) in pixels
COLORS = {  # the least and the greatest (hue, saturation, value)
    "skin": ((0.055, 0.4, 0.38), (0.075, 0.52, 0.98)),
    "hair": ((0.0, 0.2, 0.08), (0.1, 0.6, 0.35)),
    "shirt": ((0.14, 0.45, 0.55), (1.0, 0.75, 0.9)),
    "trousers": ((0.0, 0.25, 0.25), (1.0, 0.55, 0.5)),
    "shoes": ((0.0, 0.0, 0.15), (1.0, 0.5, 0.9)),
    "wall": ((0.0, 0.04, 0.6), (1.0, 0.2, 0.88)),
    "floor": ((0.0, 0.1, 0.4), (1.0, 0.3, 0.65)),
}
BONES = (0.5, 0.25, 0.18, 0.29, 0.32, 0.095, 0.43, 0.42, 0.17)  # meters, as `_place_joints` takes

# A part is the hull of balls (joint, radius in meters), as near as its last joint and a bit more.
PAIRED_PARTS = (
    ("shoes", 0.05, (("ankle", 0.055), ("toe", 0.045))),
    ("trousers", 0, (("knee", 0.068), ("ankle", 0.05))),
    ("trousers", 0, (("hip", 0.095), ("knee", 0.07))),
    ("skin", 0.32, (("elbow", 0.046), ("hand", 0.042))),
    ("shirt", 0.34, (("shoulder", 0.072), ("elbow", 0.056))),
    ("hair", 0.26, (("eye", 0.01),)),
)
SHOULDERS = (("left shoulder", 0.075), ("right shoulder", 0.075))
HIPS = (("left hip", 0.095), ("right hip", 0.095))
PARTS = (
    ("shirt", 0.2, SHOULDERS + HIPS),
    ("skin", 0.24, (("head", 0.05), ("neck", 0.05))),
    ("hair", 0.26, (("crown", 0.118),)),
    ("skin", 0.26, (("head", 0.11),)),
    *(
        (color, bit, tuple((f"{side} {joint}", radius) for joint, radius in balls))
        for color, bit, balls in PAIRED_PARTS
        for side in ("left", "right")
    ),
)
# Pixels and radii that a part grows by, radii that it moves by, brightness: outline, shade, light.
LAYERS = ((0.9, 0, 0, 0.55), (0, 0, 0, 0.88), (0, -0.4, -0.24, 1))
CIRCLE = np.exp(2j * np.pi * np.arange(16) / 16).view(float).reshape(-1, 2)
SHIFT = 4  # fractional bits of the coordinates that OpenCV draws at


def dress(rng):
    """Draw someone's looks: lengths like `BONES`, a factor on all radii, RGB of each `COLORS`."""
    stature, girth = rng.uniform((0.88, 0.8), (1.05, 1.2))
    bones = np.array(BONES) * stature * rng.uniform(0.92, 1.08, len(BONES))
    colors = {key: 255 * np.array(hsv_to_rgb(*rng.uniform(*hsv))) for key, hsv in COLORS.items()}
    return bones, girth, colors


def _perform(action, times, rng):
    """Angles (2 sides, frames, 10) at `times` in seconds: the columns of `Pose`, swaying a bit."""
    poses, pace = ACTIONS[action]
    if pace:
        turns = rng.uniform(*pace) * times + rng.uniform()
        progress = 0.5 - 0.5 * np.cos(2 * np.pi * turns)
    else:
        wait, rest = rng.uniform(0.04, 0.14, 2)
        gone = np.clip((times / times[-1] - wait) / (1 - wait - rest), 0, 1)
        progress = (gone * gone * (3 - 2 * gone)) ** rng.uniform(0.8, 1.25)
    poses = np.array([np.hstack(pose) for pose in poses])
    # The polynomial through the poses: a parabola for three, which is how a hop flies.
    path = np.polyfit(np.linspace(0, 1, len(poses)), poses, len(poses) - 1)
    waves = np.sin(2 * np.pi * (0.4 * times[:, None] + rng.uniform(size=(2, 1, 9))))
    sway = rng.normal(0, 2.5, (2, 1, 9)) * (1 + waves)
    return np.vander(progress, len(poses)) @ path + np.pad(sway, ((0, 0), (0, 0), (0, 1)))


def _place_joints(angles, bones):
    """Joints (frames, 3) in meters: x to one's left, y up from the floor, z ahead of the ankles."""
    trunk, neck, shoulder, upper_arm, forearm, hip, thigh, shin, foot = bones
    aside = np.array([1, -1])[:, None, None] * [1, 0, 0]  # (sides, 1, 3)
    sines, cosines = np.sin(np.radians(angles))[..., None], np.cos(np.radians(angles))[..., None]

    def aim(column):
        ahead = sines[:, :, column] * [0, 0, 1] - cosines[:, :, column] * [0, 1, 0]
        return cosines[:, :, column + 1] * ahead + sines[:, :, column + 1] * aside

    spine = trunk * (cosines[:, :, 0] * [0, 1, 0] + sines[:, :, 0] * [0, 0, 1]).mean(0)
    head = 1.3 * spine + neck * np.array([0, 0.4, 0.02])
    pairs = {"shoulder": 0.95 * spine + shoulder * aside, "hip": hip * aside}
    pairs["elbow"] = pairs["shoulder"] + upper_arm * aim(1)
    pairs["hand"] = pairs["elbow"] + forearm * aim(3)
    pairs["knee"] = pairs["hip"] + thigh * aim(5)
    pairs["ankle"] = pairs["knee"] + shin * aim(7)
    pairs["toe"] = pairs["ankle"] + foot * (0.3 * aside + [0, 0, 0.95])
    pairs["eye"] = head + [0, 0.01, 0.102] + 0.042 * aside
    joints = {"neck": spine, "head": head, "crown": head + [0, 0.024, -0.028]}
    for joint, (left, right) in pairs.items():
        joints |= {f"left {joint}": left, f"right {joint}": right}
    shift = -pairs["ankle"].mean(0)
    shift[:, 1] = angles[0, :, 9] + np.maximum(0.055 - pairs["ankle"][..., 1].min(0), 0.1)
    return {joint: position + shift for joint, position in joints.items()}


def project(points, yaw, rise, scale, feet):
    """Show points to a camera 5 m away.

    Args:
        points: (..., 3) in meters: x to one's left, y up, z ahead.
        yaw, rise: radians that the figure turns, that the camera looks from above.
        scale: pixels a meter.
        feet: (..., 2), pixel of the point 0.

    Returns:
        Pixels (..., 2) and nearness (...) in meters.
    """
    x, y, z = np.moveaxis(points, -1, 0)
    x, z = np.cos(yaw) * x + np.sin(yaw) * z, np.cos(yaw) * z - np.sin(yaw) * x
    y, z = np.cos(rise) * y - np.sin(rise) * z, np.cos(rise) * z + np.sin(rise) * y
    return feet + scale * np.stack([x, -y], -1) * 5 / (5 - z)[..., None], z


def paint_room(colors, width, height, edge, rng):
    """A blurred wall with pictures, uint8 (height, width, 3), and a floor from row `edge` down."""
    room = np.tile(colors["wall"], (height, width, 1))
    for _ in range(rng.integers(2, 6)):
        top, left = (rng.uniform(0, 0.8, 2) * (edge, width)).astype(int)
        rows, columns = (rng.uniform(0.1, 0.4, 2) * width).astype(int)
        room[top : top + rows, left : left + columns] = colors["wall"] * rng.uniform(0.75, 1.1, 3)
    room[edge:] = colors["floor"]
    room *= np.linspace(1.1, 0.85, height)[:, None, None]
    room += cv2.resize(rng.normal(0, 7, (7, 9)), (width, height))[..., None]
    return np.clip(cv2.GaussianBlur(room, (0, 0), 1.5), 0, 255).astype(np.uint8)


def draw_figure(frames, seen, colors, scale, parts=PARTS):
    """Draw all parts on frames, in place, far ones first.

    Args:
        frames: uint8 (frames, height, width, 3), RGB.
        seen: dict of joint: what `project` returned for it.
        colors: dict of RGB.
        scale: pixels a meter.
        parts: rows like `PARTS`.
    """
    margin, grown, moved = np.array(LAYERS).T[:3, :, None, None]
    outlines, nearness = [], []  # by part (frames, layers, points, 2) and (frames,)
    for _, bit, balls in parts:
        centers = np.stack([seen[joint][0] for joint, _ in balls])[:, :, None, None]
        radii = scale * np.array([radius for _, radius in balls])[:, None, None, None, None]
        rims = centers + moved * radii + (radii * (1 + grown) + margin) * CIRCLE
        outlines.append(np.int32(np.concatenate(rims, axis=2) * 2**SHIFT))
        nearness.append(seen[balls[-1][0]][1] + bit)
    order = np.argsort(nearness, axis=0, kind="stable")
    paints = [[list(light * colors[color]) for *_, light in LAYERS] for color, *_ in parts]
    for t, frame in enumerate(frames):
        for part in order[:, t]:
            for outline, paint in zip(outlines[part][t], paints[part], strict=True):
                cv2.fillConvexPoly(frame, cv2.convexHull(outline), paint, cv2.LINE_AA, SHIFT)


def render_clip(action, actor, clip, seed, shape=None):
    """Render one clip; the same arguments give the same frames.

    Args:
        action: a key of `ACTIONS`; a ValueError names them.
        actor, clip, seed: numbers, not negative. The actor and the seed decide who is seen, and
            where; all of them decide the view, the speed, the length and the size.
        shape: (frames, height, width), where they are not to be drawn; the frames are spread over
            the whole action, and are 25 a second.

    Returns:
        uint8 (frames, height, width, 3), RGB, and frames per second.
    """
    if action not in ACTIONS:
        raise ValueError(f"Unknown action {action!r}; known: {', '.join(sorted(ACTIONS))}.")
    rng = np.random.default_rng([seed, sorted(ACTIONS).index(action), actor, clip])
    width, height = SIZES[rng.integers(len(SIZES))]
    fps = float(rng.choice((25, 30)))
    times = np.arange(round(rng.uniform(1.6, 3) * fps)) / fps
    if shape:
        count, height, width = shape
        fps, times = 25.0, np.linspace(0, times[-1], count)
    waves = rng.uniform(0.1, 0.35, 2) * times[:, None] + rng.uniform(size=2)
    drift = 3 * min(1, height / 240) * np.sin(2 * np.pi * waves)
    looks = np.random.default_rng([seed, actor])
    bones, girth, colors = dress(looks)
    scale = looks.uniform(0.85, 1) * min(0.36 * height, 0.48 * width)
    feet = np.array([looks.uniform(0.42, 0.58) * width, 0.91 * height])
    room = paint_room(colors, width + 8, height + 8, int(feet[1] - 0.3 * scale), looks)
    middle = (width + 7) / 2, (height + 7) / 2
    frames = np.stack([cv2.getRectSubPix(room, (width, height), middle - move) for move in drift])
    view = (*np.radians(rng.uniform((-40, 3), (40, 14))), scale, feet + drift)
    joints = _place_joints(_perform(action, times, rng), bones)
    below = (joints["left hip"] + joints["right hip"]) / 2 * [1, 0, 1]
    rims = np.stack(project(below + np.insert(0.36 * CIRCLE, 1, 0, axis=1)[:, None], *view)[0], 1)
    for frame, shadow in zip(frames, np.int32(rims * 2**SHIFT), strict=True):
        cv2.fillConvexPoly(frame, shadow, 0.68 * colors["floor"], cv2.LINE_AA, SHIFT)
    seen = {joint: project(position, *view) for joint, position in joints.items()}
    draw_figure(frames, seen, colors, girth * scale)
    return frames, fps


def save_frames(paths, frames):
    """Write frames, uint8 RGB (height, width, 3), as PNG files.

    Raises:
        OSError: a file that cannot be written; it is named.
    """
    for path, frame in zip(paths, frames, strict=True):
        found, png = cv2.imencode(".png", frame[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 4])
        if not found:
            raise OSError(f"{path}: a frame {frame.shape} of {frame.dtype} cannot be a PNG.")
        path.write_bytes(png)
