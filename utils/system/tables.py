"""Tables as CSV, and the text of lists that others wrote."""

import codecs
import csv
import re
from itertools import chain
from pathlib import Path

from utils.system.files import atomic_path

# How cells begin that spreadsheets compute, or that were kept from it; numbers are none.
_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_UTF_16 = codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE


def read_text(path, errors="surrogateescape"):
    """Return the text of a list: UTF-8 or, as its first bytes say, UTF-16.

    Args:
        path: of the file.
        errors: what becomes of other bytes behind the first line, as in `bytes.decode`: names of
            files may have such.

    Raises:
        UnicodeDecodeError: it is no text.
    """
    content = Path(path).read_bytes()
    if content.startswith(_UTF_16):
        return content.decode("utf-16")
    content.split(b"\n", 1)[0].decode()
    return content.decode("utf-8-sig", errors)


def is_text(text):
    """Return whether a string is text, without bytes that were no UTF-8 when it was read."""
    return text.encode(errors="replace") == text.encode(errors="surrogatepass")


def _guard_cell(cell):
    """Return a cell that no spreadsheet computes: behind a ' where it begins like a formula."""
    formula = isinstance(cell, str | Path) and _FORMULA.match(str(cell))
    return f"'{cell}" if formula and not _NUMBER.fullmatch(str(cell)) else cell


def read_cell(text):
    """Return what `write_csv` was given for the text of a cell."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def write_csv(path, header, rows):
    r"""Write a table as CSV, atomically: UTF-8, commas, lines that end in \r\n.

    Names of files that are not UTF-8 are written as their bytes; `read_text` gives them back.
    Texts that a spreadsheet would compute are written behind a '; `read_cell` gives them back.

    Args:
        path: of the file.
        header: names of the columns.
        rows: iterable of rows, a value a column each.
    """
    with (
        atomic_path(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(file)
        writer.writerows(map(_guard_cell, row) for row in chain([header], rows))
