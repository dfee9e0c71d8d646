"""What requests may say. Unknown fields are refused (see `api.fields.Body`)."""

from typing import Any

from django.conf import settings
from rest_framework import serializers

from accounts.models import Organisation, Team, User
from api.fields import BIGGEST_ID, Body, Choice, Ref, Text, Whole
from tickets.models import Category, Complexity, Impact, Service, Severity, Status, Urgency

_SEQ = "The `seq` you saw; when the ticket has moved since, nothing happens (409)."
_LONGEST_REASON = 10_000
# In a request each file counts against BELAY_MAX_FILES; the operation says so in its own words.
_FILES = "Up to 20 files; send them as multipart/form-data."


def _reason(*, required: bool = False, help_text: str = "Why, in a sentence.") -> Text:
    return Text(required=required, allow_blank=not required, max_length=_LONGEST_REASON, help_text=help_text)


def _question(*, help_text: str) -> Text:
    return Text(max_length=_LONGEST_REASON, help_text=help_text)


def _team(**kwargs: Any) -> Ref:
    return Ref(queryset=Team.objects.filter(is_active=True), noun="team", where="/api/v1/teams/", **kwargs)


def _service(**kwargs: Any) -> Ref:
    return Ref(
        queryset=Service.objects.filter(is_active=True).select_related("team"),
        noun="service",
        where="/api/v1/services/",
        **kwargs,
    )


def _category(**kwargs: Any) -> Ref:
    return Ref(
        queryset=Category.objects.filter(is_active=True),
        noun="category",
        where="/api/v1/categories/",
        **kwargs,
    )


def _organisation(**kwargs: Any) -> Ref:
    return Ref(
        queryset=Organisation.objects.all(), noun="organisation", where="/api/v1/organisations/", **kwargs
    )


def _person(**kwargs: Any) -> Ref:
    return Ref(
        queryset=User.objects.filter(is_active=True).select_related("organisation"), noun="person", **kwargs
    )


def _files() -> Any:
    return serializers.ListField(
        child=serializers.FileField(allow_empty_file=True, use_url=False), required=False, help_text=_FILES
    )


class TicketBody(Body):
    """A ticket to be opened. What is left out is derived: severity from impact and urgency, team from the service."""

    # Requesters describe; what follows from it is decided inside.
    for_agents = ("requester", "organisation", "complexity", "severity", "severity_reason", "team", "tags")

    subject = Text(max_length=300)
    body = Text(
        required=False, allow_blank=True, max_length=settings.BELAY_MAX_BODY, help_text="The first message."
    )
    category = _category(required=False, allow_null=True)
    service = _service(required=False, allow_null=True)
    impact = Choice(Impact, required=False, help_text="1 high, 2 medium (default), 3 low.")
    urgency = Choice(Urgency, required=False, help_text="1 high, 2 medium (default), 3 low.")
    requester = _person(required=False, help_text="For whom; agents only. Default: you.")
    organisation = _organisation(
        required=False, allow_null=True, help_text="Agents only. Default: the requester's."
    )
    complexity = Choice(Complexity, required=False, help_text="Agents only.")
    severity = Choice(
        Severity, required=False, help_text="Agents only; other than proposed it needs a reason."
    )
    severity_reason = _reason(help_text="Why another severity than the matrix proposes.")
    team = _team(required=False, allow_null=True, help_text="Agents only.")
    tags: Any = serializers.ListField(
        child=Text(max_length=50),
        required=False,
        max_length=50,
        help_text="Agents only; lower case, no commas.",
    )


class TicketForm(TicketBody):
    """The same with files."""

    files = _files()


class DetailsBody(Body):
    """What a ticket is about; only what is sent changes."""

    subject = Text(required=False, max_length=300)
    category = _category(required=False, allow_null=True)
    service = _service(required=False, allow_null=True)
    organisation = _organisation(required=False, allow_null=True)
    requester = _person(required=False)
    impact = Choice(Impact, required=False, help_text="May change the severity, unless a person has set it.")
    urgency = Choice(
        Urgency, required=False, help_text="May change the severity, unless a person has set it."
    )
    complexity = Choice(Complexity, required=False)
    reason = _reason()


