"""The board's reads: a constant number of queries, each by an index, whether there are ten tickets or a million."""

import datetime as dt
from collections.abc import Iterable
from typing import Any, cast

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
from django.db.models.functions import Coalesce

from accounts.models import Membership, Team, Tier, User
from accounts.rules import Reach, Scope, Verb
from escalation import watchdog
from escalation.models import Clock, PathDoubt
from escalation.models.clocks import LIVE
from notifications.models import Contact, ContactListEntry, Notification
from tickets.models import Service, Ticket
from tickets.querysets import TicketQuerySet, scope_filter
from web.board.axis import HORIZON
from web.board.counting import CAP, ZERO, Tally, count_each
from web.board.filters import BoardFilter
from web.board.model import BINS, DAY, MOST_CHIPS, SOON, Board, Chip, Facts, Lane, Need, OnCall, TeamLoad

MOST_NEEDS = 7
MOST_TEAMS = 60
MOST_ENTRIES = 300
TIERS = tuple(sorted(Tier.values, reverse=True))

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


def read_board(*, user: User, scope: Scope, asked: BoardFilter, now: dt.datetime) -> Board:
    """Return the board as `user`, who sees `scope`, may see it; five queries."""
    tickets = Ticket.objects.within(scope).open().filter(asked.condition())
    teams = read_teams(scope)
    on_call = read_on_call(teams)
    chips, needs = _chips(tickets, user, now)
    counts = _count(tickets, scope, asked, now, doubts=user.may(Verb.LEAD))
    lanes = tuple(
        Lane(
            tier=tier,
            chips=tuple(chip for chip in chips if chip.tier == tier),
            counts={name: counts[name, tier] for name, _ in BINS},
            teams=tuple(team for team in teams if team.tier == tier),
            on_call=tuple(entry for entry in on_call if entry.tier == tier),
        )
        for tier in TIERS
    )
    facts = Facts(
        open=sum((lane.open for lane in lanes), start=ZERO),
        climbing=sum((counts["climbing", tier] for tier in (0, *TIERS)), start=ZERO),
        untaken=counts["untaken", 0],
        updates=counts["updates", 0],
        aside=counts["aside", 0],
        doubts=counts.get(("doubts", 0), ZERO),
        grave_doubts=counts.get(("grave_doubts", 0), ZERO),
        vitals=watchdog.look(),
    )
    waiting = facts.untaken + facts.aside + facts.updates
    return Board(
        now=now,
        lanes=lanes,
        facts=facts,
        needs=needs,
        teams=tuple(sorted(teams, key=lambda team: (-team.percent, team.name))),
        on_call=on_call,
        more_needs=waiting.less(len(needs)),
    )


def _chips(tickets: TicketQuerySet, user: User, now: dt.datetime) -> tuple[list[Chip], tuple[Need, ...]]:
    """Return the chips to draw and what needs a person, in one statement.

    Each branch is a walk along one partial index that stops at its limit: the most urgent of each tier
    (ticket_open_by_tier), those nobody took (ticket_unacknowledged), set aside, and with an update overdue.
    """
    plain = _row(tickets)
    untaken = tickets.unacknowledged().order_by("unacknowledged_since", "id")
    branches = [
        _row(untaken, why="untaken", answer_by=_answer_by(), told=_told(), may_take=_may_take(user))[
            :MOST_CHIPS
        ],
        _row(tickets.filter(set_aside_at__isnull=False).order_by("set_aside_at", "id"), why="aside")[
            :MOST_NEEDS
        ],
        _row(
            tickets.filter(_UPDATE_OVERDUE).order_by("-clocks__round", "id"),
            why="update",
            missed=F("clocks__round"),
        )[:MOST_NEEDS],
    ]
    for tier in TIERS:
        near = plain.filter(tier=tier, tier_due_at__lt=now + HORIZON).order_by("tier_due_at", "id")
        branches.append(near[:MOST_CHIPS])
    first, *others = branches
    chips: dict[int, Chip] = {}
    needs: list[Need] = []
    for row in first.union(*others, all=True):
        *values, missed, why = cast("tuple[Any, ...]", row)
        chip = _chip(values, now)
        if why in ("untaken", "lane"):
            # The first branch knows how many were told; a lane's row of the same ticket doesn't.
            chips.setdefault(chip.id, chip)
        if why != "lane":
            needs.append(Need(chip, why, missed or 0))
    needs.sort(key=lambda need: (need.chip.severity, _ORDER[need.why], need.chip.unacknowledged_since or now))
    by_tier = {tier: [chip for chip in chips.values() if chip.tier == tier] for tier in TIERS}
    drawn = [chip for tier in TIERS for chip in _most_urgent(by_tier[tier])]
    return drawn, tuple(needs[:MOST_NEEDS])


