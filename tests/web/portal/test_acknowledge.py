"""The link of a telling: a look takes nothing, one tap takes it, and every link that is over says why."""

import datetime as dt
import re

import pytest
from django.core import signing
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from escalation.engine import tick
from escalation.models import Escalation
from escalation.operations import acknowledge, escalate
from escalation.queries import acknowledge_url
from notifications.models import Contact, Notification
from tests.helpers import race
from tests.house import MIN, House, build_house, republish, steps_for
from tests.web.portal.people import signed_in
from tickets.models import Event, Ticket
from tickets.operations import change_status, merge_tickets

HANDOFF = {"impact": "All shops", "tried": "Restart", "suspected": "", "next_action": "Fail over"}


def climbed(house: House, **more: object) -> Ticket:
    ticket = house.open(subject="Payments <down>", severity=1, **more)
    escalate(
        ticket_id=ticket.pk,
        seen_seq=0,
        actor=house.agent,
        now=house.now,
        reason="Database primary lost its disk",
        handoff=HANDOFF,
    )
    return ticket


def contact_of(user: User) -> Contact:
    return Contact.objects.get(user=user)


def link(ticket: Ticket, contact: Contact, seq: int = 1) -> str:
    return acknowledge_url(ticket.pk, seq, contact.pk).removeprefix("http://localhost:8000")


def page(answer: object) -> str:
    html = answer.content.decode()  # type: ignore[attr-defined]
    return " ".join(re.sub(r"(?s)<head.*?</head>|<[^>]+>", " ", html).replace("&#x27;", "'").split())


def acknowledged(ticket: Ticket, seq: int = 1) -> bool:
    return Escalation.objects.get(ticket=ticket, seq=seq).acknowledged_at is not None


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_looking_takes_nothing_however_often_a_mail_scanner_looks(house: House, method: str) -> None:
    ticket = climbed(house)
    url = link(ticket, contact_of(house.second))
    events = Event.objects.count()

    for _ in range(3):
        getattr(Client(), method)(url)

    assert not acknowledged(ticket)
    assert Event.objects.count() == events


def test_the_page_shows_what_is_to_be_taken_without_a_sign_in(house: House) -> None:
    ticket = climbed(house)

    answer = Client().get(link(ticket, contact_of(house.second)))

    words = page(answer)
    assert answer.status_code == 200
    for expected in (
        "SEV1",
        f"#{ticket.pk}",
        "Payments &lt;down&gt;",
        "until all of Network are told again",
        "it climbs to Core network",
        "First, by day and night.",
        "Handoff from Piet Test",
        "All shops",
        "Fail over",
        "Database primary lost its disk",
        "Held by Service desk for",
        "Duty L2 (on the way)",
        "I take it",
        "I can't, tell the others again",
    ):
        assert expected in words
    assert re.search(r"data-countdown>\d:\d\d<", answer.content.decode())


def test_the_address_stays_a_secret(house: House) -> None:
    ticket = climbed(house)
    for path in (link(ticket, contact_of(house.second)), "/a/nonsense/"):
        answer = Client().get(path)

        assert "no-store" in answer["Cache-Control"]
        assert answer["Referrer-Policy"] == "same-origin"
        assert "noindex" in answer["X-Robots-Tag"]
        assert 'content="noindex, nofollow"' in answer.content.decode()


def test_a_tap_takes_it_and_a_reload_repeats_nothing(house: House) -> None:
    ticket = climbed(house)
    url = link(ticket, contact_of(house.second))

    answer = Client().post(url, {"do": "take", "round": "1"})
    after = Client().get(url)

    assert (answer.status_code, answer["Location"]) == (302, url)
    escalation = Escalation.objects.get(ticket=ticket, seq=1)
    assert (escalation.acknowledged_by, escalation.acknowledged_via) == (house.second, "link")
    ticket.refresh_from_db()
    assert ticket.assignee == house.second
    assert after.status_code == 200
    assert "You have it" in page(after)
    assert f'href="/t/{ticket.pk}/"' in after.content.decode()
    assert "<form" not in after.content.decode()


