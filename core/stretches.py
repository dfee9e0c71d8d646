"""Stretches of time: as people read them, and what two lists of them have in common."""

import datetime as dt
from collections.abc import Iterable, Iterator

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
Stretch = tuple[dt.datetime, dt.datetime]


def interval(begin: dt.datetime, end: dt.datetime, zone: dt.tzinfo) -> str:
    """Return a stretch exactly, on one wall clock: "Fri 27 Mar 2026 17:00 – Mon 30 Mar 2026 09:00"."""
    first, last = begin.astimezone(zone), end.astimezone(zone)
    if first.date() == last.date():
        return f"{moment(begin, zone)} – {last:%H:%M}"
    return f"{moment(begin, zone)} – {moment(end, zone)}"


def moment(at: dt.datetime, zone: dt.tzinfo) -> str:
    """Return an instant to the minute, on one wall clock: "Fri 27 Mar 2026 17:00"."""
    local = at.astimezone(zone)
    return f"{_DAYS[local.weekday()]} {local.day} {local:%b} {local.year} {local:%H:%M}"


def common(ones: Iterable[Stretch], others: Iterable[Stretch]) -> Iterator[Stretch]:
    """Yield what lies in both of two lists of stretches, each in order and without overlap."""
    rest = iter(others)
    other = next(rest, None)
    for begin, end in ones:
        while other is not None and other[0] < end:
            cut = max(begin, other[0]), min(end, other[1])
            if cut[0] < cut[1]:
                yield cut
            if other[1] > end:
                break
            other = next(rest, None)


def between(stretches: Iterable[Stretch], begin: dt.datetime, end: dt.datetime) -> Iterator[Stretch]:
    """Yield what of [begin, end) lies in none of the stretches, which are in order and within it."""
    for opens, closes in stretches:
        if begin < opens:
            yield begin, opens
        begin = max(begin, closes)
    if begin < end:
        yield begin, end
