"""Nobody sees or touches another customer's tickets, and no requester sees what is internal."""

import io

import pytest
from django.test import Client

from accounts.models import User
from escalation.models import EscalationRequest
from escalation.operations import acknowledge, escalate
from tests.house import MIN
from tests.web.portal.people import Portal, signed_in
from tickets.models import Attachment, Entry, EntryKind, Status, Ticket
from tickets.operations import (
    Draft,
    Upload,
    add_note,
    add_reply,
    assign_ticket,
    open_ticket,
    post_update,
    write_handoff,
)

PAGES = ("/portal/{pk}/", "/portal/{pk}/?part=talk", "/portal/{pk}/?part=progress")
VERBS = (("reply", {"body": "x"}), ("solved", {}), ("ask", {"reason": "x"}))


def outsiders(portal: Portal) -> list[User]:
    return [portal.mallory, portal.colleague]


@pytest.mark.parametrize("address", PAGES)
def test_other_peoples_tickets_are_not_there(portal: Portal, address: str) -> None:
    ticket = portal.open()

    for user in outsiders(portal):
        assert signed_in(user).get(address.format(pk=ticket.pk)).status_code == 404
    assert signed_in(portal.mallory).get(address.format(pk=ticket.pk + 10_000)).status_code == 404


@pytest.mark.parametrize(("verb", "data"), VERBS)
def test_other_peoples_tickets_cannot_be_touched(portal: Portal, verb: str, data: dict[str, str]) -> None:
    ticket = portal.open()
    entries = Entry.objects.count()

    for user in outsiders(portal):
        assert signed_in(user).post(f"/portal/{ticket.pk}/{verb}/", data).status_code == 404

    ticket.refresh_from_db()
    assert ticket.status == Status.NEW
    assert Entry.objects.count() == entries
    assert not EscalationRequest.objects.exists()


@pytest.mark.parametrize("path", ["/portal/", "/portal/new/", "/portal/1/", "/files/1/x.txt"])
def test_without_a_sign_in_every_page_asks_for_one(db: None, path: str) -> None:
    answer = Client().get(path)

    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in/?next=")


def test_lists_and_searches_show_only_ones_own(portal: Portal) -> None:
    mine, theirs = portal.open(subject="Printer jam"), portal.open(portal.mallory, subject="Printer fire")
    client = signed_in(portal.mallory)

    for query in ("", "?q=printer", f"?q={mine.pk}", f"?q=%23{mine.pk}", "?who=all"):
        page = client.get(f"/portal/{query}").content.decode()
        assert "Printer jam" not in page
    assert theirs.subject in client.get("/portal/").content.decode()


def test_a_follower_sees_the_organisation_and_nothing_beyond(portal: Portal) -> None:
    ours, theirs = portal.open(subject="Ours"), portal.open(portal.mallory, subject="Theirs")
    client = signed_in(portal.follower)

    assert "Ours" not in client.get("/portal/").content.decode()
    everybody = client.get("/portal/?who=all").content.decode()
    assert "Ours" in everybody
    assert "Theirs" not in everybody
    assert client.get(f"/portal/{ours.pk}/").status_code == 200
    assert client.get(f"/portal/{theirs.pk}/").status_code == 404


def test_an_agent_who_follows_a_requesters_link_lands_at_the_desk(portal: Portal) -> None:
    ticket = portal.open()

    answer = signed_in(portal.house.agent).get(f"/portal/{ticket.pk}/")

    assert (answer.status_code, answer["Location"]) == (302, f"/t/{ticket.pk}/")


def test_nothing_internal_reaches_the_requester(portal: Portal) -> None:
    house, now = portal.house, portal.house.now
    ticket = portal.open()
    add_note(ticket_id=ticket.pk, body="SECRET-NOTE", actor=house.agent, now=now + MIN)
    write_handoff(ticket_id=ticket.pk, fields={"tried": "SECRET-HANDOFF"}, actor=house.agent, now=now + MIN)
    assign_ticket(
        ticket_id=ticket.pk, assignee=house.second, actor=house.agent, now=now + MIN, reason="SECRET-WHY"
    )
    escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.agent, now=now + 2 * MIN, reason="SECRET-REASON")
    acknowledge(ticket_id=ticket.pk, seen_seq=1, actor=house.second, now=now + 3 * MIN)
    add_reply(ticket_id=ticket.pk, body="We are on it.", actor=house.second, now=now + 4 * MIN)
    post_update(ticket_id=ticket.pk, body="Nearly there.", actor=house.second, now=now + 5 * MIN)

    pages = [signed_in(portal.carla).get(page.format(pk=ticket.pk)).content.decode() for page in PAGES]

    for page in pages:
        assert "SECRET" not in page
        assert "Duty L2" not in page
    assert "We are on it." in pages[0]
    assert "Nearly there." in pages[0]
    assert "Escalated to level 2, Network, to bring in specialists" in pages[0]


