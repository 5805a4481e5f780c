"""The parameters of a run. Change a default here, or give the flag of the same name.

`frame_size = 224` here is `--frame-size 224` on the command line. `python training.py --help`
lists all flags with their values, and the presets.
"""

from typing import Literal

from utils.checks import check_params, parameters, refuse_name
from utils.places import WEIGHTS


@parameters
class Run:
    """What is trained, and under which name."""

    task: Literal["classification", "recognition"] = "classification"
    """classification: say which classes a video shows. recognition: write down the glosses of
    continuous sign language."""
    run: str = ""
    """Name of the run's folder in weights/. Empty: data and network, with a number if taken."""
    resume: bool = False
    """Continue the newest run of that name from its last finished epoch."""


@parameters
class Data:
    """The videos, their labels and their splits."""

    data_path: str = "sample"
    """Your videos: a folder with one folder per class (train/, val/ and test/ above them are
    optional), a .csv, or a UCF101 list. Built in: sample, sample_order, sample_appearance,
    sample_signs."""
    features: str = ""
    """Train on features instead of videos: a folder that scripts.extract_features wrote, or .npy,
    .npz, .mat or .h5 files named after the videos. Only the head is trained."""
    class_names: tuple[str, ...] = ()
    """Class names in the order of the outputs. Empty: the classes of the data, sorted."""
    video_root: str = ""
    """Folder that the paths in a .csv or UCF101 list start from. Empty: the folder of the list."""
    group_pattern: str = ""
    """Regular expression that tells which videos belong together. Videos whose first group matches
    the same text stay in one split. It is searched in the file name, then in the path below the
    data; '([^/]+)/[^/]+$' groups by folder. Empty: names such as _g01_ or _clip01 are found."""
    val_fraction: float = 0.2
    """Share of the training videos used for validation if the data has no split. 0: none."""
    test_fraction: float = 0.0
    """Share of the videos used for testing if the data has no split."""
    balance: Literal["none", "weights", "sampling"] = "none"
    """Imbalanced classes. weights: rare classes weigh more in the loss. sampling: all classes are
    drawn equally often."""


@parameters
class Clips:
    """The part of a video that the network sees, and its augmentation."""

    stream: Literal["rgb", "flow", "both"] = "rgb"
    """rgb: frames. flow: optical flow between them. both: two-stream, RGB and flow."""
    flow: Literal["tvl1", "dis", "farneback"] = "tvl1"
    """Optical flow method. tvl1: what the published flow weights were trained on, slow. dis and
    farneback are fast."""
    flow_path: str = ""
    """Folder that scripts.extract_flow wrote. Empty: its default folder, if there is one. Flow that
    is not stored is computed again every time."""
    num_segments: int = 4
    """Segments per video. They are spread over the whole video and are the LSTM's time steps."""
    frames_per_segment: int = 8
    """Frames per segment, for I3D at least 8. Try 16 to 64 for long videos or a fast machine."""
    sampling: Literal["segments", "uniform"] = "segments"
    """segments: consecutive frames within each segment. uniform: frames spread evenly over the
    whole video."""
    fps: float = 25.0
    """Frame rate that videos are resampled to. The published weights expect 25. 0: keep every frame
    of the file."""
    short_side: int = 256
    """Frames are resized so that the shorter side has this many pixels, then cropped. The I3D
    weights expect 256. 0: stretch the whole frame to the square without cropping, for signing."""
    frame_size: int = 224
    """Height and width of the crop in pixels. I3D needs at least 112, its weights expect 224."""
    flip: bool = True
    """Mirror half of the training clips. Turn it off if left and right matter, as in signing."""
    color: float = 0.2
    """Color jitter: largest random change of brightness, contrast and saturation. 0: none."""
    rand_operations: int = 0
    """RandAugment: number of random operations per training clip; 2 is usual. RGB only. 0: off."""
    rand_magnitude: float = 0.3
    """RandAugment: strength of the operations, from 0 to 1."""
    mixup: float = 0.0
    """MixUp: alpha of the beta distribution; 0.2 is usual. 0: off."""
    cutmix: float = 0.0
    """CutMix: alpha of the beta distribution; 1 is usual. 0: off."""
    feature_views: int = 1
    """Frozen backbone: how many versions of each training clip are computed once and cached. The
    first is the center view, the others are random. 0: no cache, new random clips every epoch."""


