"""Row `pages`: ticket list, ticket page and board against the reference page, and against themselves when small.

Real requests to the real web process, one on the full database and one on a small one. In each round every page has
its turn: the reference page, the page itself, the page on the small database, each asked for as often and by as many
at once. A round's ratio is one p95 by the other; what counts is the median over the rounds (DESIGN 7).
"""

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice

from bench.databases import clone, url_of
from bench.measuring import Row, Size, median, percentile, rounded, spread
from bench.web.server import web_servers
from bench.web.visiting import CONNECTIONS, Visit, Visitors
from bench.worker import Worker

# The limits of DESIGN 7.
RATIO, GROWTH = 3.0, 1.5
QUERIES = {"list": 10, "ticket": 14, "board": 10}
# Who asks: the board is a lead's page, the others are an agent's.
ASKER = {"list": "agent", "ticket": "agent", "board": "lead"}
_ROUNDS, _ROUNDS_QUICK = 9, 3
_REQUESTS, _REQUESTS_QUICK = 200, 24
# How many tickets are looked at, besides one in ten whose conversation is that long.
_TICKETS, _TICKETS_QUICK, _LONG = 400, 40, 25
_WARMING = 8
# Lists differ in what they ask the database, tickets and boards hardly.
_COUNTED = 40


def run(size: Size) -> Row:
    """Measure the three pages and count their queries."""
    requests = _REQUESTS_QUICK if size.quick else _REQUESTS
    with _places(size) as (full, few):
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(_Place.warm, (full, few)))
        queries = {page: full.most_queries(page) for page in ASKER}
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


@dataclass(frozen=True)
class _Place:
    """A web process on one database, with people who are signed in and what they ask for."""

    worker: Worker
    sessions: dict[str, list[str]]
    addresses: dict[str, list[list[str]]]
    visitors: Visitors

    def tick(self) -> None:
        """Let the engines look alive: an alarm on each page of a lead is not what is measured."""
        self.worker.ask("bench.web.people.tick")

    def visits(self, page: str, role: str | None = None) -> list[Visit]:
        """Return what is asked for of a page, by people of a role in turn."""
        sessions = self.sessions[role or ASKER.get(page, "agent")]
        addresses = self.addresses[page]
        # As many as there are people at least: the one address of the reference page is each person's.
        wanted = max(len(addresses), len(sessions))
        each = zip(cycle(addresses), cycle(sessions), strict=False)
        return [Visit(path, session, words) for (path, words), session in islice(each, wanted)]

    def warm(self) -> None:
        """Ask for some of everything, from all threads of the web process: it has been at work for a while then."""
        reference = self.visits("reference")[0]
        self.visitors.warm(
            [visit for page in ASKER for visit in self.visits(page)[:_WARMING]] + [reference] * 8
        )

    def most_queries(self, page: str) -> int:
        """Return the most queries that an agent or a lead costs with anything of this page, once it is warm."""
        counted = _COUNTED if page == "list" else _COUNTED // 4
        visits = [visit for role in ("agent", "lead") for visit in self.visits(page, role)[:counted]]
        return max(map(self.visitors.count, visits))


@contextlib.contextmanager
def _places(size: Size) -> Iterator[tuple[_Place, _Place]]:
    """Have the full and the small place."""
    with contextlib.ExitStack() as stack:
        databases = [stack.enter_context(clone(tickets)) for tickets in (size.open, size.small)]
        workers = [stack.enter_context(Worker(url_of(database))) for database in databases]
        tickets = _TICKETS_QUICK if size.quick else _TICKETS
        # Both at once: a core for each. One collects the static files for both.
        workers[0].tell("bench.web.people.collect_static")
        for worker in workers:
            worker.tell("bench.web.addresses.prepare", tickets=tickets, long=tickets // 10, entries=_LONG)
        workers[0].answer()
        prepared = [worker.answer() for worker in workers]
        places = [
            _Place(worker, sessions, addresses, stack.enter_context(Visitors(port)))
            for worker, (sessions, addresses), port in zip(
                workers, prepared, stack.enter_context(web_servers(databases)), strict=True
            )
        ]
        for place in places:
            place.tick()
        yield places[0], places[1]
