"""Which rows of the outbox the address asks for, and who may see which.

Whatever an index serves narrows first: ticket, contact or person, states but sent, channels but mail. The rest is
looked for among so many of those rows and no more, so that no page costs more than that, whatever is asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts.rules import Reach, Scope
from core.db import along
from notifications.models import Channel, Notification
from notifications.rendering import DIGEST
from tickets.models import Ticket
from web.agent.filters import BIGGEST_ID

State = Notification.State
Rows = QuerySet[Notification]


@dataclass(frozen=True, slots=True)
class Filters:
    """What the address asks for; anything it can't mean is left out."""

    state: str = ""
    channel: str = ""
    kind: str = ""
    address: str = ""
    ticket: int | None = None
    contact: int | None = None
    person: int | None = None

    @classmethod
    def read(cls, params: Mapping[str, str]) -> "Filters":
        """Read filters out of an address."""
        state, channel = params.get("state", ""), params.get("channel", "")
        return cls(
            state=state if state in State.values else "",
            channel=channel if channel in Channel.values else "",
            kind=params.get("kind", "").replace("\x00", "")[:40],
            address=params.get("address", "").replace("\x00", "").strip()[:254],
            ticket=_number(params.get("ticket", "").strip().removeprefix("#")),
            contact=_number(params.get("contact", "")),
            person=_number(params.get("person", "")),
        )

    def rows(self, *, rising: bool = False) -> Rows:
        """Return what an index finds, the newest first (`rising`: the oldest), and as an index has it."""
        rows = Notification.objects.all()
        if self.state and self.state != State.SENT:
            rows = rows.filter(state=self.state)
        if self.channel and self.channel != Channel.EMAIL:
            rows = rows.filter(channel=self.channel)
        if self.ticket:
            # Never so many that walking past everybody's would look cheap.
            rows = rows.filter(ticket_id=self.ticket)
        if self.contact and self.person:
            rows = rows.filter(user_id=self.person)
        if self.contact or self.person:
            field, value = ("contact_id", self.contact) if self.contact else ("user_id", self.person)
            return along(rows, field, value, rising=rising)
        return rows.order_by("pk" if rising else "-pk")

    def slow(self) -> Q:
        """Return what has to be looked for row by row."""
        wanted = Q()
        if self.state == State.SENT:
            wanted &= Q(state=State.SENT)
        if self.channel == Channel.EMAIL:
            wanted &= Q(channel=Channel.EMAIL)
        if self.kind:
            wanted &= Q(kind=self.kind)
        if self.address:
            wanted &= Q(address__icontains=self.address)
        return wanted

    def as_params(self, **changes: Any) -> str:
        """Return the filters as a query string, with changes."""
        values = {
            "state": self.state,
            "channel": self.channel,
            "kind": self.kind,
            "address": self.address,
            "ticket": self.ticket,
            "contact": self.contact,
            "person": self.person,
        } | changes
        return urlencode({name: value for name, value in values.items() if value})

    @property
    def active(self) -> bool:
        return bool(self.as_params())


def visible_rows(scope: Scope) -> Q:
    """Return the condition that a row is about nothing that this person may not see.

    A digest is about all that it carries.
    """
    if scope.reach == Reach.ALL:
        return Q()
    tickets = Ticket.objects.within(scope).filter(pk=OuterRef("ticket_id")).values("pk")
    carried = Notification.objects.filter(folded_into=OuterRef("pk"), ticket__isnull=False)
    foreign = carried.exclude(Exists(tickets))
    return Q(Exists(tickets)) | Q(Q(ticket__isnull=True), ~Q(kind=DIGEST) | ~Q(Exists(foreign)))


def _number(text: str) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        return None
    return int(text) if 0 < int(text) <= BIGGEST_ID else None