def upload(name: str = "log.txt", content: bytes = b"line", kind: str = "text/plain") -> Upload:
    return Upload(name, io.BytesIO(content), kind)


def attachment_on(ticket: Ticket, portal: Portal, kind: str, file: Upload) -> Attachment:
    write = {EntryKind.REPLY: add_reply, EntryKind.NOTE: add_note, EntryKind.UPDATE: post_update}[
        EntryKind(kind)
    ]
    entry = write(
        ticket_id=ticket.pk, body="See file", actor=portal.house.agent, now=portal.house.now, uploads=[file]
    )
    return entry.attachments.get()


@pytest.mark.parametrize(
    ("kind", "reader", "expected"),
    [
        ("reply", "carla", 200),
        ("update", "carla", 200),
        ("note", "carla", 404),
        ("reply", "follower", 200),
        ("note", "follower", 404),
        ("reply", "colleague", 404),
        ("reply", "mallory", 404),
        ("note", "mallory", 404),
        ("note", "agent", 200),
        ("reply", "agent", 200),
    ],
)
def test_a_file_is_there_for_those_who_may_read_its_entry(
    portal: Portal, kind: str, reader: str, expected: int
) -> None:
    attachment = attachment_on(portal.open(), portal, kind, upload())
    user = portal.house.agent if reader == "agent" else getattr(portal, reader)

    answer = signed_in(user).get(f"/files/{attachment.pk}/{attachment.name}")

    assert answer.status_code == expected
    if expected == 200:
        assert b"".join(answer.streaming_content) == b"line"


@pytest.mark.parametrize(
    ("name", "kind", "in_place"),
    [
        ("photo.png", "image/png", True),
        ("photo.svg", "image/svg+xml", False),
        ("page.html", "text/html", False),
        ("x.pdf", "application/pdf", False),
        ("odd.bin", "text/html; charset=x\r\nX-Evil: 1", False),
        ("grüße 100%.txt", "text/plain", False),
    ],
)
def test_files_are_downloads_except_plain_pictures_and_nothing_in_them_runs(
    portal: Portal, name: str, kind: str, in_place: bool
) -> None:
    attachment = attachment_on(
        portal.open(), portal, "reply", upload(name, b"<script>alert(1)</script>", kind)
    )
    page = signed_in(portal.carla).get(f"/portal/{attachment.entry.ticket_id}/").content.decode()
    (address,) = {part.split('"')[0] for part in page.split('href="') if part.startswith("/files/")}

    answer = signed_in(portal.carla).get(address)

    assert answer.status_code == 200
    assert answer["Content-Disposition"].startswith("inline" if in_place else "attachment")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert "X-Evil" not in answer.headers
    assert "\n" not in answer["Content-Type"]


def test_a_file_under_another_name_and_one_of_an_erased_entry_are_not_there(portal: Portal) -> None:
    attachment = attachment_on(portal.open(), portal, "reply", upload())
    client = signed_in(portal.carla)

    assert client.get(f"/files/{attachment.pk}/other.txt").status_code == 404
    Entry.objects.filter(pk=attachment.entry_id).update(erased_at=portal.house.now)
    assert client.get(f"/files/{attachment.pk}/log.txt").status_code == 404


def test_a_file_that_is_lost_on_disk_is_not_found_instead_of_an_error(portal: Portal) -> None:
    attachment = attachment_on(portal.open(), portal, "reply", upload())
    attachment.file.storage.delete(attachment.file.name)

    assert signed_in(portal.carla).get(f"/files/{attachment.pk}/log.txt").status_code == 404


def test_an_erased_message_says_so_and_shows_nothing(portal: Portal) -> None:
    ticket = portal.open(body="A-SECRET-OF-MINE")
    Entry.objects.filter(ticket=ticket).update(erased_at=portal.house.now)

    page = signed_in(portal.carla).get(f"/portal/{ticket.pk}/").content.decode()

    assert "A-SECRET-OF-MINE" not in page
    assert "has been erased" in page


def test_what_people_wrote_is_escaped(portal: Portal) -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    ticket = open_ticket(
        draft=Draft(requester=portal.carla, subject=evil, body=evil), actor=None, now=portal.house.now
    )

    for path in (f"/portal/{ticket.pk}/", "/portal/", "/portal/?q=%3Cscript%3E"):
        page = signed_in(portal.carla).get(path).content.decode()
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "&lt;script&gt;" in page
