"""List the benchmarks: python -m scripts.benchmarks."""

from pathlib import Path

from utils.command_line import format_commands, list_commands

if __name__ == "__main__":
    print(*format_commands(list_commands(Path(__file__).parent), "scripts.benchmarks"), sep="\n")
