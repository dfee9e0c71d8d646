"""Move a ticket along its path, and what its path has done."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.rules import Verb
from api.pagination import BY_SEQ, NEWEST
from api.serializers.bodies import DeescalateBody, EscalateBody, SeqBody, WishBody
from api.serializers.ladder import (
    EscalationRequestSerializer,
    EscalationSerializer,
    ExplanationSerializer,
    NotificationSerializer,
)
from api.serializers.tickets import ClockSerializer
from api.views.base import Door, TicketDoor, part, verb
from escalation import kinds
from escalation.explaining import explain_ticket
from escalation.models import Clock, Escalation
from escalation.models.clocks import LIVE
from escalation.operations import acknowledge, deescalate, escalate, pass_on, request_escalation
from notifications.models import Notification
from notifications.operations import contacts_for
from tickets.models import Event

# What the requester was promised, and may therefore see running.
PROMISES = (
    Clock.Kind.FIRST_RESPONSE,
    Clock.Kind.NEXT_RESPONSE,
    Clock.Kind.RESOLUTION,
    Clock.Kind.STAKEHOLDER_UPDATE,
)

_CLIMB = OpenApiExample(
    "Climb one step",
    {
        "seq": 0,
        "reason": "The firewall needs somebody with rights on it.",
        "handoff": {"impact": "60 people", "tried": "Restarted the gateway", "next_action": "Check rule 112"},
    },
    request_only=True,
)


def for_escalations() -> Any:
    """Return escalations with all that is shown of one, in one query."""
    return Escalation.objects.select_related(
        "path_version__path",
        "from_step",
        "to_step",
        "actor",
        "handoff",
        "acknowledged_by",
        "acknowledged_contact",
    )


def reasons_of(escalations: list[Escalation]) -> dict[tuple[int, int], str]:
    """Return what people wrote with these escalations, by (ticket, seq); one query."""
    rows = Event.objects.filter(
        ticket_id__in={row.ticket_id for row in escalations},
        kind=kinds.ESCALATED,
        data__seq__in=sorted({row.seq for row in escalations}),
        payload__isnull=False,
    ).values_list("ticket_id", "data__seq", "payload__text")
    return {(ticket_id, seq): (text or {}).get("reason", "") for ticket_id, seq, text in rows}


def page_of_escalations(view: Door, queryset: Any) -> Response:
    """Answer with one page of escalations and the reasons people gave."""
    rows = view.paginate_queryset(view.filter_queryset(queryset))
    assert rows is not None
    context = {**view.get_serializer_context(), "reasons": reasons_of(list(rows))}
    return view.get_paginated_response(EscalationSerializer(rows, many=True, context=context).data)


def for_notifications() -> Any:
    """Return notifications with all that is shown of one; their context holds links that are nobody else's."""
    return Notification.objects.select_related("contact", "user").defer("context")


