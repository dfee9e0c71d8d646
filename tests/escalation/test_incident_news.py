"""What happens on a major incident reaches the tickets that are linked to it (DESIGN 3)."""

from collections.abc import Iterable

import pytest

from accounts.operations import create_user
from escalation import kinds
from escalation.engine import tick
from escalation.models import Clock, IncidentNews, Standing
from escalation.operations import (
    incidents,
)
from escalation.operations.incidents import follow_incidents
from escalation.operations.plan import Plan
from escalation.operations.state import State
from notifications.models import Notification
from notifications.rendering import render
from tests.escalation.incidents import link, major, open_for, state
from tests.escalation.looking import at_l2, due, fresh
from tests.house import MIN, House
from tickets.models import Event, Status
from tickets.operations import (
    add_reply,
    change_status,
    link_to_incident,
    merge_tickets,
    post_update,
    resolve_linked,
)


def test_the_incident_s_update_keeps_the_first_responses_at_the_instant_it_was_given(house: House) -> None:
    parent = major(house)
    children = [house.open() for _ in range(5)]
    answered = children[0]
    add_reply(ticket_id=answered.pk, body="On it.", actor=house.agent, now=house.now)
    for child in children:
        link(house, parent, child, house.now + MIN)
    unrelated, late = house.open(), house.open()

    post_update(ticket_id=parent.pk, body="We know.", actor=house.agent, now=house.now + 5 * MIN)
    link(house, parent, late, house.now + 6 * MIN)
    # The engine was away; the update counts from when it was given.
    tick(now=house.now + 25 * MIN)

    for child in children:
        kept = Clock.objects.get(ticket=child, kind="first_response")
        assert kept.state == "met"
    assert kept.stopped_at == house.now + 5 * MIN
    assert kept.used == 5 * MIN
    assert Event.objects.filter(ticket=children[-1], kind=kinds.INCIDENT_UPDATED).count() == 1
    assert Event.objects.get(ticket=answered, kind=kinds.INCIDENT_UPDATED).data["clock"] is None
    for other in (unrelated, late):
        assert Clock.objects.get(ticket=other, kind="first_response").state == "fired"


def test_an_update_reaches_every_requester_of_a_linked_ticket_once(house: House) -> None:
    parent = major(house)
    neighbour, colleague, twice = (
        create_user(email=f"{name}@example.org", name=name.title()) for name in ("nora", "cem", "ute")
    )
    asked = {user: open_for(user, house) for user in (neighbour, colleague, twice)}
    also, own = open_for(twice, house), house.open()
    done, duplicate = open_for(neighbour, house), open_for(colleague, house)
    link_to_incident(
        ticket_ids=[t.pk for t in (*asked.values(), also, own, done, duplicate)],
        incident_id=parent.pk,
        actor=house.agent,
        now=house.now + MIN,
    )
    change_status(ticket_id=done.pk, status=Status.RESOLVED, actor=house.agent, now=house.now + 2 * MIN)
    merge_tickets(
        loser_ids=[duplicate.pk],
        survivor_id=asked[colleague].pk,
        actor=house.lead,
        now=house.now + 3 * MIN,
    )

    post_update(ticket_id=parent.pk, body="A line is cut.", actor=house.agent, now=house.now + 4 * MIN)
    for batch in (2, 500):
        follow_incidents(now=house.now + 5 * MIN, batch=batch)
    tick(now=house.now + 5 * MIN)

    mails = Notification.objects.filter(kind=kinds.TELL_INCIDENT_UPDATE).order_by("pk")
    assert [(mail.ticket_id, mail.address, mail.state) for mail in mails] == [
        (asked[user].pk, user.email, "pending") for user in (neighbour, colleague, twice)
    ]
    # Whoever asked for the incident itself reads it as an update of theirs.
    assert Notification.objects.filter(kind="ticket.updated").count() == 1
    letter = render(mails[0])
    assert "A line is cut." in letter.text
    assert f"[#{asked[neighbour].pk}]" in letter.subject


def test_each_update_is_a_mail_of_its_own_and_the_first_one_keeps_the_promise(house: House) -> None:
    parent, user = major(house), create_user(email="nora@example.org", name="Nora")
    child, late = open_for(user, house), open_for(user, house)
    link(house, parent, child, house.now + MIN)
    for minute in (5, 10):
        post_update(ticket_id=parent.pk, body="We know.", actor=house.agent, now=house.now + minute * MIN)
    link(house, parent, late, house.now + 11 * MIN)

    tick(now=house.now + 12 * MIN)

    assert Notification.objects.filter(kind=kinds.TELL_INCIDENT_UPDATE, ticket=child).count() == 2
    told = Event.objects.filter(kind=kinds.INCIDENT_UPDATED).order_by("pk")
    assert [(event.ticket_id, event.data["clock"]) for event in told] == [
        (child.pk, "first_response"),
        (child.pk, None),
    ]


