"""Batches whose examples are mixtures of two.

MixUp: Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018. CutMix: Yun et al.,
"CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", ICCV 2019;
the box is the same in all frames, as in VideoMix (Yun et al., 2020).
"""

import numpy as np


def _blend(inputs, partners, share):
    return share * inputs + (1 - share) * inputs[partners]


def _paste(inputs, partners, share, generator):
    """Paste a box of about 1 - share of the picture; return the inputs and the share left."""
    if inputs.ndim != 6:
        raise ValueError(
            "CutMix cuts a box out of clips (batch, segments, frames, height, width, "
            f"channels) but the inputs are {inputs.shape}. Cached features of the frozen "
            "backbone are not pictures. Give cutmix 0 (MixUp works on features), or "
            "feature_views 0."
        )
    sizes = np.array(inputs.shape[3:5])
    center = generator.uniform(size=2) * sizes
    half = sizes * np.sqrt(1 - share) / 2
    top, left = np.round(np.maximum(center - half, 0)).astype(int)
    bottom, right = np.round(np.minimum(center + half, sizes)).astype(int)
    box = (..., slice(top, bottom), slice(left, right), slice(None))
    mixed = inputs.copy()
    mixed[box] = inputs[box][partners]
    return mixed, 1 - float((bottom - top) * (right - left) / sizes.prod())


def mix(inputs, targets, weights, mixup, cutmix, generator):
    """Mix each example of a batch with another one of it.

    Args:
        inputs: float array (batch, ...): clips (batch, segments, frames, height, width, channels),
            or features of any shape for MixUp alone.
        targets: float array (batch, classes).
        weights: float array (batch,).
        mixup, cutmix: alpha of the Beta(alpha, alpha) that the share is drawn from, once a batch;
            0 for none. With both, a batch gets one or the other, equally often.
        generator: a `numpy.random.Generator`.

    Returns:
        (inputs, targets, weights), new arrays of the same shapes. Targets and weights are mixed by
        the share that is left of the example; for CutMix, the exact area.

    Raises:
        ValueError: CutMix of inputs that are no clips.
    """
    if not (mixup or cutmix):
        return inputs, targets, weights
    pastes = not mixup or (cutmix and generator.uniform() < 0.5)
    alpha = cutmix if pastes else mixup
    share, partners = generator.beta(alpha, alpha), generator.permutation(len(inputs))
    if pastes:
        inputs, share = _paste(inputs, partners, share, generator)
    else:
        inputs = _blend(inputs, partners, share)
    return inputs, _blend(targets, partners, share), _blend(weights, partners, share)
