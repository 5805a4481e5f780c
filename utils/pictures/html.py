"""HTML from the files in `templates`: whatever is filled in is escaped, and nothing is fetched."""

from base64 import b64encode
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters["base64"] = lambda content: b64encode(content).decode()


def render(template, **values):
    """Return a page, or a part of one, as a string.

    Args:
        template: name of a file in `templates`, such as "page.html".
        values: what is filled in where the template names it.
    """
    return _TEMPLATES.get_template(template).render(values)
