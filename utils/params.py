"""The parameters of a run. Edit the defaults here, or give any of them as a flag."""

from dataclasses import dataclass
from typing import Literal

from utils.checks import check_params


@dataclass(frozen=True)
class Params:
    """Everything that decides a run, in the order a user thinks of it."""

    task: Literal["classification", "recognition"] = "classification"
    """classification: a video's labels; recognition: the glosses of continuous signing."""

    # --- Data ---
    data_path: str = "sample"
    """Folder of class folders (maybe under train/ val/ test/), a .csv, a UCF101 list, or sample,
    sample_order, sample_appearance, sample_signs."""
    class_names: tuple[str, ...] = ()
    """The classes, in the order of the outputs; empty: those of the data, sorted."""
    video_root: str = ""
    """Where the paths in a .csv or UCF101 list begin; empty: beside the file."""
    group_pattern: str = ""
    """Regex on the file name, or where no name has it on the path below the data; videos with equal
    first groups stay in one split. Empty: ..._gNN_..., ..._clipNN. '([^/]+)/[^/]+$': the folder."""
    features: str = ""
    """Train a head alone, on features in place of videos: a folder that scripts.extract_features
    wrote, any of .npy, .npz, .mat or .h5 files named after the videos, or one .npz or .h5."""
    val_fraction: float = 0.2
    """Share of the training videos held out for validation, where no split is given; 0: none."""
    test_fraction: float = 0.0
    """Share of the videos held out for testing, where no split is given."""
    balance: Literal["none", "weights", "sampling"] = "none"
    """Uneven classes: leave them, weigh the loss, or draw classes equally often."""
    cache_path: str = "weights/cache"
    """Where probed videos and the features of the frozen backbone are kept."""

    # --- Clips ---
    stream: Literal["rgb", "flow", "both"] = "rgb"
    """RGB frames, optical flow between them, or both joined to five channels."""
    flow: Literal["tvl1", "dis", "farneback"] = "tvl1"
    """How flow is computed: tvl1 (what the published weights were trained on, slow), dis or
    farneback."""
    flow_path: str = ""
    """Folder of flow that scripts.extract_flow stored; empty: its default one, where it is there.
    Flow that is not stored is computed anew each time."""
    num_segments: int = 4
    """Segments per video: the steps of the LSTM."""
    frames_per_segment: int = 8
    """Frames per segment, from 8 up; 16 to 64 for longer videos or a faster machine."""
    sampling: Literal["segments", "uniform"] = "segments"
    """Consecutive frames inside each segment, or frames spread evenly over the whole video."""
    fps: float = 25.0
    """Frames per second after resampling; the weights expect 25. 0: the file's own frames."""
    short_side: int = 256
    """Pixels of the shorter side before cropping; the weights expect 256. 0: nothing is cut, the
    whole frame is stretched to the square: for signing, where hands reach the edges."""
    frame_size: int = 224
    """Height and width of the crop in pixels, from 112 up; the weights expect 224."""
    flip: bool = True
    """Mirror half of the training clips; not for actions with a side, such as sign language."""
    color: float = 0.2
    """Largest random change of brightness, contrast and saturation when training."""
    rand_operations: int = 0
    """RandAugment: random operations on each training clip; 2 is usual. RGB only."""
    rand_magnitude: float = 0.3
    """RandAugment: how strong they are, from 0 to 1."""
    mixup: float = 0.0
    """MixUp: alpha of the share of a second clip (or its features) blended in; 0: off."""
    cutmix: float = 0.0
    """CutMix: alpha of the size of a box cut out of a second clip; 0: off."""
    feature_views: int = 1
    """Versions of each training clip to cache with a frozen backbone: the center view, then random
    ones. 0: no cache, a new random clip every epoch."""

    # --- Network ---
    network: str = "i3d_lstm"
    """A backbone and a head: i3d (segments averaged), i3d_lstm, i3d_transformer, i3d_vivit; or
    vivit, timesformer. Recognition: bilstm or transformer."""
    activation: Literal["softmax", "sigmoid"] = "softmax"
    """One label a video; or several (run;jump in a .csv), or two classes with one output."""
    weights: str = "auto"
    """kinetics, imagenet_kinetics (timesformer: kinetics, kinetics600, ssv2, imagenet), inflated
    (flow from RGB's weights), none (from scratch), a file of published weights, or a run
    (weights/<run>) to start from. auto: kinetics for i3d networks, else none. Recognition through a
    backbone: the run on features that it goes on from."""
    flow_weights: str = "auto"
    """stream both: what flow's backbone starts from; auto: as weights; inflated: from RGB's
    weights."""
    fusion: str = "logits"
    """stream both: logits, those of a head for each are added; or features, joined for one head."""
    finetune: str = "auto"
    """What of the backbone is trained: none, all, or from a stage on, such as Mixed_5b. auto: none,
    but all when from scratch. Recognition: from where on, behind weights."""
    train_batchnorm: bool = False
    """Train the fine-tuned part's BatchNorm too; always so from scratch."""
    dropout: float = 0.5
    """Dropout rate before the logits."""
    stochastic_depth: float = 0.0
    """Transformers: chance that a step leaves the last block out; less for those before it."""
    pooling: str = "class"
    """Transformers: a class token decides, or fused, the mean of all tokens."""
    embedder: str = "flatten"
    """vivit: flatten (a token a frame), patches, tubelet (of two frames) or i3d, its last map."""
    encoder: str = "joint"
    """vivit: joint over all tokens, or factorised into space, then time."""
    attention: str = "divided"
    """timesformer: space, joint, divided, local_global or axial."""
    positions: str = "space_time"
    """timesformer: position embeddings, none, space or space_time."""
    size: str = "small"
    """vivit, timesformer: small, or base (ViT-B)."""
    patch_size: int = 16
    """vivit, timesformer: pixels of a patch's or tubelet's side."""

    # --- Recognition ---
    corpus: str = ""
    """phoenix2014, phoenix2014_si5, phoenix2014t or csv, where data_path holds several."""
    vocabulary: Literal["cleaned", "raw"] = "cleaned"
    """Glosses to train on: as they are scored, or as they are written."""
    row_step: int = 1
    """From a row of the features that is taken to the next: features of stride 2 are of stride 4
    with 2, of stride 16 with 8."""
    front: str = "auto"
    """Convolutions before the encoder, and their pooling: none, K5-K5, K5-P2-K5, K5-P2-K5-P2.
    auto: what makes the rows' stride up to four frames a step."""
    width: int = 1024
    """Channels of a step: convolution, both directions of the LSTM together."""
    auxiliary: float = 1.0
    """Weight of the CTC loss straight after the convolution; 0: none."""
    distillation: float = 0.0
    """Weight of its divergence from the final output, such as 1; 0: none."""
    rescale: float = 0.2
    """Largest random change of a training sentence's length."""
    drop_rows: float = 0.1
    """Chance that a row of a training sentence is left out."""
    noise: float = 0.1
    """Noise on training features, in standard deviations of each channel."""
    windows: int = 8
    """Training the backbone: windows that go through it at a time; fewer take less memory."""

    # --- Training ---
    batch_size: int = 8
    """Videos per step."""
    epochs: int = 20
    """Passes over the training videos."""
    optimizer: str = "sgd"
    """sgd with momentum, or adamw."""
    schedule: str = "phases"
    """phases: three constant rates; cosine: from the first of them down to zero."""
    learning_rates: tuple[float, float, float] = (1e-2, 1e-3, 1e-4)
    """The learning rate in each of the three phases."""
    rate_epochs: tuple[int, int] = (10, 15)
    """Last epoch of the first and of the second phase."""
    warmup_epochs: int = 0
    """Epochs in which the rate rises from zero."""
    momentum: float = 0.9
    """SGD's momentum."""
    weight_decay: float = 0.0
    """Decoupled weight decay, of kernels only; 0.05 is usual with adamw."""
    clip_norm: float = 0.0
    """Largest norm of all gradients together; 0: any."""
    accumulate: int = 1
    """Batches whose gradients are averaged for one step."""
    ema: float = 0.0
    """Momentum of the average of the weights that is scored and kept, such as 0.99; 0: none."""
    label_smoothing: float = 0.0
    """Share of the target that is spread over all classes."""
    focal: float = 0.0
    """Gamma of the focal loss, such as 2; 0: cross-entropy."""
    patience: int = 0
    """Epochs without a better one after which training ends; 0: never before the last."""
    pictures: float = 0.02
    """TensorBoard: share of the time that its pictures may take (confusion matrix, clips and
    sentences with predictions); 1: after each epoch, 0: none."""
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
    """Views in space: the center, or three along the longer side."""

    def __post_init__(self):
        check_params(self)
