"""How long calls take, in how much memory, and the two calls of a network that are timed."""

import resource
import statistics
import time


def limit_memory(gib):
    """Let this process take at most so many GiB of main memory; 0: all there is."""
    if gib:
        limit = int(gib * 2**30)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def measure_seconds(call):
    """Return how long a call takes."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def summarize_seconds(seconds):
    """Return (median of times, half of their range; None of a single one)."""
    spread = (max(seconds) - min(seconds)) / 2 if len(seconds) > 1 else None
    return statistics.median(seconds), spread


def time_call(call, repeats, limit=60.0):
    """Return the median seconds of a call after a first one, and half of their range.

    Past `limit` seconds there are fewer repeats; of a single one the range is None.
    """
    call()
    seconds = []
    while len(seconds) < repeats and sum(seconds) < limit:
        seconds.append(measure_seconds(call))
    return summarize_seconds(seconds)
