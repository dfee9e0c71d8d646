"""Following from a ticket's page, the list of what one follows, and stopping by a mail's link."""

from django.test import Client

from accounts.models import Organisation, Role
from accounts.operations import create_user
from core.db import database_now
from escalation.models import Standing
from notifications.models import Notification, Watch
from notifications.operations import watch
from notifications.watch_messages import stop_url
from tests.escalation.looking import at_l2
from tests.house import House
from tests.web.desk.conftest import As, text_of
from tickets.models import Service


def path_of(row: Watch) -> str:
    return "/" + stop_url(row).split("/", 3)[3]


def test_an_agent_follows_a_ticket_from_its_page_and_stops_again(house: House, signed_in_as: As) -> None:
    ticket, client = house.open(), signed_in_as(house.outsider)
    assert "Stop following" not in text_of(client.get(f"/t/{ticket.pk}/"))

    client.post(f"/t/{ticket.pk}/follow/")
    followed = text_of(client.get(f"/t/{ticket.pk}/"))
    listed = text_of(client.get("/watching/"))
    client.post(f"/t/{ticket.pk}/follow/", {"stop": "1"})

    assert "Stop following" in followed
    assert f"#{ticket.pk}" in listed
    assert not Watch.objects.exists()


def test_a_requester_follows_what_their_organisation_sees_in_the_portal(
    house: House, signed_in_as: As
) -> None:
    meridian = Organisation.objects.create(name="Meridian")
    boss = create_user(email="boss@example.org", name="Boss", role=Role.REQUESTER, organisation=meridian)
    boss.sees_organisation = True
    boss.save()
    house.requester.organisation = meridian
    house.requester.save()
    ticket, client = house.open(organisation=meridian), signed_in_as(boss)

    page = text_of(client.get(f"/portal/{ticket.pk}/"))
    answer = client.post(f"/t/{ticket.pk}/follow/", {"next": f"/portal/{ticket.pk}/"})

    assert "Follow" in page
    assert answer["Location"] == f"/portal/{ticket.pk}/"
    assert "Stop following" in text_of(client.get(f"/portal/{ticket.pk}/"))
    client.post("/watching/", {"follow": f"organisation:{meridian.pk}"})
    assert Watch.objects.filter(user=boss, organisation=meridian).exists()
    assert "All tickets of a service" not in text_of(client.get("/watching/"))


def test_a_ticket_one_may_not_see_is_not_followed(house: House, signed_in_as: As) -> None:
    ticket = house.open()
    stranger = create_user(email="s@example.org", name="S", role=Role.REQUESTER)

    assert signed_in_as(stranger).post(f"/t/{ticket.pk}/follow/").status_code == 404


def test_a_service_is_followed_from_the_list_and_nonsense_is_refused(house: House, signed_in_as: As) -> None:
    vpn, client = Service.objects.create(name="VPN", team=house.network), signed_in_as(house.agent)

    client.post("/watching/", {"follow": f"service:{vpn.pk}"})
    refused = client.post("/watching/", {"follow": "service:x"}, headers={"HX-Request": "true"})

    assert Watch.objects.get().service == vpn
    assert (refused.status_code, "Choose a service" in refused.content.decode()) == (400, True)
    row = Watch.objects.get()
    signed_in_as(house.second).post(f"/watching/{row.pk}/stop/")
    assert Watch.objects.exists()
    client.post(f"/watching/{row.pk}/stop/")
    assert not Watch.objects.exists()


def test_an_empty_list_says_what_to_do(house: House, signed_in_as: As) -> None:
    assert "You follow nothing" in text_of(signed_in_as(house.agent).get("/watching/"))


def test_a_look_at_the_link_stops_nothing_and_one_click_does_without_a_sign_in(house: House) -> None:
    ticket = house.open()
    row = watch(user=house.outsider, ticket=ticket, now=database_now())
    client = Client(enforce_csrf_checks=True)

    look = client.get(path_of(row))
    assert Watch.objects.exists()
    click = client.post(path_of(row), {"List-Unsubscribe": "One-Click"})
    again = client.post(path_of(row), {"List-Unsubscribe": "One-Click"})

    assert f"Stop following #{ticket.pk}?" in text_of(look)
    assert [answer.status_code for answer in (look, click, again)] == [200, 200, 200]
    assert "any more" in text_of(click)
    assert not Watch.objects.exists()
    assert client.get("/watch/stop/nonsense/").status_code == 404


def test_whoever_was_told_says_on_the_ticket_that_they_cannot(house: House, signed_in_as: As) -> None:
    # Given
    ticket = at_l2(house)
    client = signed_in_as(house.second)
    assert "I can&#x27;t, tell the next one" in text_of(client.get(f"/t/{ticket.pk}/")) or (
        "I can't, tell the next one" in text_of(client.get(f"/t/{ticket.pk}/"))
    )
    assert "tell the next one" not in text_of(signed_in_as(house.outsider).get(f"/t/{ticket.pk}/"))

    # When
    client.post(f"/t/{ticket.pk}/cannot/", {"seq": "1"})

    # Then
    assert Standing.objects.get(ticket=ticket).declined == [house.second.contact.pk]
    assert Notification.objects.filter(ticket=ticket, round=2, address="duty2@example.org").exists()
