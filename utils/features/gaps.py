"""Points that some rows of positions lack, filled in from the rows around that have them."""

from typing import NamedTuple

import numpy as np


class Gaps(NamedTuple):
    """How it is told that a point was not found.

    Attributes:
        kind: "nan", or "zeros": all its coordinates are 0.
        coordinates: columns of a point.
    """

    kind: str
    coordinates: int

    def fill(self, rows):
        """Fill in points between the rows before and behind that have them, else with the nearest.

        Args:
            rows: numbers (rows, dim).

        Returns:
            float32 (rows, dim); a point that is in no row is NaN throughout.

        Raises:
            ValueError: dim is no whole number of points.
        """
        count, dim = rows.shape
        if dim % self.coordinates:
            raise ValueError(f"Rows of {dim} columns are no points of {self.coordinates} each.")
        points = np.array(rows, np.float32).reshape(count, -1, self.coordinates)
        lost = np.isnan(points).any(-1) if self.kind == "nan" else ~points.any(-1)
        places = np.arange(count)
        for point in np.flatnonzero(lost.any(0)):
            seen = np.flatnonzero(~lost[:, point])
            for column in range(self.coordinates):
                own = points[:, point, column]
                own[:] = np.interp(places, seen, own[seen]) if len(seen) else np.nan
        return points.reshape(count, dim)
