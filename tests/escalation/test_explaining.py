"""Every clock explains itself: where its time comes from, what was counted, and, truly, what happens when it is due."""

import datetime as dt
from dataclasses import dataclass, replace
from io import StringIO
from types import MappingProxyType
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from calendars.models import Calendar
from calendars.operations import publish_calendar
from calendars.rules import Hours, explain, parse
from escalation.engine import tick
from escalation.explaining import Explanation, TicketExplanation, explain_ticket
from escalation.models import Clock
from escalation.operations import acknowledge, escalate, request_escalation
from escalation.rules.clocks import timing, used_until
from escalation.rules.deciding import Due
from escalation.rules.explaining import (
    AGAIN,
    CLIMBS,
    REOPENS,
    TELLS_LEAD,
    TELLS_NEXT,
    TELLS_OWNER,
    budget_source,
    consequence,
    shorten,
)
from escalation.rules.paths import PathRule, Promises, StepRule
from escalation.rules.telling import next_told
from notifications.models import ContactListEntry, ContactMethod, Notification
from tests.house import HOUR, MIN, House, default_spec, republish, steps_for
from tickets.models import Ticket
from tickets.operations import add_reply, assign_ticket, change_status, set_severity

START = dt.datetime(2026, 5, 4, 8, tzinfo=dt.UTC)  # a Monday
OFFICE = parse(
    {
        "tz": "Europe/Berlin",
        "week": {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")},
    }
)


# --- rules --------------------------------------------------------------------------------------------------------


def rule_step(position: int, **changes: Any) -> StepRule:
    values: dict[str, Any] = {
        "id": position,
        "position": position,
        "name": f"Step {position}",
        "tier": position,
        "team_id": None,
        "transfers": position < 3,
        "calendar_id": None,
        "list_ids": (position,),
        "in_turn": False,
        "wait": 5 * MIN,
        "rounds": 2,
        "skip_when": None,
        "targets": MappingProxyType({1: (5 * MIN, 20 * MIN), 2: (10 * MIN, 30 * MIN)}),
    }
    return StepRule(**{**values, **changes})


STEPS = (rule_step(1), rule_step(2), rule_step(3, tier=4))
PATH = PathRule(
    version_id=1,
    path_id=1,
    name="Standard",
    number=1,
    calendar_id=1,
    sev1_round_the_clock=True,
    fallback_id=9,
    hold_pauses=False,
    follow_up_days=3,
    warn_percent=75,
    climbs_on=MappingProxyType({"resolution": True, "first_response": False, "next_response": False}),
    conditions=MappingProxyType({}),
    steps=STEPS,
    promises=MappingProxyType({2: Promises(first_response=20 * MIN, resolution=8 * HOUR, update_every=HOUR)}),
)


@pytest.mark.parametrize(
    ("kind", "position", "missed", "expected"),
    [
        ("tier_time", 1, 0, (CLIMBS, 2)),
        ("acknowledge", 2, 0, (CLIMBS, 3)),
        ("tier_time", 3, 0, (AGAIN, 3)),
        ("next_telling", 1, 1, (TELLS_NEXT, 1)),
        ("first_response", 1, 0, (TELLS_LEAD, None)),
        ("resolution", 1, 0, (CLIMBS, 2)),
        ("resolution", 3, 0, (TELLS_LEAD, None)),
        ("stakeholder_update", 1, 0, (TELLS_OWNER, None)),
        ("stakeholder_update", 1, 1, (TELLS_LEAD, None)),
        ("stakeholder_update", 2, 2, (CLIMBS, 3)),
        ("follow_up", 2, 0, (REOPENS, None)),
        ("request", 1, 0, (CLIMBS, 2)),
        # Never into management by itself.
        ("request", 2, 0, (TELLS_LEAD, None)),
    ],
)
def test_a_clock_leads_to_what_the_engine_would_decide(
    kind: str, position: int, missed: int, expected: tuple[str, int | None]
) -> None:
    due = Due(1, kind, START, warn_at=None, warned=False, missed=missed)
    found = consequence(PATH, PATH.step(position), due)
    assert (found.kind, found.to.position if found.to is not None else None) == expected


@pytest.mark.parametrize(
    ("kind", "severity", "budget", "words"),
    [
        ("acknowledge", 2, 10 * MIN, "SEV2 at Step 2: acknowledge within 10 min"),
        ("tier_time", 2, 30 * MIN, "SEV2 at Step 2: work within 30 min"),
        # Lowered from SEV1, whose time it keeps.
        ("tier_time", 2, 20 * MIN, "SEV1 at Step 2: work within 20 min (it was SEV1 when the clock started)"),
        ("tier_time", 2, 7 * MIN, "7 min, set when the clock started"),
        ("request", 1, 5 * MIN, "SEV1 at Step 2: acknowledge within 5 min"),
        ("next_telling", 1, 5 * MIN, "Step 2 waits 5 min before it tells again"),
        ("follow_up", 1, 70 * HOUR, "followed up after 3 business days"),
    ],
)
def test_a_budget_names_its_cell_of_the_matrix(
    kind: str, severity: int, budget: dt.timedelta, words: str
) -> None:
    assert budget_source(kind, PATH, PATH.step(2), severity=severity, budget=budget) == words


def test_a_promise_names_the_severity_it_was_made_for() -> None:
    assert (
        budget_source("resolution", PATH, None, severity=2, budget=8 * HOUR) == "SEV2: resolution within 8 h"
    )
    assert (
        budget_source("stakeholder_update", PATH, None, severity=2, budget=HOUR)
        == "SEV2: an update every 1 h"
    )


@dataclass(frozen=True)
class Person:
    """Somebody on a list."""

    contact_id: int
    from_round: int = 1
    reachable: bool = True
    severities: tuple[int, ...] = ()

    def wanted(self, severity: int, round_number: int) -> bool:
        return (not self.severities or severity in self.severities) and round_number >= self.from_round


A, B, LATE, GONE = Person(1), Person(2), Person(3, from_round=2), Person(4, reachable=False)


@pytest.mark.parametrize(
    ("people", "more", "expected"),
    [
        ((A, B, LATE, GONE), {}, (1, [1, 2], False)),
        ((A, B, LATE), {"round_now": 1, "begins": False}, (2, [1, 2, 3], False)),
        # The rounds are over: told again only while an answer is wanted.
        ((A, LATE), {"round_now": 2, "begins": False}, (3, [1, 3], False)),
        ((A, LATE), {"round_now": 2, "begins": False, "wants_answer": False}, (3, [], False)),
        ((GONE,), {}, (1, [], True)),
        ((A,), {"declined": {1}}, (1, [], True)),
        ((Person(1, severities=(1,)), B), {}, (1, [2], False)),
        # A round that leaves nobody is passed over at once.
        ((LATE,), {}, (2, [3], False)),
        # Rounds count from when the step began anew.
        ((A, LATE), {"round_now": 4, "base": 4}, (5, [1], False)),
    ],
)
def test_who_is_told_next(
    people: tuple[Person, ...], more: dict[str, Any], expected: tuple[int, list[int], bool]
) -> None:
    found = next_told(STEPS[0], people, **{"severity": 2, "wants_answer": True, **more})
    assert (found.round, [one.contact_id for one in found.people], found.nobody) == expected


def test_one_after_another_the_next_is_who_has_not_heard_in_this_round() -> None:
    step = replace(STEPS[0], in_turn=True)
    common: dict[str, Any] = {"severity": 2, "wants_answer": True, "begins": False, "round_now": 1}
    found = next_told(step, (A, B), heard={1: {1}}, **common)
    assert (found.round, [one.contact_id for one in found.people]) == (1, [2])
    found = next_told(step, (A, B), heard={1: {1, 2}}, **common)
    assert (found.round, [one.contact_id for one in found.people]) == (2, [1])


@given(st.lists(st.integers(), max_size=40), st.integers(1, 5), st.integers(1, 5))
def test_shortening_loses_nothing_and_leaves_out_at_least_two(
    items: list[int], first: int, last: int
) -> None:
    head, middle, tail = shorten(items, first=first, last=last)
    assert [*head, *middle, *tail] == items
    assert len(middle) != 1
    assert not middle or (len(head), len(tail)) == (first, last)


@given(
    start=st.integers(0, 14 * 24 * 60).map(lambda minutes: START + minutes * MIN),
    budget=st.integers(1, 60 * 60).map(lambda minutes: minutes * MIN),
    waits=st.lists(st.tuples(st.integers(0, 3 * 24 * 60), st.integers(1, 5 * 24 * 60)), max_size=4),
    hours=st.sampled_from([OFFICE, Hours(tz="UTC", always=True)]),
)
def test_what_is_counted_adds_up_to_the_budget_however_often_it_stood_still(
    start: dt.datetime, budget: dt.timedelta, waits: list[tuple[int, int]], hours: Hours
) -> None:
    """A clock paused and resumed as a Plan does it: its windows less its pauses are its budget, to the second."""
    since, used, pauses = start, dt.timedelta(0), []
    due_at = timing("resolution", hours, since=since, budget=budget, used=used).due_at
    for runs, stands in waits:
        at = since + runs * MIN
        if due_at <= at:
            break
        used = used_until(hours, since=since, used=used, at=at)
        stood = explain(hours, start, at, pauses)
        assert sum((window.taken for window in stood), dt.timedelta(0)) == used
        since = at + stands * MIN
        pauses.append((at, since))
        due_at = timing("resolution", hours, since=since, budget=budget, used=used).due_at
    windows = explain(hours, start, due_at, pauses)
    assert sum((window.taken for window in windows), dt.timedelta(0)) == budget


# --- tickets ------------------------------------------------------------------------------------------------------


def explained(ticket: Ticket, now: dt.datetime) -> TicketExplanation:
    return explain_ticket(Ticket.objects.select_related("assignee").get(pk=ticket.pk), now)


def clock_of(ticket: Ticket, kind: str, now: dt.datetime) -> Explanation:
    return next(clock for clock in explained(ticket, now).clocks if clock.kind == kind)


def at_network(house: House, **more: Any) -> Ticket:
    ticket = house.open(**more)
    escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.agent, now=house.now, reason="Rights")
    return ticket


