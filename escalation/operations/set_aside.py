"""Tell people about a ticket whose processing fails (DESIGN 3, never silent)."""

import datetime as dt

from accounts.models import User
from escalation import kinds
from escalation.models import Standing
from escalation.operations.people import admins_as_contacts
from escalation.paths import path_rule
from notifications.models import Contact
from notifications.operations import Message, contacts_for, enqueue
from notifications.queries import methods_of
from tickets.models import Ticket
from tickets.timeline import NewEvent, working


def tell_of_set_aside(*, ticket_id: int, failures: int, now: dt.datetime) -> None:
    """Tell the ticket's lead and the path's fallback contact that Belay can't process it; every time it fails."""
    with working() as work:
        (ticket,) = work.lock([ticket_id])
        standing = Standing.objects.get(pk=ticket_id)
        contacts: dict[int, Contact] = {}
        lead: User | None = Ticket.objects.select_related("team__lead").get(pk=ticket_id).team_lead
        if lead is not None:
            contacts.update({c.pk: c for c in contacts_for([lead]).values()})
        fallback = Contact.objects.get(pk=path_rule(standing.version_id).fallback_id)
        contacts[fallback.pk] = fallback
        methods = methods_of(contacts)
        if not methods:
            contacts = {contact.pk: contact for contact in admins_as_contacts()}
            methods = methods_of(contacts)
        enqueue(
            messages=[
                Message(
                    kind=kinds.TELL_SET_ASIDE,
                    ticket_id=ticket_id,
                    contact_id=pk,
                    user_id=contacts[pk].user_id,
                    method_id=ways[0][0],
                    channel=ways[0][1],
                    address=ways[0][2],
                    context={"failures": failures},
                    group=f"ticket:{ticket_id}",
                )
                for pk, ways in methods.items()
            ],
            now=now,
        )
        work.record([NewEvent(ticket, kinds.SET_ASIDE, {"failures": failures})], actor=None, now=now)
