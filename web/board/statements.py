"""What the board asks the database, each statement written once for all who see the same and run at their `now`.

Django takes longer to write the largest of them than PostgreSQL to run it, and every lead's board asks again whenever
a ticket moves.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import (
    BooleanField,
    CharField,
    Count,
    DateTimeField,
    Exists,
    F,
    Func,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce

from accounts.models import Membership, Team, Tier, User
from accounts.rules import Reach, Scope, Verb
from core.statements import Statement, blank
from escalation.models import Clock, PathDoubt
from escalation.models.clocks import LIVE
from notifications.models import ContactListEntry, Notification
from tickets.models import Ticket
from tickets.querysets import TicketQuerySet, scope_filter
from web.board.counting import CAP, Counts, count_each
from web.board.filters import BoardFilter
from web.board.model import MOST_CHIPS

MOST_NEEDS = 7
MOST_TEAMS = 60
MOST_ENTRIES = 300
# What is narrowed has no index for every figure: to count it looks at many that don't match for each that does.
NARROWED_CAP = 200
TIERS = tuple(sorted(Tier.values, reverse=True))
# Of people who see, may and ask for the same; a few dozen at once are many.
_KEPT = 256


@dataclass(frozen=True, slots=True)
class Looker:
    """All that the board's statements depend on, besides the time."""

    scope: Scope
    asked: BoardFilter
    user_id: int
    leads: bool
    acknowledges: bool

    @classmethod
    def of(cls, user: User, scope: Scope, asked: BoardFilter) -> "Looker":
        """Take from a person and what they ask for what decides; how they look at it does not."""
        return cls(
            scope,
            replace(asked, view="ladder"),
            user.pk,
            leads=user.may(Verb.LEAD),
            acknowledges=user.may(Verb.ACKNOWLEDGE),
        )

    def tickets(self) -> TicketQuerySet:
        return Ticket.objects.within(self.scope).open().filter(self.asked.condition())

    @property
    def narrowed(self) -> bool:
        return self.asked.narrows or self.scope.reach != Reach.ALL


_COLUMNS = (
    "id",
    "subject",
    "severity",
    "tier",
    "status",
    "tier_due_at",
    "unacknowledged_since",
    "set_aside_at",
    "team__name",
    "assignee__name",
    "standing__seq",
    "answer_by",
    "told",
    "may_take",
    "missed",
    "why",
)
# A stakeholder update that is missed starts its clock again and counts the times it was missed.
_UPDATE_OVERDUE = Q(clocks__kind=Clock.Kind.STAKEHOLDER_UPDATE, clocks__state__in=LIVE, clocks__round__gt=0)


@lru_cache(maxsize=_KEPT)
def chips_of(who: Looker) -> Statement:
    """Write the statement for the chips to draw and for what needs a person; `horizon` is left blank.

    Each branch is a walk along one partial index that stops at its limit: the most urgent of each tier
    (ticket_open_by_tier), those nobody took (ticket_unacknowledged), set aside, and with an update overdue.
    """
    tickets = who.tickets()
    untaken = tickets.unacknowledged().order_by("unacknowledged_since", "id")
    first = _row(untaken, why="untaken", answer_by=_answer_by(), told=_told(), may_take=_may_take(who))
    others = [
        _row(tickets.filter(set_aside_at__isnull=False).order_by("set_aside_at", "id"), why="aside")[
            :MOST_NEEDS
        ],
        _row(
            tickets.filter(_UPDATE_OVERDUE).order_by("-clocks__round", "id"),
            why="update",
            missed=F("clocks__round"),
        )[:MOST_NEEDS],
    ]
    plain = _row(tickets)
    for tier in TIERS:
        near = plain.filter(tier=tier, tier_due_at__lt=_at("horizon")).order_by("tier_due_at", "id")
        others.append(near[:MOST_CHIPS])
    return Statement.of(first[:MOST_CHIPS].union(*others, all=True))


