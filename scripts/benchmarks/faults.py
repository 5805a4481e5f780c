"""Kill commands, damage files, fill disks: python -m scripts.benchmarks.faults.

Commands are killed at random moments and started again. Their results are compared, number for
number, with those of undisturbed commands. Damaged files of every kind are read, each in a process
of its own. Small disks are filled. The exit status is 1 if anything crashed, hung, was lost, or was
not named. Videos are rendered. docs/reliability.md has the figures.
"""

import shutil
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it starts from any folder

from scripts.benchmarks.kills import CRASHED, HUNG, JOBS, LOST, UNNAMED, Campaign
from scripts.benchmarks.mutants import KINDS, run_mutants
from utils.command_line import Command
from utils.system.commands import IncompleteError, run_command
from utils.system.figures import Figures

_FULL = ", full disk"
_AT_MOST = 4  # kills of a command until it may end
FAULTS = (CRASHED, HUNG, UNNAMED, LOST)


@dataclass(frozen=True)
class Options:
    """What is tried, and how often."""

    kills: int = 100
    """Kills of all jobs together."""
    mutants: int = 10_000
    """Damaged files of all kinds together."""
    disks: int = 2
    """Full disks per job. Needs the right to mount a disk."""
    jobs: tuple[Literal[tuple(JOBS)], ...] = tuple(JOBS)
    """Jobs that are killed."""
    kinds: tuple[Literal[tuple(KINDS)], ...] = tuple(KINDS)
    """Kinds of damaged files."""
    weights: str = "none"
    """Weights of I3D: a file of published weights, or none."""
    seed: int = 0
    """Random seed."""
    workers: int = 2
    """Processes that run at once."""
    seconds: float = 20
    """Seconds in which a damaged file must be read or refused."""
    memory: float = 2
    """Memory in GiB in which it must be read or refused."""
    keep: Path | None = None
    """Folder for damaged files and leftovers of killed commands, where something went wrong."""
    output: Path | None = None
    """JSON file to write the figures to, such as docs/figures/faults.json."""


def try_mutants(options):
    """Yield (kind, 1, outcome, why) of each damaged file."""
    kinds = {name: KINDS[name] for name in options.kinds}
    limits = (options.workers, options.seconds, options.memory)
    for name, number, outcome, why in run_mutants(
        kinds, options.mutants, options.seed, *limits, keep=options.keep
    ):
        yield name, 1, outcome, f"number {number}: {why}"


def try_kills(options, folder):
    """Yield (job, kills, outcome, why) of jobs that were killed, or filled a disk, and went on."""
    campaign = Campaign(folder, options.weights)
    share = -(-options.kills // max(1, len(options.jobs)))

    def try_job(name):
        seconds, expected = campaign.run_unbroken(name)
        print(f"{name}: {seconds:.1f} s unbroken, {len(expected)} files", flush=True)
        how, left, rows = {"expected": expected, "seed": options.seed}, share, []
        for number in range(options.disks):
            rows.append((f"{name}{_FULL}", *campaign.fill(name, number, **how)))
        while left > 0:
            result = campaign.attempt(name, len(rows), min(_AT_MOST, left), seconds, **how)
            left -= max(1, result[0])  # a command may end before it is killed
            rows.append((name, *result))
        return rows

    if share or options.disks:
        for name in options.jobs:
            campaign.prepare(JOBS[name])
        with ThreadPoolExecutor(options.workers) as pool:
            yield from chain.from_iterable(pool.map(try_job, options.jobs))


def _name_group(name):
    job, filled, _ = name.partition(_FULL)
    return "full disks" if filled else f"killed: {job}"


def print_table(rows):
    """Print a Markdown table of {part: {outcome: how many}}."""
    print(f"| {'part':<28} | tried | {' | '.join(FAULTS)} |")
    print(f"|{'-' * 30}|------:|{'|'.join('-' * (len(name) + 1) + ':' for name in FAULTS)}|")
    for name, found in rows.items():
        cells = " | ".join(f"{found[outcome]:>{len(outcome)}}" for outcome in FAULTS)
        print(f"| {name:<28} | {found['tried']:>5} | {cells} |")


def run_campaign(options):
    """Try all, print a line for each fault and the table.

    Args:
        options: `Options`.

    Raises:
        IncompleteError: there was a fault.
    """
    rows, faults = {}, []
    figures = Figures(options.output, options.seed, faults=faults)
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=options.keep)).resolve()
    try:
        for name, tried, outcome, why in chain(try_kills(options, folder), try_mutants(options)):
            row = rows.setdefault(name, Counter())
            row["tried"] += tried
            row[outcome] += 1
            if outcome in FAULTS:
                faults.append(f"{name}, {outcome}: {why}")
                print(faults[-1], flush=True)
    finally:
        if not options.keep:
            shutil.rmtree(folder)
    for name, found in rows.items():
        group = f"damaged: {KINDS[name].group}" if name in KINDS else _name_group(name)
        figures.add(group=group, part=name, **dict.fromkeys(("tried", *FAULTS), 0) | found)
    print_table(rows)
    if faults:
        raise IncompleteError(f"{len(faults)} faults; the lines above name them.")


COMMAND = Command(__doc__, Options)

if __name__ == "__main__":
    run_command(lambda: run_campaign(COMMAND.parse()))