def test_a_contact_without_an_account_takes_it_too(house: House) -> None:
    ticket = climbed(house)
    duty = Contact.objects.get(name="Duty L2")

    Client().post(link(ticket, duty), {"do": "take"})

    escalation = Escalation.objects.get(ticket=ticket, seq=1)
    assert (escalation.acknowledged_by, escalation.acknowledged_contact) == (None, duty)
    assert "Duty L2 took it" in page(Client().get(link(ticket, duty)))


def test_the_second_of_two_taps_lands_where_the_first_did(house: House) -> None:
    ticket = climbed(house)
    url = link(ticket, contact_of(house.second))

    answers = [Client().post(url, {"do": "take"}, follow=True) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert all("You have it" in page(answer) for answer in answers)
    assert Event.objects.filter(ticket=ticket, kind="escalation.acknowledged").count() == 1


def test_saying_that_one_cannot_tells_the_next_one_once(house: House) -> None:
    republish(house, steps=steps_for(house, telling="in_turn"))
    ticket = climbed(house)
    url = link(ticket, contact_of(house.second))

    assert "I can't, tell the next one" in page(Client().get(url))
    answers = [Client().post(url, {"do": "pass", "round": "1"}, follow=True) for _ in range(3)]

    told = list(
        Notification.objects.filter(ticket=ticket, round__isnull=False).values_list("address", flat=True)
    )
    assert told == ["aisha@example.org", "duty2@example.org"]
    assert not acknowledged(ticket)
    words = page(answers[0])
    assert "You said that you can't." in words
    assert "I take it" in words
    assert "I can't" not in words.split("I take it")[1]


def test_whoever_could_not_may_still_take_it(house: House) -> None:
    ticket = climbed(house)
    url = link(ticket, contact_of(house.second))
    Client().post(url, {"do": "pass", "round": "1"})

    Client().post(url, {"do": "take"})

    assert acknowledged(ticket)


def _taken(house: House, ticket: Ticket) -> None:
    acknowledge(ticket_id=ticket.pk, seen_seq=1, actor=house.lead, now=house.now + MIN)


def _moved(house: House, ticket: Ticket) -> None:
    escalate(ticket_id=ticket.pk, seen_seq=1, actor=house.agent, now=house.now + MIN, reason="x")


def _resolved(house: House, ticket: Ticket) -> None:
    change_status(ticket_id=ticket.pk, status="resolved", actor=house.agent, now=house.now + MIN)


def _closed(house: House, ticket: Ticket) -> None:
    change_status(ticket_id=ticket.pk, status="closed", actor=house.agent, now=house.now + MIN)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (_taken, "Lena Test has it"),
        (_moved, "been with Core network since"),
        (_resolved, "It is resolved"),
        (_closed, "It is closed"),
    ],
)
@pytest.mark.parametrize("wish", ["take", "pass"])
def test_a_link_that_is_over_says_what_became_of_it(
    house: House, step: object, words: str, wish: str
) -> None:
    ticket = climbed(house)
    url = link(ticket, contact_of(house.second))
    step(house, ticket)  # type: ignore[operator]
    events = Event.objects.count()

    looked, tapped = Client().get(url), Client().post(url, {"do": wish, "round": "1"})

    assert (looked.status_code, tapped.status_code) == (410, 409)
    assert words in page(looked)
    assert words in page(tapped)
    assert "<form" not in looked.content.decode() + tapped.content.decode()
    assert Event.objects.count() == events


def test_a_damaged_forged_or_foreign_link_is_none_of_ours(house: House) -> None:
    ticket = climbed(house)
    good = link(ticket, contact_of(house.second))
    forged = signing.dumps([ticket.pk, 1, contact_of(house.second).pk], salt="something else")

    for path in (good[:-4] + "xyz/", f"/a/{forged}/", "/a/x/", "/a/%F0%9F%98%80/", "/a/" + "x" * 3000 + "/"):
        for answer in (Client().get(path), Client().post(path, {"do": "take"})):
            assert answer.status_code == 404
            assert "no link of ours" in page(answer)
    assert not acknowledged(ticket)


