"""Parameters that are of a wrong type, out of range, or contradict each other as they are given.

`tasks.plan` refuses those that contradict what follows from others.
"""

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args, get_origin

# A parameter's type, in words.
_KINDS = {
    int: "a whole number, such as 3",
    float: "a number, such as 0.5",
    bool: "True or False",
    str: "text in quotes",
}

# Value or values, lowest, highest, in words.
_MANY = 10**9
_RANGES = [
    ("val_fraction", 0, 0.9, "from 0 to 0.9"),
    ("test_fraction", 0, 0.9, "from 0 to 0.9"),
    ("num_segments", 1, _MANY, "at least 1"),
    ("frames_per_segment", 1, _MANY, "at least 1"),
    ("fps", 0, 1000, "from 1 to 1000, or 0 for the file's own frames"),
    ("frame_size", 1, _MANY, "at least 1"),
    ("color", 0, 1, "from 0 to 1"),
    ("rand_operations", 0, 20, "from 0 to 20"),
    ("rand_magnitude", 0, 1, "from 0 to 1"),
    ("mixup", 0, 100, "from 0 to 100"),
    ("cutmix", 0, 100, "from 0 to 100"),
    ("feature_views", 0, _MANY, "at least 0"),
    ("dropout", 0, 0.99, "from 0 to 0.99"),
    ("stochastic_depth", 0, 0.99, "from 0 to 0.99"),
    ("patch_size", 1, _MANY, "at least 1"),
    ("batch_size", 1, _MANY, "at least 1"),
    ("epochs", 1, _MANY, "at least 1"),
    ("learning_rates", 1e-12, 1e3, "above 0"),
    ("rate_epochs", 1, _MANY, "at least 1"),
    ("backbone_rate", 0, 1000, "from 0 to 1000"),
    ("momentum", 0, 0.9999, "from 0 to below 1"),
    ("warmup_epochs", 0, _MANY, "at least 0"),
    ("weight_decay", 0, 1, "from 0 to 1"),
    ("clip_norm", 0, _MANY, "above 0, or 0 for any"),
    ("accumulate", 1, _MANY, "at least 1"),
    ("ema", 0, 0.999999, "from 0 to below 1"),
    ("label_smoothing", 0, 0.99, "from 0 to 0.99"),
    ("focal", 0, 100, "from 0 to 100"),
    ("workers", 1, 1000, "from 1 to 1000"),
    ("gpus", -1, 1000, "-1 for all, 0 for the CPU, or a number of GPUs"),
    ("seed", 0, 2**32 - 1, "from 0 to 2**32 - 1"),
    ("row_stride", 0, _MANY, "at least 0"),
    ("row_step", 1, _MANY, "at least 1"),
    ("relative_to", 0, _MANY, "from 0 on"),
    ("coordinates", 0, _MANY, "at least 0"),
    ("slow", 0, _MANY, "at least 0"),
    ("width", 16, _MANY, "a multiple of 16, such as 1024"),
    ("auxiliary", 0, _MANY, "at least 0"),
    ("distillation", 0, _MANY, "at least 0"),
    ("language_model", 0, 9, "from 0 to 9"),
    ("language_weights", -100, 100, "from -100 to 100"),
    ("template_weights", 0, 100, "from 0 to 100"),
    ("rescale", 0, 0.9, "from 0 to 0.9"),
    ("warp", 0, 1, "from 0 to 1"),
    ("drop_rows", 0, 0.9, "from 0 to 0.9"),
    ("hide_rows", 0, 0.5, "from 0 to 0.5"),
    ("hide_channels", 0, 0.9, "from 0 to 0.9"),
    ("affine", 0, 1, "from 0 to 1"),
    ("splice", 0, 1, "from 0 to 1"),
    ("noise", 0, 100, "from 0 to 100"),
    ("windows", 1, _MANY, "at least 1"),
    ("patience", 0, _MANY, "at least 0"),
    ("pictures", 0, 1, "from 0 to 1"),
    ("eval_clips", 1, _MANY, "at least 1"),
]

