"""In a worker beside a bench's web process: what agents and leads ask for, out of what there is to see."""

import datetime as dt
from urllib.parse import quote

from accounts.models import Role, Team, User
from bench.due import make_due
from bench.web.people import sample, sign_in, write_long
from core.db import database_now
from tickets.models import Service, Ticket
from web.agent.filters import BY_SLUG
from web.agent.paging import Mark

_AGENTS, _LEADS = 8, 4
# Tickets that climb soon, one each two minutes; more than a lane shows.
_NEAR, _FIRST, _APART = 200, 15, dt.timedelta(minutes=2)
Addresses = dict[str, list[tuple[str, str]]]


def prepare(*, tickets: int, long: int, entries: int) -> tuple[dict[str, list[str]], Addresses]:
    """Return the sessions of people by role and, for each page, what is asked for in turn.

    That is a path, and words that only the wanted answer has. Of so many tickets, besides `long` ones whose
    conversations are made that many entries long; and boards have all their chips.
    """
    now = database_now()
    # Within the eight hours that a board shows, but none while it is measured.
    near = min(_NEAR, Ticket.objects.count() // 10)
    soon = [((now + n * _APART).isoformat(), 1) for n in range(_FIRST, _FIRST + near)]
    make_due(slices=soon, tidy=False)
    numbers = sample(tickets, salt="pages")
    addresses = {
        "reference": [("/bench/reference/", 'id="reference"')],
        "list": _lists(numbers),
        "ticket": _tickets(numbers, write_long(tickets=long, entries=entries)),
        "board": _boards(),
    }
    return sign_in(agents=_AGENTS, leads=_LEADS), addresses


def _lists(tickets: list[int]) -> list[tuple[str, str]]:
    """Return every queue, first, last and deep pages, and every filter; the deep ones start at random places."""
    team = Team.objects.order_by("-pk").first()
    agent = User.objects.filter(role=Role.AGENT).first()
    assert team is not None
    assert agent is not None
    due = Ticket.objects.exclude(next_due_at=None).in_bulk(tickets)
    marks = [quote(str(Mark(ticket.next_due_at, ticket.pk))) for ticket in due.values()]
    paths = [f"/queue/{slug}/" for slug in BY_SLUG]
    filters = (
        "tier=2",
        "tier=4&severity=1",
        "severity=1",
        "status=hold",
        "status=waiting&tier=2",
        f"team={team.pk}",
        "assignee=me",
        "assignee=nobody&severity=2",
        f"assignee={agent.pk}",
        "q=vpn",
        "q=printer+slow",
    )
    for place, mark in enumerate(marks):
        # One deep page after each first one, at another depth.
        paths.insert(2 * place + 1, f"/queue/open/?{'before' if place % 3 == 2 else 'after'}={mark}")
        if place == len(BY_SLUG):
            break
    paths += [
        "/queue/open/?page=last",
        f"/queue/unassigned/?after={marks[-1]}",
        f"/queue/open/?tier=1&after={marks[-2]}",
        "/queue/all/?q=badge",
    ]
    paths += [f"/queue/open/?{narrowed}" for narrowed in filters]
    return [(path, 'id="queue-live"') for path in paths]


def _tickets(tickets: list[int], long: list[int]) -> list[tuple[str, str]]:
    """Return many tickets as their lives have left them, each tenth a long one."""
    numbers = list(tickets)
    for place, pk in enumerate(long):
        numbers.insert(10 * place + 5, pk)
    return [(f"/t/{pk}/", f'data-live="ticket-{pk}"') for pk in numbers]


def _boards() -> list[tuple[str, str]]:
    """Return the board mostly as people look at it, and each way of narrowing it."""
    team, service = Team.objects.order_by("pk").first(), Service.objects.order_by("pk").first()
    assert team is not None
    assert service is not None
    plain = "/board/"
    others = ("?view=table", "?view=wall", f"?team={team.pk}", f"?service={service.pk}", "?severity=2")
    return [(path, 'id="board"') for other in others for path in (plain, plain + other)]
