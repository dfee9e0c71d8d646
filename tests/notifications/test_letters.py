"""Mails read well as text and as HTML, and nothing that people wrote can break out of its place."""

import datetime as dt
import io

import pytest

from accounts.models import Role, User
from core.db import database_now
from notifications import engine
from notifications.letters import Action, Letter, Passage, compose, moment, one_line
from notifications.models import Notification
from notifications.rendering import Rendered, render
from tests import mail
from tests.notifications.cast import NOW, person, team, ticket
from tickets.models import Entry, Status, Ticket
from tickets.operations import Upload, add_reply, assign_ticket, change_status, post_update

HOSTILE = '<script>alert("x")</script> & <img src=x onerror=alert(1)> "quoted"'


def letter(**more: object) -> Letter:
    fields = {"subject": "Subject", "title": "Title", "lead": ("First.",), **more}
    return Letter(**fields)  # type: ignore[arg-type]


def mails_of(ticket: Ticket, kind: str) -> list[Rendered]:
    rows = Notification.objects.filter(ticket=ticket, kind=kind).select_related("user", "contact", "ticket")
    return [render(row) for row in rows.order_by("pk")]


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("Hello", "Hello"),
        ("Hello\r\nBcc: all@example.org", "Hello Bcc: all@example.org"),
        ("a\n\n\nb\tc", "a b c"),
        ("null\x00byte", "null byte"),
        ("line\u2028separator", "line separator"),
        ("reversed \u202eexe.txt", "reversed exe.txt"),
        ("isolate \u2066x\u2069", "isolate x"),
        ("👩\u200d🚒 fire", "👩\u200d🚒 fire"),
        ("Grüße 你好", "Grüße 你好"),
        ("lone \ud800 surrogate", "lone ? surrogate"),
        ("x" * 400, "x" * 149 + "…"),
    ],
)
def test_a_line_for_a_header_is_one_clean_line(raw: str, clean: str) -> None:
    assert one_line(raw) == clean


def test_what_people_wrote_is_escaped_in_html_and_kept_in_text() -> None:
    rendered = compose(
        letter(
            subject=HOSTILE,
            title=HOSTILE,
            facts=(("Service", HOSTILE),),
            passages=(Passage(HOSTILE, HOSTILE),),
            footer=HOSTILE,
        )
    )

    assert "<script>" not in rendered.html
    assert "<img" not in rendered.html
    assert rendered.html.count("&lt;script&gt;") == 6
    assert HOSTILE in rendered.text


def test_words_of_people_are_indented_so_that_they_cannot_pass_for_ours() -> None:
    rendered = compose(
        letter(passages=(Passage("Carla wrote", "Hi\nTake it:\nhttps://evil.example/\n-- \nBelay"),))
    )

    lines = rendered.text.splitlines()
    assert "    https://evil.example/" in lines
    assert "https://evil.example/" not in lines
    assert [line for line in lines if line.startswith("--")] == ["-- "]


def test_the_link_stands_alone_in_its_line_in_the_text() -> None:
    rendered = compose(letter(action=Action("Take it", "https://belay.example/a/x/", "No sign-in.")))

    assert "Take it:\nhttps://belay.example/a/x/\nNo sign-in." in rendered.text
    assert 'href="https://belay.example/a/x/"' in rendered.html


def test_a_very_long_text_is_cut_and_says_so() -> None:
    rendered = compose(letter(passages=(Passage("Log", "line\n" * 20_000),)))

    assert len(rendered.text) < 20_000
    assert "The rest stands in the ticket." in rendered.text
    assert "The rest stands in the ticket." in rendered.html


def test_empty_facts_and_passages_leave_no_trace() -> None:
    rendered = compose(letter(facts=(("Service", ""), ("With", "Network")), passages=(Passage("Why", "  "),)))

    assert "Service" not in rendered.text + rendered.html
    assert "Why" not in rendered.text + rendered.html
    assert "With  Network" in rendered.text


@pytest.mark.parametrize(
    ("zone", "minutes", "words"),
    [
        ("Europe/Madrid", 12, "10:12 (Europe/Madrid), in 12 min"),
        ("UTC", -5, "08:55 (UTC), 5 min ago"),
        ("Asia/Kolkata", 60 * 24, "Tue 3 Mar 14:30 (Asia/Kolkata), in 1 d"),
        ("America/New_York", 60 * 21, "Tue 3 Mar 01:00 (America/New_York), in 21 h"),
    ],
)
def test_a_moment_is_told_on_the_readers_wall_clock_with_its_distance(
    zone: str, minutes: int, words: str
) -> None:
    assert moment(NOW + dt.timedelta(minutes=minutes), zone, NOW) == words


@pytest.fixture
def carla(db: None) -> User:
    return person("Carla", time_zone="Europe/Madrid")


@pytest.fixture
def aisha(db: None) -> User:
    return person("Aisha", Role.AGENT)


