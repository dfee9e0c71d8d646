"""Who comes in where."""

import pytest
from django.core import mail
from django.test import Client

from accounts.operations import create_user
from tests.house import House
from tests.web.desk.conftest import BACKEND, As
from tickets.models import Status, Ticket
from tickets.operations import add_note

PAGES = ("/queue/", "/queue/open/", "/new/", "/new/people/?requester=ca", "/waiting/", "/bell/", "/me/reach/")


@pytest.mark.parametrize("page", PAGES)
def test_agents_pages_are_closed_to_requesters(house: House, signed_in_as: As, page: str) -> None:
    assert signed_in_as(house.requester).get(page).status_code == 403
    assert signed_in_as(house.agent).get(page).status_code == 200


@pytest.mark.parametrize("page", [*PAGES, "/t/1/", "/t/1/live/"])
def test_strangers_are_asked_to_sign_in_and_come_back(db: None, page: str) -> None:
    answer = Client().get(page)

    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in/?next=/")


def test_a_fragment_never_brings_the_sign_in_page_along(db: None) -> None:
    answer = Client().get("/t/1/live/", headers={"HX-Request": "true"})

    assert answer.status_code == 401


def test_requester_who_follows_a_link_lands_on_the_ticket_in_the_portal(
    house: House, signed_in_as: As
) -> None:
    ticket = house.open()

    answer = signed_in_as(house.requester).get(f"/t/{ticket.pk}/")

    assert (answer.status_code, answer["Location"]) == (302, f"/portal/{ticket.pk}/")


def test_ticket_of_somebody_else_is_not_there_for_a_requester(house: House, signed_in_as: As) -> None:
    other = create_user(email="other@example.org", name="Other")
    ticket = house.open()

    assert signed_in_as(other).get(f"/t/{ticket.pk}/").status_code == 404


@pytest.mark.parametrize(
    "verb",
    [
        "write",
        "take",
        "acknowledge",
        "escalate",
        "deescalate",
        "assign",
        "severity",
        "status",
        "details",
        "tags",
    ],
)
def test_requester_may_use_no_verb_of_the_desk(house: House, signed_in_as: As, verb: str) -> None:
    ticket = house.open()
    before = ticket.event_seq

    answer = signed_in_as(house.requester).post(
        f"/t/{ticket.pk}/{verb}/",
        {
            "body": "x",
            "kind": "note",
            "seq": 0,
            "reason": "x",
            "status": "closed",
            "severity": 1,
            "tags": "x",
        },
    )

    ticket.refresh_from_db()
    assert answer.status_code == 403
    assert ticket.event_seq == before


def test_agent_narrowed_to_their_teams_does_not_find_the_others_tickets(
    house: House, signed_in_as: As
) -> None:
    ticket = house.open()
    house.outsider.only_own_teams = True
    house.outsider.save()
    client = signed_in_as(house.outsider)

    assert client.get(f"/t/{ticket.pk}/").status_code == 404
    assert client.post(f"/t/{ticket.pk}/take/").status_code == 404
    assert f"/t/{ticket.pk}/" not in client.get("/queue/open/").content.decode()


@pytest.mark.parametrize(
    ("who", "page"),
    [("requester", "/portal/"), ("agent", "/queue/"), ("lead", "/board/"), ("manager", "/board/")],
)
def test_everybody_starts_where_they_work(house: House, signed_in_as: As, who: str, page: str) -> None:
    assert signed_in_as(getattr(house, who)).get("/")["Location"] == page


def test_signing_in_by_email_whatever_its_capitals(house: House) -> None:
    house.agent.set_password("a long password")
    house.agent.save()
    client = Client()

    answer = client.post(
        "/sign-in/", {"login": "PIET@example.org", "password": "a long password"}, follow=True
    )

    assert answer.redirect_chain[-1][0] == "/queue/"


def test_too_many_wrong_passwords_are_answered_in_clear_words(house: House) -> None:
    client = Client()

    for _ in range(6):
        answer = client.post("/sign-in/", {"login": house.agent.email, "password": "wrong"})

    assert answer.status_code == 429
    assert "locked for 15 minutes" in answer.content.decode()


