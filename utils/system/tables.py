"""Tables as CSV."""

import csv

from utils.system.files import atomic_path


def write_csv(path, header, rows):
    r"""Write a table as CSV, atomically: UTF-8, commas, lines that end in \r\n.

    Args:
        path: of the file.
        header: names of the columns.
        rows: iterable of rows, a value a column each.
    """
    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
