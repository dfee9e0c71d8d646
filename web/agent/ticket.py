"""The ticket page, whole and in the parts that refresh themselves."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.models import User
from accounts.queries import scope_of, team_ids_of
from accounts.rules import Reach, Scope, Verb
from escalation.models import Clock
from escalation.queries import ClockView, LadderView, RungView, clocks_of, ladder_of
from notifications.models import Notification, Watch
from tickets.models import Status, Ticket
from tickets.queries import timeline_of
from tickets.rules import may_follow
from web.agent.contacts import Told, contacts_on
from web.agent.story import HANDOFF_LABELS, names_for, tell
from web.shell import SignedIn, arrive, may, signed_in
from web.submissions import new_token

ENTRY_TABS = (
    ("reply", "Reply"),
    ("note", "Note"),
    ("update", "Stakeholder update"),
    ("handoff", "Handoff"),
)


@dataclass(frozen=True, slots=True)
class Verbs:
    """What this person may do with this ticket now; the operations check again."""

    escalate: bool = False
    deescalate: bool = False
    acknowledge: bool = False
    pass_on: bool = False
    take: bool = False
    answer_wish: bool = False
    reopen: bool = False


@dataclass(frozen=True, slots=True)
class Clockface:
    """A clock with its name as this ticket's page says it."""

    view: ClockView
    label: str
    heat: str


def fetch_ticket(user: User, pk: int) -> tuple[Ticket, Scope]:
    """Return a ticket this agent may see, with all its page names, and their Scope. Raises Http404."""
    scope = scope_of(user, Verb.VIEW)
    rows = (
        Ticket.objects.within(scope)
        .select_related("requester", "organisation", "team__lead", "assignee", "service", "category")
        .annotate(followed=followed_by(user), told_me=_told(user))
    )
    ticket = next(iter(rows.filter(pk=pk)[:1]), None)
    if ticket is None:
        raise Http404(f"There is no ticket #{pk} that you may see.")
    return ticket, scope


def followed_by(user: User) -> Exists:
    """Return whether this person follows the ticket, to be asked along with it."""
    return Exists(Watch.objects.filter(user=user, ticket=OuterRef("pk")))


def _told(user: User) -> Exists:
    """Return whether this person was told of the ticket, at whichever step."""
    return Exists(Notification.objects.filter(ticket=OuterRef("pk"), user=user, round__isnull=False))


@require_GET
@signed_in
def ticket_page(request: SignedIn, pk: int) -> HttpResponse:
    """Show a ticket; requesters who follow a link to it land on its page in the portal."""
    if not request.user.may(Verb.READ_NOTES):
        if Ticket.objects.visible_to(request.user).filter(pk=pk).exists():
            return redirect(f"/portal/{pk}/")
        raise Http404(f"There is no ticket #{pk} that you may see.")
    context = page_context(request, pk)
    if not context["ticket"].historic:
        context |= composer_context(request, context["ticket"])
    return render(request, "desk/ticket.html", context)


@require_GET
@may(Verb.READ_NOTES)
def ticket_live(request: SignedIn, pk: int) -> HttpResponse:
    """Return conversation, head and side again; the composer is left alone."""
    return render(request, "desk/parts/ticket_live.html", page_context(request, pk))


def page_context(request: Any, pk: int) -> dict[str, Any]:
    """Read what the page shows; at most fourteen queries with the request's own."""
    user: User = request.user
    ticket, scope = fetch_ticket(user, pk)
    now = arrive(request, scope)
    whole = request.GET.get("timeline") == "whole"
    events = timeline_of(ticket)
    names = names_for(events, whole=whole)
    ladder = ladder_of(ticket, now)
    clocks = clocks_of(ticket, now)
    here = _step(ladder)
    above = _step_above(ladder)
    told = contacts_on(
        {list_id for rung in (here, above) if rung is not None for list_id in rung.list_ids},
        ticket.severity,
        now,
    )
    wish = ladder.open_request if ladder is not None else None
    page = reverse("web:ticket", args=[pk])
    return {
        "section": "queue",
        "now": now,
        "ticket": ticket,
        "whole": whole,
        "story": tell(ticket, events, names, whole=whole),
        "event_count": len(events),
        "ladder": ladder,
        "rungs": tuple(reversed(ladder.steps)) if ladder is not None else (),
        "clocks": [_face(clock, ticket) for clock in clocks],
        "here": here,
        "above": above,
        "told_here": [told[pk] for pk in here.list_ids if pk in told] if here is not None else [],
        "told_above": [told[pk] for pk in above.list_ids if pk in told] if above is not None else [],
        "wish": wish,
        "verbs": _verbs(user, scope, ticket, ladder, here, above, told),
        "followed": getattr(ticket, "followed", False),
        "page": page,
        "live_url": reverse("web:ticket_live", args=[pk]) + ("?timeline=whole" if whole else ""),
    }


