"""Where a ticket stands between "8 h left" and "climbs now"; pure. board.js draws by the same curve."""

import datetime as dt
import math

# Further away than this a ticket waits in the rest column.
HORIZON = dt.timedelta(hours=8)
# The bend of the curve: minutes below which the axis is almost linear. The last hour gets two thirds of the room.
BEND = 6.0
_FULL = math.log1p(HORIZON.total_seconds() / 60 / BEND)

# Minutes left and how the axis calls them; the last one is the edge where tickets climb.
TICKS = ((480, "8 h"), (240, "4 h"), (120, "2 h"), (60, "1 h"), (30, "30 min"), (15, "15 min"), (5, "5 min"))


def place(left: dt.timedelta) -> float:
    """Return the share 0..1 of the track at which a ticket with that much time left stands; late ones at the edge."""
    minutes = max(0.0, left.total_seconds() / 60)
    return max(0.0, 1 - math.log1p(minutes / BEND) / _FULL)


def column(left: dt.timedelta) -> int:
    """Return the place in whole percent, for the classes that put chips where no script does."""
    return round(place(left) * 100)


def rows_of(places: list[float], *, width: float, rows: int) -> list[int]:
    """Put chips of `width` (a share of the track), the most urgent first, into rows where none covers another.

    A chip's right edge is its place, the leftmost chips stand at the track's beginning. What fits into no row goes
    into the one with the most room.
    """
    # Places only fall: the chip before it in a row is the one a chip could cover.
    edges = [math.inf] * rows
    found = []
    for at in places:
        left = max(0.0, at - width)
        row = next((row for row, edge in enumerate(edges) if edge >= left + width), None)
        if row is None:
            row = edges.index(max(edges))
        edges[row] = left
        found.append(row)
    return found