def test_what_is_said_when_the_incident_is_over_reaches_them_too(house: House) -> None:
    parent, user = major(house), create_user(email="nora@example.org", name="Nora")
    child = open_for(user, house)
    link(house, parent, child, house.now + MIN)
    change_status(ticket_id=parent.pk, status=Status.RESOLVED, actor=house.agent, now=house.now + 5 * MIN)
    post_update(ticket_id=parent.pk, body="It is mended.", actor=house.agent, now=house.now + 6 * MIN)

    tick(now=house.now + 7 * MIN)

    assert Notification.objects.filter(kind=kinds.TELL_INCIDENT_UPDATE, ticket=child).count() == 1
    assert Clock.objects.get(ticket=child, kind="first_response").stopped_at == house.now + 6 * MIN


def test_news_is_carried_on_in_batches_and_once(house: House) -> None:
    parent = major(house)
    children = [house.open() for _ in range(5)]
    for child in children:
        link(house, parent, child, house.now + MIN)
    post_update(ticket_id=parent.pk, body="We know.", actor=house.agent, now=house.now + 5 * MIN)

    assert follow_incidents(now=house.now + 6 * MIN, batch=2) == 5
    assert follow_incidents(now=house.now + 6 * MIN, batch=2) == 0

    assert Clock.objects.filter(ticket__in=children, kind="first_response", state="met").count() == 5
    assert not IncidentNews.objects.filter(done_at__isnull=True).exists()


def test_a_ticket_whose_processing_fails_holds_no_other_up(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = major(house)
    children = [house.open() for _ in range(5)]
    for child in children:
        link(house, parent, child, house.now + MIN)
    post_update(ticket_id=parent.pk, body="We know.", actor=house.agent, now=house.now + 5 * MIN)
    keep = incidents._keep_first_responses

    def failing(plan: Plan, states: Iterable[State], news: IncidentNews) -> None:
        held = list(states)
        if any(state.ticket.pk == children[2].pk for state in held):
            raise ZeroDivisionError("a bug")
        keep(plan, held, news)

    with monkeypatch.context() as patched:
        patched.setattr(incidents, "_keep_first_responses", failing)
        tick(now=house.now + 6 * MIN)
        assert follow_incidents(now=house.now + 6 * MIN) == 0
    met = Clock.objects.filter(ticket__in=children, kind="first_response", state="met")
    assert met.count() == 4

    tick(now=house.now + 7 * MIN)

    assert met.count() == 5


def test_when_the_incident_is_over_its_tickets_run_on_until_somebody_resolves_them(house: House) -> None:
    parent, child = major(house), at_l2(house)
    link(house, parent, child, house.now + 32 * MIN)
    change_status(ticket_id=parent.pk, status=Status.RESOLVED, actor=house.agent, now=house.now + 60 * MIN)

    tick(now=house.now + 60 * MIN)

    assert due(child, "tier_time") == house.now + 88 * MIN
    assert fresh(child).incident == parent
    resolve_linked(incident_id=parent.pk, actor=house.agent, now=house.now + 61 * MIN)
    assert fresh(child).status == Status.RESOLVED


def test_when_the_incident_is_back_its_tickets_stand_still_again(house: House) -> None:
    parent, child = major(house), at_l2(house)
    link(house, parent, child, house.now + 32 * MIN)
    change_status(ticket_id=parent.pk, status=Status.RESOLVED, actor=house.agent, now=house.now + 60 * MIN)
    tick(now=house.now + 60 * MIN)
    change_status(ticket_id=parent.pk, status=Status.OPEN, actor=house.agent, now=house.now + 62 * MIN)

    tick(now=house.now + 62 * MIN)

    assert state(child, "tier_time") == "paused"
    standing = Standing.objects.get(ticket=child)
    assert standing.suspended_at is not None


def test_an_incident_that_came_back_before_the_engine_looked_never_let_go(house: House) -> None:
    parent, child = major(house), at_l2(house)
    link(house, parent, child, house.now + 32 * MIN)
    for status in (Status.RESOLVED, Status.OPEN):
        change_status(ticket_id=parent.pk, status=status, actor=house.agent, now=house.now + 60 * MIN)

    tick(now=house.now + 61 * MIN)

    assert state(child, "tier_time") == "paused"
    assert not Event.objects.filter(ticket=child, kind=kinds.RESUMED).exists()
    assert not IncidentNews.objects.filter(done_at__isnull=True).exists()
