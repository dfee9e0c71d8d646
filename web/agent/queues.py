"""The queue page."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.models import Tier
from accounts.rules import Verb
from escalation.models import Clock
from tickets.models import Severity, Status, Ticket
from web.agent.filters import BY_SLUG, QUEUES, Filters, Reader, agent_choices, queue_counts, team_choices
from web.agent.paging import page_of
from web.shell import SignedIn, arrive, may

# What happens at a clock's deadline, as short as a column asks for.
SHORT = {
    Clock.Kind.FIRST_RESPONSE: "first answer",
    Clock.Kind.NEXT_RESPONSE: "next answer",
    Clock.Kind.RESOLUTION: "resolution",
    Clock.Kind.STAKEHOLDER_UPDATE: "update",
    Clock.Kind.TIER_TIME: "climbs",
    Clock.Kind.ACKNOWLEDGE: "climbs unless taken",
    Clock.Kind.NEXT_TELLING: "next one is told",
    Clock.Kind.FOLLOW_UP: "follow up",
    Clock.Kind.REQUEST: "answer the wish",
    Clock.Kind.QUESTION: "answer the question",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A ticket in a list with its most urgent clock."""

    ticket: Ticket
    due_at: dt.datetime | None
    what: str
    share: float | None


@require_GET
@may(Verb.WORK)
def queue(request: SignedIn, slug: str = "mine") -> HttpResponse:
    """Show one queue, the most urgent ticket first; as a fragment when the page refreshes itself."""
    chosen = BY_SLUG.get(slug)
    if chosen is None:
        raise Http404(f"There is no queue “{slug}”.")
    reader = Reader.of(request.user)
    now = arrive(request, reader.scope)
    filters = Filters.read(request.GET)
    tickets = filters.narrow(chosen.narrow(reader.tickets(), reader), reader)
    page = page_of(tickets.for_list(), chosen.order, request.GET)
    if _means_one_ticket(filters, page.rows, slug):
        return redirect("web:ticket", page.rows[0].pk)
    counts = queue_counts(reader)
    context: dict[str, Any] = {
        "section": "queue",
        "now": now,
        "queue": chosen,
        "queues": [(entry, counts.get(entry.slug, "")) for entry in QUEUES],
        "filters": filters,
        "page": page,
        "rows": list_rows(page.rows, now),
        "here": reverse("web:queue", args=[slug]),
        "kept": filters.as_params(),
        "way_out": _way_out(chosen.way_out),
    }
    if request.headers.get("HX-Request"):
        return render(request, "desk/parts/queue_live.html", context)
    context |= {
        "tiers": Tier.choices,
        "severities": Severity.choices,
        "statuses": Status.choices,
        "teams": team_choices(),
        "agents": agent_choices(),
    }
    return render(request, "desk/queue.html", context)


def list_rows(tickets: list[Ticket], now: dt.datetime) -> list[Row]:
    """Add each ticket's most urgent running clock, in one query."""
    running = Clock.objects.filter(ticket_id__in=[t.pk for t in tickets], state=Clock.State.RUNNING)
    # The last one of a ticket stays: its earliest.
    urgent = {clock.ticket_id: clock for clock in running.order_by("-due_at")}
    rows = []
    for ticket in tickets:
        clock: Clock | None = urgent.get(ticket.pk)
        due = clock.due_at if clock is not None else ticket.next_due_at
        rows.append(
            Row(
                ticket=ticket,
                due_at=due if ticket.is_open else None,
                what=SHORT[Clock.Kind(clock.kind)] if clock is not None else "",
                share=_share(clock, now),
            )
        )
    return rows


def _share(clock: Clock | None, now: dt.datetime) -> float | None:
    if clock is None or clock.due_at is None or clock.due_at <= clock.started_at:
        return None
    return (now - clock.started_at) / (clock.due_at - clock.started_at)


def _means_one_ticket(filters: Filters, rows: list[Ticket], slug: str) -> bool:
    """Tell whether somebody typed a ticket's number into the search field: then the ticket is what they want."""
    typed = filters.q.removeprefix("#")
    return slug == "all" and len(rows) == 1 and typed == str(rows[0].pk)


def _way_out(way: tuple[str, str] | None) -> tuple[str, str] | None:
    return (reverse("web:queue", args=[way[0]]), way[1]) if way else None
