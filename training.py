"""Train, or continue a training: python training.py [PRESET] [flags]."""

from models.later import later
from tasks.training_flags import parse_params
from utils.system.commands import run_command

train_run = later("tasks.training", "train_run")

if __name__ == "__main__":
    run_command(lambda: train_run(parse_params()))