def adds_up(ticket: Ticket, now: dt.datetime) -> None:
    for clock in explained(ticket, now).clocks:
        assert clock.counted == (clock.budget if clock.due_at is not None else clock.used), clock.kind


@pytest.mark.django_db
def test_all_clocks_of_a_ticket_that_waited_add_up(house: House) -> None:
    office = publish_calendar(
        calendar_id=None, name="Office", hours=OFFICE, actor_name="Ada", now=house.now
    ).calendar
    house.now = START
    republish(house, calendar_id=office.pk)
    ticket = house.open(at=START + 2 * HOUR, severity=3)
    adds_up(ticket, START + 3 * HOUR)
    add_reply(ticket_id=ticket.pk, body="Which office?", actor=house.agent, now=START + 2 * HOUR + 5 * MIN)
    change_status(ticket_id=ticket.pk, status="waiting", actor=house.agent, now=START + 2 * HOUR + 10 * MIN)
    adds_up(ticket, START + 30 * HOUR)
    assert clock_of(ticket, "resolution", START + 30 * HOUR).due_at is None
    change_status(ticket_id=ticket.pk, status="open", actor=house.agent, now=START + 50 * HOUR)
    adds_up(ticket, START + 51 * HOUR)
    resolution = clock_of(ticket, "resolution", START + 51 * HOUR)
    assert resolution.pauses == ((START + 2 * HOUR + 10 * MIN, START + 50 * HOUR),)
    assert len(resolution.windows) > 2


