"""Open tickets."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db.models import prefetch_related_objects

from accounts.models import Organisation, Team, Tier, User
from accounts.operations import permit
from accounts.rules import Verb
from core.errors import NotAllowed, Refused
from tickets import kinds
from tickets.models import (
    Category,
    Complexity,
    Entry,
    EntryKind,
    Impact,
    Service,
    Severity,
    Source,
    Status,
    Ticket,
    Urgency,
)
from tickets.operations.conversation import Upload, attach
from tickets.operations.words import clean_body, clean_subject, clean_tag, reason_text
from tickets.queries import severity_matrix
from tickets.rules import proposed_severity
from tickets.timeline import NewEvent, working


@dataclass(slots=True, kw_only=True)
class Draft:
    """A ticket to be opened; what is left out is derived (severity from the matrix, team from the service)."""

    requester: User
    subject: str
    body: str = ""
    organisation: Organisation | None = None
    category: Category | None = None
    service: Service | None = None
    source: str = Source.AGENT
    source_key: str = ""
    impact: int = Impact.MEDIUM
    urgency: int = Urgency.MEDIUM
    complexity: int = Complexity.NORMAL
    severity: int | None = None
    severity_reason: str = ""
    team: Team | None = None
    tags: Sequence[str] = ()
    uploads: Sequence[Upload] = ()
    # For imports: when it really was opened; nobody is paged by a historic ticket (DESIGN 2).
    happened_at: dt.datetime | None = None
    historic: bool = False
    # Whose doing it was, where one batch tells of many people; else the actor's.
    opened_by: User | None = None
    tier: int = Tier.L1
    facts: dict[str, object] = field(default_factory=dict)


def open_tickets(*, drafts: Sequence[Draft], actor: User | None, now: dt.datetime) -> list[Ticket]:
    """Open tickets, each with its first message, in a constant number of queries.

    Severity comes from the matrix unless the draft names another one, which needs `severity_reason`. Raises
    Refused (subject, severity, impact, urgency) and NotAllowed (a requester opening for somebody else).
    """
    matrix = severity_matrix()
    # One query each, however many people and services the batch is about.
    prefetch_related_objects([draft.requester for draft in drafts], "organisation")
    prefetch_related_objects([d.service for d in drafts if d.service is not None], "team")
    tickets = [_build(draft, actor, now, matrix) for draft in drafts]
    with working() as work:
        Ticket.objects.bulk_create(tickets)
        work.hold(tickets)
        opened = []
        for ticket, draft in zip(tickets, drafts, strict=True):
            entry = None
            if draft.uploads or draft.body.strip():
                entry = Entry(
                    ticket=ticket,
                    kind=EntryKind.REPLY,
                    author=draft.requester,
                    from_requester=True,
                    body=clean_body(draft.body),
                )
            facts = {
                "severity": ticket.severity,
                "tier": ticket.tier,
                "team": ticket.team_id,
                "source": ticket.source,
                "impact": ticket.impact,
                "urgency": ticket.urgency,
                **draft.facts,
            }
            opened.append(
                NewEvent(
                    ticket,
                    kinds.OPENED,
                    facts,
                    text={"subject": ticket.subject, **(reason_text(draft.severity_reason) or {})},
                    entry=entry,
                    happened_at=draft.happened_at,
                    by=draft.opened_by,
                )
            )
        events = work.record(opened, actor=actor, now=now)
        uploads = [
            (item.entry, draft.uploads)
            for item, draft in zip(opened, drafts, strict=True)
            if item.entry is not None and draft.uploads
        ]
        attach(uploads)
        for ticket, event in zip(tickets, events, strict=True):
            ticket.last_event_at = event.at
    return tickets


def open_ticket(*, draft: Draft, actor: User | None, now: dt.datetime) -> Ticket:
    """Open one ticket; see `open_tickets`."""
    (ticket,) = open_tickets(drafts=[draft], actor=actor, now=now)
    return ticket


def _build(draft: Draft, actor: User | None, now: dt.datetime, matrix: dict[tuple[int, int], int]) -> Ticket:
    subject = clean_subject(draft.subject)
    for name, choices in (("impact", Impact), ("urgency", Urgency), ("complexity", Complexity)):
        if getattr(draft, name) not in choices.values:
            raise Refused(
                f"“{getattr(draft, name)}” is no {name}.",
                field=name,
                value=getattr(draft, name),
                mend=f"Take one of {', '.join(map(str, choices.values))}.",
            )
    if actor is not None and actor.pk != draft.requester.pk:
        permit(actor, Verb.OPEN_FOR_OTHERS)
    proposed = proposed_severity(matrix, draft.impact, draft.urgency)
    severity = proposed if draft.severity is None else draft.severity
    if severity not in Severity.values:
        raise Refused(
            f"“{severity}” is no severity.", field="severity", value=severity, mend="Take 1, 2, 3 or 4."
        )
    if severity != proposed:
        if actor is not None and not actor.is_agent:
            raise NotAllowed(
                "The severity follows from impact and urgency.", field="severity", value=severity
            )
        if actor is not None and not draft.severity_reason.strip():
            raise Refused(
                f"The matrix proposes SEV{proposed}; another severity needs a reason.",
                field="severity_reason",
                value="",
                mend="Say why in a sentence.",
            )
    team = draft.team
    if (
        team is None
        and draft.service is not None
        and draft.service.team
        and draft.service.team.tier == draft.tier
    ):
        team = draft.service.team
    at = draft.happened_at or now
    return Ticket(
        subject=subject,
        requester=draft.requester,
        organisation=draft.organisation or draft.requester.organisation,
        category=draft.category,
        service=draft.service,
        source=draft.source,
        source_key=draft.source_key,
        impact=draft.impact,
        urgency=draft.urgency,
        complexity=draft.complexity,
        severity=severity,
        severity_overridden=severity != proposed,
        tier=draft.tier,
        team=team,
        status=Status.NEW,
        tags=sorted({clean_tag(tag) for tag in draft.tags}),
        historic=draft.historic,
        opened_at=at,
        tier_since=at,
        last_event_at=now,
        last_requester_at=at,
    )
