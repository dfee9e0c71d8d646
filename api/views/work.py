"""Work on a ticket: owner, status, severity, tags."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.rules import Verb
from api.serializers.bodies import AssignBody, SeverityBody, StatusBody, TagsBody
from api.serializers.tickets import TicketDetailSerializer
from api.views.base import TicketDoor, verb
from tickets.operations import add_tags, assign_ticket, change_status, remove_tags, set_severity


class WorkVerbs(TicketDoor):
    """Each is one operation; the answer is the ticket as it is then."""

    def document(self, pk: int) -> Any:
        """Return the ticket as it is now."""
        raise NotImplementedError

    @verb(
        "assign",
        operation_id="assign_ticket",
        summary="Assign a ticket",
        body=AssignBody,
        answer=TicketDetailSerializer,
    )
    def assign(self, request: Request, pk: int) -> Response:
        """Gives it to a person, or back to the team's queue. A new ticket becomes open when somebody takes it."""
        self.ticket(Verb.WORK)
        assign_ticket(ticket_id=pk, actor=self.user, now=self.now, **self.read(AssignBody))
        return Response(self.document(pk))

    @verb(
        "status",
        operation_id="change_status",
        summary="Change a ticket's status",
        body=StatusBody,
        answer=TicketDetailSerializer,
    )
    def status(self, request: Request, pk: int) -> Response:
        """Requesters reopen and resolve their own tickets."""
        self.ticket(Verb.WORK if self.user.is_agent else Verb.REPLY)
        change_status(ticket_id=pk, actor=self.user, now=self.now, **self.read(StatusBody))
        return Response(self.document(pk))

    @verb(
        "severity",
        operation_id="set_severity",
        summary="Set a ticket's severity",
        body=SeverityBody,
        answer=TicketDetailSerializer,
    )
    def severity(self, request: Request, pk: int) -> Response:
        """Overrides what impact and urgency propose. The path is chosen anew; lowering it lowers no tier."""
        self.ticket(Verb.WORK)
        set_severity(ticket_id=pk, actor=self.user, now=self.now, **self.read(SeverityBody))
        return Response(self.document(pk))

    @verb(
        "tags/add", operation_id="add_tags", summary="Add tags", body=TagsBody, answer=TicketDetailSerializer
    )
    def tags_add(self, request: Request, pk: int) -> Response:
        """Tags the ticket has already stay as they are."""
        self.ticket(Verb.WORK)
        add_tags(ticket_ids=[pk], actor=self.user, now=self.now, **self.read(TagsBody))
        return Response(self.document(pk))

    @verb(
        "tags/remove",
        operation_id="remove_tags",
        summary="Take tags off",
        body=TagsBody,
        answer=TicketDetailSerializer,
    )
    def tags_remove(self, request: Request, pk: int) -> Response:
        """Tags the ticket hasn't got are no error."""
        self.ticket(Verb.WORK)
        remove_tags(ticket_ids=[pk], actor=self.user, now=self.now, **self.read(TagsBody))
        return Response(self.document(pk))
