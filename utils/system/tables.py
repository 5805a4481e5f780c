"""Tables as CSV, and the text of lists that others wrote."""

import codecs
import csv
from pathlib import Path

from utils.system.files import atomic_path

_UTF_16 = codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE


def read_text(path, errors="surrogateescape"):
    """Return the text of a list: UTF-8 or, as its first bytes say, UTF-16.

    Args:
        path: of the file.
        errors: what becomes of other bytes behind the first line, as of `bytes.decode`: names of
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


def write_csv(path, header, rows):
    r"""Write a table as CSV, atomically: UTF-8, commas, lines that end in \r\n.

    Names of files that are not UTF-8 are written as their bytes; `read_text` gives them back.

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
        writer.writerow(header)
        writer.writerows(rows)
