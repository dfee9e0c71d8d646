"""Who hears of what on the live stream."""

import itertools
from datetime import UTC, datetime

import pytest

from accounts.models import Organisation, Role, Team
from accounts.operations import create_user
from accounts.rules import NOBODY, Reach, Scope
from escalation import kinds as ladder
from tickets import kinds
from tickets.cursor import Passed
from tickets.models import Ticket
from web.live.lines import MOST_PENDING, Line
from web.live.topics import Happening, Hearer, Keys, happening, read_topics, sees, topics_for

AGENT = Hearer(1, Scope(1, Reach.ALL), reads_notes=True, watches_board=True)
REQUESTER = Hearer(7, Scope(7, Reach.OWN), reads_notes=False, watches_board=False)
NARROW = Hearer(2, Scope(2, Reach.TEAMS, team_ids=frozenset({5})), reads_notes=True, watches_board=True)


def event(
    kind: str, *, ticket: int = 12, team: int | None = 4, data: dict | None = None, actor: int = 99
) -> Happening:
    row = Passed(
        id=1,
        ticket_id=ticket,
        seq=3,
        kind=kind,
        actor_id=actor,
        at=datetime(2026, 11, 22, tzinfo=UTC),
        historic=False,
        data=data or {},
        requester_id=7,
        organisation_id=3,
        team_id=team,
        assignee_id=None,
    )
    return happening(row)


def test_an_agent_hears_of_the_ticket_the_lists_and_the_board() -> None:
    assert topics_for(AGENT, event(kinds.NOTED)) == ("ticket-12", "queue", "board")


def test_what_waits_for_a_person_rings_the_bell() -> None:
    assert "bell" in topics_for(AGENT, event(ladder.ESCALATED))
    assert "bell" in topics_for(AGENT, event(ladder.ACKNOWLEDGED))


@pytest.mark.parametrize(
    "kind", [kinds.NOTED, kinds.HANDED_OFF, kinds.TAGGED, ladder.TOLD, ladder.ACKNOWLEDGED, ladder.WARNED]
)
def test_a_requester_hears_nothing_of_what_goes_on_inside(kind: str) -> None:
    assert topics_for(REQUESTER, event(kind)) == ()


@pytest.mark.parametrize(
    "kind",
    [
        kinds.REPLIED,
        kinds.UPDATED,
        kinds.STATUS_CHANGED,
        kinds.ASSIGNED,
        ladder.ESCALATED,
        ladder.REQUEST_ANSWERED,
    ],
)
def test_a_requester_hears_of_public_events_on_their_own_ticket(kind: str) -> None:
    assert topics_for(REQUESTER, event(kind)) == ("ticket-12", "queue", "bell")


def test_a_requester_hears_nothing_of_other_peoples_tickets() -> None:
    other = Hearer(8, Scope(8, Reach.OWN), reads_notes=False, watches_board=False)
    assert topics_for(other, event(kinds.REPLIED)) == ()


def test_a_narrowed_agent_hears_of_own_teams_only() -> None:
    assert topics_for(NARROW, event(kinds.NOTED, team=4)) == ()
    assert topics_for(NARROW, event(kinds.NOTED, team=5)) != ()


def test_the_team_that_loses_a_ticket_hears_of_it() -> None:
    moved = event(kinds.TEAM_CHANGED, team=4, data={"from": 5, "to": 4})
    assert "queue" in topics_for(NARROW, moved)


def test_nobody_hears_nothing() -> None:
    assert topics_for(Hearer(1, NOBODY, reads_notes=True, watches_board=True), event(kinds.NOTED)) == ()


def test_only_known_topics_are_listened_to() -> None:
    names = ["board", "ticket-12", "ticket-x", "ticket-", "secrets", "", "queue\nevent: x"]
    assert read_topics(names) == {"board", "ticket-12"}


def test_many_events_of_one_topic_are_one_message() -> None:
    line = Line(AGENT, frozenset({"board"}))
    line.offer([event(kinds.NOTED), event(kinds.REPLIED), event(kinds.NOTED, ticket=13)])
    assert line.take() == b'event: board\ndata: {"kinds":["noted","replied"]}\n\n'
    assert line.take() == b""


def test_a_browser_that_is_too_far_behind_looks_at_everything_again() -> None:
    line = Line(AGENT)
    line.offer(event(kinds.NOTED, ticket=number) for number in range(MOST_PENDING + 1))
    line.offer([event(kinds.NOTED)])
    assert line.take() == b"event: resync\ndata: {}\n\n"
    assert line.take() == b""


@pytest.mark.django_db
def test_the_stream_and_the_pages_agree_on_who_sees_a_ticket() -> None:
    users = [create_user(email=f"u{n}@example.org", name=f"U{n}", role=Role.AGENT) for n in range(3)]
    teams = [Team.objects.create(name=f"T{n}", tier=1) for n in range(2)]
    houses = [Organisation.objects.create(name=f"O{n}") for n in range(2)]
    for requester, assignee, team, house in itertools.product(
        users[:2], [None, users[2]], [None, *teams], [None, *houses]
    ):
        Ticket.objects.create(
            subject="Any",
            requester=requester,
            assignee=assignee,
            team=team,
            organisation=house,
            severity=3,
            opened_at="2026-11-22T00:00Z",
        )
    tickets = list(Ticket.objects.all())
    assert len(tickets) == 36
    me = users[0].pk
    for user_id in (me, users[2].pk):
        scopes = [
            Scope(user_id, Reach.ALL),
            Scope(user_id, Reach.TEAMS, team_ids=frozenset({teams[0].pk})),
            Scope(user_id, Reach.TEAMS),
            Scope(user_id, Reach.ORGANISATIONS, organisation_ids=frozenset({houses[1].pk})),
            Scope(user_id, Reach.OWN),
            Scope(user_id, Reach.NOTHING),
            NOBODY,
        ]
        for scope in scopes:
            paged = set(Ticket.objects.within(scope).values_list("pk", flat=True))
            heard = {
                t.pk
                for t in tickets
                if sees(scope, Keys(t.requester_id, t.organisation_id, t.team_id, t.assignee_id))
            }
            assert heard == paged, scope
