"""Train, or continue a training: python training.py [PRESET] [flags]."""

from models.later import later
from utils.system.commands import run_command

# Later, so that a slip in utils/params.py is one line, too.
parse_params = later("tasks.training_flags", "parse_params")
check_data = later("tasks.training_flags", "check_data")
train_run = later("tasks.training", "train_run")

if __name__ == "__main__":
    run_command(lambda: train_run(check_data(parse_params())))