_ORDER = {"untaken": 0, "aside": 1, "update": 2}
# A stakeholder update that is missed starts its clock again and counts the times it was missed.
_UPDATE_OVERDUE = Q(clocks__kind=Clock.Kind.STAKEHOLDER_UPDATE, clocks__state__in=LIVE, clocks__round__gt=0)


def _most_urgent(chips: Iterable[Chip]) -> list[Chip]:
    """Return as many chips as a lane draws: what waits for a person first, then by time left."""
    far = dt.datetime.max.replace(tzinfo=dt.UTC)
    ordered = sorted(chips, key=lambda chip: (not chip.untaken, chip.due_at or far, chip.id))
    return ordered[:MOST_CHIPS]


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


def _chip(values: list[Any], now: dt.datetime) -> Chip:
    (
        pk,
        subject,
        severity,
        tier,
        status,
        due_at,
        since,
        aside,
        team,
        assignee,
        seq,
        answer_by,
        told,
        may_take,
    ) = values
    return Chip(
        id=pk,
        subject=subject,
        severity=severity,
        tier=tier,
        status=status,
        tier_due_at=due_at,
        answer_by=answer_by,
        unacknowledged_since=since,
        set_aside_at=aside,
        team=team or "",
        assignee=assignee or "",
        seq=seq,
        told=told or 0,
        may_take=bool(may_take),
        now=now,
    )


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


def _may_take(user: User) -> Any:
    """Whether the operation would let this person acknowledge; it checks again (DESIGN 3, acknowledging)."""
    if user.may(Verb.LEAD) or not user.may(Verb.ACKNOWLEDGE):
        return Value(user.may(Verb.LEAD), output_field=BooleanField())
    mine = Membership.objects.filter(user=user)
    leads = Team.objects.filter(lead=user)
    listed = ContactListEntry.objects.filter(
        contact__user=user, contact_list__steps=OuterRef("standing__step_id")
    )
    told = Notification.objects.filter(
        ticket=OuterRef("pk"), seq=OuterRef("standing__seq"), contact__user=user, round__isnull=False
    )
    return (
        Exists(mine.filter(team=Coalesce(OuterRef("standing__step__team_id"), OuterRef("team_id"))))
        | Exists(leads.filter(pk=Coalesce(OuterRef("standing__step__team_id"), OuterRef("team_id"))))
        | Exists(listed)
        | Exists(told)
    )


