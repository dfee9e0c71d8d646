"""Send-back moves nothing: a question with its own time to the sender, then their lead (DESIGN 3, by hand)."""

import datetime as dt
from dataclasses import replace

import pytest
from django.db import IntegrityError, transaction

from accounts.models import User
from core.errors import Conflict, NotAllowed, Refused
from escalation import kinds
from escalation.engine import tick
from escalation.models import Clock, HandoffQuestion
from escalation.operations import Moved, acknowledge, answer_question, deescalate, escalate, send_back
from notifications.models import Notification
from notifications.rendering import render
from tests.escalation.looking import at_l2, clock, due, fresh
from tests.house import HOUR, MIN, SEVERITIES, House, republish, steps_for
from tickets.models import Entry, Event, Status, Ticket
from tickets.operations import add_note, add_reply, change_status, write_handoff


def sent(house: House, *, actor: User | None = None) -> Ticket:
    """Escalate a ticket by hand from the service desk and let the network team acknowledge it."""
    ticket = house.open()
    escalate(ticket_id=ticket.pk, seen_seq=0, actor=actor or house.agent, now=house.now, reason="Rights.")
    acknowledge(ticket_id=ticket.pk, seen_seq=1, actor=house.second, now=house.now + MIN)
    return fresh(ticket)


def ask(house: House, ticket: Ticket, *, seq: int = 1, **more: object) -> HandoffQuestion:
    values = {"actor": house.second, "question": "Which rule?", "now": house.now + 2 * MIN}
    return send_back(ticket_id=ticket.pk, seen_seq=seq, **(values | more))  # type: ignore[arg-type]


def answer(house: House, ticket: Ticket, actor: User, **more: object) -> HandoffQuestion:
    values = {"text": "Rule 112.", "seen_seq": 1, "now": house.now + 3 * MIN}
    return answer_question(ticket_id=ticket.pk, actor=actor, **(values | more))  # type: ignore[arg-type]


def told(ticket: Ticket) -> list[tuple[str, str, str]]:
    rows = Notification.objects.filter(
        ticket=ticket, kind__in=(kinds.TELL_QUESTION, kinds.TELL_QUESTION_ANSWER)
    )
    return list(rows.order_by("pk").values_list("address", "context__what", "state"))


def test_a_question_goes_to_the_sender_and_moves_nothing(house: House) -> None:
    ticket = sent(house)
    before = due(ticket, "tier_time")

    question = ask(house, ticket)

    assert (question.asked_to, question.lead, question.state) == (house.agent, house.lead, "open")
    assert told(ticket) == [("piet@example.org", "asked", "pending")]
    # The service desk has no time to acknowledge, so the current step's counts.
    assert due(ticket, "question") == house.now + 12 * MIN
    after = fresh(ticket)
    assert (after.tier, after.team, after.assignee, due(ticket, "tier_time")) == (
        2,
        house.network,
        house.second,
        before,
    )
    event = Event.objects.select_related("payload").get(ticket=ticket, kind=kinds.SENT_BACK)
    assert (event.data["to"], event.payload.text) == (house.agent.pk, {"question": "Which rule?"})


def test_the_sender_has_the_acknowledge_time_of_the_step_they_sent_it_from(house: House) -> None:
    steps = steps_for(house)
    targets = dict.fromkeys(SEVERITIES, (25 * MIN, 5 * HOUR))
    republish(house, steps=(replace(steps[0], targets=targets), *steps[1:]))

    ticket = sent(house)
    ask(house, ticket)

    assert due(ticket, "question") == house.now + 27 * MIN


def test_unanswered_it_goes_to_their_lead_once_and_then_the_step_s_lead_hears_of_it(house: House) -> None:
    ticket = sent(house)
    ask(house, ticket)

    tick(now=house.now + 12 * MIN)
    assert told(ticket)[-1] == ("lena@example.org", "still_open", "pending")
    assert due(ticket, "question") == house.now + 22 * MIN
    tick(now=house.now + 22 * MIN)
    tick(now=house.now + 23 * MIN)

    assert told(ticket)[-1] == ("lena@example.org", "unanswered", "pending")
    assert len(told(ticket)) == 3
    assert HandoffQuestion.objects.get(ticket=ticket).state == "unanswered"
    assert clock(ticket, "question") is None
    assert (fresh(ticket).tier, fresh(ticket).standing.seq) == (2, 1)
    assert list(
        Event.objects.filter(ticket=ticket, kind__startswith="escalation.question")
        .order_by("seq")
        .values_list("kind", flat=True)
    ) == [kinds.QUESTION_PASSED, kinds.QUESTION_UNANSWERED]