@pytest.mark.django_db
def test_a_wish_that_is_told_again_counts_from_when_it_began_anew(house: House) -> None:
    steps = [step for step in steps_for(house) if step.tier != 3]
    republish(
        house,
        steps=tuple(replace(step, targets=dict.fromkeys((1, 2, 3, 4), (None, 9 * HOUR))) for step in steps),
    )
    ticket = at_network(house)
    request_escalation(ticket_id=ticket.pk, actor=house.requester, reason="Phones", now=house.now + MIN)
    first = clock_of(ticket, "request", house.now + 2 * MIN)
    assert first.then == "The lead Lena Test is told of the wish again, every 30 min."
    assert first.due_at is not None
    tick(now=first.due_at, only=[ticket.pk])
    again = clock_of(ticket, "request", first.due_at)
    assert again.counted_from == first.due_at
    assert again.started_at == first.started_at
    adds_up(ticket, first.due_at)


@pytest.mark.django_db
def test_a_lowered_severity_keeps_the_time_and_says_so(house: House) -> None:
    steps = list(steps_for(house))
    times = {s: (None, s * HOUR) for s in (1, 2, 3, 4)}
    republish(house, steps=(replace(steps[0], targets=times), *steps[1:]))
    ticket = house.open(severity=2)
    set_severity(ticket_id=ticket.pk, severity=4, actor=house.agent, now=house.now + MIN, reason="One desk.")
    assert clock_of(ticket, "tier_time", house.now + MIN).source == (
        "SEV2 at Service desk: work within 2 h (it was SEV2 when the clock started)"
    )


