"""Set a ticket aside whose processing fails: told of, tried again later, in nobody's way (DESIGN 3, never silent)."""

import datetime as dt
import logging

from django.db import transaction

from accounts.models import User
from escalation import kinds
from escalation.models import Clock, Standing
from escalation.operations.people import admins_as_contacts
from escalation.operations.state import State
from escalation.paths import path_rule
from notifications.models import Contact
from notifications.operations import Message, contacts_for, enqueue
from notifications.queries import methods_of
from tickets.models import Ticket
from tickets.operations import set_aside
from tickets.timeline import NewEvent, working

log = logging.getLogger("belay.engine")

# How long a ticket whose processing failed rests before it is tried again; the last value repeats.
_BACKOFF = tuple(dt.timedelta(seconds=seconds) for seconds in (30, 120, 600, 3600))


def set_ticket_aside(*, ticket_id: int, error: Exception, now: dt.datetime) -> dt.datetime:
    """Rest a ticket whose processing fails, tell its lead and the fallback contact; return when it is tried again.

    Writes plain columns only, and does without what may be missing: whatever made the processing fail must not be in
    the way here. Its deadlines stay what they are, only the engine looks later. Locks the ticket.
    """
    log.error("#%d is set aside: %s: %s", ticket_id, type(error).__name__, error)
    with transaction.atomic():
        Ticket.objects.select_for_update(no_key=True).filter(pk=ticket_id).first()
        standing = Standing.objects.filter(pk=ticket_id).first()
        failures = standing.failures + 1 if standing is not None else 1
        because = f"{type(error).__name__}: {error}".replace("\0", "")[:500]
        Standing.objects.filter(pk=ticket_id).update(failures=failures, set_aside_because=because)
        again = now + _BACKOFF[min(failures, len(_BACKOFF)) - 1]
        Clock.objects.filter(ticket_id=ticket_id, fires_at__lte=now).update(fires_at=again)
        set_aside(ticket_id=ticket_id, at=now)
    try:
        tell_of_set_aside(ticket_id=ticket_id, failures=failures, now=now)
    except Exception:  # even the path may be what is broken; the board still shows the ticket
        log.exception("nobody could be told that #%d is set aside", ticket_id)
    return again


def works_again(state: State) -> None:
    """Take a held ticket back among the others: its processing has succeeded."""
    if not state.standing.failures:
        return
    state.standing.failures = 0
    state.standing.set_aside_because = ""
    state.standing.save(update_fields=["failures", "set_aside_because"])
    set_aside(ticket_id=state.ticket.pk, at=None)


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
