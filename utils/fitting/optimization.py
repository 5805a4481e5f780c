"""Optimizers and learning-rate schedules, a row each.

Their names are flags' values, so Keras is imported by what makes one.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Optimization:
    """How weights follow from gradients; the fields of `utils.params.Params` of the same names."""

    optimizer: str = "sgd"
    schedule: str = "phases"
    learning_rates: tuple[float, ...] = (1e-2, 1e-3, 1e-4)
    rate_epochs: tuple[int, ...] = (10, 15)
    backbone_rate: float = 1.0
    warmup_epochs: int = 0
    epochs: int = 20
    momentum: float = 0.9
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    accumulate: int = 1
    ema: float = 0.0

    def __post_init__(self):
        for kind, table in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            name = getattr(self, kind)
            if name not in table:
                raise ValueError(f"Unknown {kind} {name!r}; known: {', '.join(table)}.")


def _phases(settings, steps):
    """Hold each rate until the last step of its phase's last epoch."""
    from utils.fitting.warm_up import WarmUp

    import keras

    boundaries = [last * steps - 1 for last in settings.rate_epochs]
    phases = keras.optimizers.schedules.PiecewiseConstantDecay(
        boundaries, [float(rate) for rate in settings.learning_rates]
    )
    return WarmUp(phases, settings.warmup_epochs * steps) if settings.warmup_epochs else phases


def _cosine(settings, steps):
    """Rise linearly, then fall as half a cosine (SGDR, Loshchilov and Hutter, ICLR 2017)."""
    import keras

    peak, warmup = float(settings.learning_rates[0]), settings.warmup_epochs * steps
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else peak,
        settings.epochs * steps - warmup,
        warmup_target=peak if warmup else None,
        warmup_steps=warmup,
    )


def _sgd(kinds, settings, **options):
    return kinds.SGD(momentum=float(settings.momentum), **options)


def _adamw(kinds, settings, **options):
    """Make AdamW (Loshchilov and Hutter, ICLR 2019)."""
    return kinds.AdamW(**options | {"weight_decay": float(settings.weight_decay)})


SCHEDULES = {"phases": _phases, "cosine": _cosine}
OPTIMIZERS = {"sgd": _sgd, "adamw": _adamw}
# Not decayed: biases, normalizations and learned tokens.
_UNDECAYED = ["bias", "gamma", "beta", "tokens"]


def make_optimizer(settings, steps, backbone=()):
    """Make a Keras optimizer.

    Args:
        settings: an `Optimization`.
        steps: batches in an epoch.
        backbone: variables whose learning rate, and decay, is `backbone_rate` times that of all
            others.
    """
    from utils.fitting import own_rates

    import keras

    own = len(backbone) > 0 and settings.backbone_rate != 1
    optimizer = OPTIMIZERS[settings.optimizer](
        own_rates if own else keras.optimizers,
        settings,
        learning_rate=SCHEDULES[settings.schedule](settings, steps),
        weight_decay=settings.weight_decay or None,
        global_clipnorm=settings.clip_norm or None,
        use_ema=settings.ema > 0,
        ema_momentum=settings.ema or 0.99,
        gradient_accumulation_steps=settings.accumulate if settings.accumulate > 1 else None,
    )
    if settings.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=_UNDECAYED)
    if own:
        optimizer.scale_rates(backbone, settings.backbone_rate)
    return optimizer
