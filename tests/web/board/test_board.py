"""The board through the test client: who may look, what it shows, and at what price."""

import datetime as dt
import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Role, User
from accounts.operations import create_user
from core.db import database_now
from escalation.models import Clock, EscalationPath, PathDoubt, Standing
from escalation.operations import record_doubts
from notifications.models import ContactMethod
from tests.web.board.world import HOUR, MINUTE, House
from tickets.models import Service, Ticket
from tickets.operations import add_reply, change_status
from web.board.statements import counts_of

pytestmark = pytest.mark.django_db
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


@pytest.fixture
def house(standing_board_house: House) -> House:
    return standing_board_house


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend=BACKEND)
    return client


def lane_of(page: str, ticket: Ticket) -> str:
    """Return the tier of the lane in which a ticket's chip stands, "" if it isn't drawn."""
    found = re.search(rf'id="c{ticket.pk}"[^>]* data-tier="(\d)"', page)
    return found.group(1) if found else ""


def look(user: User, query: str = "") -> str:
    reply = signed_in(user).get(f"/board/{query}")
    assert reply.status_code == 200
    return reply.content.decode()


# --- who may look ----------------------------------------------------------------------------------------------------


def test_nobody_sees_the_board_without_signing_in() -> None:
    reply = Client().get("/board/")
    assert reply.status_code == 302
    assert reply["Location"].startswith("/sign-in/")


@pytest.mark.parametrize("path", ["/board/", "/board/part/", "/board/?view=wall", "/board/card/1/"])
def test_a_requester_may_not_watch_the_board(house: House, path: str) -> None:
    assert signed_in(house.requester).get(path).status_code == 403


def test_an_agent_narrowed_to_their_teams_sees_no_other_chip_count_or_card(house: House) -> None:
    theirs = house.open("Desk matter")
    other = house.climb(house.open("Network matter"), 2, taken=False)
    User.objects.filter(pk=house.agent.pk).update(only_own_teams=True)
    agent = User.objects.get(pk=house.agent.pk)

    page = look(agent)

    assert lane_of(page, theirs) == "1"
    assert "Network matter" not in page
    assert "<b>1</b>open" in page
    assert "<b>0</b>unacknowledged" in page
    client = signed_in(agent)
    assert client.get(f"/board/card/{theirs.pk}/").status_code == 200
    assert client.get(f"/board/card/{other.pk}/").status_code == 404
    assert client.post(f"/board/take/{other.pk}/", {"seq": 1}).status_code == 404


# --- what it shows ---------------------------------------------------------------------------------------------------


def test_each_open_ticket_stands_in_the_lane_of_its_tier(house: House) -> None:
    tickets = {1: house.open("At the desk")}
    for position in (2, 3, 4):
        tickets[position] = house.climb(house.open(f"Climbed to {position}"), position)

    page = look(house.agent)

    assert {tier: lane_of(page, ticket) for tier, ticket in tickets.items()} == {
        1: "1",
        2: "2",
        3: "3",
        4: "4",
    }
    assert "<b>4</b>open" in page


def test_a_subject_is_text_whatever_it_says(house: House) -> None:
    house.climb(house.open('<script>alert("x")</script> & <b>bold'), 2, taken=False)
    for query in ("", "?view=table", "?view=wall"):
        page = look(house.agent, query)
        assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; &lt;b&gt;bold" in page
        assert "<script>alert" not in page


def test_less_time_left_stands_further_to_the_right(house: House) -> None:
    lefts = [5 * MINUTE, 30 * MINUTE, 2 * HOUR, 7 * HOUR]
    tickets = [house.open(f"With {left}", left=left) for left in lefts]

    page = look(house.agent)

    places = []
    for ticket in tickets:
        tens, units = re.search(
            rf'class="chip [^"]* t(\d+) u(\d) r\d+[^"]*" id="c{ticket.pk}"', page
        ).groups()
        places.append(10 * int(tens) + int(units))
    assert places == sorted(places, reverse=True)
    assert places[0] > 85
    assert places[-1] < 5


