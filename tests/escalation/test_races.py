"""Two real connections at a time: every decision is made once (DESIGN 3, exactly once)."""

import datetime as dt
import threading

import pytest
from django.db import connection, transaction

from accounts.operations import create_user
from escalation import engine, kinds
from escalation.engine import tick
from escalation.models import Clock, Escalation, HandoffQuestion
from escalation.operations import (
    AlreadyAcknowledged,
    Moved,
    acknowledge,
    answer_question,
    escalate,
    send_back,
)
from escalation.operations.incidents import follow_incidents
from notifications.models import Notification
from tests.helpers import race
from tests.house import MIN, House, build_house
from tickets.models import Event, Ticket
from tickets.operations import (
    Draft,
    add_note,
    add_reply,
    change_status,
    declare_major,
    link_to_incident,
    merge_tickets,
    open_ticket,
    post_update,
)
from tickets.verification import verify

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def house(transactional_db: None) -> House:
    return build_house()


def told_twice() -> int:
    rows = Notification.objects.filter(round__isnull=False).values_list("ticket", "seq", "round", "contact")
    return len(rows) - len(set(rows))


def test_two_ticks_at_once_decide_everything_once(house: House) -> None:
    tickets = [house.open() for _ in range(40)]
    at = house.now + 30 * MIN

    race(lambda: tick(now=at), lambda: tick(now=at), lambda: tick(now=at))
    tick(now=at + dt.timedelta(seconds=1))

    for ticket in tickets:
        assert list(
            Escalation.objects.filter(ticket=ticket).values_list("seq", flat=True).order_by("seq")
        ) == [0, 1]
    assert Ticket.objects.filter(tier=2).count() == 40
    assert told_twice() == 0
    assert list(verify()) == []


