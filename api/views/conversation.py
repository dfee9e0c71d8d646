"""What is said on a ticket."""

from collections.abc import Callable, Mapping
from typing import Any

from django.http import QueryDict
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.rules import Verb
from api.pagination import BY_SEQ
from api.serializers.bodies import EntryBody, EntryForm, HandoffBody
from api.serializers.tickets import EntrySerializer, EventSerializer
from api.views.base import TicketDoor, part, verb
from tickets.models import Entry, EntryKind, Event
from tickets.operations import Upload, add_note, add_reply, post_update, write_handoff

PUBLIC = (EntryKind.REPLY, EntryKind.UPDATE)


def is_form(request: Request) -> bool:
    return isinstance(request.data, QueryDict)


def uploads_of(data: dict[str, Any]) -> list[Upload]:
    """Take the files out of validated data."""
    files = data.pop("files", ())
    return [
        Upload(file.name or "file", file, file.content_type or "application/octet-stream") for file in files
    ]


class ConversationVerbs(TicketDoor):
    """Reply, note, stakeholder update, handoff; conversation and timeline."""

    @verb(
        "reply",
        operation_id="reply_to_ticket",
        summary="Reply publicly",
        body=EntryBody,
        form=EntryForm,
        answer=EntrySerializer,
        status=201,
    )
    def reply(self, request: Request, pk: int) -> Response:
        """The requester reads it. A requester's reply brings a waiting or finished ticket back."""
        return self._say(add_reply, Verb.REPLY)

    @verb(
        "note",
        operation_id="add_note",
        summary="Write a note",
        body=EntryBody,
        form=EntryForm,
        answer=EntrySerializer,
        status=201,
    )
    def note(self, request: Request, pk: int) -> Response:
        """Only those who work tickets read it."""
        return self._say(add_note, Verb.WORK)

    @verb(
        "update",
        operation_id="post_stakeholder_update",
        summary="Post a stakeholder update",
        body=EntryBody,
        form=EntryForm,
        answer=EntrySerializer,
        status=201,
    )
    def stakeholder_update(self, request: Request, pk: int) -> Response:
        """Tells requester and stakeholders where things stand."""
        return self._say(post_update, Verb.WORK)

    @verb(
        "handoff",
        operation_id="write_handoff",
        summary="Write a handoff",
        body=HandoffBody,
        answer=EntrySerializer,
        status=201,
    )
    def handoff(self, request: Request, pk: int) -> Response:
        """What the next tier needs to know."""
        self.ticket(Verb.WORK)
        fields: Mapping[str, str] = self.read(HandoffBody)
        entry = write_handoff(ticket_id=pk, fields=fields, actor=self.user, now=self.now)
        return self._said(entry)

    @part(
        "conversation",
        operation_id="get_conversation",
        summary="Read a ticket's conversation",
        answer=EntrySerializer,
    )
    def conversation(self, request: Request, pk: int) -> Response:
        """In order. People outside read replies and stakeholder updates only."""
        ticket = self.ticket()
        entries = Entry.objects.filter(ticket=ticket).select_related("author").prefetch_related("attachments")
        if not self.user.may(Verb.READ_NOTES):
            entries = entries.filter(kind__in=PUBLIC)
        return self.page(self.filter_queryset(entries), EntrySerializer)

    @part(
        "timeline",
        operation_id="get_timeline",
        summary="Read a ticket's timeline",
        answer=EventSerializer,
        orderings=BY_SEQ,
    )
    def timeline(self, request: Request, pk: int) -> Response:
        """Everything that happened, in order, append-only. For those who work tickets."""
        ticket = self.ticket(Verb.READ_NOTES)
        events = Event.objects.filter(ticket=ticket).select_related("actor", "payload", "entry")
        return self.page(self.filter_queryset(events), EventSerializer)

    def _say(self, operation: Callable[..., Entry], needed: Verb) -> Response:
        ticket = self.ticket(needed)
        data = self.read(EntryForm if is_form(self.request) else EntryBody)
        uploads = uploads_of(data)
        entry = operation(ticket_id=ticket.pk, actor=self.user, now=self.now, uploads=uploads, **data)
        return self._said(entry)

    def _said(self, entry: Entry) -> Response:
        return Response(self.show(EntrySerializer, entry), status=201)
