"""What fails is isolated, told of and tried again; what can't be delivered moves on (DESIGN 3)."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection

from escalation import engine, kinds
from escalation.engine import tick
from escalation.models import Escalation, Standing
from escalation.operations import PromiseSpec, consult
from notifications.models import Contact, ContactMethod, Notification
from tests.house import MIN, SEVERITIES, House, republish, steps_for
from tickets.models import Event, Ticket

SECOND = dt.timedelta(seconds=1)


def poison(monkeypatch: pytest.MonkeyPatch, *ids: int) -> None:
    """Make the decision about some tickets raise, as a bug in a rule would."""
    decide = engine.decide

    def failing(path: Any, step: Any, dues: Any, now: Any, **more: Any) -> Any:
        from escalation.models import Clock

        if Clock.objects.filter(pk=dues[0].clock_id, ticket_id__in=ids).exists():
            raise ZeroDivisionError("a bug")
        return decide(path, step, dues, now, **more)

    monkeypatch.setattr(engine, "decide", failing)


def tier(ticket: Ticket) -> int:
    return Ticket.objects.values_list("tier", flat=True).get(pk=ticket.pk)


def test_a_ticket_whose_processing_fails_holds_nobody_else_up(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    tickets = [house.open() for _ in range(9)]
    poison(monkeypatch, tickets[4].pk)

    report = tick(now=house.now + 30 * MIN)

    assert report.set_aside == 1
    assert [tier(ticket) for ticket in tickets] == [2, 2, 2, 2, 1, 2, 2, 2, 2]
    bad = Ticket.objects.get(pk=tickets[4].pk)
    assert bad.set_aside_at == house.now + 30 * MIN
    assert Standing.objects.get(ticket=bad).set_aside_because == "ZeroDivisionError: a bug"


def test_a_ticket_set_aside_pages_its_lead_and_the_fallback_contact(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = house.open()
    poison(monkeypatch, ticket.pk)

    tick(now=house.now + 30 * MIN)

    told = Notification.objects.filter(ticket=ticket, kind=kinds.TELL_SET_ASIDE)
    assert {row.address for row in told} == {"lena@example.org", "duty@example.org"}
    assert Event.objects.filter(ticket=ticket, kind=kinds.SET_ASIDE).count() == 1


def test_a_ticket_set_aside_is_tried_again_with_backoff_and_recovers(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = house.open()
    with monkeypatch.context() as patched:
        poison(patched, ticket.pk)
        at = house.now + 30 * MIN
        tick(now=at)
        assert tick(now=at + 29 * SECOND).set_aside == 0
        assert tick(now=at + 30 * SECOND).set_aside == 1
        assert tick(now=at + 149 * SECOND).set_aside == 0

    tick(now=at + 150 * SECOND)

    recovered = Ticket.objects.get(pk=ticket.pk)
    assert (recovered.tier, recovered.set_aside_at) == (2, None)
    assert Standing.objects.get(ticket=ticket).failures == 0


def dead(ticket: Ticket, *addresses: str) -> None:
    """Let deliveries to these addresses have failed for good."""
    Notification.objects.filter(ticket=ticket, address__in=addresses, state="pending").update(
        state="dead", dead_at=dt.datetime.now(dt.UTC)
    )


def addresses(ticket: Ticket, seq: int = 1) -> list[str]:
    rows = Notification.objects.filter(ticket=ticket, seq=seq, round__isnull=False).order_by("pk")
    return list(rows.values_list("address", flat=True))


def test_a_method_that_fails_for_good_makes_way_for_the_next_at_once(house: House) -> None:
    aisha = ContactMethod.objects.get(address="aisha@example.org")
    ContactMethod.objects.create(contact=aisha.contact, address="aisha@example.net", position=2)
    ticket = house.open()
    tick(now=house.now + 30 * MIN)
    dead(ticket, "aisha@example.org")

    tick(now=house.now + 30 * MIN + SECOND)

    assert addresses(ticket) == ["aisha@example.org", "duty2@example.org", "aisha@example.net"]


def test_when_all_methods_have_failed_the_next_contact_is_told_at_once(house: House) -> None:
    republish(house, steps=steps_for(house, telling="in_turn"))
    ticket = house.open()
    tick(now=house.now + 30 * MIN)
    dead(ticket, "aisha@example.org")

    tick(now=house.now + 30 * MIN + SECOND)

    assert addresses(ticket) == ["aisha@example.org", "duty2@example.org"]


@pytest.mark.parametrize("telling", ["all", "in_turn"])
def test_a_round_that_died_altogether_tells_the_fallback_and_then_the_admins_but_never_spins(
    house: House, telling: str
) -> None:
    from notifications.operations import contacts_for

    contacts_for([house.admin])
    republish(house, steps=steps_for(house, telling=telling))
    ticket = house.open()
    tick(now=house.now + 30 * MIN)

    for second in range(1, 12):
        dead(ticket, "aisha@example.org", "duty2@example.org", "duty@example.org", "duty@example.net")
        tick(now=house.now + 30 * MIN + second * SECOND)

    assert sorted(addresses(ticket)) == sorted(
        ["aisha@example.org", "duty2@example.org", "duty@example.org", "duty@example.net", "ada@example.org"]
    )


def test_a_dead_letter_of_an_acknowledged_step_has_no_consequence(house: House) -> None:
    from escalation.operations import acknowledge

    ticket = house.open()
    tick(now=house.now + 30 * MIN)
    dead(ticket, "aisha@example.org")
    acknowledge(ticket_id=ticket.pk, seen_seq=1, actor=house.second, now=house.now + 31 * MIN)

    tick(now=house.now + 31 * MIN)

    assert addresses(ticket) == ["aisha@example.org", "duty2@example.org"]
    assert not Notification.objects.filter(state="dead", handled_at__isnull=True).exists()


def fail_in_the_database(kind: str, ticket: Ticket) -> None:
    """Let the database refuse one kind of event on one ticket, as a broken row or a bug would."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION 'a broken row'; END $$;
            CREATE TRIGGER broken BEFORE INSERT ON tickets_event FOR EACH ROW
                WHEN (NEW.kind = '{kind}' AND NEW.ticket_id = {ticket.pk}) EXECUTE FUNCTION broken()
            """
        )


def mend_the_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER broken ON tickets_event")


def test_a_dead_letter_whose_consequence_fails_holds_no_other_up_and_is_tried_again(house: House) -> None:
    good, bad = house.open(), house.open()
    tick(now=house.now + 30 * MIN)
    for ticket in (bad, good):
        dead(ticket, "aisha@example.org", "duty2@example.org")
    fail_in_the_database(kinds.DEAD_LETTER, bad)

    report = tick(now=house.now + 31 * MIN)

    assert report.dead_letters == 4
    assert "duty@example.org" in addresses(good)
    assert "duty@example.org" not in addresses(bad)
    assert Ticket.objects.get(pk=bad.pk).set_aside_at == house.now + 31 * MIN
    assert Notification.objects.filter(ticket=bad, kind=kinds.TELL_SET_ASIDE).exists()

    # when what was broken is mended, the next try after the pause draws the consequence
    mend_the_database()
    assert tick(now=house.now + 31 * MIN + 29 * SECOND).dead_letters == 0
    assert tick(now=house.now + 31 * MIN + 30 * SECOND).dead_letters == 2
    assert "duty@example.org" in addresses(bad)
    assert Ticket.objects.get(pk=bad.pk).set_aside_at is None


def test_a_ticket_that_the_database_refuses_is_set_aside_and_the_others_climb(house: House) -> None:
    tickets = [house.open() for _ in range(5)]
    fail_in_the_database(kinds.ESCALATED, tickets[2])

    report = tick(now=house.now + 30 * MIN)

    assert (report.set_aside, report.steps) == (1, {"tier_time": 4})
    assert [tier(ticket) for ticket in tickets] == [2, 2, 1, 2, 2]
    assert Standing.objects.get(ticket=tickets[2]).set_aside_because.startswith("InternalError: a broken row")


def test_a_ticket_with_a_clock_but_nowhere_on_a_path_is_set_aside_and_not_forgotten(house: House) -> None:
    lost, good = house.open(), house.open()
    Escalation.objects.filter(ticket=lost).delete()

    tick(now=house.now + 30 * MIN)

    assert Ticket.objects.get(pk=lost.pk).set_aside_at == house.now + 30 * MIN
    assert Notification.objects.filter(ticket=lost, kind=kinds.TELL_SET_ASIDE).exists()
    assert tier(good) == 2


def test_a_step_whose_entries_all_wait_for_a_later_round_tells_the_fallback(house: House) -> None:
    from notifications.models import ContactListEntry

    unhurried = replace(steps_for(house)[1], targets=dict.fromkeys((1, 2, 3, 4), (None, 30 * MIN)), rounds=1)
    republish(house, steps=(steps_for(house)[0], unhurried, *steps_for(house)[2:]))
    ContactListEntry.objects.filter(contact_list=house.lists[2]).update(from_round=3)
    ticket = house.open()

    tick(now=house.now + 30 * MIN)

    assert addresses(ticket) == ["duty@example.org"]


def test_a_fallback_that_is_switched_off_makes_way_for_the_admins(house: House) -> None:
    from notifications.operations import contacts_for

    contacts_for([house.admin])
    ContactMethod.objects.filter(contact__lists=house.lists[2]).update(is_active=False)
    Contact.objects.filter(pk=house.fallback.pk).update(is_active=False)
    ticket = house.open()

    tick(now=house.now + 30 * MIN)

    assert addresses(ticket) == ["ada@example.org"]


def test_a_letter_to_a_lead_that_dies_goes_to_the_fallback_and_then_to_an_admin_but_never_spins(
    house: House,
) -> None:
    republish(house, promises={s: PromiseSpec(first_response=5 * MIN) for s in SEVERITIES})
    ticket = house.open()
    tick(now=house.now + 5 * MIN)

    for second in range(1, 8):
        dead(ticket, "lena@example.org", "duty@example.org", "duty@example.net", "ada@example.org")
        tick(now=house.now + 5 * MIN + second * SECOND)

    told = Notification.objects.filter(ticket=ticket, kind=kinds.TELL_LEAD).order_by("pk")
    assert list(told.values_list("address", flat=True)) == [
        "lena@example.org",
        "duty@example.org",
        "duty@example.net",
        "ada@example.org",
    ]
    following = Event.objects.filter(ticket=ticket, kind=kinds.DEAD_LETTER).order_by("pk")
    assert [event.data["next"] for event in following] == ["contact", "method", "contact", "nobody"]


def test_a_call_for_help_that_reaches_nobody_goes_to_the_fallback(house: House) -> None:
    ticket = house.open()
    consult(
        ticket_id=ticket.pk, seen_seq=0, to_position=2, actor=house.agent, now=house.now, question="Which?"
    )
    dead(ticket, "aisha@example.org", "duty2@example.org")

    tick(now=house.now + SECOND)

    asked = Notification.objects.filter(ticket=ticket, kind=kinds.TELL_CONSULT).order_by("pk")
    assert list(asked.values_list("address", "state")) == [
        ("aisha@example.org", "dead"),
        ("duty2@example.org", "dead"),
        ("duty@example.org", "pending"),
    ]