@parameters
class Network:
    """The network, and the weights that training starts from."""

    network: str = "i3d_lstm"
    """A backbone with a head: i3d (average of the segments), i3d_lstm, i3d_transformer, i3d_vivit.
    Transformers without I3D: vivit, timesformer. Recognition: bilstm, transformer."""
    activation: Literal["softmax", "sigmoid"] = "softmax"
    """softmax: one label per video. sigmoid: several labels per video, written run;jump in a .csv,
    or two classes with one output."""
    weights: str = "auto"
    """Pretrained weights: kinetics, imagenet_kinetics, none (from scratch), a file, or a run
    (weights/RUN) for a warm start. TimeSformer: kinetics, kinetics600, ssv2, imagenet. Flow:
    inflated (made from RGB's). auto: kinetics for I3D, none for others. Recognition: the run on
    features whose training goes on through the backbone."""
    flow_weights: str = "auto"
    """Two streams: the weights of the flow backbone. auto: as --weights."""
    fusion: str = "logits"
    """Two streams. logits: a head for each stream, logits are added. features: one head on the
    features of both."""
    finetune: str = "auto"
    """How much of the backbone is trained: none (frozen), all, or a stage such as Mixed_5b and all
    after it. auto: none with pretrained weights, all from scratch. Recognition: needs --weights."""
    train_batchnorm: bool = False
    """Fine-tune BatchNorm too. From scratch it is always trained."""
    dropout: float = 0.5
    """Dropout rate before the last layer."""
    stochastic_depth: float = 0.0
    """Transformers: probability of skipping the last block; it falls linearly to the first."""
    pooling: str = "class"
    """Transformers. class: a class token. fused: the mean of all tokens."""
    embedder: str = "flatten"
    """ViViT, frames to tokens. flatten: one token per frame. patches. tubelet: patches of two
    frames. i3d: the last feature map of I3D."""
    encoder: str = "joint"
    """ViViT. joint: attention over all tokens. factorised: over space, then over time."""
    attention: str = "divided"
    """TimeSformer: space, joint, divided, local_global or axial attention."""
    positions: str = "space_time"
    """TimeSformer: position embeddings of space and time, of space alone, or none."""
    size: str = "small"
    """ViViT and TimeSformer: small, or base (ViT-B)."""
    patch_size: int = 16
    """ViViT and TimeSformer: height and width of a patch in pixels."""


@parameters
class Recognition:
    """Continuous sign language recognition (CTC)."""

    corpus: str = ""
    """The corpus in --data-path: phoenix2014, phoenix2014_si5, phoenix2014t or csv. Empty: the only
    one that is found there. phoenix2014t_corrnet: -T, cleaned as CorrNet does."""
    vocabulary: Literal["cleaned", "raw"] = "cleaned"
    """Glosses to train on. cleaned: as they are scored. raw: as they are written in the corpus."""
    row_stride: int = 0
    """Frames from a row of the features to the next, such as 1, where scripts.extract_features did
    not write them. 0: as its manifest says."""
    row_step: int = 1
    """Use every Nth row of the features: with 2, features of stride 2 become stride 4."""
    relative_to: tuple[int, ...] = ()
    """Rows of positions, such as x y x y: columns of the point, such as the nose, that all others
    are taken relative to. Empty: positions as they are."""
    coordinates: int = 0
    """Columns of a point in rows of positions. 0: as many as relative_to has."""
    missing: Literal["refuse", "nan", "zeros"] = "refuse"
    """Points that were not found in rows of positions. nan, zeros: how they are written; they are
    filled in from the rows around that have them. refuse: NaN is an error."""
    velocities: bool = False
    """Put the velocities of the columns behind them, from two rows before to two rows behind."""
    standard: Literal["training", "sentence"] = "training"
    """Rows are normalized by mean and deviation of the training sentences, or before that by those
    of the sentence itself: then it does not matter how large someone is."""
    front: str = "auto"
    """Temporal convolutions (K) and poolings (P) before the encoder: none, K5-K5, K5-P2-K5 or
    K5-P2-K5-P2. auto: one that suits the stride, about four frames per time step."""
    slow: int = 0
    """A second path of convolutions sees rows averaged over so many, such as 4, and is added to the
    first. 0: none."""
    width: int = 1024
    """Channels of the convolutions, and of both directions of the LSTM together."""
    auxiliary: float = 1.0
    """Weight of a second CTC loss directly after the convolutions. 0: none."""
    auxiliary_at: tuple[str, ...] = ("front",)
    """Where there are such losses, each with that weight: rows (averaged over a step), front (after
    the convolutions), slow (the slow path), encoder (after its first layer)."""
    distillation: float = 0.0
    """Weight of the distillation from the final output to that second one; 1 is usual. 0: none."""
    language_model: int = 0
    """Language model of the training glosses that a beam search uses after training: of so many
    glosses in a row; 3 is usual. 0: none."""
    language_weights: tuple[float, ...] = ()
    """Weight of the language model, and bonus for each gloss. Empty: chosen on dev sentences."""
    templates: bool = False
    """For some hundred sentences on --features: the search also compares rows with the training
    sentences', and puts its answer together from their parts."""
    template_weights: tuple[float, ...] = ()
    """Weights of the network and of the language model in that search, and the cost of a jump from
    one sentence to another. Empty: chosen on training and dev sentences."""
    rescale: float = 0.2
    """Augmentation: largest random change of a sentence's speed."""
    warp: float = 0.0
    """Augmentation: random changes of speed within a sentence: deviation of its logarithm, such as
    0.2. 0: none."""
    drop_rows: float = 0.1
    """Augmentation: probability that a row of features is left out."""
    hide_rows: float = 0.0
    """Augmentation: largest share of a sentence that each of two hidden stretches takes, such as
    0.1. 0: none."""
    hide_channels: float = 0.0
    """Augmentation: probability that a channel of the features is hidden. 0: none."""
    affine: float = 0.0
    """Augmentation of positions: how much a sentence's points are scaled, turned, sheared and moved
    together, such as 0.1. 0: not at all."""
    splice: float = 0.0
    """Augmentation: probability that a sentence is put together anew from parts of others, with
    their glosses, such as 0.5. 0: none."""
    noise: float = 0.1
    """Augmentation: noise on the features, in standard deviations of each channel."""
    windows: int = 8
    """Training the backbone: windows computed at a time. Fewer need less memory."""


