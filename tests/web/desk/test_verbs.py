"""What people do on the ticket page, without JavaScript and as htmx sends it."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import User
from escalation.models import Escalation, EscalationRequest
from escalation.operations import escalate, request_escalation
from tests.helpers import race
from tests.house import House, build_house
from tests.web.desk.conftest import BACKEND, As, seq_of, text_of
from tickets.models import Attachment, Category, Entry, Service, Ticket
from tickets.operations import add_note, add_reply, assign_ticket, change_status, write_handoff
from web.models import Submission

SCRIPT = {"HX-Request": "true"}
HANDOFF = {"handoff_impact": "46 people", "handoff_tried": "A restart", "handoff_next_action": "Roll back"}


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("reply", {"body": "Hello"}),
        ("note", {"body": "Hm"}),
        ("update", {"body": "Still at it"}),
        ("handoff", HANDOFF),
    ],
)
def test_each_tab_writes_its_kind(house: House, signed_in_as: As, kind: str, fields: dict[str, str]) -> None:
    ticket = house.open()

    answer = signed_in_as(house.agent).post(f"/t/{ticket.pk}/write/", {"kind": kind, **fields})

    entry = Entry.objects.filter(ticket=ticket).latest("pk")
    assert answer["Location"] == f"/t/{ticket.pk}/?sent=1#composer"
    assert (entry.kind, entry.author) == (kind, house.agent)
    assert entry.body == fields.get("body", "")
    assert entry.fields.get("impact", "") == fields.get("handoff_impact", "")


def test_reply_with_file_and_status(house: House, signed_in_as: As) -> None:
    ticket = house.open()
    file = SimpleUploadedFile("../../etc/passwd.log", b"content", "text/plain")

    signed_in_as(house.agent).post(
        f"/t/{ticket.pk}/write/",
        {"kind": "reply", "body": "Which one?", "then_status": "waiting", "files": file},
    )

    ticket.refresh_from_db()
    attachment = Attachment.objects.get(entry__ticket=ticket)
    assert ticket.status == "waiting"
    assert attachment.name == "passwd.log"
    shown = signed_in_as(house.agent).get(f"/files/{attachment.pk}/{attachment.name}")
    assert b"".join(shown.streaming_content) == b"content"  # type: ignore[attr-defined]


@pytest.mark.parametrize("headers", [{}, SCRIPT])
def test_declined_text_comes_back_with_what_to_mend(
    house: House, signed_in_as: As, headers: dict[str, str]
) -> None:
    ticket = house.open()

    answer = signed_in_as(house.agent).post(
        f"/t/{ticket.pk}/write/",
        {"kind": "note", "body": "A long thought", "then_status": "hold", "reason": ""},
        headers=headers,
    )

    page = text_of(answer)
    assert answer.status_code == 422
    assert "Putting a ticket on hold needs a reason." in page
    assert ">A long thought</textarea>" in page
    assert 'value="note" id="kind-note" checked' in page
    assert not Entry.objects.filter(ticket=ticket, kind="note").exists()


def test_same_form_sent_twice_counts_once_and_changed_text_counts_again(
    house: House, signed_in_as: As
) -> None:
    ticket = house.open()
    client = signed_in_as(house.agent)
    form = {"kind": "reply", "body": "Once", "form_token": "a-token"}

    for _ in range(3):
        assert client.post(f"/t/{ticket.pk}/write/", form).status_code == 302
    client.post(f"/t/{ticket.pk}/write/", {**form, "body": "Another thought"})

    bodies = (
        Entry.objects.filter(ticket=ticket, author=house.agent).order_by("pk").values_list("body", flat=True)
    )
    assert list(bodies) == ["Once", "Another thought"]


def test_declined_form_may_be_sent_again_as_it_was(house: House, signed_in_as: As) -> None:
    ticket = house.open()
    client = signed_in_as(house.agent)
    form = {
        "kind": "note",
        "body": "Parked",
        "then_status": "hold",
        "reason": "Vendor",
        "form_token": "a-token",
    }
    change_status(ticket_id=ticket.pk, status="closed", actor=house.agent, now=house.now)

    assert client.post(f"/t/{ticket.pk}/write/", form).status_code == 422
    assert Submission.objects.count() == 0
    change_status(ticket_id=ticket.pk, status="open", actor=house.agent, now=house.now)
    assert client.post(f"/t/{ticket.pk}/write/", form).status_code == 302
    assert Entry.objects.filter(ticket=ticket, kind="note").count() == 1


@pytest.mark.django_db(transaction=True)
def test_double_click_at_the_same_instant_adds_one_entry() -> None:
    house = build_house()
    ticket = house.open()

    def click() -> int:
        client = Client()
        client.force_login(house.agent, backend=BACKEND)
        form = {"kind": "reply", "body": "Once", "form_token": "a-token"}
        return client.post(f"/t/{ticket.pk}/write/", form).status_code

    assert race(click, click, click) == [302, 302, 302]
    assert Entry.objects.filter(ticket=ticket, author=house.agent).count() == 1


def test_send_and_next_goes_to_the_persons_next_ticket(house: House, signed_in_as: As) -> None:
    first, second = house.open(), house.open()
    client = signed_in_as(house.agent)
    assign_ticket(ticket_id=second.pk, assignee=house.agent, actor=house.agent, now=house.now)

    answer = client.post(f"/t/{first.pk}/write/", {"kind": "reply", "body": "Done", "go": "next"})

    assert answer["Location"] == f"/t/{second.pk}/"


def test_sent_by_script_returns_an_empty_composer_and_what_has_arrived(
    house: House, signed_in_as: As
) -> None:
    ticket = house.open()

    answer = signed_in_as(house.agent).post(
        f"/t/{ticket.pk}/write/", {"kind": "note", "body": "Hm", "form_token": "one"}, headers=SCRIPT
    )

    page = text_of(answer)
    assert 'value="note" id="kind-note" checked' in page
    assert ">Hm</textarea>" not in page
    assert 'name="form_token" value="one"' not in page
    # Before the swap, or the fresh composer would find the old draft.
    assert json.loads(answer["HX-Trigger"]) == {"belay:sent": {"prefix": f"t{ticket.pk}:body"}}
    assert "belay:changed" in json.loads(answer["HX-Trigger-After-Settle"])


def test_taking_and_acknowledging(house: House, signed_in_as: As) -> None:
    ticket = house.open()
    escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.agent, now=house.now, reason="Needs L2.")

    answer = signed_in_as(house.second).post(f"/t/{ticket.pk}/acknowledge/", {"seq": seq_of(ticket)})

    ticket.refresh_from_db()
    current = Escalation.objects.get(ticket=ticket, seq=seq_of(ticket))
    assert answer["Location"] == f"/t/{ticket.pk}/"
    assert (current.acknowledged_by, current.acknowledged_via) == (house.second, "button")
    assert ticket.assignee == house.second


def test_acknowledging_what_is_not_ones_own_is_refused_in_words(house: House, signed_in_as: As) -> None:
    ticket = house.open()
    escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.agent, now=house.now, reason="Needs L2.")
    client = signed_in_as(house.outsider)

    by_script = client.post(f"/t/{ticket.pk}/acknowledge/", {"seq": 1}, headers=SCRIPT)
    page = client.post(f"/t/{ticket.pk}/acknowledge/", {"seq": 1}, follow=True)

    assert by_script.status_code == 403
    assert by_script["Content-Type"].startswith("text/plain")
    assert "Only Network" in by_script.content.decode()
    assert "Only Network" in text_of(page)


@pytest.mark.parametrize("seq", ["", "x", "-1", "99999999999", "7"])
def test_a_seq_that_nobody_saw_moves_nothing(house: House, signed_in_as: As, seq: str) -> None:
    ticket = house.open()

    answer = signed_in_as(house.agent).post(f"/t/{ticket.pk}/escalate/", {"seq": seq, "reason": "Now."})

    assert answer.status_code in (409, 422)
    assert seq_of(ticket) == 0


def test_escalate_page_shows_who_will_be_told_before_anything_happens(house: House, signed_in_as: As) -> None:
    ticket = house.open()

    page = text_of(signed_in_as(house.agent).get(f"/t/{ticket.pk}/escalate/"))

    assert "never held against anyone" in page
    for words in (
        "Aisha Test</b>: First, by day and night.",
        "Duty L2",
        "skips 1 step",
        "When customers notice.",
    ):
        assert words in page, words
    assert "10 min to acknowledge" in page
    assert seq_of(ticket) == 0


def test_escalating_writes_the_handoff_and_climbs(house: House, signed_in_as: As) -> None:
    ticket = house.open()

    answer = signed_in_as(house.outsider).post(
        f"/t/{ticket.pk}/escalate/", {"seq": 0, "reason": "Needs core.", "to_position": 3, **HANDOFF}
    )

    ticket.refresh_from_db()
    current = Escalation.objects.get(ticket=ticket, seq=1)
    assert answer["Location"] == f"/t/{ticket.pk}/"
    assert (current.to_tier, current.actor) == (3, house.outsider)
    assert current.handoff is not None
    assert current.handoff.fields["tried"] == "A restart"


def test_lead_who_escalates_with_a_handoff_has_not_acknowledged_by_that(
    house: House, signed_in_as: As
) -> None:
    ticket = house.open()

    signed_in_as(house.lead).post(f"/t/{ticket.pk}/escalate/", {"seq": 0, "reason": "Needs L2.", **HANDOFF})

    ticket.refresh_from_db()
    assert Escalation.objects.get(ticket=ticket, seq=1).acknowledged_at is None
    assert (ticket.assignee, ticket.unacknowledged_since is not None) == (None, True)


def test_escalating_without_a_reason_asks_for_one_and_keeps_the_handoff(
    house: House, signed_in_as: As
) -> None:
    ticket = house.open()

    answer = signed_in_as(house.agent).post(
        f"/t/{ticket.pk}/escalate/", {"seq": 0, "reason": " ", "to_position": 3, **HANDOFF}
    )

    page = text_of(answer)
    assert answer.status_code == 422
    assert "Escalating needs a reason." in page
    assert ">A restart</textarea>" in page
    assert 'name="to_position" value="3" checked' in page
    assert seq_of(ticket) == 0


@pytest.mark.parametrize("headers", [{}, SCRIPT])
def test_ticket_that_moved_meanwhile_asks_to_climb_again_and_keeps_the_text(
    house: House, signed_in_as: As, headers: dict[str, str]
) -> None:
    ticket = house.open()
    escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.lead, now=house.now, reason="First.")

    answer = signed_in_as(house.agent).post(
        f"/t/{ticket.pk}/escalate/", {"seq": 0, "reason": "My own reason", **HANDOFF}, headers=headers
    )

    page = text_of(answer)
    assert answer.status_code == 409
    assert "It moved: climb again?" in page
    assert f"#{ticket.pk} is at Network since" in page
    assert ">My own reason</textarea>" in page
    assert 'name="seq" value="1"' in page
    assert seq_of(ticket) == 1
    assert ("<html" in page) is (headers == {})

    again = signed_in_as(house.agent).post(f"/t/{ticket.pk}/escalate/", {"seq": 1, "reason": "My own reason"})
    assert again.status_code == 302
    assert seq_of(ticket) == 2


def test_handoff_begins_with_the_last_one_else_with_the_timeline(house: House, signed_in_as: As) -> None:
    ticket = house.open()
    client = signed_in_as(house.agent)
    add_note(ticket_id=ticket.pk, body="Changed the cable.", actor=house.agent, now=house.now)

    page = text_of(client.get(f"/t/{ticket.pk}/escalate/"))
    assert "Begun for you from the timeline" in page
    assert ">Changed the cable.</textarea>" in page

    write_handoff(ticket_id=ticket.pk, fields={"suspected": "The switch"}, actor=house.agent, now=house.now)
    page = text_of(client.get(f"/t/{ticket.pk}/escalate/"))
    assert "Begun for you from the last handoff" in page
    assert ">The switch</textarea>" in page


def test_handing_back_down_needs_a_reason_and_the_right_person(house: House, signed_in_as: As) -> None:
    ticket = house.open()
    escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.agent, now=house.now, reason="Needs L2.")
    form = {"seq": 1, "to_position": 1, "reason": "It is a cable."}

    assert (
        signed_in_as(house.outsider).post(f"/t/{ticket.pk}/deescalate/", form, headers=SCRIPT).status_code
        == 403
    )
    empty = signed_in_as(house.second).post(f"/t/{ticket.pk}/deescalate/", {**form, "reason": ""})
    assert (empty.status_code, seq_of(ticket)) == (422, 1)
    assert signed_in_as(house.second).post(f"/t/{ticket.pk}/deescalate/", form).status_code == 302
    ticket.refresh_from_db()
    assert (ticket.tier, ticket.team) == (1, house.desk)


@pytest.mark.parametrize(("choice", "state", "seq"), [("grant", "granted", 1), ("decline", "declined", 0)])
def test_lead_answers_the_requesters_wish(
    house: House, signed_in_as: As, choice: str, state: str, seq: int
) -> None:
    ticket = house.open()
    wish = request_escalation(
        ticket_id=ticket.pk, actor=house.requester, reason="Auditors come.", now=house.now
    )
    client = signed_in_as(house.lead)
    assert "Auditors come." in text_of(client.get(f"/t/{ticket.pk}/"))

    client.post(f"/t/{ticket.pk}/wish/{wish.pk}/", {"answer": choice, "reason": "Because."})

    wish.refresh_from_db()
    assert (wish.state, wish.answer, seq_of(ticket)) == (state, "Because.", seq)
    again = client.post(f"/t/{ticket.pk}/wish/{wish.pk}/", {"answer": "grant"}, headers=SCRIPT)
    assert again.status_code == 409


def test_declining_a_wish_needs_a_reason_and_agents_do_not_answer_it(house: House, signed_in_as: As) -> None:
    ticket = house.open()
    wish = request_escalation(
        ticket_id=ticket.pk, actor=house.requester, reason="Auditors come.", now=house.now
    )

    assert (
        signed_in_as(house.agent).post(f"/t/{ticket.pk}/wish/{wish.pk}/", {"answer": "grant"}).status_code
        == 403
    )
    empty = signed_in_as(house.lead).post(f"/t/{ticket.pk}/wish/{wish.pk}/", {"answer": "decline"})
    assert empty.status_code == 422
    assert EscalationRequest.objects.get().state == "open"


def test_small_forms_change_owner_severity_status_details_and_tags(house: House, signed_in_as: As) -> None:
    ticket = house.open()
    service = Service.objects.create(name="VPN")
    category = Category.objects.create(name="Network")
    client = signed_in_as(house.agent)

    def post(verb: str, **form: object) -> None:
        assert client.get(f"/t/{ticket.pk}/{verb}/").status_code == 200
        answer = client.post(f"/t/{ticket.pk}/{verb}/", form)
        assert answer.status_code == 302, text_of(answer)

    post("assign", assignee=house.second.pk, team=house.network.pk, reason="Knows it.")
    post("severity", severity=1, reason="Everybody.")
    post("status", status="hold", reason="Vendor.")
    post("tags", tags="Madrid Office, vpn")
    post("tags", tags="vpn, core")
    post(
        "details",
        subject="A better subject",
        service=service.pk,
        category=category.pk,
        organisation="",
        impact=1,
        urgency=3,
        complexity=2,
    )

    ticket.refresh_from_db()
    assert (ticket.assignee, ticket.team) == (house.second, house.network)
    assert (ticket.severity, ticket.status, ticket.tags) == (1, "hold", ["core", "vpn"])
    assert (ticket.subject, ticket.service, ticket.category, ticket.impact, ticket.urgency) == (
        "A better subject",
        service,
        category,
        1,
        3,
    )


@pytest.mark.parametrize(
    ("verb", "form", "words"),
    [
        ("severity", {"severity": "1", "reason": ""}, "Another severity needs a reason."),
        ("severity", {"severity": "9", "reason": "x"}, "is no severity"),
        ("severity", {"severity": "x", "reason": "x"}, "is no number"),
        ("status", {"status": "hold"}, "needs a reason"),
        ("status", {"status": "nonsense"}, "is no status"),
        ("status", {"status": "waiting"}, "needs a public reply first"),
        ("assign", {"assignee": "999999"}, "is gone"),
        ("tags", {"tags": "x" * 60}, "is no tag"),
    ],
)
def test_declined_small_form_says_why_and_changes_nothing(
    house: House, signed_in_as: As, verb: str, form: dict[str, str], words: str
) -> None:
    ticket = house.open()
    before = ticket.event_seq

    answer = signed_in_as(house.agent).post(f"/t/{ticket.pk}/{verb}/", form)

    ticket.refresh_from_db()
    assert answer.status_code == 422
    assert words in text_of(answer)
    assert ticket.event_seq == before


def test_waiting_is_possible_once_somebody_answered(house: House, signed_in_as: As) -> None:
    ticket = house.open()
    add_reply(ticket_id=ticket.pk, body="Which?", actor=house.agent, now=house.now)

    signed_in_as(house.agent).post(f"/t/{ticket.pk}/status/", {"status": "waiting"})

    ticket.refresh_from_db()
    assert ticket.status == "waiting"


NEW = {
    "requester": "carla@example.org",
    "subject": "Phone",
    "body": "It is mute.",
    "impact": "2",
    "urgency": "2",
}


def test_new_ticket_for_somebody_known(house: House, signed_in_as: As) -> None:
    answer = signed_in_as(house.agent).post("/new/", {**NEW, "mine": "1"})

    ticket = Ticket.objects.get()
    assert answer["Location"] == f"/t/{ticket.pk}/"
    assert (ticket.requester, ticket.assignee, ticket.severity) == (house.requester, house.agent, 3)


def test_new_ticket_for_somebody_unknown_makes_their_account(house: House, signed_in_as: As) -> None:
    signed_in_as(house.agent).post("/new/", {**NEW, "requester": "neu@example.com", "name": "Neu Mann"})

    user = User.objects.get(email="neu@example.com")
    assert (user.name, user.role, user.has_usable_password()) == ("Neu Mann", "requester", False)
    assert Ticket.objects.get().requester == user


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"requester": ""}, "For whom is this ticket?"),
        ({"requester": "nobody"}, "Nobody is called “nobody”."),
        ({"requester": "x@"}, "is no email address"),
        ({"subject": " "}, "A ticket needs a subject."),
        ({"body": ""}, "Say what is wrong."),
        ({"impact": "9"}, "is no impact"),
        ({"severity": "1"}, "another severity needs a reason"),
        ({"service": "77777"}, "That service is gone."),
    ],
)
def test_declined_new_ticket_leaves_nothing_behind(
    house: House, signed_in_as: As, wrong: dict[str, str], words: str
) -> None:
    people = User.objects.count()

    answer = signed_in_as(house.agent).post("/new/", {**NEW, "requester": "neu@example.com", **wrong})

    assert answer.status_code == 422
    assert words in text_of(answer)
    assert (Ticket.objects.count(), User.objects.count()) == (0, people)


def test_new_ticket_sent_twice_opens_one(house: House, signed_in_as: As) -> None:
    client = signed_in_as(house.agent)

    for _ in range(2):
        client.post("/new/", {**NEW, "form_token": "a-token"})

    assert Ticket.objects.count() == 1


def test_people_are_suggested_by_name_or_address(house: House, signed_in_as: As) -> None:
    client = signed_in_as(house.agent)

    assert "carla@example.org" in client.get("/new/people/?requester=CAR").content.decode()
    assert client.get("/new/people/?requester=c").content.decode().strip() == ""
