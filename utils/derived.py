"""What follows from a run's parameters."""

from pathlib import Path

from utils.clips.reading import ClipFormat
from utils.video.flow import flow_kind
from utils.video.flow_store import default_store


class Derived:
    """The properties of `utils.params.Params`: its values with auto decided, and put together."""

    @property
    def has_i3d(self):
        """Whether the network holds an I3D."""
        on_clips = self.network in ("vivit", "timesformer")
        return not on_clips or (self.network == "vivit" and self.embedder == "i3d")

    @property
    def start(self):
        """`weights`, with auto decided."""
        if self.weights != "auto":
            return self.weights
        return "kinetics" if self.has_i3d else "none"

    @property
    def starts(self):
        """{stream: what it starts from}."""
        if self.features:  # without an I3D there is nothing but a head to start, from a run's
            return {} if self.weights in ("auto", "none") else {self.stream: self.weights}
        if self.stream != "both":
            return {self.stream: self.start}
        flow = self.start if self.flow_weights == "auto" else self.flow_weights
        return {"rgb": self.start, "flow": flow}

    @property
    def trained_part(self):
        """`finetune`, with auto decided."""
        if self.finetune != "auto":
            return self.finetune
        return "none" if self.has_i3d and "none" not in self.starts.values() else "all"

    @property
    def caches_features(self):
        """Whether the frozen part of the backbone runs once a clip instead of every epoch."""
        return not self.features and self.trained_part != "all" and self.feature_views > 0

    @property
    def cut(self):
        """Where the network is cut: what lies before runs once a clip; all: nothing does."""
        return self.trained_part if self.caches_features else "all"

    @property
    def clip_shape(self):
        """(segments, frames, frame size, stream): what `models.networks.build` asks of a clip."""
        return self.num_segments, self.frames_per_segment, self.frame_size, self.stream

    @property
    def clip_format(self):
        """The `ClipFormat` of the run."""
        store = default_store(self.cache_path, flow_kind(self.flow, self.fps, self.short_side))
        return ClipFormat(
            self.num_segments,
            self.frames_per_segment,
            self.sampling,
            self.fps,
            self.short_side,
            self.frame_size,
            self.stream,
            self.flow,
            self.flow_path or (str(store) if Path(store, "flow.json").is_file() else ""),
        )
