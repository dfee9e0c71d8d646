"""Row `stream`: from a commit until two hundred open browsers know, on the real web process (DESIGN 7)."""

import time
from itertools import cycle, islice

from bench.databases import clone, url_of
from bench.measuring import Row, Size, median, percentile
from bench.web.browsers import Heard, listen
from bench.web.server import web_servers
from bench.worker import Worker

# The limit of DESIGN 7.
P95_MS = 300
BROWSERS = 200
_COMMITS, _COMMITS_QUICK = 100, 10
# Each with several tabs: fewer than the stream allows one person.
_AGENTS = 40


def run(size: Size) -> Row:
    """Commit replies one after another and wait until each browser has heard of each."""
    commits = _COMMITS_QUICK if size.quick else _COMMITS
    with clone(size.open) as database, Worker(url_of(database)) as worker:
        worker.ask("bench.web.people.collect_static")
        sessions = worker.ask("bench.web.people.sign_in", agents=_AGENTS, leads=0)["agent"]
        tickets = worker.ask("bench.web.people.sample", count=commits, salt="stream")

        def commit(number: int) -> float:
            committed: float = worker.ask("bench.stream.reply", ticket_id=tickets[number])
            return committed

        with web_servers([database]) as (port,):
            heard = listen(port, list(islice(cycle(sessions), BROWSERS)), commits, commit)
    return summed_up(heard, commits)


def summed_up(heard: Heard, commits: int) -> Row:
    """Return the row's figures."""
    delays = [delay * 1000 for delay in heard.delays]
    row: Row = {
        "p95_ms": percentile(delays, 95),
        "median_ms": median(delays),
        "worst_ms": percentile(delays, 100),
        "browsers": len(heard.receipts),
        "commits": commits,
        "messages": sum(heard.receipts),
        # A browser may be told twice of one commit, never not at all.
        "receipts_per_browser": [min(heard.receipts), max(heard.receipts)],
        "lost": heard.lost,
    }
    row["holds"] = row["p95_ms"] < P95_MS and row["lost"] == 0
    return row


# --- in the worker --------------------------------------------------------------------------------------------------


def reply(*, ticket_id: int) -> float:
    """Answer a ticket as one of its agents does; return when that was committed, by time.perf_counter."""
    from django.db import transaction

    from accounts.models import Role, User
    from core.db import database_now
    from tickets.operations import add_reply

    actor = User.objects.filter(role=Role.AGENT).order_by("pk").first()
    committed = [0.0]

    def note() -> None:
        committed[0] = time.perf_counter()

    with transaction.atomic():
        # Registered first, so that it runs right after the commit and before anybody is woken.
        transaction.on_commit(note)
        add_reply(ticket_id=ticket_id, body="We are on it.", actor=actor, now=database_now())
    return committed[0]
