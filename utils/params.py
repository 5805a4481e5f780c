"""The parameters of a run. Edit the defaults here, or give any of them as a flag."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from utils.clips import ClipFormat


@dataclass(frozen=True)
class Params:
    """Everything that decides a run, in the order a user thinks of it."""

    # --- Data ---
    data_path: str = "sample"
    """Folder of class folders (maybe under train/ val/ test/), a .csv, a UCF101 list, or sample."""
    video_root: str = ""
    """Where the paths in a .csv or UCF101 list begin; empty: beside the file."""
    group_pattern: str = ""
    """Regex; videos with equal first groups stay in one split. Empty: ..._gNN_..., ..._clipNN."""
    val_fraction: float = 0.2
    """Share of the training videos held out for validation, where no split is given; 0: none."""
    test_fraction: float = 0.0
    """Share of the videos held out for testing, where no split is given."""
    balance: Literal["none", "weights", "sampling"] = "none"
    """Uneven classes: leave them, weigh the loss, or draw classes equally often."""
    cache_path: str = "weights/cache"
    """Where probed videos and the features of the frozen backbone are kept."""

    # --- Clips ---
    stream: Literal["rgb", "flow"] = "rgb"
    """RGB frames, or TV-L1 optical flow (slow: about 0.4 s a frame)."""
    num_segments: int = 4
    """Segments per video: the steps of the LSTM."""
    frames_per_segment: int = 8
    """Frames per segment, from 8 up; 16 to 64 for longer videos or a faster machine."""
    sampling: Literal["segments", "uniform"] = "segments"
    """Consecutive frames inside each segment, or frames spread evenly over the whole video."""
    fps: float = 25.0
    """Frames per second after resampling; the weights expect 25. 0: the file's own frames."""
    short_side: int = 256
    """Pixels of the shorter side before cropping; the weights expect 256."""
    frame_size: int = 224
    """Height and width of the crop in pixels, from 112 up; the weights expect 224."""
    flip: bool = True
    """Mirror half of the training clips; not for actions with a side, such as sign language."""
    color: float = 0.2
    """Largest random change of brightness, contrast and saturation when training."""
    feature_views: int = 1
    """Versions of each training clip to cache with a frozen backbone: the centre view, then random
    ones. 0: no cache, a new random clip every epoch."""

    # --- Network ---
    network: str = "i3d_lstm"
    """i3d (segments averaged) or i3d_lstm (LSTM 512, LSTM 256)."""
    weights: str = "kinetics"
    """kinetics, imagenet_kinetics, none (from scratch), or a file of published weights."""
    finetune: str = "auto"
    """What of I3D is trained: none, all, or from an endpoint on, such as Mixed_5b. auto: none, but
    all when from scratch."""
    train_batchnorm: bool = False
    """Train the fine-tuned part's BatchNorm too; always so from scratch."""
    dropout: float = 0.5
    """Dropout rate before the logits."""

    # --- Training ---
    batch_size: int = 8
    """Videos per step."""
    epochs: int = 20
    """Passes over the training videos."""
    learning_rates: tuple[float, float, float] = (1e-2, 1e-3, 1e-4)
    """SGD's learning rate in each of the three phases."""
    rate_epochs: tuple[int, int] = (10, 15)
    """Last epoch of the first and of the second phase."""
    momentum: float = 0.9
    """SGD's momentum."""
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """Number format; bfloat16 halves the time on GPUs and on CPUs that have it, no others."""
    workers: int = 2
    """Threads that read videos."""
    gpus: int = -1
    """GPUs to use, MirroredStrategy on several; -1: all there are, 0: the CPU."""
    seed: int = 0
    """Seed of the split, the order, the augmentation and the initial weights."""
    run: str = ""
    """Name of the run's folder in weights/; empty: named after data and network, numbered."""
    resume: bool = False
    """Go on with the run (the newest of that name) from its last finished epoch."""

    # --- Evaluation ---
    eval_clips: int = 1
    """Views in time that are averaged when a video is scored."""
    eval_crops: Literal[1, 3] = 1
    """Views in space: the centre, or three along the longer side."""

    def __post_init__(self):
        for name, low, high, meaning in _RANGES:
            values = getattr(self, name)
            for value in values if isinstance(values, tuple) else (values,):
                if not low <= value <= high:
                    raise ValueError(f"{name} is {value}; it must be {meaning}.")
        first, second = self.rate_epochs
        if first >= second:
            raise ValueError(
                f"rate_epochs are {first} and {second}; the second phase must end after the first."
            )
        if self.frame_size > self.short_side:
            raise ValueError(
                f"frame_size is {self.frame_size} but short_side {self.short_side}; a crop cannot "
                "be larger than the frame: raise short_side or lower frame_size."
            )
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError(
                f"val_fraction {self.val_fraction} and test_fraction {self.test_fraction} leave "
                "nothing to train on; their sum must be below 1."
            )
        if self.weights == "none" and self.finetune not in ("auto", "all"):
            raise ValueError(
                f"weights is none and finetune {self.finetune}: frozen layers would stay random. "
                "Give finetune all (or auto), or pretrained weights."
            )
        if Path(self.run).name != self.run:
            raise ValueError(f"run is {self.run!r}; give a folder's name, without slashes.")

    @property
    def trained_part(self):
        """`finetune`, with auto decided."""
        if self.finetune != "auto":
            return self.finetune
        return "all" if self.weights == "none" else "none"

    @property
    def caches_features(self):
        """Whether the frozen part of the backbone runs once a clip instead of every epoch."""
        return self.trained_part != "all" and self.feature_views > 0

    @property
    def clip_format(self):
        """The `ClipFormat` of the run."""
        return ClipFormat(
            self.num_segments,
            self.frames_per_segment,
            self.sampling,
            self.fps,
            self.short_side,
            self.frame_size,
            self.stream,
        )


