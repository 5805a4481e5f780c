"""The options of commands on a run, whatever its task."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from models.explaining.choices import METHODS
from utils.params import Params
from utils.runs.export_formats import FORMATS, check_format
from utils.system.files import whole_path

import tyro


@dataclass(frozen=True)
class EvaluationOptions:
    """How a run is scored."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Folder of the run, weights/<run>. Two folders with --fuse."""
    split: str = ""
    """train, val (or dev), or test. Empty: test, or val if there is no test split."""
    data_path: str = ""
    """Score other data with the same classes, or another corpus. Empty: the data of the run."""
    eval_clips: int = 0
    """Clips per video, spread over time; their scores are averaged. 0: as in the run's
    parameters."""
    eval_crops: Literal[0, 1, 3] = 0
    """Crops per clip: 1 (center) or 3 (left, center, right). 0: as in the run's parameters."""
    workers: int = 0
    """Threads that read videos. 0: as in the run's parameters."""
    flow_path: str = ""
    """Folder that scripts.extract_flow wrote. Empty: as in the run's parameters."""
    features: str = ""
    """Runs on features: features of other data, moved features, or features with other settings.
    Empty: as in the run's parameters."""
    cache_path: str = Params.cache_path
    """Folder of the cache, as in training."""
    beam: int = 0
    """Recognition: width of the beam search, with the language model of the run if it has one. 1:
    the best class of each time step. 0: as the run has it, 1 without a language model."""
    worst: int = 10
    """Recognition: number of sentences with the most errors whose alignment is written."""
    fuse: bool = False
    """Fuse two runs: add their logits. The weight is chosen on their validation videos."""
    fusion_weight: float | None = None
    """With --fuse: weight of the second run, from 0 to 1. Not given: chosen. 0.5: both count the
    same, as in the paper."""

    def __post_init__(self):
        if self.beam < 0 or self.worst < 0:
            raise ValueError(
                f"beam is {self.beam} and worst is {self.worst}; both must be at least 0."
            )
        if len(self.runs) != 1 + self.fuse or len(set(self.runs)) < len(self.runs):
            raise ValueError("Give one run, or two and --fuse: python evaluate.py RUN RUN --fuse.")
        if self.fusion_weight is not None and not (self.fuse and 0 <= self.fusion_weight <= 1):
            raise ValueError(
                f"fusion_weight is {self.fusion_weight}; it must be from 0 to 1, and needs --fuse."
            )


def list_flags(options):
    """Return the words that scripts.explain needs to see what `EvaluationOptions` scored."""
    features = ["--features", whole_path(options.features)] if options.features else []
    return [*features, "--beam", str(options.beam)] if options.beam else features


@dataclass(frozen=True)
class ExplanationOptions:
    """What is explained, and how."""

    video: tyro.conf.Positional[str]
    """A video file or a folder of numbered images. Runs on features: also a file of features; the
    video itself need not exist. Recognition on features: also the id of a sentence. Recognition
    through a backbone: the id or the video, whose frames are read."""
    run: Path
    """Folder of the run, weights/<run>."""
    class_name: Annotated[str, tyro.conf.arg(name="class")] = ""
    """Class to explain. Empty: the most probable one."""
    method: Literal[("", *METHODS)] = ""
    """grad_cam, hires_cam, layer_cam: networks with a backbone. occlusion: those, and runs on
    features. integrated_gradients: runs on videos; minutes with a backbone.
    rollout: attention, whatever the class. Empty: the first of these that fits."""
    endpoint: str = ""
    """occlusion and class activation maps: stage of the backbone. Earlier stages show finer maps,
    but see less context. Empty: Mixed_4f of I3D under a trained head."""
    block: int = 0
    """Transformers: number of the block whose attention is drawn, from 1. 0: the last block."""
    features: str = ""
    """Runs on features: other features of the video. Empty: as in the run's parameters."""
    beam: int = 0
    """Recognition: width of the beam search, as in evaluate.py."""
    output: str = ""
    """Folder to write to. Empty: explanations/<video>/ in the run's folder."""


@dataclass(frozen=True)
class ExportOptions:
    """What is exported, and how the export is checked."""

    run: tyro.conf.Positional[Path]
    """Folder of the run, weights/<run>."""
    format: Literal[tuple(FORMATS)]
    """savedmodel: TensorFlow Serving. onnx. litert: TensorFlow Lite. openvino: Intel's, fast on
    CPUs. keras."""
    preprocessing: bool = False
    """Take uint8 RGB frames of any size: resizing, cropping and scaling become part of the exported
    network."""
    precision: Literal["float32", "float16", "bfloat16", "int8"] = "float32"
    """onnx and litert: float16 halves the file, int8 quarters it. openvino: int8 is fastest,
    bfloat16 is for CPUs that have it."""
    output: str = ""
    """New folder to write to. Empty: exports/<format>/ in the run's folder."""
    videos: tuple[Path, ...] = ()
    """Video files to check the export on. Empty: the validation videos of the run, or its test
    videos."""
    data_path: str = ""
    """Other labeled data to check the export on, such as a folder of class folders."""
    features: str = ""
    """Runs on features: folder of the features, if they were moved."""
    cache_path: str = Params.cache_path
    """Folder of the cache, as in training."""
    limit: int = -1
    """Number of videos to check the export on. 0: all. -1: 8 for float32, all for others."""
    tolerance: float | None = None
    """Largest difference of a probability. Not given: 0.001; 0.02 for float16, bfloat16 and
    --preprocessing, 0.3 for int8."""
    agreement: float | None = None
    """Smallest share of videos with the same top class. Not given: 1; 0.9 for int8."""

    def __post_init__(self):
        check_format(self.format, self.precision)
        if self.limit < -1:
            raise ValueError(f"limit is {self.limit}; give a number of videos, or 0 for all.")
        if self.videos and self.data_path:
            raise ValueError("Give --videos or --data-path, not both.")

    @property
    def folder(self):
        """Where the export will lie."""
        parts = [self.format, *["preprocessing"] * self.preprocessing]
        parts += [self.precision] * (self.precision != "float32")
        return Path(self.output or self.run / "exports" / "_".join(parts))

    @property
    def count(self):
        """How many examples to compare on; 0: all."""
        return self.limit if self.limit >= 0 else 8 * (self.precision == "float32")

    @property
    def calibrating(self):
        """Whether training examples are wanted to calibrate on."""
        return FORMATS[self.format].calibrates and self.precision == "int8"
