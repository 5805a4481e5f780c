"""Lists in sentences."""


def list_some(names, most=5):
    """Return the first names, separated by commas, and how many more there are."""
    names = list(map(str, names))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
