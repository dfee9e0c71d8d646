"""Ask another step: for help, or for what a handoff leaves out. Nothing moves by it."""

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.rules import Verb
from api.serializers.asking import ConsultationSerializer, HandoffQuestionSerializer
from api.serializers.bodies import AnswerBody, ConsultBody, QuestionBody
from api.views.base import TicketDoor, verb
from escalation.operations import answer_question, consult, send_back


class AskingVerbs(TicketDoor):
    """Consult a higher step, ask the sender of a handoff, answer them."""

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

    @verb(
        "send-back",
        operation_id="send_back_ticket",
        summary="Ask the sender what is missing",
        body=QuestionBody,
        answer=HandoffQuestionSerializer,
        status=201,
    )
    def send_back(self, request: Request, pk: int) -> Response:
        """A question with a clock of its own, once per handoff; nothing moves. Only the current step or a lead."""
        self.ticket(Verb.SEND_BACK)
        data = self.read(QuestionBody)
        question = send_back(ticket_id=pk, seen_seq=data.pop("seq"), actor=self.user, now=self.now, **data)
        return Response(self.show(HandoffQuestionSerializer, question), status=201)

    @verb(
        "answer",
        operation_id="answer_question",
        summary="Answer what was sent back",
        body=AnswerBody,
        answer=HandoffQuestionSerializer,
    )
    def answer(self, request: Request, pk: int) -> Response:
        """A note that answers the question; whoever asked is told. Only who was asked, their lead, or a lead."""
        self.ticket(Verb.SEND_BACK)
        data = self.read(AnswerBody)
        question = answer_question(
            ticket_id=pk, seen_seq=data.pop("seq"), actor=self.user, now=self.now, **data
        )
        return Response(self.show(HandoffQuestionSerializer, question))