def test_a_resolved_ticket_is_gone(house: House) -> None:
    ticket = house.open("Solved")
    change_status(ticket_id=ticket.pk, status="resolved", actor=house.agent, now=database_now())
    page = look(house.agent)
    assert lane_of(page, ticket) == ""
    assert "Nobody hangs on the rope" in page


def test_far_and_waiting_tickets_are_counted_in_the_rest_column(house: House) -> None:
    house.open("Soon")
    house.open("Far", left=10 * HOUR)
    waiting = house.open("Waits", left=2 * HOUR)
    add_reply(
        ticket_id=waiting.pk, body="Which one?", actor=house.agent, now=database_now(), then_status="waiting"
    )

    page = look(house.agent)

    assert lane_of(page, waiting) == ""
    assert "+2" in page
    assert "1 8 to 24 h; 1 waiting, or no deadline" in page
    assert "<small>3 open</small>" in page


def test_an_escalation_nobody_took_needs_a_person_and_can_be_taken_with_the_seq_seen(house: House) -> None:
    ticket = house.climb(house.open("Wi-Fi down"), 2, taken=False, left=12 * HOUR)
    seq = Standing.objects.get(ticket=ticket).seq

    page = look(house.people["aisha"])
    assert "<b>1</b>unacknowledged" in page
    # Both contacts of the step's list were told; it climbs when its acknowledge time is over, hence it is drawn.
    assert "told 2" in page
    assert lane_of(page, ticket) == "2"
    assert f'name="seq" value="{seq}"' in page

    client = signed_in(house.people["aisha"])
    reply = client.post(f"/board/take/{ticket.pk}/", {"seq": seq, "back": "team=3&view=table"})
    assert reply["Location"] == "/board/?team=3&view=table"
    ticket.refresh_from_db()
    assert ticket.unacknowledged_since is None
    assert ticket.assignee == house.people["aisha"]
    assert "<b>0</b>unacknowledged" in look(house.people["aisha"])


def test_who_may_not_take_it_gets_no_button_and_a_refusal(house: House) -> None:
    ticket = house.climb(house.open("Wi-Fi down"), 2, taken=False, left=12 * HOUR)
    assert f"take-{ticket.pk}" not in look(house.people["tomas"])
    reply = signed_in(house.people["tomas"]).post(
        f"/board/take/{ticket.pk}/", {"seq": 1}, headers={"X-Belay-Fetch": "1"}
    )
    assert reply.status_code == 403
    ticket.refresh_from_db()
    assert ticket.unacknowledged_since is not None


def test_taking_what_has_moved_on_changes_nothing_and_says_where_it_is(house: House) -> None:
    ticket = house.climb(house.open("Wi-Fi down"), 2, taken=False, left=12 * HOUR)
    reply = signed_in(house.lead).post(
        f"/board/take/{ticket.pk}/", {"seq": 0}, headers={"X-Belay-Fetch": "1"}
    )
    assert reply.status_code == 409
    assert "is at Network" in reply.content.decode()
    ticket.refresh_from_db()
    assert ticket.unacknowledged_since is not None


@pytest.mark.parametrize("seq", ["", "x", "-1", "9" * 30, "²"])
def test_a_seq_that_is_none_is_refused_in_words(house: House, seq: str) -> None:
    ticket = house.climb(house.open("Wi-Fi down"), 2, taken=False)
    reply = signed_in(house.lead).post(
        f"/board/take/{ticket.pk}/", {"seq": seq}, headers={"X-Belay-Fetch": "1"}
    )
    assert reply.status_code == 400
    assert "Reload the board" in reply.content.decode()


def test_the_way_back_never_leads_elsewhere(house: House) -> None:
    ticket = house.climb(house.open("Wi-Fi down"), 2, taken=False)
    back = "https://evil.example/?view=table"
    reply = signed_in(house.lead).post(f"/board/take/{ticket.pk}/", {"seq": 1, "back": back})
    assert reply["Location"] == "/board/"


