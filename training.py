"""Train, or continue a training: python training.py [PRESET] [flags]."""

from tasks.training import train_run
from tasks.training_flags import parse_params
from utils.system.commands import run_command

if __name__ == "__main__":
    run_command(lambda: train_run(parse_params()))
