"""Lists across tickets: escalations, clocks, notifications, and the requesters' wishes."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSetMixin

from accounts.operations import permit
from accounts.rules import Verb
from api.filters import ClockFilter, EscalationFilter, EscalationRequestFilter, NotificationFilter
from api.pagination import NEWEST, Ordering
from api.serializers.bodies import DeclineBody, GrantBody
from api.serializers.ladder import EscalationRequestSerializer, EscalationSerializer, NotificationSerializer
from api.serializers.tickets import ClockSerializer
from api.views.base import Door, verb
from api.views.ladder import for_escalations, for_notifications, page_of_escalations, reasons_of
from escalation.models import Clock, Escalation, EscalationRequest
from escalation.operations import decline_request, grant_request
from notifications.models import Notification


class EscalationViews(ViewSetMixin, Door):
    """Step changes of all tickets."""

    verb = Verb.READ_NOTES
    queryset = Escalation.objects.none()
    serializer_class = EscalationSerializer
    filterset_class = EscalationFilter
    orderings = {"-at": Ordering(("-at", "-id"), "the newest first")}  # noqa: RUF012

    @extend_schema(
        operation_id="list_escalations",
        summary="List step changes",
        description="Of all tickets you may see, the newest first.",
        tags=["escalations"],
    )
    def list(self, request: Request) -> Response:
        rows = self.about_visible_tickets(for_escalations(), Verb.READ_NOTES)
        return page_of_escalations(self, rows)


class ClockViews(ViewSetMixin, Door):
    """Clocks of all tickets."""

    verb = Verb.READ_NOTES
    queryset = Clock.objects.none()
    serializer_class = ClockSerializer
    filterset_class = ClockFilter

    orderings = NEWEST | {
        "fires_at": Ordering(
            ("fires_at", "id"), "what happens next first; those that stand still are left out"
        )
    }

    @extend_schema(
        operation_id="list_clocks",
        summary="List clocks",
        description="Of all tickets you may see. `ordering=fires_at` shows what Belay will do next.",
        tags=["clocks"],
    )
    def list(self, request: Request) -> Response:
        rows = self.about_visible_tickets(Clock.objects.all(), Verb.READ_NOTES)
        if request.query_params.get("ordering") == "fires_at":
            rows = rows.filter(fires_at__isnull=False)
        return self.page(self.filter_queryset(rows), ClockSerializer)


class NotificationViews(ViewSetMixin, Door):
    """Messages about all tickets."""

    verb = Verb.READ_NOTES
    queryset = Notification.objects.none()
    serializer_class = NotificationSerializer
    filterset_class = NotificationFilter
    orderings = NEWEST

    @extend_schema(
        operation_id="list_notifications",
        summary="List notifications",
        description="Who was told about tickets you may see, the newest first. `state=dead`: what failed for good.",
        tags=["notifications"],
    )
    def list(self, request: Request) -> Response:
        rows = self.about_visible_tickets(for_notifications(), Verb.READ_NOTES)
        return self.page(self.filter_queryset(rows), NotificationSerializer)


class EscalationRequestViews(ViewSetMixin, Door):
    """The requesters' wishes that their tickets climb."""

    queryset = EscalationRequest.objects.none()
    serializer_class = EscalationRequestSerializer
    filterset_class = EscalationRequestFilter
    lookup_value_converter = "int"
    orderings = NEWEST

    def get_queryset(self) -> Any:
        rows = EscalationRequest.objects.select_related("requested_by", "answered_by")
        return self.about_visible_tickets(rows)

    @extend_schema(
        operation_id="list_escalation_requests",
        summary="List wishes for escalation",
        description="Of the tickets you may see, the newest first.",
        tags=["escalation-requests"],
    )
    def list(self, request: Request) -> Response:
        return self.page(self.filter_queryset(self.get_queryset()), EscalationRequestSerializer)

    @verb(
        "grant",
        operation_id="grant_escalation_request",
        summary="Grant a wish",
        body=GrantBody,
        answer=EscalationSerializer,
        tag="escalation-requests",
    )
    def grant(self, request: Request, pk: int) -> Response:
        """The ticket climbs one step. Leads only."""
        wish = self._wish()
        escalation = grant_request(request_id=wish.pk, actor=self.user, now=self.now, **self.read(GrantBody))
        row = for_escalations().get(pk=escalation.pk)
        return Response(self.show(EscalationSerializer, row, reasons=reasons_of([row])))

    @verb(
        "decline",
        operation_id="decline_escalation_request",
        summary="Decline a wish",
        body=DeclineBody,
        answer=EscalationRequestSerializer,
        tag="escalation-requests",
    )
    def decline(self, request: Request, pk: int) -> Response:
        """The ticket stays; the requester reads the reason. Leads only."""
        wish = self._wish()
        declined = decline_request(
            request_id=wish.pk, actor=self.user, now=self.now, **self.read(DeclineBody)
        )
        return Response(self.show(EscalationRequestSerializer, declined))

    def _wish(self) -> EscalationRequest:
        wish: EscalationRequest = get_object_or_404(self.get_queryset(), pk=self.kwargs["pk"])
        permit(self.user, Verb.LEAD)
        return wish
