"""What a network is made of besides its name: one set of choices that every network takes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Design:
    """Choices of a network; each reads those that concern it.

    Attributes:
        dropout: rate before the logits.
        stochastic_depth: chance that the last Transformer block is left out of a training step;
            it rises linearly from the first (Huang et al., ECCV 2016).
        pooling: "class", a class token decides, or "fused", the mean of all tokens.
        embedder: a key of `models.vivit.EMBEDDERS`, or of `models.backbones.BACKBONES`, whose last
            map's places are the tokens.
        encoder: a key of `models.vivit.ENCODERS`.
        size: a key of `models.vivit.SIZES`.
        patch_size: height and width of a patch or tubelet, in pixels.
        attention: a key of `models.timesformer.SCHEMES`.
        positions: a key of `models.timesformer.POSITIONS`.
        fusion: of two streams, a key of `models.networks.FUSIONS`.
    """

    dropout: float = 0.5
    stochastic_depth: float = 0.0
    pooling: str = "class"
    embedder: str = "flatten"
    encoder: str = "joint"
    size: str = "small"
    patch_size: int = 16
    attention: str = "divided"
    positions: str = "space_time"
    fusion: str = "logits"


def choose(table, kind, name):
    """Return `table[name]`.

    Raises:
        ValueError: there is no such row; the known ones are named.
    """
    if name not in table:
        raise ValueError(f"Unknown {kind} {name!r}; known: {', '.join(table)}.")
    return table[name]
