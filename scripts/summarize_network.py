"""Print a network's parameters and arithmetic, part by part: python -m scripts.summarize_network.

Takes the flags of training.py (--network, --preset, --frame-size, ...), before anything is trained.
"""

from dataclasses import dataclass

from models.flops import list_parts
from tasks.classification.training import build_network
from tasks.plan import make_plan
from tasks.training_flags import read_params
from utils.command_line import Command
from utils.features.lookup import find_length
from utils.system.commands import run_command
from utils.system.words import print_line


@dataclass(frozen=True)
class Options:
    """What is shown."""

    outputs: int = 400
    """Classes of the last layer."""
    depth: int = 1
    """How far models inside the network are opened: 0, or 1 for the head."""


def summarize_network(options, params):
    """Print a table of a network's parts.

    Args:
        options: `Options`.
        params: `utils.params.Params`.

    Returns:
        A list of (name, parameters, floating-point operations of one video).
    """
    make_plan(params)  # refuses what training would refuse
    length = find_length(None, params.features) if params.features else 0
    network = build_network(params, options.outputs, length)
    parts = list_parts(network, options.depth)
    parts.append(("all", *(sum(column) for column in list(zip(*parts, strict=True))[1:])))
    width = max(len(name) for name, _, _ in parts)
    print_line(f"{params.network}, input {network.input_shape[1:]}, {options.outputs} outputs")
    print_line(f"{'part':<{width}}  {'parameters':>12}  {'share':>6}  {'GFLOPs':>9}  {'share':>6}")
    for name, *counts in parts:
        shares = [100 * n / max(whole, 1) for n, whole in zip(counts, parts[-1][1:], strict=True)]
        print_line(
            f"{name:<{width}}  {counts[0]:12,}  {shares[0]:5.1f}%  {counts[1] / 2e9:9.4f}"
            f"  {shares[1]:5.1f}%"
        )
    print("GFLOPs: billions of multiply-adds for one video, as papers count them.")
    return parts


COMMAND = Command(__doc__, Options, read_params)

if __name__ == "__main__":
    run_command(lambda: summarize_network(*COMMAND.parse()))
