"""The reference page of DESIGN 7: signed in, Belay's own stack and base template, 25 rows of one indexed query."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounts.rules import Verb
from tickets.models import Ticket
from web.shell import SignedIn, arrive, may

ROWS = 25


@require_GET
@may(Verb.WORK)
def reference(request: SignedIn) -> HttpResponse:
    """Show the first open tickets by deadline, plainly: what any page of a list can't do without."""
    now = arrive(request)
    rows = Ticket.objects.open().order_by("next_due_at", "id")[:ROWS]
    return render(request, "bench/reference.html", {"section": "queue", "now": now, "rows": rows})