# Runtime: the precisions that it has.
PRECISIONS = {
    "keras": ("auto", "float32", "bfloat16", "mixed_bfloat16", "mixed_float16"),
    "openvino": ("auto", "float32", "bfloat16", "int8"),
}


def suits(value, kind):
    """Return whether a value is of the type that a parameter has."""
    inner = get_args(kind)
    if get_origin(kind) is Literal:
        return value in inner
    if get_origin(kind) is tuple:
        inner = inner[:1] * len(value) if inner[-1] is ... and isinstance(value, tuple) else inner
        whole = isinstance(value, tuple) and len(value) == len(inner)
        return whole and all(map(suits, value, inner))
    return type(value) is kind or (kind is float and type(value) is int)


def _describe_kind(kind):
    inner = get_args(kind)
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(repr, inner))}"
    if get_origin(kind) is tuple:
        count = "any number of values" if inner[-1] is ... else f"{len(inner)} values"
        return f"{count} in round brackets, each {_KINDS[inner[0]]}"
    return _KINDS[kind]


def parameters(group):
    """Make a frozen dataclass of a class of `utils.params`.

    Raises:
        ValueError: a default that is not of its parameter's type, or a parameter without a type.
    """
    kinds = group.__annotations__
    for name, value in list(vars(group).items()):
        if name not in kinds and not name.startswith("__"):
            raise ValueError(
                f"utils/params.py: {name} has no type. Write it as {name}: "
                f"{type(value).__name__} = {value!r}."
            )
    for name, kind in kinds.items():
        if not suits(value := vars(group).get(name), kind):
            raise ValueError(
                f"utils/params.py: {name} is {value!r}. It must be {_describe_kind(kind)}."
            )
    return dataclass(frozen=True)(group)


def refuse_name(name, known):
    """Raise a ValueError that says that `utils.params` has no parameter of a name.

    Args:
        name: what the code asked for.
        known: names of the parameters.
    """
    if name.startswith("__"):  # Python asks for such, to copy for example
        raise AttributeError(name)
    similar = difflib.get_close_matches(name, known, n=1)
    raise ValueError(
        f"utils/params.py has no parameter {name}, which the program needs"
        f"{f'; it has {similar[0]}. Rename that one' if similar else '. Put it back'}."
    )


def _check_features(params):
    """Raise a ValueError for what features in place of clips do not allow."""
    for name, allowed, why in (
        ("finetune", ("auto", "none"), "there is no backbone to train"),
        ("cutmix", (0,), "features are not pictures; mixup works on them"),
        ("rand_operations", (0,), "they are no pictures"),
    ):
        if getattr(params, name) not in allowed:
            raise ValueError(
                f"{name} is {getattr(params, name)}, but the run is trained on features "
                f"({params.features}): {why}. Give {name} {allowed[0]}, or leave out "
                "features."
            )


# What recognition has no use for, and what it must be then.
_NOT_RECOGNITION = {
    "class_names": ((),),
    "balance": ("none",),
    "activation": ("softmax",),
    "mixup": (0,),
    "focal": (0,),
    "stochastic_depth": (0,),
}


def _check_recognition(params):
    """Raise a ValueError for what recognition does not do."""
    for name, allowed in _NOT_RECOGNITION.items():
        if getattr(params, name) not in allowed:
            raise ValueError(
                f"{name} is {getattr(params, name)}, which is for classification; recognition "
                f"takes {allowed[0]}."
            )
    given = [getattr(params, name) not in ("auto", "none") for name in ("weights", "finetune")]
    if any(given) and not all(given):
        raise ValueError(
            f"weights is {params.weights} and finetune is {params.finetune}. To train the "
            "backbone, recognition needs both: weights is a run on features "
            "(weights/<run>), and finetune a stage. Otherwise leave both out."
        )
    if len(params.language_weights) not in (0, 2):
        raise ValueError(
            f"language_weights is {params.language_weights}; give a weight and a bonus, such as "
            "1.0 2.0, or neither."
        )
    if len(params.template_weights) not in (0, 3):
        raise ValueError(
            f"template_weights is {params.template_weights}; give those of the network and of the "
            "language model and the cost of a jump, such as 0.1 0.2 0.7, or none."
        )
    if "slow" in params.auxiliary_at and not params.slow:
        raise ValueError(
            "auxiliary_at names slow, but slow is 0: there is no slow path. Give --slow 4, or "
            "leave slow out of --auxiliary-at."
        )
    if params.templates and not params.features:
        raise ValueError("templates are of rows: give features, or leave out --templates.")
    if params.feature_views > 1:
        raise ValueError(
            f"feature_views is {params.feature_views}; recognition takes 1 (maps of the "
            "center, computed once) or 0 (random frames every epoch)."
        )