# Value or values, lowest, highest, in words.
_MANY = 10**9
_RANGES = [
    ("val_fraction", 0, 0.9, "from 0 to 0.9"),
    ("test_fraction", 0, 0.9, "from 0 to 0.9"),
    ("num_segments", 1, _MANY, "at least 1"),
    ("frames_per_segment", 8, _MANY, "at least 8, the shortest clip that I3D takes"),
    ("fps", 0, 1000, "from 1 to 1000, or 0 for the file's own frames"),
    ("frame_size", 112, _MANY, "at least 112, the smallest frame that I3D takes"),
    ("color", 0, 1, "from 0 to 1"),
    ("feature_views", 0, _MANY, "at least 0"),
    ("dropout", 0, 0.99, "from 0 to 0.99"),
    ("batch_size", 1, _MANY, "at least 1"),
    ("epochs", 1, _MANY, "at least 1"),
    ("learning_rates", 1e-12, 1e3, "above 0"),
    ("rate_epochs", 1, _MANY, "at least 1"),
    ("momentum", 0, 0.9999, "from 0 to below 1"),
    ("workers", 1, 1000, "from 1 to 1000"),
    ("gpus", -1, 1000, "-1 for all, 0 for the CPU, or a number of GPUs"),
    ("seed", 0, 2**32 - 1, "from 0 to 2**32 - 1"),
    ("eval_clips", 1, _MANY, "at least 1"),
]

# Named sets of changes: python training.py --preset NAME.
PRESETS = {
    "default": {},
    "paper": {"num_segments": 1, "frames_per_segment": 64, "network": "i3d"},
    "finetune": {"finetune": "Mixed_5b", "feature_views": 2},
    "scratch": {
        "weights": "none",
        "frame_size": 112,
        "short_side": 128,
        "learning_rates": (1e-1, 1e-2, 1e-3),
    },
}


def parse_params(arguments=None):
    """Make the `Params` from a command line.

    Args:
        arguments: list of strings; None for the program's own.

    Raises:
        ValueError: impossible or contradictory values.
        SystemExit: an unknown flag, or --help.
    """

    def preset_first(preset: Literal[tuple(PRESETS)] = "default"):
        return preset

    chosen, rest = tyro.cli(preset_first, args=arguments, return_unknown_args=True, add_help=False)
    default = Params(**PRESETS[chosen])
    description = (
        "Train a video classifier. The defaults are those of utils/params.py; "
        f"--preset {{{','.join(PRESETS)}}} chooses another set."
    )
    return tyro.cli(Params, args=rest, default=default, description=description)


def save_params(params, path):
    """Write the parameters as JSON."""
    Path(path).write_text(json.dumps(dataclasses.asdict(params), indent=1) + "\n")


def load_params(path):
    """Read the parameters that `save_params` wrote."""
    values = json.loads(Path(path).read_text())
    return Params(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
