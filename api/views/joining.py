"""Join tickets that are about the same thing."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.rules import Verb
from api.serializers.bodies import MergeBody
from api.serializers.tickets import TicketDetailSerializer
from api.views.base import TicketDoor, verb
from tickets.operations import merge_tickets


class JoiningVerbs(TicketDoor):
    """Merge tickets; the answer is the ticket as it is then."""

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
