"""What a measuring process says while it measures: a line of JSON for each row, whatever happens.

The process that started it reads the lines (`scripts/benchmarks/gpu.py`): rows that are there stay,
even where the process runs out of memory or of time afterwards.
"""

import json
import statistics
import time

import numpy as np

LEFT_OUT = "left out, the time was up"
_SIGNS = ("RESOURCE_EXHAUSTED", "out of memory", "OutOfMemory", "CUDNN_STATUS_ALLOC_FAILED")


def say(**what):
    """Print a line of JSON at once."""
    print(json.dumps(what), flush=True)


def explain(error):
    """Return in a few words why a measurement failed."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError) or any(sign in text for sign in _SIGNS):
        return "out of memory"
    return " ".join(text.split())[:300]


def find_fault(result, change):
    """Return what shows that a step cannot have been computed, "" for nothing.

    Args:
        result: logits or a loss.
        change: of weights, in the steps of a training.
    """
    if not np.isfinite(np.asarray(result, "float32")).all():
        return "its results are not finite"
    if not np.any(change):
        return "its steps change no weights"
    return "" if np.isfinite(change).all() else "its weights are not finite"


class Recorder:
    """Measures calls until its time is up.

    Args:
        end: when the process has to be done, as `time.time()` counts.
        row_seconds: that the calls of a row take after the first ones, about.
        reserve: seconds that must be left for a row to begin: its compilation takes long.
        skip: what rows of an earlier process are of; they are left out.
    """

    def __init__(self, end, row_seconds=1.5, reserve=10.0, skip=()):
        self.end, self.row_seconds, self.reserve, self.skip = end, row_seconds, reserve, skip
        self.result = None

    @property
    def left(self):
        """Seconds left."""
        return self.end - time.time()

    def _time(self, call):
        begin = time.perf_counter()
        self.result = call()
        return time.perf_counter() - begin

    def _measure(self, call):
        """Return (seconds of the first call, seconds of later ones); one more warms up."""
        first = self._time(call)
        again = self._time(call)
        if self.left < again:
            return first, [again]
        seconds = [] if again < self.row_seconds else [again]
        while len(seconds) < 3 or sum(seconds) < self.row_seconds:
            long = sum(seconds) > 4 * self.row_seconds or self.left < again
            if len(seconds) >= 100 or (seconds and long):
                break
            seconds.append(self._time(call))
        return first, seconds

    def _begin(self, what):
        """Return whether to measure a row now; print why not."""
        if what in self.skip:
            return False
        say(begin=what)
        if self.left < self.reserve:
            say(row=what | {"failure": LEFT_OUT})
            return False
        return True

    def row(self, prepare, count, check=None, **what):
        """Print the row of a call: the median of its seconds, and how many a second it does.

        Args:
            prepare: function that returns the call, which returns when its work is done.
            count: what a call does so many of (clips, operations).
            check: function of the last call's result that returns what is wrong, "" for nothing.
            what: else in the row.

        Returns:
            Whether it was measured; if not, the row says why.
        """
        if not self._begin(what):
            return False
        try:
            begin = time.perf_counter()
            call = prepare()
            prepared = time.perf_counter() - begin
            first, seconds = self._measure(call)
            wrong = check(self.result) if check else ""
        except Exception as error:  # of any library; the next row may still do
            say(row=what | {"failure": explain(error)})
            return False
        if wrong:
            say(row=what | {"failure": wrong})
            return False
        median = statistics.median(seconds)
        found = {"per_second": count / median, "seconds": median, "calls": len(seconds)}
        found["spread"] = (max(seconds) - min(seconds)) / median
        say(row=what | found | {"prepare_seconds": prepared, "first_seconds": first})
        return True

    def number(self, compute, **what):
        """Print the row of a number that is computed, not timed; return whether it was."""
        if not self._begin(what):
            return False
        try:
            say(row=what | compute())
        except Exception as error:  # as above
            say(row=what | {"failure": explain(error)})
            return False
        return True


def make_recorder(task):
    """Return the `Recorder` of a task, a dict with its arguments."""
    return Recorder(task["end"], task["row_seconds"], task["reserve"], task.get("skip", ()))
