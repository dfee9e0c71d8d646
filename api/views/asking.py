"""Ask another step: for help, or for what a handoff leaves out. Nothing moves by it."""

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.rules import Verb
from api.serializers.asking import ConsultationSerializer
from api.serializers.bodies import ConsultBody
from api.views.base import TicketDoor, verb
from escalation.operations import consult


class AskingVerbs(TicketDoor):
    """Consult a higher step."""

    @verb(
        "consult",
        operation_id="consult_step",
        summary="Ask a higher step for help",
        body=ConsultBody,
        answer=ConsultationSerializer,
        status=201,
    )
    def consult(self, request: Request, pk: int) -> Response:
        """Tells everybody who can be reached there, once; tier and clocks stay. Any agent may."""
        self.ticket(Verb.CONSULT)
        data = self.read(ConsultBody)
        asked = consult(ticket_id=pk, seen_seq=data.pop("seq"), actor=self.user, now=self.now, **data)
        return Response(self.show(ConsultationSerializer, asked), status=201)
