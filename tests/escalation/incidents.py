"""Major incidents and what is linked to them, as the tests make them."""

import datetime as dt

from accounts.models import User
from tests.escalation.looking import clock
from tests.house import House
from tickets.models import Ticket
from tickets.operations import (
    Draft,
    declare_major,
    link_to_incident,
    open_ticket,
    unlink_from_incident,
)


def major(house: House, *, at: dt.datetime | None = None) -> Ticket:
    ticket = house.open(subject="VPN is down", at=at or house.now)
    declare_major(ticket_id=ticket.pk, actor=house.agent, now=at or house.now)
    return ticket


def link(house: House, parent: Ticket, child: Ticket, at: dt.datetime) -> None:
    link_to_incident(ticket_ids=[child.pk], incident_id=parent.pk, actor=house.agent, now=at)


def open_for(user: User, house: House) -> Ticket:
    draft = Draft(requester=user, subject="No VPN", body="It is gone.")
    return open_ticket(draft=draft, actor=None, now=house.now)


def unlink(house: House, child: Ticket, at: dt.datetime) -> None:
    unlink_from_incident(ticket_ids=[child.pk], actor=house.agent, now=at)


def state(ticket: Ticket, kind: str) -> str | None:
    found = clock(ticket, kind)
    return found.state if found is not None else None
