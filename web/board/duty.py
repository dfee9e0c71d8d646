"""The board's side: who is on call now and who comes next, per tier; who is told first where no schedule says."""

import datetime as dt
from collections.abc import Iterable, Sequence

from accounts.models import Tier
from notifications.models import Contact
from notifications.queries.oncall import AHEAD, Roster, load_rosters, now_and_then
from notifications.rules.oncall import Span
from web.board.model import OnCall, TeamLoad
from web.board.statements import told_first

_INSTANT = dt.timedelta(seconds=1)


def read_on_call(teams: Sequence[TeamLoad], now: dt.datetime) -> tuple[OnCall, ...]:
    """Return who is on call per tier, management first, in two queries.

    At a tier without a schedule it is who is told first by the paths in force, and where these tell nobody the leads of
    its teams.
    """
    rosters = load_rosters(now, now + AHEAD)
    on_duty = [
        _on_duty(roster, now) for roster in rosters if roster.tier is not None and roster.schedule.rotations
    ]
    with_schedule = {entry.tier for entry in on_duty}
    others = [entry for entry in _told_first(teams) if entry.tier not in with_schedule]
    return tuple(sorted((*on_duty, *others), key=lambda entry: -entry.tier))


def _on_duty(roster: Roster, now: dt.datetime) -> OnCall:
    current, following = now_and_then(roster.schedule, now)
    then = ""
    if following is not None:
        then = _names(roster, following) or "nobody"
    label = str(Tier(roster.tier or 0).label)
    is_gap = current.is_gap and any(roster.minded([(now, now + _INSTANT)]))
    return OnCall(
        tier=roster.tier or 0,
        where=roster.name if label.lower() in roster.name.lower() else f"{label} {roster.name}",
        name=_names(roster, current) or ("Nobody" if is_gap else "Closed"),
        then=then,
        until=current.end if following is not None else None,
        schedule_id=roster.id,
        is_gap=is_gap,
    )


def _names(roster: Roster, span: Span[int]) -> str:
    return " and ".join(person.name for person in roster.named(span.people))


def _told_first(teams: Iterable[TeamLoad]) -> list[OnCall]:
    """Return who is told first and then at each tier, from the contact lists of the paths in force; one query."""
    # Names of teams and leads are here already: fewer joins to plan.
    known = {team.id: team for team in teams}
    told: dict[tuple[int, str], list[str]] = {}
    for tier, team_id, kind, name, led_id in told_first().run():
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
    return found
