"""Followers hear of what happens: once, of what they may see, gathered, until they stop."""

import datetime as dt

import pytest
from django.db import connection

from accounts.models import Organisation, Role
from accounts.operations import create_user
from core.db import database_now
from core.errors import NotAllowed, Refused
from escalation.engine import tick
from notifications import engine
from notifications.models import Notification, TimelineReader, Watch
from notifications.operations import unwatch, watch
from notifications.rendering import render
from notifications.watch_messages import read_stop_link, stop_url
from notifications.watching import NEWS, ROUND_UP, tell_watchers
from tests import mail
from tests.helpers import race
from tests.house import HOUR, House, build_house
from tickets.models import Service, Ticket
from tickets.operations import Draft, add_note, add_reply, change_status, open_ticket, set_severity

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def house(transactional_db: None) -> House:
    house = build_house(now=database_now() - 2 * HOUR)
    tell_watchers(now=house.now)
    return house


def told() -> list[Notification]:
    tell_watchers(now=database_now())
    return list(Notification.objects.filter(kind__in=(NEWS, ROUND_UP)).order_by("pk"))


def text_of(row: Notification) -> str:
    return render(row).text


def reply(ticket: Ticket, house: House, words: str = "We look into it.") -> None:
    add_reply(ticket_id=ticket.pk, actor=house.agent, body=words, now=database_now())


def test_a_follower_of_a_ticket_hears_of_answers_and_climbs_but_not_of_notes(house: House) -> None:
    # Given
    ticket = house.open()
    watch(user=house.outsider, ticket=ticket, now=house.now)

    # When
    reply(ticket, house)
    add_note(ticket_id=ticket.pk, actor=house.agent, body="Between us.", now=database_now())
    tick(now=database_now())

    # Then
    (row,) = told()
    text = text_of(row)
    assert (row.address, row.ticket_id) == (house.outsider.email, ticket.pk)
    assert "Piet Test wrote." in text
    assert "We look into it." in text
    assert "It climbed to L2." in text
    assert "Between us" not in text


def test_nobody_hears_of_their_own_deeds_nor_of_what_they_get_a_mail_about_anyway(house: House) -> None:
    ticket = house.open()
    for user in (house.agent, house.requester):
        watch(user=user, ticket=ticket, now=house.now)

    reply(ticket, house)

    assert told() == []


def test_what_happened_before_one_followed_is_not_told(house: House) -> None:
    ticket = house.open()
    reply(ticket, house)
    watch(user=house.outsider, ticket=ticket, now=database_now())

    assert told() == []


def test_reading_again_tells_nothing_again(house: House) -> None:
    ticket = house.open()
    watch(user=house.outsider, ticket=ticket, now=house.now)
    reply(ticket, house)

    assert [len(told()), len(told())] == [1, 1]


def test_two_readers_at_once_tell_once(house: House) -> None:
    ticket = house.open()
    watch(user=house.outsider, ticket=ticket, now=house.now)
    reply(ticket, house)

    race(lambda: tell_watchers(now=database_now()), lambda: tell_watchers(now=database_now()))

    (row,) = told()
    assert len(row.context["events"]) == len(set(row.context["events"]))


def test_an_event_that_commits_late_is_told_all_the_same(house: House) -> None:
    """Ids commit out of order: a slow transaction's event is told when it comes, after the quick one's."""
    ticket, other = house.open(), house.open(subject="Printer")
    for one in (ticket, other):
        watch(user=house.outsider, ticket=one, now=house.now)

    def slow() -> None:
        from django.db import transaction

        with transaction.atomic():
            reply(ticket, house, "slow")
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(0.3)")

    def quick() -> None:
        reply(other, house, "quick")
        tell_watchers(now=database_now())

    race(slow, quick)

    assert {row.ticket_id for row in told()} == {ticket.pk, other.pk}


def test_news_within_a_minute_are_one_mail(house: House) -> None:
    ticket = house.open()
    watch(user=house.outsider, ticket=ticket, now=house.now)
    reply(ticket, house, "First.")
    told()
    reply(ticket, house, "Second.")

    (row,) = told()

    text = text_of(row)
    assert "First." in text
    assert "Second." in text
    assert dt.timedelta(seconds=50) < row.due_at - database_now() <= dt.timedelta(seconds=60)