@pytest.mark.django_db
def test_a_newer_version_of_path_or_calendar_is_named(house: House) -> None:
    office = publish_calendar(
        calendar_id=None, name="Office", hours=OFFICE, actor_name="Ada", now=house.now
    ).calendar
    republish(house, calendar_id=office.pk)
    ticket = house.open(severity=3)
    clock = clock_of(ticket, "tier_time", house.now)
    assert (clock.newer_path, clock.newer_calendar, clock.calendar_version) == (None, None, 1)
    later = house.now + HOUR
    hours = replace(OFFICE, holidays=frozenset({dt.date(2026, 5, 5)}))
    publish_calendar(calendar_id=office.pk, name="Office", hours=hours, actor_name="Ada", now=later)
    republish(house, calendar_id=office.pk, warn_percent=50)
    clock = clock_of(ticket, "tier_time", later)
    assert (clock.path_version, clock.calendar_version) == (2, 1)
    assert clock.newer_path is not None
    assert clock.newer_path.number == 3
    assert clock.newer_calendar is not None
    assert (clock.newer_calendar.number, clock.newer_calendar.since) == (2, later)


@pytest.mark.django_db
def test_what_ended_at_this_step_is_listed(house: House) -> None:
    ticket = at_network(house)
    acknowledge(ticket_id=ticket.pk, seen_seq=1, actor=house.second, now=house.now + 3 * MIN)
    ended = {line.label: (line.outcome, line.at) for line in explained(ticket, house.now + 4 * MIN).ended}
    assert ended["Acknowledge"] == ("met", house.now + 3 * MIN)
    assert "Time at this tier" not in ended  # that of the desk ended before this step


@pytest.mark.django_db
def test_explaining_costs_the_same_few_queries(house: House) -> None:
    ticket = at_network(house)
    explained(ticket, house.now)
    with CaptureQueriesContext(connection) as queries:
        explain_ticket(ticket, house.now)
    assert len(queries) <= 14


# --- is it true? --------------------------------------------------------------------------------------------------

SHAPES: dict[str, dict[str, Any]] = {
    "all at once": {"telling": "all", "rounds": 2, "wait": 4 * MIN},
    "in turn": {"telling": "in_turn", "rounds": 2, "wait": 3 * MIN},
    "one round": {"telling": "all", "rounds": 1, "wait": 20 * MIN},
}


@pytest.mark.django_db
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("trouble", ["none", "nobody at L2", "late entry", "no fallback either"])
def test_what_is_foretold_is_what_the_engine_does(house: House, shape: str, trouble: str) -> None:
    """Up the whole ladder and once around at the top: whoever is told is named before, and nobody else is."""
    times = {1: (10 * MIN, 30 * MIN), 2: (10 * MIN, 30 * MIN), 3: (10 * MIN, 30 * MIN), 4: (None, 30 * MIN)}
    steps = tuple(
        replace(step, **SHAPES[shape], targets=times if step.contact_list_ids else step.targets)
        for step in steps_for(house)
    )
    house.path = republish(house, steps=steps, promises={})
    on_l2 = ContactListEntry.objects.filter(contact_list=house.lists[2])
    if trouble in ("nobody at L2", "no fallback either"):
        ContactMethod.objects.filter(contact__entries__in=on_l2).update(is_active=False)
    if trouble == "no fallback either":
        ContactMethod.objects.filter(contact=house.fallback).update(is_active=False)
    if trouble == "late entry":
        on_l2.filter(position=2).update(from_round=2)
    ticket = house.open(severity=2)
    now, sayings = house.now, []
    for _ in range(15):
        foretold = explained(ticket, now)
        first = next(clock for clock in foretold.clocks if clock.due_at is not None)
        assert first.due_at is not None
        # Several may be due at one instant: then the one that moves the ticket is what happens.
        together = [clock for clock in foretold.clocks if clock.due_at == first.due_at]
        moving = [clock for clock in together if clock.kind != "next_telling"]
        said = (moving or together)[0].then
        known = set(Notification.objects.values_list("pk", flat=True))
        now = first.due_at
        Clock.objects.filter(ticket=ticket).update(recorded_at=house.now - MIN, warned_at=house.now)
        tick(now=now, only=[ticket.pk])
        new = Notification.objects.exclude(pk__in=known).filter(ticket=ticket, round__isnull=False)
        told = {row.contact.name for row in new.select_related("contact") if row.contact is not None}
        everybody = {"Aisha Test", "Duty L2", "Tomas Test", "Duty L3", "Ilse Test", "Duty L4", "Duty officer"}
        named = {name for name in everybody if name in said}
        assert told - {"Ada Test"} == named, said
        assert ("the admins" in said) == ("Ada Test" in told), said
        sayings.append(said)
    for words in ("climbs to Network", "climbs to Core network", "climbs to Management", "begins anew"):
        assert any(words in said for said in sayings), words