def check_precision(runtime, precision):
    """Raise a ValueError where a runtime does not have a precision."""
    if precision not in PRECISIONS[runtime]:
        others = [f"--runtime {name}" for name, own in PRECISIONS.items() if precision in own]
        raise ValueError(
            f"precision is {precision}, but the runtime {runtime} has "
            f"{', '.join(PRECISIONS[runtime])}. Give one of these, or {' or '.join(others)}."
        )


def check_continual_runtime(runtime, precision):
    """Raise a ValueError for what continual answers are not computed in.

    Args:
        runtime: keras or openvino; "" for the run's.
        precision: auto for the run's.
    """
    if runtime == "openvino" or precision != "auto":
        raise ValueError(
            f"runtime is {runtime or 'that of the run'} and precision {precision}, but "
            "continual answers are computed by Keras, as the network was trained. Leave out "
            "--runtime and --precision, or --continual."
        )


def check_sizes(short_side, frame_size, stream):
    """Raise a ValueError where frames of a stream cannot be made to such sizes."""
    if short_side and frame_size > short_side:
        raise ValueError(
            f"frame_size is {frame_size}, but short_side is only {short_side}. A crop "
            "cannot be larger than the frame. Raise short_side, lower frame_size, or give "
            "short_side 0 to stretch whole frames."
        )
    if not short_side and stream != "rgb":
        raise ValueError(
            f"short_side is 0, but stream is {stream}. Optical flow is not computed on "
            f"stretched frames; give short_side {frame_size} or more."
        )


def check_params(params):
    """Check a `utils.params.Params`.

    Raises:
        ValueError: saying which value is impossible, or which two contradict each other.
    """
    for name, low, high, meaning in _RANGES:
        values = getattr(params, name)
        for value in values if isinstance(values, tuple) else (values,):
            if not low <= value <= high:
                raise ValueError(f"{name} is {value}; it must be {meaning}.")
    first, second = params.rate_epochs
    if first >= second:
        raise ValueError(
            f"rate_epochs are {first} and {second}; the second phase must end after the first."
        )
    check_sizes(params.short_side, params.frame_size, params.stream)
    check_precision(params.runtime, params.precision)
    if params.val_fraction + params.test_fraction >= 1:
        raise ValueError(
            f"val_fraction {params.val_fraction} and test_fraction {params.test_fraction} "
            "leave no video to train on; their sum must be below 1."
        )
    if params.features:
        _check_features(params)
    if params.task == "recognition":
        _check_recognition(params)
    if params.stream != "both" and params.flow_weights != "auto":
        raise ValueError(
            f"flow_weights is {params.flow_weights}, but stream is {params.stream}. "
            "flow_weights is for stream both; give weights instead."
        )
    if params.rand_operations and params.stream != "rgb":
        raise ValueError(
            f"rand_operations is {params.rand_operations}, but stream is {params.stream}. "
            "RandAugment changes colors, which optical flow has not; give 0."
        )
    if params.schedule == "cosine" and params.warmup_epochs >= params.epochs:
        raise ValueError(
            f"warmup_epochs is {params.warmup_epochs} of {params.epochs} epochs; give fewer."
        )
    if Path(params.run).name != params.run or params.run == "..":
        raise ValueError(f"run is {params.run!r}; give a folder's name, without slashes.")
