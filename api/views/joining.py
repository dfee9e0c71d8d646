"""Join tickets that are about the same thing."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.rules import Verb
from api.serializers.bodies import LinkBody, MergeBody, ReasonBody
from api.serializers.joining import ResolvedSerializer
from api.serializers.tickets import TicketDetailSerializer
from api.views.base import TicketDoor, verb
from tickets.operations import (
    declare_major,
    link_to_incident,
    merge_tickets,
    resolve_linked,
    unlink_from_incident,
)


class JoiningVerbs(TicketDoor):
    """Merge tickets, link them to a major incident; the answer is the ticket as it is then."""

    def document(self, pk: int) -> Any:
        """Return the ticket as it is now."""
        raise NotImplementedError

    @verb(
        "merge",
        operation_id="merge_tickets",
        summary="Merge other tickets into this one",
        body=MergeBody,
        answer=TicketDetailSerializer,
    )
    def merge(self, request: Request, pk: int) -> Response:
        """The others end and lead here. This one takes their highest severity and tier, and their earliest promises."""
        self.ticket(Verb.MERGE)
        data = self.read(MergeBody)
        merge_tickets(
            survivor_id=pk,
            loser_ids=data["tickets"],
            reason=data.get("reason", ""),
            actor=self.user,
            now=self.now,
        )
        return Response(self.document(pk))

    @verb(
        "declare-major",
        operation_id="declare_major",
        summary="Declare a ticket a major incident",
        body=ReasonBody,
        answer=TicketDetailSerializer,
    )
    def declare_major(self, request: Request, pk: int) -> Response:
        """Others can then be linked to it. Declared twice it counts once."""
        self.ticket(Verb.LINK)
        declare_major(ticket_id=pk, actor=self.user, now=self.now, **self.read(ReasonBody))
        return Response(self.document(pk))

    @verb(
        "link",
        operation_id="link_ticket",
        summary="Link a ticket to a major incident",
        body=LinkBody,
        answer=TicketDetailSerializer,
    )
    def link(self, request: Request, pk: int) -> Response:
        """The incident goes on for it: its step clocks stand still and nobody is told, until it is unlinked."""
        self.ticket(Verb.LINK)
        data = self.read(LinkBody)
        link_to_incident(ticket_ids=[pk], incident_id=data["incident"], actor=self.user, now=self.now)
        return Response(self.document(pk))

    @verb(
        "unlink",
        operation_id="unlink_ticket",
        summary="Unlink a ticket from its major incident",
        body=ReasonBody,
        answer=TicketDetailSerializer,
    )
    def unlink(self, request: Request, pk: int) -> Response:
        """Its clocks run on with what was left."""
        self.ticket(Verb.LINK)
        unlink_from_incident(ticket_ids=[pk], actor=self.user, now=self.now, **self.read(ReasonBody))
        return Response(self.document(pk))

    @verb(
        "resolve-linked",
        operation_id="resolve_linked",
        summary="Resolve the tickets linked to a major incident",
        body=ReasonBody,
        answer=ResolvedSerializer,
    )
    def resolve_linked(self, request: Request, pk: int) -> Response:
        """For an incident that is over; those you may not work on are left alone."""
        self.ticket(Verb.LINK)
        resolved = resolve_linked(incident_id=pk, actor=self.user, now=self.now, **self.read(ReasonBody))
        return Response(self.show(ResolvedSerializer, {"resolved": resolved}))