@lru_cache(maxsize=_KEPT)
def counts_of(who: Looker) -> Counts:
    """Write the statement for the board's figures by (name, tier), tier 0 for those of all tiers.

    Blank are `horizon`, `soon`, `day` and `days`. For leads also what is doubtful about the paths, which is kept as
    rows, not worked out here.
    """
    tickets = who.tickets()
    horizon, soon, day, days = _at("horizon"), _at("soon"), _at("day"), _at("days")

    def lane(tier: Any) -> dict[str, QuerySet[Any]]:
        held = tickets.filter(tier=tier)
        return {
            "near": held.filter(tier_due_at__lt=horizon),
            "day": held.filter(tier_due_at__gte=horizon, tier_due_at__lt=day),
            "days": held.filter(tier_due_at__gte=day, tier_due_at__lt=days),
            "later": held.filter(tier_due_at__gte=days),
            "still": held.filter(tier_due_at__isnull=True),
            "climbing": held.filter(tier_due_at__lt=soon),
        }

    visible = Exists(Ticket.objects.filter(scope_filter(who.scope), pk=OuterRef("ticket_id")))
    clocks = Clock.objects.filter(who.asked.condition("ticket__")).filter(visible)
    answers = clocks.filter(kind=Clock.Kind.ACKNOWLEDGE, fires_at__lt=soon)
    figures: dict[str, QuerySet[Any]] = {
        "untaken": tickets.unacknowledged(),
        "aside": tickets.filter(set_aside_at__isnull=False),
        # Along clock_due: few clocks fire within the next minutes, however many there are.
        "climbing": answers.exclude(ticket__tier_due_at__lt=soon),
        "updates": clocks.filter(kind=Clock.Kind.STAKEHOLDER_UPDATE, state__in=LIVE, round__gt=0),
    }
    if who.leads:
        figures["doubts"] = PathDoubt.objects.all()
        figures["grave_doubts"] = PathDoubt.objects.filter(level=PathDoubt.Level.ERROR)
    cap = NARROWED_CAP if who.narrowed else None
    return count_each(figures, each=lane, values=TIERS, spelt_out=who.narrowed, cap=cap)


@lru_cache(maxsize=_KEPT)
def teams_of(scope: Scope) -> Statement:
    """Write the statement for the active teams with their load, each counted by ticket_open_by_team up to a cap."""
    held = Ticket.objects.within(scope).open().filter(team=OuterRef("pk")).order_by().values("pk")[: CAP + 1]
    number = Func(ArraySubquery(held), function="cardinality", output_field=IntegerField())
    rows = Team.objects.filter(is_active=True).annotate(held=number).order_by("-tier", "name")
    return Statement.of(rows.values_list("pk", "name", "tier", "capacity", "lead__name", "held")[:MOST_TEAMS])


@lru_cache(maxsize=1)
def told_first() -> Statement:
    """Write the statement for who stands on the contact lists of the paths in force, in the order of telling."""
    entries = ContactListEntry.objects.filter(
        contact__is_active=True,
        contact_list__steps__version__path__is_active=True,
        contact_list__steps__version__path__current=F("contact_list__steps__version"),
    ).order_by(
        "-contact_list__steps__tier",
        "contact_list__steps__version__path__position",
        "contact_list__steps__version_id",
        "contact_list__steps__position",
        "contact_list_id",
        "position",
        "pk",
    )
    columns = entries.values_list(
        "contact_list__steps__tier",
        "contact_list__steps__team_id",
        "contact__kind",
        "contact__name",
        "contact__team_id",
    )
    return Statement.of(columns[:MOST_ENTRIES])


def _at(name: str) -> RawSQL:
    return blank(name, DateTimeField())


def _row(tickets: TicketQuerySet, *, why: str = "lane", **columns: Any) -> QuerySet[Any, Any]:
    values = {
        "answer_by": Value(None, output_field=DateTimeField()),
        "told": Value(None, output_field=IntegerField()),
        "may_take": Value(False, output_field=BooleanField()),
        "missed": Value(0, output_field=IntegerField()),
        "why": Value(why, output_field=CharField()),
        **columns,
    }
    return tickets.annotate(**values).values_list(*_COLUMNS)


def _answer_by() -> Any:
    """When a step that nobody acknowledged climbs."""
    clocks = Clock.objects.filter(
        ticket=OuterRef("pk"), kind=Clock.Kind.ACKNOWLEDGE, state=Clock.State.RUNNING
    )
    return Subquery(clocks.values("due_at")[:1], output_field=DateTimeField())


def _told() -> Any:
    """How many contacts were told of the ticket's present step."""
    tellings = Notification.objects.filter(
        ticket=OuterRef("pk"), seq=OuterRef("standing__seq"), round__isnull=False
    )
    number = tellings.order_by().values("ticket").annotate(n=Count("contact", distinct=True)).values("n")
    return Coalesce(Subquery(number), 0, output_field=IntegerField())


def _may_take(who: Looker) -> Any:
    """Whether the operation would let this person acknowledge; it checks again (DESIGN 3, acknowledging)."""
    if who.leads or not who.acknowledges:
        return Value(who.leads, output_field=BooleanField())
    mine = Membership.objects.filter(user_id=who.user_id)
    leads = Team.objects.filter(lead_id=who.user_id)
    listed = ContactListEntry.objects.filter(
        contact__user_id=who.user_id, contact_list__steps=OuterRef("standing__step_id")
    )
    told = Notification.objects.filter(
        ticket=OuterRef("pk"),
        seq=OuterRef("standing__seq"),
        contact__user_id=who.user_id,
        round__isnull=False,
    )
    return (
        Exists(mine.filter(team=Coalesce(OuterRef("standing__step__team_id"), OuterRef("team_id"))))
        | Exists(leads.filter(pk=Coalesce(OuterRef("standing__step__team_id"), OuterRef("team_id"))))
        | Exists(listed)
        | Exists(told)
    )
