"""List the benchmarks: python -m scripts.benchmarks."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it starts from any folder

from utils.command_line import format_commands, list_commands

if __name__ == "__main__":
    print(*format_commands(list_commands(Path(__file__).parent), "scripts.benchmarks"), sep="\n")
