"""Count a network's parameters and multiply-adds: python -m scripts.summarize_network [flags].

Takes the flags of training.py, such as --network, --preset and --frame-size. Nothing is trained.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it starts from any folder

from models.later import later
from tasks.training_flags import read_params
from utils.command_line import Command
from utils.system.commands import run_command
from utils.system.words import print_line

list_parts = later("models.flops", "list_parts")
build_network = later("tasks.classification.training", "build_network")
make_plan = later("tasks.plan", "make_plan")
find_length = later("utils.features.lookup", "find_length")


@dataclass(frozen=True)
class Options:
    """What is shown. All flags of training.py can follow."""

    outputs: int = 400
    """Number of classes."""
    depth: int = 1
    """1: list the parts of the head. 0: the head is one part."""


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
