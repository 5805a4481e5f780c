"""HTML pages: pictures and videos are inside or beside, nothing is fetched, names are escaped."""

from base64 import b64encode
from html import escape
from urllib.parse import quote

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --card: #8881; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1180px; margin: 2em auto; padding: 0 1em; }
h1 { margin-bottom: 0; } h2 { margin-top: 2em; border-bottom: 1px solid var(--line); }
table { border-collapse: collapse; font-size: 14px; } .wide { overflow-x: auto; }
th, td { padding: .25em .7em; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
img, video { max-width: 100%; display: block; } img.plot { background: white; margin: 1em 0; }
.tiles { display: flex; flex-wrap: wrap; gap: .8em; margin: 1em 0; }
.tile { background: var(--card); padding: .5em 1.1em; border-radius: 8px; }
.tile b { display: block; font-size: 1.5em; }
.advice { border-left: 5px solid; margin: .6em 0; padding: .3em 1em; background: var(--card);
  overflow-wrap: anywhere; }
.fix { border-color: #c33; } .check { border-color: #d90; } .note { border-color: #48c; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(270px, 1fr)); gap: 1em; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .3em .8em; margin: 1em 0; }
.pair p { grid-column: 1 / 3; margin: 0; } figure { margin: 0; }
pre { overflow-x: auto; } figcaption { font-size: 12px; overflow-wrap: anywhere; }
"""


def embed_picture(content, kind, text, style=""):
    """Return an `<img>` of a picture's bytes; kind is "png" or "jpeg", text what it shows."""
    code = b64encode(content).decode()
    return f'<img class="{style}" alt="{escape(text)}" src="data:image/{kind};base64,{code}">'


def link_picture(name, text, style=""):
    """Return an `<img>` of a picture that lies beside the page; text says what it shows."""
    source = f'src="{quote(name)}" loading="lazy"'
    return f'<img class="{style}" alt="{escape(text)}" {source}>'


def embed_video(content):
    """Return a `<video>` of the bytes of an .mp4."""
    code = b64encode(content).decode()
    return f'<video controls loop muted src="data:video/mp4;base64,{code}"></video>'


def make_table(header, rows):
    """Return a `<table>` of a header and rows of cells, which are escaped."""
    cells = "".join(f"<th>{escape(str(cell))}</th>" for cell in header)
    lines = [f"<tr>{cells}</tr>"]
    for row in rows:
        cells = "".join(f"<td>{escape(str(cell))}</td>" for cell in row)
        lines.append(f"<tr>{cells}</tr>")
    return f'<div class="wide"><table>{"".join(lines)}</table></div>'


def make_text(text, tag="p"):
    """Return a text, escaped, in an element."""
    return f"<{tag}>{escape(text)}</{tag}>"


def make_page(title, parts):
    """Return a page as one string.

    Args:
        title: its first heading.
        parts: HTML.
    """
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        + "\n".join([make_text(title, "h1"), *parts])
        + "</body></html>\n"
    )