def test_a_ticket_set_aside_and_an_update_overdue_are_named(house: House) -> None:
    aside, overdue = house.open("Broken inside"), house.open("Silent")
    Ticket.objects.filter(pk=aside.pk).update(set_aside_at=database_now() - 3 * MINUTE)
    change_status(ticket_id=overdue.pk, status="open", actor=house.agent, now=database_now())
    clocks = Clock.objects.filter(ticket=overdue, kind=Clock.Kind.STAKEHOLDER_UPDATE)
    assert clocks.update(round=2) == 1

    page = look(house.agent)

    assert "<b>1</b>set aside" in page
    assert "set aside since 3 min" in page
    assert "<b>1</b>update overdue" in page
    assert "update overdue, 2 times" in page


def test_the_first_two_of_each_list_and_the_load_of_each_team_are_shown(house: House) -> None:
    for number in range(3):
        house.climb(house.open(f"Matter {number}"), 2)
    page = look(house.agent)
    assert "L2, then Jonas Berg" in page
    assert "Ilse de Wit" in page
    assert ">3 of 12<" in page


def test_the_card_tells_clocks_and_the_last_handoff(house: House) -> None:
    ticket = house.climb(house.open("VPN drops"), 3)
    page = signed_in(house.agent).get(f"/board/card/{ticket.pk}/").content.decode()
    assert "Time at this tier" in page
    assert "Look at the core" in page


# --- filters and views -----------------------------------------------------------------------------------------------


def test_team_service_and_severity_narrow_chips_and_counts(house: House) -> None:
    service = Service.objects.create(name=f"VPN {house.mark}", team=house.teams["desk"])
    wanted = house.open("Wanted", severity=2, service=service)
    house.open("Other severity", severity=4, service=service)
    house.open("Other service", severity=2)
    house.climb(house.open("Other team", severity=2, service=service), 2)

    team = house.teams["desk"].pk
    page = look(house.agent, f"?team={team}&service={service.pk}&severity=2")

    assert lane_of(page, wanted) == "1"
    assert "<b>1</b>open" in page
    assert not re.search(r"Other (severity|service|team)", page)
    # The other ways of looking keep the filter.
    assert f"?team={team}&amp;service={service.pk}&amp;severity=2&amp;view=table" in page


@pytest.mark.parametrize(
    "query", ["?team=x&severity=9&view=nonsense", "?team=99999999999999999999", "?service=-1"]
)
def test_nonsense_in_the_address_is_left_out(house: House, query: str) -> None:
    ticket = house.open("Still there")
    assert lane_of(look(house.agent, query), ticket) == "1"


def test_nothing_that_matches_offers_everything(house: House) -> None:
    house.open("A low one", severity=4)
    page = look(house.agent, "?severity=1")
    assert "Nothing matches" in page
    assert 'href="/board/">Show everything' in page


def test_the_table_lists_what_climbs_first_on_top(house: House) -> None:
    later, sooner = house.open("Later", left=3 * HOUR), house.open("Sooner", left=10 * MINUTE)
    page = look(house.agent, "?view=table")
    assert page.index(f'id="r{sooner.pk}"') < page.index(f'id="r{later.pk}"')
    assert 'class="lanes"' not in page


def test_the_wall_has_no_chrome(house: House) -> None:
    ticket = house.open("On the wall")
    page = look(house.agent, "?view=wall")
    assert lane_of(page, ticket) == "1"
    assert "<header" not in page


# --- doubts about the paths ------------------------------------------------------------------------------------------


def doubtful(house: House) -> None:
    """Leave nobody who can be told at L3, and one contact less at L2."""
    for person in ("tomas", "li", "jonas"):
        ContactMethod.objects.filter(contact__user=house.people[person]).update(is_active=False)
    ContactMethod.objects.update(proven_at=database_now())
    ContactMethod.objects.create(
        contact=house.people["lead"].contact, address="mara@example.net", position=2, proven_at=database_now()
    )
    record_doubts(now=database_now())


def test_leads_and_admins_see_how_many_doubts_there_are_about_the_paths(house: House) -> None:
    doubtful(house)
    admin = create_user(email="ada@example.org", name="Ada", role=Role.ADMIN)
    for user in (house.lead, admin):
        page = " ".join(look(user).split())
        assert (
            '<a class="doubtful" href="/board/doubts/"><b>3</b>doubts about the paths in force, 1 grave</a>'
            in page
        )
    assert "doubtful" not in look(house.agent)
    assert "doubtful" not in look(house.lead, "?view=wall")


