"""HTML of what a video shows: probabilities, intervals over time, a problem. Names are escaped."""

from urllib.parse import quote

from utils.pictures.captions import color_labels
from utils.pictures.html import render

STYLE = """
#video .error { display: none; }  /* a format that the browser cannot play, but the network can */
.panel h2 { font-size: 1.7em; line-height: 1.25; margin: 0 0 .6em; overflow-wrap: anywhere; }
.panel p { margin: 0 0 .8em; color: var(--body-text-color); }
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
.picture { margin: 0; padding: .5em; border-radius: 6px; overflow-x: auto;
  background: #fff; }  /* plots are white */
.picture img { display: block; width: 100%; min-width: 44em; }
#examples { display: grid; grid-template-columns: repeat(auto-fill, minmax(9em, 1fr)); gap: .8em; }
#examples > * { min-width: 0 !important; }
#examples img { width: 100%; aspect-ratio: 16 / 9; object-fit: cover; border-radius: 6px; }
@media (max-width: 700px) {  /* a name, its share, and below both its track */
  .line { grid-template-columns: 1fr auto; gap: .1em .8em; margin: .6em 0; }
  .line > :nth-child(2) { grid-row: 2; grid-column: 1 / 3; }
  .line > .scale + * { grid-row: 2; grid-column: 3; }
  .scale span:nth-child(2n) { display: none; }
  #examples { grid-template-columns: repeat(4, 1fr); gap: .4em; }
}
"""
# Gradio shouts where a browser cannot play what was uploaded, though the network may read it; if it
# cannot either, the page says so itself.
SCRIPT = """() => new MutationObserver(() =>
  document.querySelectorAll(".toast-body").forEach(toast => {
    if (/not playable/i.test(toast.textContent)) toast.querySelector("button")?.click();
  })).observe(document.body, { childList: true, subtree: true })"""
_TICKS = 4


def draw_answer(prediction, caution=None):
    """Draw what a video shows as a whole: the labels decided, and the most probable ones.

    Args:
        prediction: a `tasks.answers.Prediction`.
        caution: a `tasks.caution.Caution`; None where every answer counts as sure.
    """
    unsure = caution and prediction.top and prediction.top[0][1] < caution.confidence
    return render("answer.html", prediction=prediction, caution=caution if unsure else None)


def draw_picture(path, text):
    """Draw a picture that the page's server has, on white, with a text for who does not see it.

    Args:
        path: of the file.
        text: what the picture shows.
    """
    return render("picture.html", source=f"gradio_api/file={quote(str(path))}", text=text)


def draw_thumbnail(content, text):
    """Draw a small picture that lies in the page itself.

    Args:
        content: bytes of a JPEG.
        text: what it shows.
    """
    return render("thumbnail.html", content=content, text=text)


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