class LadderVerbs(TicketDoor):
    """Escalate, de-escalate, acknowledge, ask for escalation; clocks, escalations, notifications."""

    @verb(
        "escalate",
        operation_id="escalate_ticket",
        summary="Escalate a ticket",
        body=EscalateBody,
        answer=EscalationSerializer,
        status=201,
        examples=[_CLIMB],
    )
    def escalate(self, request: Request, pk: int) -> Response:
        """Climbs to the next step, or further with a reason. Any agent may, without owning the ticket."""
        self.ticket(Verb.ESCALATE)
        data = self.read(EscalateBody)
        escalation = escalate(ticket_id=pk, seen_seq=data.pop("seq"), actor=self.user, now=self.now, **data)
        return self._moved(escalation, status=201)

    @verb(
        "deescalate",
        operation_id="deescalate_ticket",
        summary="De-escalate a ticket",
        body=DeescalateBody,
        answer=EscalationSerializer,
        status=201,
    )
    def deescalate(self, request: Request, pk: int) -> Response:
        """Hands it back to an earlier step. Only the current team or a lead; from the second time on a lead."""
        self.ticket(Verb.DEESCALATE)
        data = self.read(DeescalateBody)
        escalation = deescalate(ticket_id=pk, seen_seq=data.pop("seq"), actor=self.user, now=self.now, **data)
        return self._moved(escalation, status=201)

    @verb(
        "acknowledge",
        operation_id="acknowledge_ticket",
        summary="Acknowledge the current step",
        body=SeqBody,
        answer=EscalationSerializer,
    )
    def acknowledge(self, request: Request, pk: int) -> Response:
        """Takes responsibility: pending messages are cancelled. Only people of the current step, or a lead."""
        self.ticket(Verb.ACKNOWLEDGE)
        data = self.read(SeqBody)
        escalation = acknowledge(ticket_id=pk, seen_seq=data["seq"], actor=self.user, now=self.now)
        return self._moved(escalation, status=200)

    @verb(
        "pass-on",
        operation_id="pass_on_ticket",
        summary="Say that one can't take it",
        body=SeqBody,
        answer=EscalationSerializer,
    )
    def pass_on(self, request: Request, pk: int) -> Response:
        """Whoever was told of the current step says that they can't; the next one is told at once."""
        self.ticket(Verb.ACKNOWLEDGE)
        data = self.read(SeqBody)
        contact = contacts_for([self.user])[self.user.pk]
        escalation = pass_on(ticket_id=pk, seen_seq=data["seq"], contact=contact, now=self.now)
        return self._moved(escalation, status=200)

    @verb(
        "request-escalation",
        operation_id="request_escalation",
        summary="Ask that a ticket climbs",
        body=WishBody,
        answer=EscalationRequestSerializer,
        status=201,
    )
    def request_escalation(self, request: Request, pk: int) -> Response:
        """The requester's wish, once per step; a lead grants or declines it."""
        self.ticket(Verb.REQUEST_ESCALATION)
        data = self.read(WishBody)
        wish = request_escalation(ticket_id=pk, actor=self.user, now=self.now, **data)
        return Response(self.show(EscalationRequestSerializer, wish), status=201)

    @part("clocks", operation_id="get_clocks", summary="Read a ticket's live clocks", answer=ClockSerializer)
    def clocks(self, request: Request, pk: int) -> Response:
        """The running and paused deadlines. People outside see what they were promised."""
        ticket = self.ticket()
        clocks = Clock.objects.filter(ticket=ticket, state__in=LIVE)
        if not self.user.may(Verb.READ_NOTES):
            clocks = clocks.filter(kind__in=PROMISES)
        return self.page(self.filter_queryset(clocks), ClockSerializer)

    @part(
        "escalations",
        operation_id="get_ticket_escalations",
        summary="Read a ticket's step changes",
        answer=EscalationSerializer,
        orderings=BY_SEQ,
    )
    def escalations(self, request: Request, pk: int) -> Response:
        """In order. For those who work tickets."""
        ticket = self.ticket(Verb.READ_NOTES)
        return page_of_escalations(self, for_escalations().filter(ticket=ticket))

    @part(
        "notifications",
        operation_id="get_ticket_notifications",
        summary="Read who was told about a ticket",
        answer=NotificationSerializer,
        orderings=NEWEST,
    )
    def notifications(self, request: Request, pk: int) -> Response:
        """Every message about it, the newest first. For those who work tickets."""
        ticket = self.ticket(Verb.READ_NOTES)
        rows = for_notifications().filter(ticket=ticket)
        return self.page(self.filter_queryset(rows), NotificationSerializer)

    @extend_schema(
        operation_id="explain_ticket",
        summary="Read why a ticket's deadlines are when they are",
        responses={200: ExplanationSerializer},
        tags=["tickets"],
    )
    @action(detail=True, methods=["get"], url_path="explain")
    def explain(self, request: Request, pk: int) -> Response:
        """Where each clock's time comes from, what was counted, and what happens when it is due.

        For those who work tickets.
        """
        ticket = self.ticket(Verb.READ_NOTES)
        return Response(self.show(ExplanationSerializer, explain_ticket(ticket, self.now)))

    def _moved(self, escalation: Escalation, *, status: int) -> Response:
        row = for_escalations().get(pk=escalation.pk)
        return Response(self.show(EscalationSerializer, row, reasons=reasons_of([row])), status=status)
