"""Why a ticket's deadlines are when they are: in the page's dialog, and as a page of its own."""

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from accounts.rules import Verb
from escalation.explaining import explain_ticket
from web.agent.ticket import fetch_ticket
from web.agent.verbs import render_sheet
from web.shell import SignedIn, arrive, may


@require_GET
@may(Verb.READ_NOTES)
def why(request: SignedIn, pk: int) -> HttpResponse:
    """Explain every clock of a ticket; for those who work tickets, as it names who is told."""
    ticket, scope = fetch_ticket(request.user, pk)
    now = arrive(request, scope)
    return render_sheet(
        request, "desk/why.html", ticket, {"now": now, "explained": explain_ticket(ticket, now)}
    )
