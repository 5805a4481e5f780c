"""HTML from the files in `templates`: whatever is filled in is escaped, and nothing is fetched."""

import os
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote

from utils.system.files import whole_path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def _show(value):
    r"""Return a value, or where it is a name that is not UTF-8, its odd bytes as \udc..."""
    text = str(value)
    shown = text.encode(errors="backslashreplace").decode()
    return value if shown == text else shown


_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    finalize=_show,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters["urlencode"] = lambda name: quote(os.fsencode(name))
_TEMPLATES.filters["base64"] = lambda content: b64encode(content).decode()


def render(template, **values):
    """Return a page, or a part of one, as a string.

    Args:
        template: name of a file in `templates`, such as "page.html".
        values: what is filled in where the template names it.
    """
    return _TEMPLATES.get_template(template).render(values)


def find_address(path, folder):
    """Return the address of a file for a page in a folder.

    It is relative, so it goes on working where both are moved together.
    """
    try:
        relative = Path(os.path.relpath(whole_path(path), whole_path(folder)))
    except ValueError:  # another drive of Windows
        return Path(whole_path(path)).as_uri()
    return quote(os.fsencode(relative.as_posix()))


def name_video(path):
    """Return what a video is called on a page: its file, and the folder that it lies in."""
    return "/".join(Path(path).parts[-2:])