def composer_context(request: Any, ticket: Ticket, **kept: Any) -> dict[str, Any]:
    """Return what the composer shows; `kept` is what somebody wrote when it comes back with an error."""
    following = [
        (status, _status_choice(status))
        for status in (Status.OPEN, Status.WAITING, Status.HOLD, Status.RESOLVED, Status.CLOSED)
        if may_follow(ticket.status, status)
    ]
    return {
        "ticket": ticket,
        "tabs": ENTRY_TABS,
        "statuses": following,
        "handoff_fields": [(name, label, kept.get(name, "")) for name, label in HANDOFF_LABELS],
        "form_token": new_token(),
        "kept": {"kind": "reply", **kept},
        "page": reverse("web:ticket", args=[ticket.pk]),
    }


def _step(ladder: LadderView | None) -> RungView | None:
    return next((rung for rung in ladder.steps if rung.state == "now"), None) if ladder is not None else None


def _step_above(ladder: LadderView | None) -> RungView | None:
    ahead = [rung for rung in ladder.steps if rung.state == "ahead"] if ladder is not None else []
    return ahead[0] if ahead else None


def _verbs(
    user: User,
    scope: Scope,
    ticket: Ticket,
    ladder: LadderView | None,
    here: RungView | None,
    above: RungView | None,
    told: dict[int, list[Told]],
) -> Verbs:
    if not ticket.is_open:
        return Verbs(reopen=not ticket.historic)
    take = ticket.assignee_id != user.pk and user.may(Verb.WORK)
    if ladder is None or here is None:
        return Verbs(take=take)
    waits = ladder.unacknowledged_since is not None and ladder.acknowledged_at is None
    concerned = user.may(Verb.LEAD)
    if not concerned and (waits or here.position > 1):
        on_lists = any(person.user_id == user.pk for pk in here.list_ids for person in told.get(pk, ()))
        teams = scope.team_ids if scope.reach == Reach.TEAMS else team_ids_of(user)
        concerned = on_lists or ticket.team_id in teams
    return Verbs(
        escalate=user.may(Verb.ESCALATE) and above is not None,
        deescalate=user.may(Verb.DEESCALATE) and here.position > 1 and concerned,
        acknowledge=waits and user.may(Verb.ACKNOWLEDGE) and concerned,
        pass_on=waits and getattr(ticket, "told_me", False),
        take=take,
        answer_wish=user.may(Verb.LEAD),
    )


def _face(clock: ClockView, ticket: Ticket) -> Clockface:
    first_name = ticket.requester.get_short_name()
    label = {
        Clock.Kind.TIER_TIME: f"Time at {ticket.get_tier_display()}",
        Clock.Kind.ACKNOWLEDGE: "To be acknowledged",
        Clock.Kind.NEXT_TELLING: "Next one is told",
        Clock.Kind.FIRST_RESPONSE: f"First response to {first_name}",
        Clock.Kind.NEXT_RESPONSE: f"Next response to {first_name}",
        Clock.Kind.STAKEHOLDER_UPDATE: f"Next update to {first_name}",
        Clock.Kind.FOLLOW_UP: "Follow up",
        Clock.Kind.REQUEST: "Answer to the wish",
        Clock.Kind.QUESTION: "Answer to the question",
    }.get(Clock.Kind(clock.kind), clock.label)
    late = clock.left is not None and clock.left < dt.timedelta(0)
    heat = "late" if late else "soon" if clock.share >= 0.75 and not clock.paused else ""
    return Clockface(clock, label, heat)


def _status_choice(status: Status) -> str:
    return {
        Status.OPEN: "and open",
        Status.WAITING: "and wait for the customer",
        Status.HOLD: "and put on hold",
        Status.RESOLVED: "and resolve",
        Status.CLOSED: "and close",
    }[status]