def test_what_another_engine_has_decided_just_before_counts_for_that_one_only(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim sees the clocks as they were when it began, and may get the lock just after the other has committed."""
    for _ in range(3):
        house.open()
    at = house.now + 30 * MIN
    seen: list[engine._Claimed | None] = []
    claim = engine._claim

    def remember(until: dt.datetime, after: engine.Position, only: None) -> engine._Claimed | None:
        seen.append(claim(until, after, only))
        return seen[-1]

    monkeypatch.setattr(engine, "_claim", remember)
    first = tick(now=at)
    late = iter(seen)
    monkeypatch.setattr(engine, "_claim", lambda *_: next(late))

    second = tick(now=at)

    assert (first.tickets, len(first.lateness)) == (3, 3)
    assert (second.tickets, second.lateness, second.set_aside) == (0, [], 0)
    assert Escalation.objects.filter(seq=1).count() == 3


def test_two_people_who_escalate_at_once_climb_one_step(house: House) -> None:
    ticket = house.open()

    def climb(user: object) -> Escalation:
        return escalate(ticket_id=ticket.pk, seen_seq=0, actor=user, now=house.now, reason="Now.")  # type: ignore[arg-type]

    outcomes = race(lambda: climb(house.agent), lambda: climb(house.outsider))

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Escalation", "Moved"]
    ticket.refresh_from_db()
    assert ticket.tier == 2


def test_two_people_who_acknowledge_at_once_are_told_apart(house: House) -> None:
    ticket = house.open()
    tick(now=house.now + 30 * MIN)

    outcomes = race(
        *(
            lambda user=user: acknowledge(
                ticket_id=ticket.pk, seen_seq=1, actor=user, now=house.now + 31 * MIN
            )
            for user in (house.second, house.lead)
        )
    )

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["AlreadyAcknowledged", "Escalation"]


def test_acknowledging_while_the_engine_claims_ends_in_one_of_two_whole_outcomes(house: House) -> None:
    for number in range(25):
        opened = house.now + number * 1000 * MIN
        ticket = house.open(at=opened)
        tick(now=opened + 30 * MIN)
        due = opened + 40 * MIN

        acknowledged, _ = race(
            lambda due=due, ticket=ticket: acknowledge(
                ticket_id=ticket.pk, seen_seq=1, actor=house.second, now=due
            ),
            lambda due=due: tick(now=due),
        )

        ticket.refresh_from_db()
        told_above = Notification.objects.filter(ticket=ticket, seq=2, round__isnull=False).count()
        if isinstance(acknowledged, Escalation):
            assert (ticket.tier, told_above) == (2, 0)
        else:
            assert isinstance(acknowledged, Moved | AlreadyAcknowledged)
            assert (ticket.tier, told_above) == (3, 2)
        Clock.objects.filter(ticket=ticket).update(state="cancelled", fires_at=None)


def test_a_ticket_that_somebody_holds_is_left_to_the_next_tick(house: House) -> None:
    held, free = house.open(), house.open()
    at = house.now + 30 * MIN
    holding, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Ticket.objects.select_for_update().get(pk=held.pk)
            holding.set()
            done.wait(10)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert holding.wait(10)
    tick(now=at)
    held.refresh_from_db()
    free.refresh_from_db()
    assert (held.tier, free.tier) == (1, 2)
    done.set()
    holder.join()

    tick(now=at)

    held.refresh_from_db()
    assert held.tier == 2


def test_many_notes_at_once_make_one_whole_chain(house: House) -> None:
    ticket = house.open()

    race(
        *(
            lambda n=n: add_note(ticket_id=ticket.pk, body=f"Note {n}", actor=house.outsider, now=house.now)
            for n in range(8)
        )
    )

    assert ticket.entries.filter(kind="note").count() == 8
    assert list(verify()) == []


def test_two_questions_at_once_ask_once(house: House) -> None:
    ticket = house.open()
    escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.agent, now=house.now, reason="Rights.")

    outcomes = race(
        *(
            lambda user=user: send_back(
                ticket_id=ticket.pk, seen_seq=1, actor=user, now=house.now, question="Which?"
            )
            for user in (house.second, house.lead)
        )
    )

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict", "HandoffQuestion"]
    assert Clock.objects.filter(ticket=ticket, kind="question").count() == 1


def test_an_answer_that_meets_the_engine_ends_in_one_of_two_whole_outcomes(house: House) -> None:
    ticket = house.open()
    escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.agent, now=house.now, reason="Rights.")
    acknowledge(ticket_id=ticket.pk, seen_seq=1, actor=house.second, now=house.now)
    send_back(ticket_id=ticket.pk, seen_seq=1, actor=house.second, now=house.now, question="Which?")
    due = house.now + 10 * MIN

    answered, _ = race(
        lambda: answer_question(ticket_id=ticket.pk, seen_seq=1, actor=house.agent, now=due, text="112"),
        lambda: tick(now=due),
    )

    assert isinstance(answered, HandoffQuestion)
    assert HandoffQuestion.objects.get(ticket=ticket).state == "answered"
    assert not Clock.objects.filter(ticket=ticket, kind="question", state="running").exists()
    assert list(verify()) == []


def test_two_mergers_of_the_same_pair_at_once_leave_one_survivor(house: House) -> None:
    for number in range(5):
        at = house.now + number * MIN
        one, other = house.open(at=at), house.open(at=at)

        def merged(loser: Ticket, survivor: Ticket, at: dt.datetime = at) -> object:
            return merge_tickets(loser_ids=[loser.pk], survivor_id=survivor.pk, actor=house.agent, now=at)

        outcomes = race(
            lambda one=one, other=other: merged(one, other), lambda one=one, other=other: merged(other, one)
        )

        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict", "list"]
        open_ones = [t for t in Ticket.objects.filter(pk__in=(one.pk, other.pk)) if t.is_open]
        assert len(open_ones) == 1
        assert Clock.objects.filter(ticket=open_ones[0], kind="resolution", state="running").count() == 1


def test_a_reply_that_meets_a_merger_is_lost_nowhere(house: House) -> None:
    for number in range(5):
        at = house.now + number * MIN
        loser, survivor = house.open(at=at), house.open(at=at)

        said, _ = race(
            lambda loser=loser, at=at: add_reply(
                ticket_id=loser.pk, body="Still down.", actor=house.requester, now=at
            ),
            lambda loser=loser, survivor=survivor, at=at: merge_tickets(
                loser_ids=[loser.pk], survivor_id=survivor.pk, actor=house.agent, now=at
            ),
        )

        assert said.ticket_id in (loser.pk, survivor.pk)
    assert list(verify()) == []


def test_linking_while_the_engine_claims_ends_in_one_of_two_whole_outcomes(house: House) -> None:
    parent = house.open()
    declare_major(ticket_id=parent.pk, actor=house.agent, now=house.now)
    for number in range(10):
        opened = house.now + number * 1000 * MIN
        child = house.open(at=opened)
        due = opened + 30 * MIN

        race(
            lambda child=child, due=due: link_to_incident(
                ticket_ids=[child.pk], incident_id=parent.pk, actor=house.agent, now=due
            ),
            lambda due=due, child=child: tick(now=due, only=[child.pk]),
        )

        child.refresh_from_db()
        live = dict(
            Clock.objects.filter(ticket=child, state__in=("running", "paused")).values_list("kind", "state")
        )
        assert live["tier_time"] == "paused"
        assert live.get("acknowledge", "paused") == "paused"
        assert child.tier_due_at is None
        told = Notification.objects.filter(ticket=child, round__isnull=False)
        assert {row.state for row in told} <= {"withdrawn"}
        assert told.exists() == (child.tier == 2)


def test_engines_at_once_mail_an_update_once_to_whoever_has_many_linked_tickets(house: House) -> None:
    parent = house.open()
    declare_major(ticket_id=parent.pk, actor=house.agent, now=house.now)
    user = create_user(email="nora@example.org", name="Nora")
    draft = Draft(requester=user, subject="No VPN", body="It is gone.")
    children = [open_ticket(draft=draft, actor=None, now=house.now) for _ in range(6)]
    link_to_incident(
        ticket_ids=[child.pk for child in children], incident_id=parent.pk, actor=house.agent, now=house.now
    )
    post_update(ticket_id=parent.pk, body="We know.", actor=house.agent, now=house.now + MIN)

    race(*[lambda: follow_incidents(now=house.now + 2 * MIN, batch=1)] * 4)

    assert Notification.objects.filter(kind=kinds.TELL_INCIDENT_UPDATE).count() == 1
    assert Event.objects.filter(kind=kinds.INCIDENT_UPDATED).count() == len(children)


def test_two_ticks_at_once_carry_news_to_each_ticket_once(house: House) -> None:
    parent = house.open()
    declare_major(ticket_id=parent.pk, actor=house.agent, now=house.now)
    children = [house.open() for _ in range(20)]
    link_to_incident(
        ticket_ids=[c.pk for c in children], incident_id=parent.pk, actor=house.agent, now=house.now
    )
    post_update(ticket_id=parent.pk, body="We know.", actor=house.agent, now=house.now + MIN)
    at = house.now + 2 * MIN

    race(*(lambda: follow_incidents(now=at, batch=3) for _ in range(3)))
    follow_incidents(now=at)

    met = Clock.objects.filter(ticket__in=children, kind="first_response", state="met")
    assert met.count() == 20
    events = Event.objects.filter(kind="escalation.incident_updated").values_list("ticket_id", flat=True)
    assert sorted(events) == sorted(child.pk for child in children)
    assert list(verify()) == []


def test_a_ticket_linked_while_its_incident_is_resolved_never_stands_still_for_ever(house: House) -> None:
    for number in range(5):
        at = house.now + number * MIN
        parent, child = house.open(at=at), house.open(at=at)
        declare_major(ticket_id=parent.pk, actor=house.agent, now=at)

        race(
            lambda parent=parent, child=child, at=at: link_to_incident(
                ticket_ids=[child.pk], incident_id=parent.pk, actor=house.agent, now=at
            ),
            lambda parent=parent, at=at: change_status(
                ticket_id=parent.pk, status="resolved", actor=house.agent, now=at
            ),
        )
        follow_incidents(now=at + MIN)

        assert Clock.objects.get(ticket=child, kind="tier_time").state == "running"