def test_lockout_of_one_person_leaves_their_neighbours_alone_and_ends_with_a_new_password(
    house: House,
) -> None:
    for user in (house.agent, house.second):
        user.set_password("a long password")
        user.save()
    client = Client()
    for _ in range(6):
        client.post("/sign-in/", {"login": house.agent.email, "password": "wrong"})

    neighbour = Client().post("/sign-in/", {"login": house.second.email, "password": "a long password"})
    locked = client.post("/sign-in/", {"login": house.agent.email.upper(), "password": "a long password"})
    assert (neighbour.status_code, locked.status_code) == (302, 429)

    client.post("/account/password/reset/", {"email": house.agent.email})
    link = next(word for word in mail.outbox[0].body.split() if "/account/password/reset/key/" in word)
    form = client.get(link, follow=True)
    client.post(
        form.redirect_chain[-1][0], {"password1": "quite a long one", "password2": "quite a long one"}
    )
    free = client.post("/sign-in/", {"login": house.agent.email, "password": "quite a long one"})
    assert free.status_code == 302


def test_signing_out_needs_a_post(house: House, signed_in_as: As) -> None:
    client = signed_in_as(house.agent)

    assert client.get("/sign-out/").status_code == 200
    assert client.get("/queue/").status_code == 200
    assert client.post("/sign-out/").status_code == 302
    assert client.get("/queue/").status_code == 302


def test_sign_up_is_closed(db: None) -> None:
    answer = Client().post(
        "/account/signup/",
        {"email": "new@example.org", "password1": "long enough 1", "password2": "long enough 1"},
    )

    assert "No open sign-up" in answer.content.decode()


def test_new_password_by_mail(house: House) -> None:
    client = Client()

    client.post("/account/password/reset/", {"email": house.agent.email})
    (letter,) = mail.outbox
    link = next(word for word in letter.body.split() if "/account/password/reset/key/" in word)
    form = client.get(link, follow=True)
    client.post(
        form.redirect_chain[-1][0], {"password1": "quite a long one", "password2": "quite a long one"}
    )

    answer = client.post("/sign-in/", {"login": house.agent.email, "password": "quite a long one"})
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert letter.subject == "Set a new password for Belay"


def test_theme_is_remembered_and_written_by_the_server(house: House, signed_in_as: As) -> None:
    client = signed_in_as(house.agent)

    client.post("/theme/", {"theme": "dark", "next": "/queue/"})
    assert 'data-bs-theme="dark"' in client.get("/queue/").content.decode()
    client.post("/theme/", {"theme": "system", "next": "/queue/"})
    assert 'data-theme-choice="system"' in client.get("/queue/").content.decode()


def test_theme_form_leads_to_no_foreign_page(db: None) -> None:
    assert Client().post("/theme/", {"theme": "dark", "next": "https://evil.example/"})["Location"] == "/"


def test_historic_ticket_is_shown_without_a_composer(house: House, signed_in_as: As) -> None:
    ticket = house.open()
    Ticket.objects.filter(pk=ticket.pk).update(historic=True, status=Status.CLOSED)

    page = signed_in_as(house.agent).get(f"/t/{ticket.pk}/").content.decode()

    assert "imported as history" in page
    assert 'id="composer"' not in page


def test_unknown_ticket_and_queue_are_clear_404_pages(house: House, signed_in_as: As) -> None:
    client = signed_in_as(house.agent)

    for page in ("/t/999999/", "/queue/nonsense/"):
        answer = client.get(page)
        assert answer.status_code == 404
        assert "Nothing is here" in answer.content.decode()


def test_no_page_needs_an_inline_script_or_style(house: House, signed_in_as: As) -> None:
    ticket = house.open()
    add_note(ticket_id=ticket.pk, body="<script>alert(1)</script>", actor=house.agent, now=house.now)
    client = signed_in_as(house.lead)

    for page in ("/queue/open/", f"/t/{ticket.pk}/", f"/t/{ticket.pk}/escalate/", "/new/", "/account/2fa/"):
        answer = client.get(page)
        text = answer.content.decode()
        assert "<style" not in text
        assert "style=" not in text
        assert " onclick=" not in text
        assert "<script>" not in text
        assert "script-src 'self'" in answer["Content-Security-Policy"]


def test_form_from_an_old_page_says_that_nothing_was_changed(house: House) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(house.agent, backend=BACKEND)
    ticket = house.open()

    answer = client.post(f"/t/{ticket.pk}/write/", {"kind": "note", "body": "Late"})

    assert answer.status_code == 403
    assert "This form was too old" in answer.content.decode()
