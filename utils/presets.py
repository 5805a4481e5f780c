"""Named sets of parameters: python training.py NAME, or --preset NAME.

Times are those of two CPU cores, scores those of docs/results.md.
"""

from typing import NamedTuple


class Preset(NamedTuple):
    """A named set of parameters, and what a user should know before trying it.

    Attributes:
        changes: {parameter: its value}; the others keep the defaults of `utils.params`.
        trains: what is trained, on which clips.
        cost: time and memory.
        score: what to expect.
    """

    changes: dict
    trains: str
    cost: str
    score: str


_ADAMW = {
    "optimizer": "adamw",
    "schedule": "cosine",
    "learning_rates": (1e-3, 1e-3, 1e-3),
    "warmup_epochs": 5,
    "weight_decay": 0.05,
    "clip_norm": 1.0,
}
_VIVIT_B = _ADAMW | {
    "network": "vivit",
    "embedder": "tubelet",
    "size": "base",
    "num_segments": 1,
    "frames_per_segment": 32,
    "sampling": "uniform",
    "epochs": 30,
    "learning_rates": (1e-4, 1e-4, 1e-4),
}
# The authors' recipe; their 8 frames lie 32 apart in videos of 30 frames a second and 10 seconds.
_TIMESFORMER = {
    "network": "timesformer",
    "size": "base",
    "weights": "kinetics",
    "num_segments": 1,
    "frames_per_segment": 8,
    "sampling": "uniform",
    "short_side": 224,
    "flip": True,
    "color": 0.0,
    "dropout": 0.0,
    "learning_rates": (5e-3, 5e-4, 5e-5),
    "rate_epochs": (11, 14),
    "epochs": 15,
    "weight_decay": 1e-4,
    "eval_crops": 3,
}
PRESETS = {
    "default": Preset(
        {},
        "I3D with an LSTM, I3D frozen; 4 segments of 8 frames.",
        "5 min on the sample, 1.4 GiB.",
        "Accuracy 0.958 on the sample.",
    ),
    "paper": Preset(
        {"num_segments": 1, "frames_per_segment": 64, "network": "i3d"},
        "I3D alone, as published: one clip of 64 frames; I3D frozen.",
        "2 s per video once, then seconds per epoch.",
        "Accuracy 0.81 on 240 surveillance clips of fights, with other learning rates.",
    ),
    "finetune": Preset(
        {"finetune": "Mixed_5b", "feature_views": 2},
        "I3D with an LSTM; the last blocks of I3D are trained too.",
        "Half a second per video and epoch, 1.3 GiB.",
        "Accuracy 0.87 on one fold of the fights, on one clip of 64 frames; frozen: 0.81.",
    ),
    "scratch": Preset(
        {
            "weights": "none",
            "frame_size": 112,
            "short_side": 128,
            "learning_rates": (1e-1, 1e-2, 1e-3),
        },
        "I3D with an LSTM, without pretrained weights, on frames of 112 pixels.",
        "11 min for 5 epochs on the sample, with 2 segments.",
        "Chance level after 5 epochs on the sample; needs far more data.",
    ),
    "isolated_signs": Preset(
        {
            "data_path": "sample_signs",
            "network": "i3d_transformer",
            "num_segments": 2,
            "frames_per_segment": 16,
            "short_side": 0,
            "flip": False,
            "feature_views": 2,
            "learning_rates": (1e-2, 1e-3, 1e-4),
            "rate_epochs": (30, 45),
            "epochs": 60,
        },
        "I3D with a Transformer on isolated signs; whole frames, no mirroring.",
        "22 min on the rendered signs.",
        "Accuracy 0.82 on 20 rendered signs.",
    ),
    "phoenix": Preset(
        {
            "task": "recognition",
            "network": "bilstm",
            "flip": False,
            "optimizer": "adamw",
            "learning_rates": (5e-4, 1e-4, 2e-5),
            "rate_epochs": (30, 45),
            "warmup_epochs": 1,
            "weight_decay": 1e-4,
            "clip_norm": 5.0,
            "epochs": 60,
            "patience": 15,
        },
        "Continuous sign language: a BiLSTM with CTC on features of I3D (--features).",
        "Features: 2.8 rows per second. Training: 15 s per epoch of 320 sentences, 1.1 GiB.",
        "WER 7 % on rendered signing. The real PHOENIX-2014 was not tried; expect about 45 %.",
    ),
    "vivit": Preset(
        {
            "network": "vivit",
            "num_segments": 1,
            "frames_per_segment": 16,
            "sampling": "uniform",
            "frame_size": 32,
            "short_side": 36,
            "mixup": 0.2,
            "epochs": 200,
            **_ADAMW,
        },
        "A small ViViT from scratch, 16 frames of 32 pixels.",
        "8 min on the sample.",
        "Accuracy 1.0 on the sample.",
    ),
    "timesformer": Preset(
        {
            "network": "timesformer",
            "num_segments": 1,
            "frames_per_segment": 8,
            "sampling": "uniform",
            "frame_size": 64,
            "short_side": 72,
            "color": 0.0,
            "dropout": 0.0,
            "batch_size": 16,
            "epochs": 15,
            **_ADAMW,
            "warmup_epochs": 2,
        },
        "A small TimeSformer from scratch, 8 frames of 64 pixels.",
        "5 s per epoch on sample_order.",
        "Accuracy 1.0 on sample_order, 0.96 on sample_appearance.",
    ),
    "timesformer_base": Preset(
        _TIMESFORMER,
        "TimeSformer-B from Kinetics-400 weights, 8 frames of 224 pixels.",
        "4 s per clip forward; a training step on one clip takes 4.8 GiB.",
        "Training was not tried.",
    ),
    "timesformer_hr": Preset(
        _TIMESFORMER | {"frames_per_segment": 16, "frame_size": 448, "short_side": 448},
        "TimeSformer-HR from Kinetics-400 weights, 16 frames of 448 pixels.",
        "9 times the work of timesformer_base.",
        "Training was not tried.",
    ),
    "timesformer_l": Preset(
        _TIMESFORMER | {"frames_per_segment": 96},
        "TimeSformer-L from Kinetics-400 weights, 96 frames of 224 pixels.",
        "1 min per clip forward, 3.2 GiB; a training step takes more than 18 GiB.",
        "Training was not tried.",
    ),
    "vivit_b16x2": Preset(
        _VIVIT_B,
        "ViViT-B/16x2 from scratch, 32 frames of 224 pixels.",
        "88.9 M parameters, 451 billion multiply-adds per clip.",
        "Training was not tried.",
    ),
    "vivit_b16x2_factorised": Preset(
        _VIVIT_B | {"encoder": "factorised"},
        "ViViT-B/16x2 from scratch, attention over space, then over time.",
        "115.1 M parameters, 283 billion multiply-adds per clip.",
        "Training was not tried.",
    ),
}