def test_a_lead_who_sent_it_has_no_lead_to_be_asked(house: House) -> None:
    ticket = sent(house, actor=house.lead)
    question = ask(house, ticket)
    assert question.lead is None

    tick(now=house.now + 12 * MIN)

    assert [what for _, what, _ in told(ticket)] == ["asked", "unanswered"]


def test_whoever_has_left_answers_nothing_so_their_lead_is_asked_at_once(house: House) -> None:
    ticket = sent(house)
    User.objects.filter(pk=house.agent.pk).update(is_active=False)

    ask(house, ticket)
    tick(now=house.now + 12 * MIN)

    assert [(address, what) for address, what, _ in told(ticket)] == [
        ("lena@example.org", "asked"),
        ("lena@example.org", "unanswered"),
    ]


def test_an_answer_is_a_note_that_meets_the_clock_and_tells_the_asker(house: House) -> None:
    ticket = sent(house)
    ask(house, ticket)

    question = answer(house, ticket, house.agent)

    assert (question.state, question.answered_by) == ("answered", house.agent)
    note = Entry.objects.get(ticket=ticket, kind="note")
    assert (note.body, question.answer) == ("Rule 112.", note)
    assert Clock.objects.get(ticket=ticket, kind="question").state == "met"
    assert told(ticket) == [
        ("piet@example.org", "asked", "withdrawn"),
        ("aisha@example.org", "answered", "pending"),
    ]
    mail = render(Notification.objects.get(ticket=ticket, kind=kinds.TELL_QUESTION_ANSWER))
    assert "Rule 112." in mail.text


def test_an_answer_to_the_step_does_not_acknowledge_it(house: House) -> None:
    ticket = house.open()
    escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.lead, now=house.now, reason="Rights.")
    ask(house, ticket)

    answer(house, ticket, house.lead)

    assert fresh(ticket).unacknowledged_since is not None


@pytest.mark.parametrize("how", ["reply", "note", "handoff"])
@pytest.mark.parametrize("who", ["agent", "lead"])
def test_whatever_the_sender_or_their_lead_says_answers_it(how: str, who: str, house: House) -> None:
    ticket = sent(house)
    ask(house, ticket)
    actor, at = getattr(house, who), house.now + 3 * MIN

    if how == "handoff":
        write_handoff(ticket_id=ticket.pk, fields={"tried": "Rule 112"}, actor=actor, now=at)
    else:
        say = add_reply if how == "reply" else add_note
        say(ticket_id=ticket.pk, body="Rule 112", actor=actor, now=at)

    question = HandoffQuestion.objects.get(ticket=ticket)
    assert (question.state, question.answered_by) == ("answered", actor)
    assert clock(ticket, "question") is None
    assert told(ticket)[-1] == ("aisha@example.org", "answered", "pending")


@pytest.mark.parametrize("who", ["second", "outsider", "requester"])
def test_what_others_say_answers_nothing(who: str, house: House) -> None:
    ticket = sent(house)
    ask(house, ticket)

    add_reply(ticket_id=ticket.pk, body="Hm.", actor=getattr(house, who), now=house.now + 3 * MIN)

    assert HandoffQuestion.objects.get(ticket=ticket).state == "open"
    assert clock(ticket, "question") is not None


@pytest.mark.parametrize("how", ["climbs", "is handed back", "is resolved", "climbs by its clock"])
def test_it_is_overtaken_when_the_ticket(how: str, house: House) -> None:
    ticket = sent(house)
    ask(house, ticket, now=house.now + 25 * MIN)
    at = house.now + 26 * MIN

    if how == "climbs":
        escalate(ticket_id=ticket.pk, seen_seq=1, actor=house.second, now=at, reason="Core.")
    elif how == "is handed back":
        deescalate(
            ticket_id=ticket.pk, seen_seq=1, to_position=1, actor=house.second, now=at, reason="Incomplete."
        )
    elif how == "is resolved":
        change_status(ticket_id=ticket.pk, status=Status.RESOLVED, actor=house.second, now=at)
    else:
        tick(now=house.now + 40 * MIN)

    assert HandoffQuestion.objects.get(ticket=ticket).state == "overtaken"
    assert Clock.objects.get(ticket=ticket, kind="question").state == "cancelled"
    assert [state for _, _, state in told(ticket)] == ["withdrawn"]


