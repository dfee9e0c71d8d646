"""The demo: believable, lively from the first minute, and silent about its past."""

import datetime as dt
import io
import itertools
import random
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import RequestFactory

from accounts.models import Role, Tier, User
from calendars.rules import ALWAYS, elapsed, parse
from core.db import database_now
from escalation.engine import tick
from escalation.linting import lint_active
from escalation.models import Clock, Escalation, EscalationRequest, Standing
from insights.demo import organisation as org
from insights.demo.duty import NETWORK, plan_exceptions
from insights.demo.house import build_house
from insights.demo.load import Loaded, load_demo
from insights.demo.paths import PATHS, SERVICE_HOURS
from insights.demo.present import WAVE_SIZE, back
from insights.demo.stories import STORIES, WAVE
from insights.demo.telling import make_case
from notifications.models import Contact, ContactListEntry, Notification, OnCallOverride, TimeOff
from tickets.models import Entry, Event, Status, Ticket

MIN = dt.timedelta(minutes=1)
RANDOM = random.Random(1)  # noqa: S311 - stories, not secrets


def test_it_refuses_where_there_are_accounts(db: None, tmp_path: Path, settings: Any) -> None:
    settings.BELAY_VAR = tmp_path
    User.objects.create(email="me@example.org", name="Me")
    with pytest.raises(CommandError, match="There are accounts already"):
        call_command("load_demo", stdout=io.StringIO())
    assert list(tmp_path.iterdir()) == []
    assert not Ticket.objects.exists()


def test_its_paths_have_no_gaps_but_the_one_to_find(db: None) -> None:
    build_house(database_now())
    linted = lint_active(database_now())
    assert linted
    found = [doubt for one in linted for doubt in one.doubts]
    assert [doubt.code for doubt in found] == ["on_call_gap"]
    assert "“Network engineers”: nobody is on call on “Core network on call”" in found[0].message


def test_its_duties_have_exceptions_at_whatever_hour_it_is_loaded(db: None) -> None:
    begun = dt.datetime(2026, 10, 1, tzinfo=dt.UTC)
    build_house(begun)
    for hours in range(31 * 24, 34 * 24 * 2, 37):
        plan_exceptions(now=begun + dt.timedelta(hours=hours))
        assert OnCallOverride.objects.get().schedule.name == NETWORK
        assert TimeOff.objects.get().substitute is not None
        OnCallOverride.objects.all().delete()
        TimeOff.objects.all().delete()


def test_its_house_has_people_on_every_tier(db: None) -> None:
    house = build_house(database_now())
    assert {team.tier for team in house.teams.values()} == set(Tier.values)
    assert all(team.lead is not None and team.lead.is_active for team in house.teams.values())
    for rule in house.rules.values():
        assert [step.tier for step in rule.steps] == sorted(step.tier for step in rule.steps)
        assert all(house.at_step(rule, step.position) for step in rule.steps)
    assert all(entry.when_to_reach_out for entry in ContactListEntry.objects.all())
    assert {plan.name for plan in PATHS} == set(house.rules)


@pytest.mark.parametrize("story", [*STORIES, *WAVE])
def test_every_story_is_told_without_blanks(db: None, story: Any) -> None:
    house = build_house(database_now())
    case = make_case(house, RANDOM, story)
    texts = (story.body, story.first, story.ask, story.answer, story.note, story.tried, story.solution)
    for text in (case.subject, *map(case.words, texts), *case.handoff(RANDOM).values()):
        assert text
        assert "{" not in text


def test_going_back_in_open_time_is_the_reverse_of_counting() -> None:
    hours = parse({**SERVICE_HOURS, "holidays": ["2024-12-25"]})
    now = dt.datetime(2024, 12, 27, 9, 30, tzinfo=dt.UTC)
    for spent in (dt.timedelta(0), 5 * MIN, dt.timedelta(hours=30)):
        for calendar in (hours, ALWAYS):
            assert abs(elapsed(calendar, back(calendar, now, spent), now) - spent) <= dt.timedelta(seconds=1)


