"""Ways to explain a network's decision by maps over space and time, a row each.

Nothing here needs Keras: the names are flags' values.
"""

from collections.abc import Callable
from typing import NamedTuple

from models.later import later

_MODULE = "models.explaining.methods"


class Method(NamedTuple):
    """A way to explain.

    Attributes:
        explain: function `Question` -> `Maps`.
        fits: function network -> whether it can be explained so.
        networks: which those are, in words.
        meaning: of the maps, in a sentence.
    """

    explain: Callable
    fits: Callable
    networks: str
    meaning: str


# The first that fits is the default: docs/results.md has the measurement that chose it.
METHODS = {
    "grad_cam": Method(
        later(_MODULE, "grad_cam"),
        later(_MODULE, "has_backbone"),
        "networks with a backbone",
        "Grad-CAM shows where and when the backbone's features raise the score of this "
        "class, by their mean gradient. Each place sees a large part of the frame around it.",
    ),
    "occlusion": Method(
        later(_MODULE, "occlude"),
        later(_MODULE, "hides"),
        "networks with a backbone, or on features",
        "Occlusion shows how much the score of this class (its log-odds) falls when a part is "
        "hidden. Of a video, the part is a window of the backbone's maps, which sees much of the "
        "frame around it. Of features, one row is left out.",
    ),
    "hires_cam": Method(
        later(_MODULE, "hires_cam"),
        later(_MODULE, "has_backbone"),
        "networks with a backbone",
        "HiResCAM shows where and when the backbone's features raise the score of this class, by "
        "the gradient of each.",
    ),
    "layer_cam": Method(
        later(_MODULE, "layer_cam"),
        later(_MODULE, "has_backbone"),
        "networks with a backbone",
        "LayerCAM shows where and when the score of this class rises with the backbone's features, "
        "by the positive gradients.",
    ),
    # Through the strided convolution that a backbone begins with it takes minutes.
    "integrated_gradients": Method(
        later(_MODULE, "integrate_patches"),
        later(_MODULE, "takes_clips"),
        "networks on videos",
        "Integrated gradients show which patches raise the score of this class (its "
        "log-odds) when a gray clip gradually turns into this clip.",
    ),
    "rollout": Method(
        later(_MODULE, "roll_out_attention"),
        later(_MODULE, "attends"),
        "timesformer, vivit (two streams: fusion features)",
        "Attention rollout shows which tokens the network attends to, through all layers. "
        "It does not depend on the class.",
    ),
}


def choose_method(name, network):
    """Return the name of a method that fits a network, the first such where none is given.

    Raises:
        ValueError: unknown, or one that does not fit.
    """
    fitting = [key for key, method in METHODS.items() if method.fits(network)]
    if name and name not in fitting:
        listed = "; ".join(f"{key}: {method.networks}" for key, method in METHODS.items())
        raise ValueError(
            f"The method {name!r} cannot explain this {network.name}; known: {listed}."
        )
    return name or fitting[0]