def test_messages_about_a_question_whose_time_has_run_out_end_with_its_seq(house: House) -> None:
    ticket = sent(house)
    ask(house, ticket, now=house.now + 2 * MIN)
    for minute in (12, 22):
        tick(now=house.now + minute * MIN)
    assert clock(ticket, "question") is None

    escalate(ticket_id=ticket.pk, seen_seq=1, actor=house.second, now=house.now + 23 * MIN, reason="Core.")

    assert {state for _, _, state in told(ticket)} == {"withdrawn"}


def test_a_question_is_asked_once_per_handoff(house: House) -> None:
    ticket = sent(house)
    first = ask(house, ticket)

    with pytest.raises(Conflict, match="asked about this handoff already"):
        ask(house, ticket)

    with pytest.raises(IntegrityError, match="one_question_per_handoff"), transaction.atomic():
        HandoffQuestion.objects.create(
            ticket=ticket,
            seq=first.seq,
            asked_by=house.second,
            asked_to=house.agent,
            question="Again?",
            asked_at=house.now,
        )


def test_nobody_sent_a_ticket_that_climbed_by_its_clock(house: House) -> None:
    ticket = at_l2(house)

    with pytest.raises(Refused, match="Nobody sent"):
        ask(house, ticket, now=house.now + 31 * MIN)


def test_asking_oneself_makes_no_sense(house: House) -> None:
    ticket = house.open()
    escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.second, now=house.now, reason="Mine.")

    with pytest.raises(Refused, match="yourself"):
        ask(house, ticket)


@pytest.mark.parametrize("who", ["agent", "outsider", "requester"])
def test_only_those_of_the_current_step_ask(who: str, house: House) -> None:
    ticket = sent(house)

    with pytest.raises(NotAllowed):
        ask(house, ticket, actor=getattr(house, who))


@pytest.mark.parametrize("who", ["second", "outsider", "requester"])
def test_only_who_was_asked_or_a_lead_answers(who: str, house: House) -> None:
    ticket = sent(house)
    ask(house, ticket)

    with pytest.raises(NotAllowed):
        answer(house, ticket, getattr(house, who))


def test_a_late_answer_is_still_an_answer(house: House) -> None:
    ticket = sent(house)
    ask(house, ticket)
    tick(now=house.now + 12 * MIN)
    tick(now=house.now + 22 * MIN)

    answer(house, ticket, house.agent, now=house.now + 23 * MIN)

    assert HandoffQuestion.objects.get(ticket=ticket).state == "answered"
    with pytest.raises(Conflict, match="is answered"):
        answer(house, ticket, house.agent, now=house.now + 24 * MIN)


def test_stale_empty_and_unasked_are_refused(house: House) -> None:
    ticket = sent(house)

    with pytest.raises(Moved):
        ask(house, ticket, seq=0)
    with pytest.raises(Refused) as empty:
        ask(house, ticket, question=" ")
    with pytest.raises(Conflict, match="Nothing was asked"):
        answer(house, ticket, house.agent)
    ask(house, ticket)
    with pytest.raises(Refused) as silent:
        answer(house, ticket, house.agent, text=" ")

    assert (empty.value.field, silent.value.field) == ("question", "text")


def test_the_mails_say_who_asks_what_until_when(house: House) -> None:
    ticket = sent(house)
    ask(house, ticket, now=house.now + 2 * MIN)
    tick(now=house.now + 12 * MIN)
    tick(now=house.now + 22 * MIN)

    first, passed, given_up = (
        render(row)
        for row in Notification.objects.filter(
            ticket=ticket, kind__startswith="escalation.question"
        ).order_by("pk")
    )

    assert "Aisha Test asks about the handoff" in first.subject
    assert "Which rule?" in first.text
    assert "Piet Test escalated this ticket and has not answered" in passed.text
    assert "nobody answers about the handoff" in given_up.subject


def test_many_due_questions_cost_as_many_queries_as_few(house: House) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def queries(count: int, start: dt.datetime) -> int:
        for _ in range(count):
            ticket = house.open(at=start)
            escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.agent, now=start, reason="Rights.")
            acknowledge(ticket_id=ticket.pk, seen_seq=1, actor=house.second, now=start)
            ask(house, ticket, now=start)
        with CaptureQueriesContext(connection) as captured:
            tick(now=start + 10 * MIN)
        return len(captured)

    few = queries(2, house.now)
    many = queries(8, house.now + 5 * MIN)

    assert many <= few + 2