def test_the_confirmation_names_number_words_and_page(carla: User) -> None:
    opened = ticket(carla, subject="VPN drops", body="Since <this> morning.")

    (rendered,) = mails_of(opened, "ticket.opened")

    assert rendered.subject == f"[#{opened.pk}] VPN drops"
    assert f"Its number is #{opened.pk}." in rendered.text
    assert f"/portal/{opened.pk}/" in rendered.text
    assert "Since <this> morning." in rendered.text
    assert "Since &lt;this&gt; morning." in rendered.html


def test_an_answer_shows_who_wrote_and_which_files_came(carla: User, aisha: User) -> None:
    network = team("Network", aisha)
    opened = ticket(carla, team=network)
    add_reply(
        ticket_id=opened.pk,
        body="Please try again.",
        actor=aisha,
        now=NOW,
        uploads=[Upload("steps.txt", io.BytesIO(b"1. restart"), "text/plain")],
    )

    (rendered,) = mails_of(opened, "ticket.answered")

    assert rendered.subject == f"Re: [#{opened.pk}] VPN drops every few minutes"
    assert "Aisha (Network) answered your request." in rendered.text
    assert "Please try again." in rendered.text
    assert "steps.txt" in rendered.text
    assert "restart" not in rendered.text


@pytest.mark.parametrize(
    ("status", "words"),
    [(Status.RESOLVED, "It is marked as solved."), (Status.WAITING, "We need your answer to go on.")],
)
def test_an_answer_says_what_it_did_to_the_request(carla: User, aisha: User, status: str, words: str) -> None:
    opened = ticket(carla)
    add_reply(ticket_id=opened.pk, body="Done?", actor=aisha, now=NOW, then_status=status)

    (rendered,) = mails_of(opened, "ticket.answered")

    assert words in rendered.text


def test_an_update_and_a_solution_read_as_such(carla: User, aisha: User) -> None:
    opened = ticket(carla)
    post_update(ticket_id=opened.pk, body="Vendor is at it.", actor=aisha, now=NOW)
    change_status(
        ticket_id=opened.pk, status=Status.RESOLVED, actor=aisha, now=NOW, reason="internal: their fault"
    )

    (update,), (solved,) = mails_of(opened, "ticket.updated"), mails_of(opened, "ticket.resolved")

    assert "Aisha tells you where things stand." in update.text
    assert "marked as solved" in solved.text
    assert "it is open again" in solved.text
    assert "their fault" not in solved.text + solved.html


def test_a_new_owner_learns_who_gave_it_why_and_what_was_last_said(carla: User, aisha: User) -> None:
    piet = person("Piet", Role.AGENT)
    opened = ticket(carla)
    assign_ticket(ticket_id=opened.pk, assignee=piet, actor=aisha, now=NOW, reason="You know the firewall.")

    (rendered,) = mails_of(opened, "ticket.assigned")

    assert rendered.subject.startswith(f"[SEV{opened.severity}] #{opened.pk} is yours: VPN drops")
    assert "Aisha gave you this ticket." in rendered.text
    assert "You know the firewall." in rendered.text
    assert "Since this morning." in rendered.text
    assert f"/t/{opened.pk}/" in rendered.text


def test_the_owner_reads_the_requesters_reply(carla: User, aisha: User) -> None:
    opened = ticket(carla)
    assign_ticket(ticket_id=opened.pk, assignee=aisha, actor=aisha, now=NOW)
    add_reply(ticket_id=opened.pk, body="Still broken.", actor=carla, now=NOW)

    (rendered,) = mails_of(opened, "ticket.replied")

    assert "Carla wrote on your ticket." in rendered.text
    assert "Still broken." in rendered.text


def test_erased_words_do_not_come_back_in_a_late_mail(carla: User, aisha: User) -> None:
    opened = ticket(carla)
    entry = add_reply(ticket_id=opened.pk, body="A secret.", actor=aisha, now=NOW)
    Entry.objects.filter(pk=entry.pk).update(erased_at=NOW)

    (rendered,) = mails_of(opened, "ticket.answered")

    assert "A secret." not in rendered.text + rendered.html
    assert "erased" in rendered.text


def test_a_hostile_subject_arrives_as_one_header_and_no_recipient_more(
    carla: User, smtp: mail.Mailbox
) -> None:
    subject = "Help\r\nBcc: everybody@example.org\r\n\r\n<script>" + "ä😀" * 60
    ticket(carla, subject=subject, now=database_now())
    Notification.objects.exclude(kind="ticket.opened").delete()

    engine.tick(senders=1)

    (message,) = smtp.mails
    assert message["Bcc"] is None
    assert [address.addr_spec for address in message["To"].addresses] == ["carla@example.org"]
    # A folded header begins with the fold's own space.
    assert message["Subject"].strip().startswith("[#")
    assert "Help Bcc: everybody@example.org <script>ä😀" in message["Subject"]
    html = message.get_body(("html",))
    assert html is not None
    assert "<script>" not in html.get_content()