@pytest.mark.django_db
def test_the_first_clock_in_words(house: House) -> None:
    ticket = house.open(severity=2)
    then = clock_of(ticket, "tier_time", house.now).then
    assert then == "It climbs to Network; Aisha Test and Duty L2 (L2 contacts) are told."
    assert clock_of(ticket, "first_response", house.now).then == "The lead Lena Test is told."
    escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.agent, now=house.now, reason="Rights")
    clocks = {clock.kind: clock.then for clock in explained(ticket, house.now).clocks}
    assert (
        clocks["acknowledge"] == "It climbs to Core network; Tomas Test and Duty L3 (L3 contacts) are told."
    )
    assert clocks["tier_time"] == (
        "If somebody has acknowledged until then, it climbs to Core network; Tomas Test and Duty L3 (L3 contacts) "
        "are told."
    )
    assert clocks["next_telling"] == "Aisha Test and Duty L2 (L2 contacts) are told, round 2."
    assert clocks["resolution"].startswith("If it is still at Network then, it climbs to Core network;")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("lead", "owner", "words"),
    [
        ("lena", None, "The lead Lena Test is told, and the next interval begins."),
        ("lena", "piet", "Its owner Piet Test is told, and the next interval begins."),
        (
            "none",
            None,
            "The fallback Duty officer is told, as there is no lead, and the next interval begins.",
        ),
    ],
)
def test_an_overdue_update_is_told_to_the_owner_or_whoever_stands_in(
    house: House, lead: str, owner: str | None, words: str
) -> None:
    spec = default_spec(house)
    republish(house, promises={s: replace(p, update_every=HOUR) for s, p in spec.promises.items()})
    if lead == "none":
        house.desk.lead = None
        house.desk.save()
    ticket = house.open(severity=2)
    if owner:
        assign_ticket(ticket_id=ticket.pk, assignee=house.agent, actor=house.lead, now=house.now)
    assert clock_of(ticket, "stakeholder_update", house.now).then == words


@pytest.mark.django_db
def test_a_waiting_ticket_says_what_brings_it_back(house: House) -> None:
    ticket = house.open(severity=2)
    change_status(ticket_id=ticket.pk, status="hold", actor=house.agent, now=house.now + MIN, reason="Vendor")
    follow_up = clock_of(ticket, "follow_up", house.now + MIN)
    assert follow_up.source == "followed up after 3 business days"
    assert follow_up.then == "It is open again and its clocks run on; the lead Lena Test is told."


# --- the command --------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_command_prints_every_clock_with_all_that_makes_its_deadline(house: House) -> None:
    always = Calendar.objects.get(is_built_in=True)
    ticket = at_network(house, severity=2)
    acknowledge(ticket_id=ticket.pk, seen_seq=1, actor=house.second, now=house.now)
    out = StringIO()
    call_command("explain", ticket.pk, stdout=out)
    text = out.getvalue()
    due = house.now + 30 * MIN
    for line in (
        f"#{ticket.pk} VPN drops, open, at Network of Standard version 1, at ",
        f"Time at this tier: due {due:%F %T}, 30 min in {always.name}",
        "  from SEV2 at Network: work within 30 min",
        "  by Standard version 1\n",
        f"  counted in {always.name} version 1\n",
        f"  open {house.now:%F %T} to {due:%F %T}: 30 min counted",
        f"  warns {house.now + 22.5 * MIN:%F %T}, at 75 % of it",
        "  then: It climbs to Core network; Tomas Test and Duty L3 (L3 contacts) are told.",
        "Ended at this step\n",
        f"  Acknowledge: met {house.now:%F %T}",
    ):
        assert line in text
    republish(house, warn_percent=50)
    out = StringIO()
    call_command("explain", ticket.pk, stdout=out)
    newer = (
        f"  by Standard version 1; version 2 is in force since {house.now:%F %T}, applying it to open tickets"
    )
    assert newer in out.getvalue()


@pytest.mark.django_db
def test_the_command_says_when_there_is_no_such_ticket() -> None:
    with pytest.raises(CommandError, match="there is no #77"):
        call_command("explain", 77)
