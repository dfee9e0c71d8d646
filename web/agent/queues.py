"""The queue page."""

from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.models import Tier
from accounts.rules import Verb
from tickets.models import Severity, Status, Ticket
from web.agent.filters import BY_SLUG, QUEUES, Filters, Reader, queue_choices, queue_counts
from web.agent.listing import COLUMNS, list_rows
from web.agent.paging import page_of
from web.shell import SignedIn, arrive, may


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
    page = page_of(tickets.only(*COLUMNS), chosen.order, request.GET)
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
    teams, agents = queue_choices()
    context |= {
        "tiers": Tier.choices,
        "severities": Severity.choices,
        "statuses": Status.choices,
        "teams": teams,
        "agents": [("me", "Me"), ("nobody", "Nobody"), *agents],
    }
    return render(request, "desk/queue.html", context)


def _means_one_ticket(filters: Filters, rows: list[Ticket], slug: str) -> bool:
    """Tell whether somebody typed a ticket's number into the search field: then the ticket is what they want."""
    typed = filters.q.removeprefix("#")
    return slug == "all" and len(rows) == 1 and typed == str(rows[0].pk)


def _way_out(way: tuple[str, str] | None) -> tuple[str, str] | None:
    return (reverse("web:queue", args=[way[0]]), way[1]) if way else None
