"""The settings that rows of features were made with: all that their numbers depend on."""

from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from types import UnionType
from typing import get_args, get_origin

from utils.features.blocks import RowFormat
from utils.features.store import JOINED, find_manifest
from utils.system.settings_files import read_kind
from utils.video.image_folders import IMAGE_FPS
from utils.video.views import CENTER

VERSION = 1  # of what a row's numbers depend on besides the settings
ROWS = "rows.json"  # in a run's folder: the settings of the features that stage 2 began with
BACKBONE = "i3d"  # of stores that name none
_LATER = ("backbone", "runtime", "networks")


class UnknownSettingsError(ValueError):
    """Features that `scripts.extract_features` did not write."""


def _accepts(kind, value):
    """Return whether a value of JSON is one of a field's type."""
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    told = {float: int | float, tuple: list | tuple}
    plain = (get_origin(each) or each for each in kinds)
    return any(isinstance(value, told.get(each, each)) for each in plain)


@dataclass(frozen=True, kw_only=True)
class FeatureSettings:
    """The settings of rows of features, in the order of a store's manifest.json.

    Attributes:
        version: of what the numbers depend on besides the settings.
        window, stride, edges: see `utils.features.rows.row_starts`.
        route: "windows", each alone, or "dense", what they share computed once.
        endpoint: the stage of the backbone that rows are read off.
        stream: rgb, flow or both.
        fps, image_fps, short_side, frame_size: as in `RowFormat`.
        dtype: of the numbers in the files.
        precision: of the network: a Keras dtype policy, or one of OpenVINO.
        views: keys of `utils.video.views.VIEWS`.
        chunk: dense: frames of the chunks, else None.
        shared: dense: the last stage that windows share, else None.
        flow: of `utils.video.flow.flow_kind`; None where no flow is read.
        weights: {stream: name of the weights}.
        fingerprint: {stream: hash of the weights, the output and the precision}.
        backbone: what turns frames into rows.
        runtime: what computes it, keras or openvino.
        networks: {frames of a block: hash of the int8 network}; None for other precisions.
    """

    version: int = VERSION
    window: int
    stride: int
    edges: str
    route: str
    endpoint: str
    stream: str
    fps: float
    image_fps: float
    short_side: int
    frame_size: int
    dtype: str
    precision: str
    views: tuple[str, ...] = (CENTER,)
    chunk: tuple[int, ...] | None
    shared: str | None
    flow: dict | None
    weights: dict
    fingerprint: dict
    backbone: str = BACKBONE
    runtime: str = "keras"
    networks: dict | None = None

    @classmethod
    def from_json(cls, found):
        """Return the settings in the object of a manifest.json; other keys are left out.

        Raises:
            ValueError: naming the first setting that is missing, or of another type.
        """
        needed = [field.name for field in fields(cls) if field.default is MISSING]
        if missing := [name for name in needed if name not in found]:
            raise ValueError(f"no {missing[0]}")
        for field in fields(cls):
            value = found.get(field.name, field.default)
            if not _accepts(field.type, value):
                raise ValueError(f"its {field.name} is {value!r}")
        known = {field.name: found[field.name] for field in fields(cls) if field.name in found}
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in known.items()})

    def to_json(self):
        """Return the object of a manifest.json; what stores once did not tell, if it is unusual."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        usual = {field.name: field.default for field in fields(self)}
        return {
            name: value
            for name, value in found.items()
            if name not in _LATER or value != usual[name]
        }

    def in_keras(self):
        """Return settings for the same rows by Keras: in float32, where it was another runtime."""
        own = {} if self.runtime == "keras" else {"precision": "float32"}
        return replace(self, runtime="keras", networks=None, **own)

    @property
    def lengths(self):
        """Frames of the blocks that the network takes."""
        return self.chunk if self.dense else (self.window,)

    @property
    def shape(self):
        """(window, frame size, endpoint): what a backbone is built for."""
        return self.window, self.frame_size, self.endpoint

    @property
    def dense(self):
        """Whether what windows share is computed once."""
        return self.route == "dense"

    def make_row_format(self, row_step=1):
        """Return the `RowFormat` of the rows that a run sees, of the center view.

        On the route dense all rows are computed, and those between left out afterwards: fewer of
        them would be cut into other chunks.

        Args:
            row_step: from a row that is taken to the next.
        """
        names = "window stride edges stream fps image_fps short_side frame_size".split()
        return RowFormat(
            **{name: getattr(self, name) for name in names},
            lengths=self.lengths,
            flow=self.flow["method"] if self.flow else RowFormat().flow,
            step=1 if self.dense else row_step,
        )

    def describe_maps(self, endpoint, fingerprint, precision, row_step):
        """Return the settings of a store of the maps at an endpoint, a window's each, as JSON.

        Args:
            endpoint: the stage that the maps are read off.
            fingerprint: hash of the network up to there.
            precision: of the network, a Keras dtype policy.
            row_step: from a window that is kept to the next.
        """
        own = {"endpoint": endpoint, "fingerprint": fingerprint, "precision": precision}
        kept = self.in_keras().to_json()
        for name in ("version", "views", "weights"):
            del kept[name]
        return kept | own | {"row_step": row_step}


def list_networks(features):
    """Return the hashes of the int8 networks that made features, of any origin."""
    return set((find_manifest(features).get("networks") or {}).values()) if features else set()


def read_settings(run):
    """Return the `FeatureSettings` of the features that a run began with.

    Raises:
        UnknownSettingsError: nothing tells them.
    """
    path = Path(run, ROWS)
    if path.is_file():
        found = read_kind(path)
    else:
        path = Path(run, "features.json")
        found = (read_kind(path).get("manifest") if path.is_file() else None) or {}
    if JOINED in found:
        raise ValueError(
            f"{run} was trained on rows that scripts.join_features joined; those of a new video "
            "cannot be computed. evaluate.py and scripts.explain read stored rows: join those "
            "of the video too, and give their folder as --features. scripts.predict takes such a "
            "file of a recognition run."
        )
    try:
        return FeatureSettings.from_json(found)
    except ValueError as error:
        raise UnknownSettingsError(
            f"{run}: it is unknown how its features were made ({error} in {path.name}), "
            "because scripts.extract_features did not write them. Extract features with "
            "that script and train on them."
        ) from error


def find_stride(features, row_step=1, given=0):
    """Return the frames from a row to the next, every `row_step`th taken; None: nothing tells.

    Args:
        features: folder or file of features, of any origin.
        row_step: from a row that is taken to the next.
        given: frames from a row to the next, where no manifest tells it. 0: not known.

    Raises:
        ValueError: a manifest tells another one than is given.
    """
    told = find_manifest(features).get("stride")
    if told and given and told != given:
        raise ValueError(
            f"row_stride is {given}, but {features} was extracted with stride {told}. Leave out "
            "row_stride."
        )
    stride = told or given
    return stride * row_step if stride else None


def find_image_fps(features):
    """Return the frames per second of folders of images behind features, of any origin."""
    return find_manifest(features).get("image_fps", IMAGE_FPS)