@pytest.fixture(scope="module")
def loaded(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """The demo in this worker's database, for the tests of this module that look at it."""
    from django.conf import settings
    from django.db import transaction

    with django_db_blocker.unblock():
        before, settings.BELAY_VAR = settings.BELAY_VAR, tmp_path_factory.mktemp("demo")
        try:
            with transaction.atomic():
                now = database_now()
                yield now, load_demo(now=now)
                transaction.set_rollback(True)
        finally:
            settings.BELAY_VAR = before
            connection.close()


Demo = tuple[dt.datetime, Loaded]


@pytest.mark.slow
def test_ninety_tickets_are_open_on_all_tiers_and_none_is_overdue(loaded: Demo) -> None:
    now, result = loaded
    tickets = Ticket.objects.open()
    assert 85 <= result.open == tickets.count() <= 95
    by_tier = Counter(tickets.values_list("tier", flat=True))
    assert by_tier[1] > by_tier[2] > by_tier[3] > by_tier[4] > 2
    statuses = Counter(tickets.values_list("status", flat=True))
    assert set(statuses) == {Status.NEW, Status.OPEN, Status.WAITING, Status.HOLD}
    assert tickets.unacknowledged().count() >= 5
    # Every open ticket has a running clock, and what is due lies ahead.
    clocks = Clock.objects.filter(fires_at__isnull=False)
    assert set(tickets.values_list("pk", flat=True)) <= set(clocks.values_list("ticket_id", flat=True))
    assert not clocks.filter(fires_at__lte=now).exists()
    assert not Standing.objects.filter(failures__gt=0).exists()
    left = [clock.due_at - now for clock in clocks.filter(kind=Clock.Kind.TIER_TIME) if clock.due_at]
    assert sum(one < dt.timedelta(hours=1) for one in left) >= 10
    assert sum(one > dt.timedelta(hours=4) for one in left) >= 10


@pytest.mark.slow
def test_thirty_days_lie_behind_it_in_the_logs_proportions(loaded: Demo) -> None:
    now, result = loaded
    everything = Ticket.objects.all()
    assert 350 <= everything.count() <= 650
    assert result.history + result.opened == everything.count()
    oldest = everything.order_by("opened_at").values_list("opened_at", flat=True)[0]
    assert dt.timedelta(days=28) < now - oldest <= dt.timedelta(days=31)
    done = everything.filter(historic=True)
    assert set(done.values_list("status", flat=True)) == {Status.CLOSED}
    climbed = set(
        Escalation.objects.filter(ticket__historic=True, kind="climb").values_list("ticket_id", flat=True)
    )
    # In the real log 31 % of the cases climbed by a row of theirs.
    assert 0.15 < len(climbed) / done.count() < 0.5
    assert Escalation.objects.filter(kind="fall").exists()
    assert EscalationRequest.objects.filter(state="open").exists()
    kinds = set(Entry.objects.values_list("kind", flat=True))
    assert {"reply", "note", "handoff"} <= kinds
    assert Entry.objects.values("body").distinct().count() > 200


@pytest.mark.slow
def test_no_flood_of_mail_awaits_the_first_start(loaded: Demo) -> None:
    pending = Notification.objects.filter(state=Notification.State.PENDING)
    assert pending.count() < 40
    assert Notification.objects.filter(state=Notification.State.SENT).count() > 100
    assert not Notification.objects.filter(state=Notification.State.SENT, deliveries__isnull=True).exists()


@pytest.mark.slow
def test_a_ticket_climbs_within_a_minute_and_again_and_again(loaded: Demo) -> None:
    now, _ = loaded
    before = Escalation.objects.filter(kind="climb").count()
    climbs = []
    for minute in range(1, 12):
        tick(now=now + minute * MIN)
        climbs.append(Escalation.objects.filter(kind="climb").count() - before)
    assert climbs[0] >= 1
    assert climbs[-1] >= WAVE_SIZE - 3
    assert sum(later > earlier for earlier, later in itertools.pairwise(climbs)) >= 9


@pytest.mark.slow
def test_one_of_every_role_can_sign_in(loaded: Demo) -> None:
    _, result = loaded
    text = result.sign_ins.read_text()
    assert stat.S_IMODE(result.sign_ins.stat().st_mode) == 0o600
    assert org.PASSWORD in text
    request = RequestFactory().post("/sign-in/")
    people = [person for person in (*org.STAFF, *org.REQUESTERS) if person.signs_in]
    assert {person.role for person in people} == set(Role.values)
    for person in people:
        assert person.email in text
        assert (
            authenticate(request, username=person.email, email=person.email, password=org.PASSWORD)
            is not None
        )


@pytest.mark.slow
def test_its_timelines_are_whole(loaded: Demo) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM tickets_ticket t WHERE t.event_seq <> "
            "(SELECT count(*) FROM tickets_event e WHERE e.ticket_id = t.id)"
        )
        assert cursor.fetchone() == (0,)
        # No event is earlier than the one before it, as it happened.
        cursor.execute(
            "SELECT count(*) FROM (SELECT coalesce(happened_at, at) - lag(coalesce(happened_at, at)) "
            "OVER (PARTITION BY ticket_id ORDER BY seq) AS gap FROM tickets_event) g WHERE gap < interval '0'"
        )
        assert cursor.fetchone() == (0,)
    assert Event.objects.filter(kind="escalation.told").exists()
    assert Contact.objects.filter(kind=Contact.Kind.ROOM).exists()