def test_a_link_of_weeks_ago_has_expired(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = climbed(house)
    url = link(ticket, contact_of(house.second))
    monkeypatch.setattr("escalation.queries._LINK_AGE", dt.timedelta(seconds=-1))

    looked, tapped = Client().get(url), Client().post(url, {"do": "take"})

    assert (looked.status_code, tapped.status_code) == (410, 410)
    assert "This link is over" in page(looked)
    assert not acknowledged(ticket)


def test_a_link_of_a_step_that_never_was_is_over(house: House) -> None:
    ticket = climbed(house)

    assert Client().get(link(ticket, contact_of(house.second), seq=7)).status_code == 410


@pytest.mark.parametrize("gone", ["contact", "user"])
def test_people_who_left_can_no_longer_take_anything(house: House, gone: str) -> None:
    ticket = climbed(house)
    contact = contact_of(house.second)
    if gone == "contact":
        Contact.objects.filter(pk=contact.pk).update(is_active=False)
    else:
        User.objects.filter(pk=house.second.pk).update(is_active=False)

    assert Client().post(link(ticket, contact), {"do": "take"}).status_code == 410
    assert not acknowledged(ticket)


def test_a_link_of_somebody_who_was_never_told_takes_nothing(house: House) -> None:
    ticket = climbed(house)
    stranger = Contact.objects.create(name="Stranger")

    answer = Client().post(link(ticket, stranger), {"do": "take"})

    assert answer.status_code == 403
    assert not acknowledged(ticket)


def test_a_tap_without_a_choice_does_nothing(house: House) -> None:
    ticket = climbed(house)

    answer = Client().post(link(ticket, contact_of(house.second)), {"do": "explode"})

    assert answer.status_code == 400
    assert not acknowledged(ticket)


def test_without_the_forms_own_token_nothing_is_taken(house: House) -> None:
    ticket = climbed(house)
    strict = Client(enforce_csrf_checks=True)
    url = link(ticket, contact_of(house.second))

    assert strict.post(url, {"do": "take"}).status_code == 403
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', strict.get(url).content.decode())
    assert token is not None
    assert strict.post(url, {"do": "take", "csrfmiddlewaretoken": token[1]}).status_code == 302
    assert acknowledged(ticket)


@pytest.fixture
def room(house: House) -> Contact:
    Contact.objects.filter(name="Duty L2").update(kind=Contact.Kind.ROOM)
    return Contact.objects.get(name="Duty L2")


def test_a_rooms_link_asks_who_it_is_and_acts_as_that_person(house: House, room: Contact) -> None:
    ticket = climbed(house)
    url = link(ticket, room)
    anonymous = Client()

    for answer in (anonymous.get(url), anonymous.post(url, {"do": "take"})):
        assert answer.status_code == 302
        assert answer["Location"].startswith("/sign-in/?next=")
    assert not acknowledged(ticket)

    member = signed_in(house.second)
    assert "I can't" not in page(member.get(url)).replace("I take it", "")
    member.post(url, {"do": "take"})

    assert Escalation.objects.get(ticket=ticket, seq=1).acknowledged_by == house.second
    assert "You have it" in page(member.get(url))
    assert "Aisha Test has it" in page(signed_in(house.lead).get(url))


@pytest.mark.parametrize("who", ["outsider", "requester"])
def test_a_rooms_link_is_no_way_around_who_may(house: House, room: Contact, who: str) -> None:
    ticket = climbed(house)

    answer = signed_in(getattr(house, who)).post(link(ticket, room), {"do": "take"})

    assert answer.status_code == 403
    assert not acknowledged(ticket)


def test_the_page_says_by_a_mark_when_it_would_look_different(house: House) -> None:
    ticket = climbed(house)
    url = link(ticket, contact_of(house.second))
    before = Client().head(url)["X-Belay-Mark"]
    same = Client().head(url)["X-Belay-Mark"]

    tick(now=house.now + 5 * MIN)
    told_again = Client().head(url)["X-Belay-Mark"]
    _taken(house, ticket)

    assert before == same
    assert len({before, told_again, Client().head(url)["X-Belay-Mark"]}) == 3


def test_times_are_those_of_the_contacts_own_clock(house: House) -> None:
    Contact.objects.filter(user=house.second).update(time_zone="Asia/Kolkata")
    ticket = climbed(house)

    assert "IST" in page(Client().get(link(ticket, contact_of(house.second))))


def test_the_page_costs_few_queries(house: House) -> None:
    ticket = climbed(house)
    url = link(ticket, contact_of(house.second))
    Client().get(url)

    with CaptureQueriesContext(connection) as queries:
        Client().get(url)

    assert len(queries) <= 20


@pytest.mark.django_db(transaction=True)
def test_of_two_who_tap_at_the_same_time_one_has_it() -> None:
    house = build_house()
    ticket = climbed(house)
    duty = Contact.objects.get(name="Duty L2")
    urls = [link(ticket, contact_of(house.second)), link(ticket, duty)]

    answers = race(*(lambda url=url: Client().post(url, {"do": "take"}) for url in urls))

    assert sorted(answer.status_code for answer in answers) == [302, 409]
    assert Event.objects.filter(ticket=ticket, kind="escalation.acknowledged").count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_fingers_on_i_cannot_tell_one_more_person() -> None:
    house = build_house()
    republish(house, steps=steps_for(house, telling="in_turn"))
    ticket = climbed(house)
    url = link(ticket, contact_of(house.second))

    race(*[lambda: Client().post(url, {"do": "pass", "round": "1"})] * 2)

    assert Event.objects.filter(ticket=ticket, kind="escalation.passed_on").count() == 1
    assert Notification.objects.filter(ticket=ticket, round__isnull=False).count() == 2


def merged(house: House) -> tuple[Ticket, Ticket]:
    """Return a survivor at L2 and the ticket that its contacts were told about before it was merged."""
    loser, survivor = climbed(house), climbed(house)
    merge_tickets(loser_ids=[loser.pk], survivor_id=survivor.pk, actor=house.lead, now=house.now + MIN)
    return survivor, loser


@pytest.mark.django_db
def test_the_link_of_a_merged_ticket_shows_and_takes_the_survivor(house: House) -> None:
    survivor, loser = merged(house)
    address = link(loser, contact_of(house.second))

    looked = Client().get(address)
    tapped = Client().post(address, {"do": "take", "seq": "1"})

    assert looked.status_code == 200
    assert f"#{loser.pk}, which you were told about, goes on in #{survivor.pk}." in page(looked)
    assert tapped.status_code == 302
    assert acknowledged(survivor)
    assert not acknowledged(loser)
    survivor.refresh_from_db()
    assert survivor.assignee == house.second


@pytest.mark.django_db
def test_a_merged_ticket_s_link_is_no_way_around_who_may(house: House) -> None:
    survivor, loser = merged(house)
    escalate(ticket_id=survivor.pk, seen_seq=1, actor=house.second, now=house.now + 2 * MIN, reason="Core.")

    answer = Client().post(link(loser, contact_of(house.second)), {"do": "take", "seq": "2"})

    assert answer.status_code == 403
    assert not acknowledged(survivor, 2)


@pytest.mark.django_db
def test_a_tap_on_what_the_survivor_has_left_since_takes_nothing(house: House) -> None:
    survivor, loser = merged(house)
    address = link(loser, contact_of(house.third))
    escalate(ticket_id=survivor.pk, seen_seq=1, actor=house.second, now=house.now + 2 * MIN, reason="Core.")

    answer = Client().post(address, {"do": "take", "seq": "1"})

    assert answer.status_code == 409
    assert not acknowledged(survivor, 2)


@pytest.mark.django_db
def test_through_a_merged_ticket_s_link_nobody_passes_the_survivor_on(house: House) -> None:
    survivor, loser = merged(house)
    duty = Contact.objects.get(name="Duty L2")

    looked = Client().get(link(loser, duty))
    answer = Client().post(link(loser, duty), {"do": "pass", "seq": "1"})

    assert "I can't" not in page(looked)
    assert answer.status_code == 400
    assert not Event.objects.filter(ticket=survivor, kind="escalation.passed_on").exists()
