"""HTML of what a video shows: probabilities, intervals over time, a problem. Names are escaped."""

from utils.pictures.captions import color_labels
from utils.pictures.html import render

STYLE = """
#video .error { display: none; }  /* a format that the browser cannot play, but the network can */
.panel h2 { font-size: 1.7em; line-height: 1.25; margin: 0 0 .6em; overflow-wrap: anywhere; }
.panel p { margin: .6em 0 0; color: var(--body-text-color-subdued); }
.line { display: grid; grid-template-columns: minmax(6em, 28%) 1fr 4em; gap: .8em;
  align-items: center; margin: .35em 0; }
.line > :first-child { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.line > :last-child { text-align: right; font-variant-numeric: tabular-nums; }
.track { position: relative; height: 1.1em; border-radius: 4px; overflow: hidden;
  background: var(--border-color-primary); }
.track i { position: absolute; top: 0; bottom: 0; min-width: 2px; border-radius: 4px; }
.lanes { max-height: 22em; overflow-y: auto; }
.scale { display: flex; justify-content: space-between; font-variant-numeric: tabular-nums;
  color: var(--body-text-color-subdued); }
.problem { border-left: 5px solid #d33; padding: .7em 1em; border-radius: 4px;
  background: var(--block-background-fill); overflow-wrap: anywhere; }
"""
_TICKS = 5


def draw_answer(prediction):
    """Draw what a video shows as a whole: the labels decided, and the most probable ones.

    Args:
        prediction: a `tasks.answers.Prediction`.
    """
    return render("answer.html", prediction=prediction)


def draw_intervals(intervals, duration):
    """Draw which labels are seen when: a line for each, with its share of the time.

    Args:
        intervals: list of `utils.scores.intervals.Interval`, by their starts.
        duration: of the video, in seconds.
    """
    lines = []
    for label, color in color_labels(intervals).items():
        red, green, blue = (255 * color).round().astype(int)
        own = [each for each in intervals if each.label == label]
        pieces = [
            (
                each.start / duration,
                (each.end - each.start) / duration,
                f"rgb({red},{green},{blue})",
                f"{label}, {each.start:.1f} to {each.end:.1f} s: {each.score:.2f}",
            )
            for each in own
        ]
        lines.append((label, pieces, sum(each.end - each.start for each in own)))
    ticks = [duration * n / _TICKS for n in range(_TICKS + 1)]
    return render("intervals.html", lines=lines, ticks=ticks)


def draw_note(text):
    """Draw a text as it is, whatever names are in it: no markup, no links, no pictures."""
    return render("note.html", text=text)


def draw_problem(text):
    """Draw what is wrong, to be read aloud at once by a screen reader."""
    return render("problem.html", text=text)
