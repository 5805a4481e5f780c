"""How the commands end: what a user can mend is one sentence, anything else a traceback."""

import os
import sys


def run_command(command):
    """Call `command`; print a ValueError or OSError as one message and exit with status 1.

    DEBUG=1 in the environment shows the traceback too.
    """
    try:
        command()
    except (ValueError, OSError) as error:
        if os.environ.get("DEBUG"):
            raise
        sys.exit(f"Error: {error}")
    except KeyboardInterrupt:
        sys.exit("Stopped; --resume goes on from the last finished epoch.")
