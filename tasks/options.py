"""The options of commands on a run, whatever its task."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from utils.params import Params
from utils.runs.export_formats import FORMATS, check_format

import tyro


@dataclass(frozen=True)
class EvaluationOptions:
    """Which run is scored, on what, and how."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """The run's folder, weights/<run>; or two to fuse."""
    split: str = ""
    """train, val (or dev) or test; empty: test, or val where there is no test split."""
    data_path: str = ""
    """Other data with the same classes, another corpus; empty: the run's own lists."""
    eval_clips: int = 0
    """Views in time that are averaged; 0: as the run's parameters say."""
    eval_crops: Literal[0, 1, 3] = 0
    """Views in space, 1 or 3; 0: as the run's parameters say."""
    workers: int = 0
    """Threads that read videos; 0: as the run's parameters say."""
    flow_path: str = ""
    """Folder of scripts.extract_flow; empty: as the run's parameters say."""
    features: str = ""
    """For runs on features: those of other data, moved ones, or ones made otherwise; empty: as the
    run's parameters say."""
    cache_path: str = Params.cache_path
    """Where what was computed of videos is kept, as in training."""
    beam: int = 1
    """Recognition: prefixes that the search keeps; 1 takes the best class of each step."""
    worst: int = 10
    """Recognition: sentences with most errors whose alignment is shown."""
    fuse: bool = False
    """Add the logits of two runs, by a weight chosen on their validation videos."""
    fusion_weight: float | None = None
    """With --fuse, the second run's weight, 0 to 1, instead of a chosen one; 0.5 is the paper's."""

    def __post_init__(self):
        if self.beam < 1 or self.worst < 0:
            raise ValueError(f"beam is {self.beam}, worst {self.worst}; give 1 and 0 or more.")
        if len(self.runs) != 1 + self.fuse or len(set(self.runs)) < len(self.runs):
            raise ValueError("Give one run, or two and --fuse: python evaluate.py RUN RUN --fuse.")
        if self.fusion_weight is not None and not (self.fuse and 0 <= self.fusion_weight <= 1):
            raise ValueError(
                f"fusion_weight is {self.fusion_weight}; give 0 to 1, together with --fuse."
            )


@dataclass(frozen=True)
class ExplanationOptions:
    """What is explained, of which run, and how."""

    video: tyro.conf.Positional[str]
    """A video file or a folder of numbered images. For runs on features the video need not be
    there, and may be a file of features; for recognition it may be a sentence's id. Of recognition
    through a backbone the video itself is read."""
    run: Path
    """The run's folder, weights/<run>."""
    class_name: Annotated[str, tyro.conf.arg(name="class")] = ""
    """The class to explain; empty: the most probable."""
    method: str = ""
    """grad_cam (networks with a backbone), integrated_gradients (without), rollout (attention, of
    no class in particular) or occlusion (on features); empty: the first of these that fits."""
    endpoint: str = ""
    """Stage of the backbone where Grad-CAM looks, such as Mixed_4f; earlier ones see less, but
    finer. Empty: the last."""
    block: int = 0
    """Of a Transformer, whose attention is drawn too; 0: the last."""
    features: str = ""
    """For runs on features: other ones; empty: as the run's parameters say."""
    beam: int = 1
    """Recognition: prefixes that the search keeps; 1 takes the best class of each step."""
    output: str = ""
    """Folder of what is written; empty: explanations/<video's name>/ in the run's."""


@dataclass(frozen=True)
class ExportOptions:
    """Which run is exported, to what, and what it is tried on."""

    run: tyro.conf.Positional[Path]
    """The run's folder, weights/<run>."""
    format: Literal["savedmodel", "onnx", "litert", "keras"]
    """savedmodel (TensorFlow Serving), onnx, litert (TensorFlow Lite), or keras."""
    preprocessing: bool = False
    """Begin with uint8 RGB frames of any size: resizing, cropping and scaling are in the graph."""
    precision: Literal["float32", "float16", "int8"] = "float32"
    """onnx and litert: numbers of half or a quarter the size."""
    output: str = ""
    """Folder of what is written, which must not be there; empty: exports/<format> in the run's."""
    videos: tuple[Path, ...] = ()
    """Video files to compare on; empty: the run's validation videos, or else its test videos."""
    data_path: str = ""
    """Other labeled data to compare on, such as a folder of class folders."""
    features: str = ""
    """For runs on features: where they are now, if not where they were."""
    cache_path: str = Params.cache_path
    """Where what was computed of videos is kept, as in training."""
    limit: int = -1
    """How many videos to compare on, evenly spread; 0: all; -1: 8, or all for float16 and int8."""
    tolerance: float | None = None
    """Largest difference of a probability; empty: 0.001 (float16 and preprocessing 0.02, int8
    0.3)."""
    agreement: float | None = None
    """Least share of videos with the same top-1; empty: 1 (int8 0.9)."""

    def __post_init__(self):
        check_format(self.format, self.precision)
        if self.limit < -1:
            raise ValueError(f"limit is {self.limit}; give 0 for all videos, or how many.")
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