@parameters
class Training:
    """Epochs, the optimizer, the learning rate and the loss."""

    epochs: int = 20
    """Passes over the training videos."""
    batch_size: int = 8
    """Videos per batch."""
    optimizer: str = "sgd"
    """sgd (with momentum) or adamw."""
    schedule: str = "phases"
    """Learning rate. phases: three constant rates. cosine: from the first rate down to zero."""
    learning_rates: tuple[float, float, float] = (1e-2, 1e-3, 1e-4)
    """Learning rate in each of the three phases."""
    rate_epochs: tuple[int, int] = (10, 15)
    """Last epoch of the first phase, and of the second."""
    backbone_rate: float = 1.0
    """Factor on the learning rate for the weights of the backbone; 0.1 is usual where these are
    pretrained and --finetune trains them."""
    warmup_epochs: int = 0
    """Epochs in which the learning rate rises from zero."""
    momentum: float = 0.9
    """Momentum of sgd."""
    weight_decay: float = 0.0
    """Decoupled weight decay, for kernels only; 0.05 is usual with adamw. 0: none."""
    clip_norm: float = 0.0
    """Gradient clipping: largest norm of all gradients together. 0: no clipping."""
    accumulate: int = 1
    """Gradient accumulation: batches per update of the weights."""
    ema: float = 0.0
    """Exponential moving average of the weights: its momentum, such as 0.99. The average is scored
    and saved. 0: none."""
    label_smoothing: float = 0.0
    """Label smoothing: share of the target spread over all classes. 0: none."""
    focal: float = 0.0
    """Focal loss: gamma; 2 is usual. 0: cross-entropy."""
    patience: int = 0
    """Early stopping: epochs without improvement before training ends. 0: train all epochs."""
    pictures: float = 0.02
    """TensorBoard: share of the training time that pictures may take (confusion matrix, clips with
    predictions). 1: after every epoch. 0: none."""
    seed: int = 0
    """Random seed of splits, order, augmentation and initial weights."""


@parameters
class Machine:
    """The computer: precision, GPUs, threads, and the cache on disk."""

    runtime: Literal["keras", "openvino"] = "keras"
    """What computes a frozen backbone, and predictions. openvino in int8 is faster on CPUs; it
    needs requirements-openvino.txt."""
    precision: Literal["auto", "float32", "bfloat16", "int8", "mixed_bfloat16", "mixed_float16"] = (
        "auto"
    )
    """Number format. float32. bfloat16: of a frozen backbone and of predictions; training stays
    float32. int8: the same, with runtime openvino. mixed_bfloat16, mixed_float16: of training too,
    for GPUs and CPUs with bfloat16 instructions. auto: bfloat16 on CPUs with such instructions if a
    short test shows that it is faster, otherwise float32."""
    gpus: int = -1
    """Number of GPUs. -1: all there are. 0: the CPU."""
    workers: int = 2
    """Threads that read videos."""
    cache_path: str = str(WEIGHTS / "cache")
    """Folder that keeps what was learned about video files, and features of a frozen backbone."""


@parameters
class Evaluation:
    """How a video is scored: by the mean over several views."""

    eval_clips: int = 1
    """Clips per video, spread over time."""
    eval_crops: Literal[1, 3] = 1
    """Crops per clip. 1: the center. 3: left, center, right (or top, center, bottom)."""


# The groups that --help shows, in this order.
GROUPS = (Run, Data, Clips, Network, Recognition, Training, Machine, Evaluation)


@parameters
class Params(*reversed(GROUPS)):  # reversed: fields of the last base come first
    """Everything that decides a run: the fields of all groups above."""

    def __post_init__(self):
        check_params(self)

    def __getattr__(self, name):
        return refuse_name(name, vars(self))