def test_a_house_without_doubts_says_nothing_about_them(house: House) -> None:
    PathDoubt.objects.all().delete()
    assert "doubtful" not in look(house.lead)
    page = signed_in(house.lead).get("/board/doubts/").content.decode()
    assert "Nothing to doubt" in page


def test_the_list_of_doubts_leads_admins_to_the_path_and_tells_leads_who_mends(house: House) -> None:
    doubtful(house)
    admin = create_user(email="ada@example.org", name="Ada", role=Role.ADMIN)
    address = f"/admin/escalation/escalationpath/{EscalationPath.objects.get().pk}/change/"
    page = signed_in(admin).get("/board/doubts/").content.decode()
    assert address in page
    assert "An admin can mend them" not in page
    page = signed_in(house.lead).get("/board/doubts/").content.decode()
    assert "Step 3 “Core systems” reaches nobody" in page
    assert "Somebody may be left without help." in page
    assert address not in page
    assert "An admin can mend them" in page


def test_only_those_who_lead_may_read_the_doubts(house: House) -> None:
    assert signed_in(house.agent).get("/board/doubts/").status_code == 403
    assert signed_in(house.requester).get("/board/doubts/").status_code == 403


# --- the price -------------------------------------------------------------------------------------------------------


def queries_of(client: Client, path: str) -> int:
    client.get(path)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert client.get(path).status_code == 200
    return len(queries)


def many(house: House, number: int) -> None:
    """Have so many tickets at all tiers, some taken and some not, as rows: a path for each would take minutes."""
    now = database_now()
    Ticket.objects.bulk_create(
        Ticket(
            subject=f"Matter {place}",
            requester=house.requester,
            severity=1 + place % 4,
            tier=1 + place % 4,
            team=house.teams["desk"],
            status="open",
            opened_at=now,
            tier_due_at=now + (place % 900) * MINUTE if place % 7 else None,
            unacknowledged_since=now - MINUTE if place % 5 == 0 else None,
        )
        for place in range(number)
    )


@pytest.mark.parametrize("view", ["ladder", "table", "wall"])
def test_the_board_costs_at_most_ten_queries_and_no_more_for_more_tickets(house: House, view: str) -> None:
    client = signed_in(house.agent)
    many(house, 10)
    few = queries_of(client, f"/board/?view={view}")
    many(house, 300)
    assert queries_of(client, f"/board/?view={view}") == few
    assert few <= 10


def test_refreshing_costs_fewer_queries_than_the_page(house: House) -> None:
    many(house, 300)
    assert queries_of(signed_in(house.agent), "/board/part/") <= 9


def test_doubts_cost_the_board_no_query(house: House) -> None:
    doubtful(house)
    for path in ("/board/", "/board/part/"):
        assert queries_of(signed_in(house.lead), path) == queries_of(signed_in(house.agent), path)


def test_a_full_lane_draws_sixty_and_counts_the_rest(house: House) -> None:
    now = database_now()
    Ticket.objects.bulk_create(
        Ticket(
            subject=f"Matter {place}",
            requester=house.requester,
            severity=3,
            tier=1,
            status="open",
            opened_at=now,
            tier_due_at=now + dt.timedelta(minutes=5 + place),
        )
        for place in range(200)
    )
    page = look(house.agent)
    assert page.count('<li class="chip') == 60
    # The most urgent ones.
    assert "Matter 59<" in page
    assert "Matter 60<" not in page
    assert "+140" in page
    assert "140 within 8 h, not drawn" in page


def test_counts_stop_at_their_cap(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.board.counting.CAP", 20)
    many(house, 300)
    counts_of.cache_clear()
    page = look(house.agent)
    counts_of.cache_clear()
    assert re.search(r"<b>[\d,]+\+</b>open", page)
    assert "<b>20+</b>unacknowledged" in page
