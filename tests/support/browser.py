"""Pages in a real Chromium, started once for all of them, without a package of Python."""

import json
import shutil
import subprocess
from html import escape, unescape
from pathlib import Path

from support.commands import ROOT

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTHS = {"desk": 1400, "phone": 420}  # pixels
SCHEMES = ("light", "dark")
_MEASURE = (ROOT / "tests/support/measure.js").read_text(encoding="utf-8")


def find_browser():
    """Return the path of an installed Chromium, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def look_at_pages(pages, folder):
    """Show pages at both `WIDTHS` in both `SCHEMES`, and find what a reader would stumble over.

    Each page is a frame of one page: a frame of 420 pixels is laid out as a phone does it with a
    page that has a viewport tag.

    Args:
        pages: list of paths of HTML files.
        folder: where the page around them is written.

    Returns:
        {(name of the page, width, scheme): {"faults": list of texts, "height": pixels, "text":
        color, "shown": the text of what has that id, "texts", "pictures": how many there are}}.
    """
    frames = [
        f'<iframe data-name="{escape(page.name)}" data-width="{width}" data-scheme="{scheme}" '
        f'src="{page.resolve().as_uri()}" width="{pixels}" height="900" '
        f'style="border: 0; color-scheme: {scheme}"></iframe>'
        for page in map(Path, pages)
        for width, pixels in WIDTHS.items()
        for scheme in SCHEMES
    ]
    around = Path(folder, "around.html")
    around.write_text(
        f'<!doctype html><meta charset="utf-8">{"".join(frames)}<pre id="found"></pre>'
        f"<script>{_MEASURE}</script>",
        encoding="utf-8",
    )
    command = [find_browser(), "--headless", "--no-sandbox", "--disable-gpu"]
    command += ["--allow-file-access-from-files", "--virtual-time-budget=20000"]
    command += [f"--user-data-dir={folder}/browser", "--dump-dom", around.resolve().as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = unescape(done.stdout.split('<pre id="found">')[1].split("</pre>")[0])
    return {(row["name"], row["width"], row["scheme"]): row for row in json.loads(found)}
