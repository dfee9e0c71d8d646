"""Tickets: list, open, look at, change."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.viewsets import ViewSetMixin

from accounts.rules import Verb
from api.filters import PublicTicketFilter, TicketFilter
from api.idempotency import idempotent
from api.pagination import NEWEST, OLDEST, Ordering
from api.parsers import Form, Json
from api.serializers.bodies import DetailsBody, TicketBody, TicketForm
from api.serializers.common import sees_inside
from api.serializers.tickets import TicketDetailSerializer, TicketSerializer
from api.views.asking import AskingVerbs
from api.views.conversation import ConversationVerbs, is_form, uploads_of
from api.views.joining import JoiningVerbs
from api.views.ladder import LadderVerbs
from api.views.work import WorkVerbs
from core.errors import NotAllowed
from escalation.queries import ladder_of
from tickets.models import Source, Ticket
from tickets.operations import Draft, open_ticket, set_details

_NEW = OpenApiExample(
    "A ticket",
    {
        "subject": "VPN is down for the whole office",
        "body": "Since 09:10 nobody gets in.",
        "impact": 1,
        "urgency": 1,
    },
    request_only=True,
)


class TicketViews(ViewSetMixin, ConversationVerbs, LadderVerbs, AskingVerbs, JoiningVerbs, WorkVerbs):
    """Tickets and all that can be done with one."""

    queryset = Ticket.objects.none()
    serializer_class = TicketSerializer
    lookup_value_converter = "int"
    # Files may come when a ticket is opened; the verbs say for themselves what they take.
    parser_classes = (Json, Form)
    filterset_class = TicketFilter
    public_filterset_class = PublicTicketFilter

    def get_orderings(self) -> Mapping[str, Ordering]:
        """Return the orders there are; by deadline for those who see deadlines."""
        if self.action != "list":
            return self.orderings
        both = NEWEST | OLDEST
        if not sees_inside(self.get_serializer_context()):
            return both
        says = "the next deadline first; tickets without one are left out"
        return both | {"next_due_at": Ordering(("next_due_at", "id"), says)}

    def get_queryset(self) -> Any:
        rows = Ticket.objects.visible_to(self.user).for_list().select_related("standing")
        if self.request.query_params.get("ordering") == "next_due_at":
            # Only open tickets have deadlines; said in so many words, the partial index serves.
            rows = rows.open().filter(next_due_at__isnull=False)
        return rows

    @extend_schema(
        operation_id="list_tickets",
        summary="List tickets",
        description="The tickets you may see, a page at a time. People outside may filter by public facts only.",
        responses={200: TicketSerializer(many=True)},
        tags=["tickets"],
    )
    def list(self, request: Request) -> Response:
        return self.page(self.filter_queryset(self.get_queryset()), TicketSerializer)

    @extend_schema(
        operation_id="open_ticket",
        summary="Open a ticket",
        description="Severity follows from impact and urgency unless an agent names another one with a reason.",
        request={"application/json": TicketBody, "multipart/form-data": TicketForm},
        responses={201: TicketDetailSerializer},
        examples=[_NEW],
        tags=["tickets"],
    )
    @idempotent
    def create(self, request: Request) -> Response:
        user = self.user
        if not user.may(Verb.OPEN_FOR_OTHERS):
            self._refuse_what_agents_decide(request)
        data = self.read(TicketForm if is_form(request) else TicketBody)
        data["uploads"] = uploads_of(data)
        draft = Draft(source=Source.API, **{"requester": user, **data})
        ticket = open_ticket(draft=draft, actor=user, now=self.now)
        where = reverse("api:ticket-detail", kwargs={"pk": ticket.pk}, request=request)
        return Response(self.document(ticket.pk), status=201, headers={"Location": where})

    @extend_schema(
        operation_id="get_ticket",
        summary="Look at a ticket",
        description="The ticket and where it stands on its path; its conversation and more have places of their own.",
        responses={200: TicketDetailSerializer},
        tags=["tickets"],
    )
    def retrieve(self, request: Request, pk: int) -> Response:
        return Response(self.show_ticket(self.ticket()))

    @extend_schema(
        operation_id="change_ticket",
        summary="Change what a ticket is about",
        description="Only what is sent changes. Severity, status, owner and tags have verbs of their own.",
        request=DetailsBody,
        responses={200: TicketDetailSerializer},
        tags=["tickets"],
    )
    def partial_update(self, request: Request, pk: int) -> Response:
        self.ticket(Verb.WORK)
        changes = self.read(DetailsBody)
        reason = changes.pop("reason", "")
        set_details(ticket_id=pk, changes=changes, actor=self.user, now=self.now, reason=reason)
        return Response(self.document(pk))

    def document(self, pk: int) -> Any:
        """Return the ticket as it is now, also when the change has just taken it out of the caller's sight."""
        return self.show_ticket(Ticket.objects.for_list().select_related("standing").get(pk=pk))

    def show_ticket(self, ticket: Ticket) -> Any:
        ladder = ladder_of(ticket, self.now) if self.user.may(Verb.READ_NOTES) else None
        return self.show(TicketDetailSerializer, ticket, ladder=ladder)

    def _refuse_what_agents_decide(self, request: Request) -> None:
        # Before anything is looked up: the answer must not tell which people and organisations there are.
        sent = request.data if isinstance(request.data, Mapping) else {}
        for name in TicketBody.for_agents:
            if name in sent:
                raise NotAllowed(
                    f"“{name}” is for those who work tickets.",
                    field=name,
                    value=sent[name],
                    mend="Leave it out.",
                )
