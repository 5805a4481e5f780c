"""List the commands: python -m scripts."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it starts from any folder

from utils.command_line import format_commands, list_commands
from utils.system.commands import run_command

# What a user wants to do: the commands for it.
GROUPS = {
    "Look at the data": "analyze_dataset check_data browse",
    "Prepare training": (
        "summarize_network extract_features join_features extract_flow render_corpus"
    ),
    "Compare trainings": "compare_runs compare_settings cross_validate",
    "Train and score in one": "recognize_corpus",
    "Use a trained network": "predict demo explain extract_embeddings export_model",
}


def print_commands():
    """Print a line for each command of scripts/ and scripts/benchmarks/."""
    folder = Path(__file__).parent
    print("Train: python training.py. Score: python evaluate.py weights/RUN. Other commands:")
    commands = list_commands(folder)
    for title, names in GROUPS.items():
        chosen = {name: commands[name] for name in names.split()}
        print("", title, *format_commands(chosen, "scripts"), sep="\n")
    benchmarks = list_commands(folder / "benchmarks")
    print("", "Measure", *format_commands(benchmarks, "scripts.benchmarks"), sep="\n")
    print("", "--help after a command shows its flags.", sep="\n")


if __name__ == "__main__":
    run_command(print_commands)