class EntryBody(Body):
    """Something to say, and the status that goes with it."""

    body = Text(max_length=settings.BELAY_MAX_BODY)
    then_status = Choice(Status, required=False, help_text="Set in the same transaction.")
    reason = _reason(help_text="Why that status; on hold needs one.")


class EntryForm(EntryBody):
    """The same with files."""

    files = _files()


def _handoff_text(help_text: str) -> Text:
    return Text(required=False, allow_blank=True, max_length=settings.BELAY_MAX_BODY, help_text=help_text)


class HandoffBody(Body):
    """What the next tier needs to know; at least one field."""

    impact = _handoff_text("Who and what is affected.")
    tried = _handoff_text("What was tried, and what it showed.")
    suspected = _handoff_text("What is suspected.")
    next_action = _handoff_text("What should happen next.")


class AssignBody(Body):
    """Whose ticket it is from now on."""

    assignee = _person(allow_null=True, help_text="An agent's id; null gives it back to the team's queue.")
    team = _team(required=False, help_text="Moves it to this team as well.")
    reason = _reason()


class StatusBody(Body):
    """Where the ticket stands; on hold needs a reason, waiting a public reply before."""

    status = Choice(Status)
    reason = _reason()


class SeverityBody(Body):
    """A person's word on how bad it is; the matrix no longer changes it."""

    severity = Choice(Severity)
    reason = _reason(required=True)


class TagsBody(Body):
    """Some tags."""

    tags: Any = serializers.ListField(
        child=Text(max_length=50), min_length=1, max_length=50, help_text="Lower case, no commas."
    )


class SeqBody(Body):
    """The state of the ticket you decided on."""

    seq = Whole(min_value=0, max_value=BIGGEST_ID, help_text=_SEQ)


class EscalateBody(SeqBody):
    """Climb to the next step."""

    reason = _reason(required=True, help_text="Why the next tier.")
    to_position = Whole(
        required=False, min_value=1, max_value=32767, help_text="A step further up; default: the next one."
    )
    handoff = HandoffBody(required=False)


class DeescalateBody(SeqBody):
    """Hand the ticket back to an earlier step."""

    to_position = Whole(min_value=1, max_value=32767)
    reason = _reason(required=True, help_text="What the earlier tier can do now.")


class ConsultBody(SeqBody):
    """Ask a higher step for help; tier and clocks stay."""

    to_position = Whole(
        min_value=1, max_value=32767, help_text="The step that is asked; above the current one."
    )
    question = _question(help_text="What you need to know; its people read it in the message.")


class QuestionBody(SeqBody):
    """What the sender's handoff leaves out."""

    question = _question(help_text="Told to whoever escalated the ticket, then to their lead.")


class AnswerBody(SeqBody):
    """The answer; it becomes a note on the ticket."""

    text = Text(max_length=settings.BELAY_MAX_BODY)


class MergeBody(Body):
    """The tickets that end; they go on in this one."""

    tickets: Any = serializers.ListField(
        child=Whole(min_value=1, max_value=BIGGEST_ID), min_length=1, max_length=100, help_text="Their ids."
    )
    reason = _reason()


class LinkBody(Body):
    """The major incident that goes on for this ticket."""

    incident = Whole(min_value=1, max_value=BIGGEST_ID, help_text="Its id.")


class ReasonBody(Body):
    """Why, if you like."""

    reason = _reason()


class WishBody(Body):
    """Why it can't wait."""

    reason = _reason(required=True)


class GrantBody(Body):
    """The ticket climbs one step."""

    reason = _reason()
    handoff = HandoffBody(required=False)


class DeclineBody(Body):
    """Why it stays where it is; the requester reads it."""

    reason = _reason(required=True)


class SignInBody(Body):
    """Email and password, and the code of the second factor where there is one."""

    email = Text(max_length=254)
    password = Text(max_length=1024, trim_whitespace=False, help_text="As typed.")
    code = Text(required=False, max_length=20, help_text="From the authenticator app, or a recovery code.")
    expires_in_seconds = Whole(
        required=False,
        allow_null=True,
        min_value=60,
        max_value=10 * 366 * 24 * 3600,
        help_text="How long the token holds; null: until it is revoked. Default: 90 days.",
    )


class EmptyBody(Body):
    """Nothing."""