def _count(
    tickets: TicketQuerySet, scope: Scope, asked: BoardFilter, now: dt.datetime, *, doubts: bool
) -> dict[tuple[str, int], Tally]:
    """Return the board's figures by (name, tier), tier 0 for those of all tiers; one statement.

    With `doubts` also what is doubtful about the paths, which is kept as rows, not worked out here.
    """
    horizon, day, days = now + HORIZON, now + DAY, now + 3 * DAY

    def lane(tier: Any) -> dict[str, QuerySet[Any]]:
        held = tickets.filter(tier=tier)
        return {
            "near": held.filter(tier_due_at__lt=horizon),
            "day": held.filter(tier_due_at__gte=horizon, tier_due_at__lt=day),
            "days": held.filter(tier_due_at__gte=day, tier_due_at__lt=days),
            "later": held.filter(tier_due_at__gte=days),
            "still": held.filter(tier_due_at__isnull=True),
            "climbing": held.filter(tier_due_at__lt=now + SOON),
        }

    visible = Exists(Ticket.objects.filter(scope_filter(scope), pk=OuterRef("ticket_id")))
    clocks = Clock.objects.filter(asked.condition("ticket__")).filter(visible)
    answers = clocks.filter(kind=Clock.Kind.ACKNOWLEDGE, fires_at__lt=now + SOON)
    figures: dict[str, QuerySet[Any]] = {
        "untaken": tickets.unacknowledged(),
        "aside": tickets.filter(set_aside_at__isnull=False),
        # Along clock_due: few clocks fire within the next minutes, however many there are.
        "climbing": answers.exclude(ticket__tier_due_at__lt=now + SOON),
        "updates": clocks.filter(kind=Clock.Kind.STAKEHOLDER_UPDATE, state__in=LIVE, round__gt=0),
    }
    if doubts:
        figures["doubts"] = PathDoubt.objects.all()
        figures["grave_doubts"] = PathDoubt.objects.filter(level=PathDoubt.Level.ERROR)
    narrowed = asked.narrows or scope.reach != Reach.ALL
    return count_each(figures, each=lane, values=TIERS, spelt_out=narrowed)


def read_teams(scope: Scope) -> list[TeamLoad]:
    """Return the active teams with their load, in one query; each counted by ticket_open_by_team up to a cap."""
    held = Ticket.objects.within(scope).open().filter(team=OuterRef("pk")).order_by().values("pk")[: CAP + 1]
    number = Func(ArraySubquery(held), function="cardinality", output_field=IntegerField())
    rows = Team.objects.filter(is_active=True).annotate(held=number).order_by("-tier", "name")
    columns = rows.values_list("pk", "name", "tier", "capacity", "lead__name", "held")
    return [
        TeamLoad(pk, name, tier, capacity, lead or "", Tally(min(held, CAP), held > CAP))
        for pk, name, tier, capacity, lead, held in columns[:MOST_TEAMS]
    ]


def read_on_call(teams: Iterable[TeamLoad]) -> tuple[OnCall, ...]:
    """Return who is told first and then at each tier, in one query.

    From the contact lists of the paths in force; at a tier whose steps have none, the leads of its teams.
    """
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
    # Names of teams and leads are here already: fewer joins to plan.
    known = {team.id: team for team in teams}
    told: dict[tuple[int, str], list[str]] = {}
    for tier, team_id, kind, name, led_id in columns[:MOST_ENTRIES]:
        led = known.get(led_id)
        person = led.lead if kind == Contact.Kind.LEAD and led is not None and led.lead else name
        team = known.get(team_id)
        names = told.setdefault((tier, team.name if team is not None else ""), [])
        if person not in names:
            names.append(person)
    with_lists = {tier for tier, _ in told}
    for team_row in teams:
        if team_row.tier not in with_lists and team_row.lead:
            told.setdefault((team_row.tier, team_row.name), [team_row.lead])
    found = []
    for (tier, where_told), names in sorted(told.items(), key=lambda item: (-item[0][0], item[0][1])):
        label = str(Tier(tier).label)
        alone = sum(other == tier for other, _ in told) == 1
        short = tier == Tier.MANAGEMENT or alone or not where_told
        where = label if short else f"{label} {where_told}"
        found.append(OnCall(tier, where, names[0], names[1] if len(names) > 1 else ""))
    return tuple(found)


def services_for_filter() -> list[tuple[int, str]]:
    """Return the services one may narrow the board to."""
    return list(Service.objects.filter(is_active=True).order_by("name").values_list("pk", "name")[:300])
