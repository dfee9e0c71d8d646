"""Row `pages`: ticket list, ticket page and board against the reference page, and against themselves when small.

Real requests to the real web process, one on the full database and one on a small one. In each round every page has
its turn: the reference page, the page itself, the page on the small database, each asked for as often and by as many
at once. A round's ratio is one p95 by the other; what counts is the median over the rounds (DESIGN 7).
"""

import contextlib
import datetime as dt
from collections.abc import Sequence
from itertools import cycle, islice
from types import TracebackType
from typing import Self

from bench.databases import clone, url_of
from bench.measuring import Row, Size, median, percentile, rounded, spread
from bench.web.server import web_server
from bench.web.visiting import CONNECTIONS, Visit, Visitors
from bench.worker import Worker

# The limits of DESIGN 7.
RATIO, GROWTH = 3.0, 1.5
QUERIES = {"list": 10, "ticket": 14, "board": 10}
# Who asks: the board is a lead's page, the others are an agent's.
ASKER = {"list": "agent", "ticket": "agent", "board": "lead"}
_ROUNDS, _ROUNDS_QUICK = 9, 3
_REQUESTS, _REQUESTS_QUICK = 200, 48
_TICKETS, _LONG, _ENTRIES = 120, 12, 25
_AGENTS, _LEADS = 8, 4
# Tickets that climb within the eight hours that the board shows, one each few minutes.
_NEAR, _APART = 200, dt.timedelta(minutes=2)


def run(size: Size) -> Row:
    """Measure the three pages and count their queries."""
    with clone(size.open) as large, clone(size.small) as small, _Place(large) as full, _Place(small) as few:
        queries = {page: full.most_queries(page) for page in ASKER}
        for place in (full, few):
            place.warm()
        requests = _REQUESTS_QUICK if size.quick else _REQUESTS
        rounds = []
        for number in range(_ROUNDS_QUICK if size.quick else _ROUNDS):
            for place in (full, few):
                place.tick()
            rounds.append({page: _turn(full, few, page, number, requests) for page in ASKER})
    row: Row = {page: summed_up(page, [one[page] for one in rounds], queries[page]) for page in ASKER}
    row |= {
        "tickets": size.open,
        "small_tickets": size.small,
        "connections": CONNECTIONS,
        "requests_per_round": requests,
    }
    row["holds"] = all(row[page]["holds"] for page in ASKER)
    return row


def summed_up(page: str, turns: Sequence[dict[str, list[float]]], queries: int) -> Row:
    """Return one page's figures out of its turns: milliseconds of the reference page, of the page, and of it small."""
    p95 = [{side: percentile(took, 95) for side, took in turn.items()} for turn in turns]
    ratios = [one["page"] / one["reference"] for one in p95]
    growths = [one["page"] / one["small"] for one in p95]
    row: Row = {
        "ratio": median(ratios),
        "ratio_spread": spread(ratios),
        "growth": median(growths),
        "growth_spread": spread(growths),
        "queries": queries,
    }
    for side in ("page", "reference", "small"):
        row |= {
            f"{side}_p95_ms": [rounded(one[side]) for one in p95],
            f"{side}_median_ms": median([ms for turn in turns for ms in turn[side]]),
        }
    row["holds"] = row["ratio"] <= RATIO and row["growth"] <= GROWTH and queries <= QUERIES[page]
    return row


def _turn(full: "_Place", few: "_Place", page: str, number: int, requests: int) -> dict[str, list[float]]:
    """Have one page asked for on all three sides; which of them begins changes from round to round."""
    sides = {
        "reference": (full, full.visits("reference", ASKER[page])),
        "page": (full, full.visits(page)),
        "small": (few, few.visits(page)),
    }
    order = list(sides)
    first = number % len(order)
    took = {}
    for side in order[first:] + order[:first]:
        place, visits = sides[side]
        # Where the last round stopped, the next goes on: many different tickets, not the same few.
        from_here = number * requests % len(visits)
        took[side] = place.visitors.ask(list(islice(cycle(visits), from_here, from_here + requests)))
    return took


class _Place:
    """A web process on one database, with people who are signed in and what they ask for."""

    def __init__(self, database: str) -> None:
        self.database = database
        self.stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.worker = stack.enter_context(Worker(url_of(self.database)))
            self.worker.ask("bench.web.people.collect_static")
            # A board with all its chips; nothing falls due while it is measured.
            now = dt.datetime.now(dt.UTC)
            soon = [((now + n * _APART).isoformat(), 1) for n in range(8, _NEAR + 8)]
            self.worker.ask("bench.due.make_due", slices=soon, tidy=False)
            self.sessions = self.worker.ask("bench.web.people.sign_in", agents=_AGENTS, leads=_LEADS)
            self.addresses = self.worker.ask(
                "bench.web.addresses.choose", count=_TICKETS, long=_LONG, entries=_ENTRIES
            )
            self.tick()
            self.visitors = stack.enter_context(Visitors(stack.enter_context(web_server(self.database))))
            self.stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.__exit__(kind, value, trace)

    def tick(self) -> None:
        """Let the engines look alive: an alarm on each page of a lead is not what is measured."""
        self.worker.ask("bench.web.people.tick")

    def visits(self, page: str, role: str | None = None) -> list[Visit]:
        """Return what is asked for of a page, by people of a role in turn."""
        sessions = cycle(self.sessions[role or ASKER[page]])
        return [Visit(path, next(sessions), words) for path, words in self.addresses[page]]

    def warm(self) -> None:
        """Ask for everything once, and for everything plain from all threads."""
        for page in ("reference", *ASKER):
            self.visitors.warm(
                self.visits(page)[:4] if page != "reference" else self.visits(page, "lead") * 4
            )
            self.visitors.ask(self.visits(page, "agent")[:40])

    def most_queries(self, page: str) -> int:
        """Return the most queries that an agent or a lead costs with anything of this page, once it is warm."""
        visits = [visit for role in ("agent", "lead") for visit in self.visits(page, role)[:40]]
        for visit in visits[:1] + visits[-1:]:
            self.visitors.count(visit)
        return max(self.visitors.count(visit) for visit in visits)
