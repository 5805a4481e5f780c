"""HTML of what a video shows: probabilities, intervals over time, a problem. Names are escaped."""

from html import escape

from utils.pictures.captions import color_labels
from utils.pictures.html import make_text

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
_MAIN = "var(--color-accent)"
_TICKS = 5


def _draw_line(name, pieces, value):
    """Return a name, a track with pieces of (left, width, color, what it is), and a value."""
    track = "".join(
        f'<i style="left:{100 * left:.2f}%;width:{100 * width:.2f}%;background:{color}" '
        f'title="{escape(text)}"></i>'
        for left, width, color, text in pieces
    )
    name = make_text(name, "span").replace("<span", f'<span title="{escape(name)}"', 1)
    return f'<div class="line">{name}<div class="track">{track}</div><span>{value}</span></div>'


def draw_answer(prediction):
    """Draw what a video shows as a whole: the labels decided, and the most probable ones.

    Args:
        prediction: a `tasks.answers.Prediction`.
    """
    lines = [
        _draw_line(label, [(0, share, _MAIN, f"{share:.3f}")], f"{share:.1%}")
        for label, share in prediction.top
    ]
    heading = make_text(" ".join(prediction.labels) or "nothing that it knows", "h2")
    note = make_text(f"Odd about this file: {prediction.note}.") if prediction.note else ""
    return f'<div class="panel">{heading}{"".join(lines)}{note}</div>'


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
        total = sum(each.end - each.start for each in own)
        lines.append(_draw_line(label, pieces, f"{total:.1f} s"))
    ticks = "".join(f"<span>{duration * n / _TICKS:.1f} s</span>" for n in range(_TICKS + 1))
    scale = f'<div class="line"><span></span><div class="scale">{ticks}</div><span></span></div>'
    return f'<div class="panel"><div class="lanes">{"".join(lines)}</div>{scale}</div>'


def draw_problem(text):
    """Draw what is wrong, to be read aloud at once by a screen reader."""
    return make_text(text, "div").replace("<div", '<div class="problem" role="alert"', 1)
