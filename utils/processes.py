"""Worker processes that keep to one core and end with their parent."""

import multiprocessing
import os
import signal
import threading

from utils.flow import limit_threads


def start_worker():
    """Keep to one core, and end when the parent ends or Ctrl-C is pressed."""
    limit_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