def test_a_follower_of_a_service_hears_of_all_its_tickets_many_in_one_mail(house: House) -> None:
    vpn = Service.objects.create(name="VPN", team=house.network)
    watch(user=house.outsider, service=vpn, now=house.now)

    for number in range(5):
        house.open(subject=f"VPN {number}", service=vpn, at=database_now())
    house.open(subject="Printer", at=database_now())

    (row,) = told()
    text = text_of(row)
    assert row.kind == ROUND_UP
    assert "News of 5 tickets that you follow" in text
    assert "VPN 4" in text
    assert "Printer" not in text


def test_a_follower_of_an_organisation_hears_of_its_sev1s_only(house: House) -> None:
    meridian = Organisation.objects.create(name="Meridian")
    watch(user=house.outsider, organisation=meridian, now=house.now)
    carla = create_user(email="c@meridian.example", name="C", role=Role.REQUESTER, organisation=meridian)
    draft = Draft(requester=carla, subject="All down", body="x", organisation=meridian)
    ticket = open_ticket(draft=draft, actor=None, now=database_now())
    assert told() == []

    set_severity(ticket_id=ticket.pk, severity=1, reason="All of them", actor=house.agent, now=database_now())

    (row,) = told()
    assert "It is SEV1 now" in text_of(row)


def test_who_may_not_see_a_ticket_any_more_hears_nothing(house: House) -> None:
    ticket = house.open()
    watch(user=house.outsider, ticket=ticket, now=house.now)
    house.outsider.only_own_teams = True
    house.outsider.save()

    reply(ticket, house)

    assert told() == []


def test_stopping_calls_off_what_waits_and_only_ones_own(house: House) -> None:
    ticket = house.open()
    row = watch(user=house.outsider, ticket=ticket, now=house.now)
    reply(ticket, house)
    (message,) = told()

    assert not unwatch(watch_id=row.pk, user=house.agent, now=database_now())
    assert unwatch(watch_id=row.pk, user=house.outsider, now=database_now())

    message.refresh_from_db()
    assert message.state == Notification.State.WITHDRAWN
    reply(ticket, house)
    assert len(told()) == 1


def test_following_twice_is_following_once(house: House) -> None:
    ticket = house.open()

    rows = race(
        lambda: watch(user=house.outsider, ticket=ticket, now=house.now),
        lambda: watch(user=house.outsider, ticket=ticket, now=house.now),
    )

    assert len({row.pk for row in rows}) == 1
    assert Watch.objects.count() == 1


def test_what_one_may_not_see_one_may_not_follow(house: House) -> None:
    ticket, vpn = house.open(), Service.objects.create(name="VPN")
    stranger = create_user(email="s@example.org", name="S", role=Role.REQUESTER)

    with pytest.raises(NotAllowed):
        watch(user=stranger, ticket=ticket, now=house.now)
    with pytest.raises(NotAllowed):
        watch(user=stranger, service=vpn, now=house.now)
    with pytest.raises(NotAllowed):
        watch(user=stranger, organisation=Organisation.objects.create(name="Else"), now=house.now)
    with pytest.raises(Refused):
        watch(user=house.agent, now=house.now)


def test_the_mail_says_how_to_stop_to_people_and_to_mail_programs(house: House, smtp: mail.Mailbox) -> None:
    ticket = house.open()
    row = watch(user=house.outsider, ticket=ticket, now=house.now)
    reply(ticket, house)
    told()
    Notification.objects.exclude(kind=NEWS).delete()
    Notification.objects.update(due_at=house.now)

    engine.tick(senders=1)

    (message,) = smtp.mails
    assert message["List-Unsubscribe"] == f"<{stop_url(row)}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert stop_url(row) in message.get_payload(0).get_payload(decode=True).decode()
    assert f'href="{stop_url(row)}"' in message.get_payload(1).get_payload(decode=True).decode()


def test_a_link_to_stop_is_signed() -> None:
    row = Watch(pk=7, user_id=9)
    token = stop_url(row).rstrip("/").rpartition("/")[2]

    assert read_stop_link(token) == (7, 9)
    with pytest.raises(LookupError):
        read_stop_link(token[:-1] + ("A" if token[-1] != "A" else "B"))


def test_the_reader_remembers_how_far_it_came(house: House) -> None:
    before = TimelineReader.objects.get().cursor
    house.open()

    tell_watchers(now=database_now())

    assert TimelineReader.objects.get().cursor != before


def test_what_becomes_of_a_ticket_is_told_in_words(house: House) -> None:
    ticket = house.open()
    watch(user=house.outsider, ticket=ticket, now=house.now)

    change_status(ticket_id=ticket.pk, status="resolved", actor=house.agent, now=database_now())

    (row,) = told()
    assert "It is resolved now, after new." in text_of(row) or "It is resolved now, after open." in text_of(
        row
    )
