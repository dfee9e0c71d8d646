"""Every registered page of the admin answers admins, and nobody else."""

from typing import Any

import pytest
from django.contrib import admin as django_admin
from django.test import Client
from django.urls import reverse

from core.admin import ReadOnlyAdmin
from core.db import database_now
from escalation.operations import escalate, request_escalation
from notifications.models import Delivery, Notification
from tests.admin.conftest import House, signed_in
from tickets.models import Ticket
from tickets.operations import Draft, open_ticket

PAGES = sorted(
    ((model._meta.app_label, model._meta.model_name) for model in django_admin.site._registry),
)


def address(app: str, model: str, page: str, *args: Any) -> str:
    return reverse(f"admin:{app}_{model}_{page}", args=args)


def page_of(app: str, model: str) -> Any:
    return next(
        page
        for known, page in django_admin.site._registry.items()
        if (known._meta.app_label, known._meta.model_name) == (app, model)
    )


@pytest.fixture
def busy(house: House) -> House:
    """A house in which things have happened: a ticket on a path, a climb, a wish, a message."""
    now = database_now()
    draft = Draft(
        requester=house.requester,
        subject="VPN drops",
        body="Since nine.",
        service=house.service,
        impact=1,
        urgency=1,
    )
    ticket = open_ticket(draft=draft, actor=house.agent, now=now)
    seq = ticket.standing.seq
    request_escalation(ticket_id=ticket.pk, actor=house.requester, reason="Nobody calls back.", now=now)
    escalate(
        ticket_id=ticket.pk,
        seen_seq=seq,
        actor=house.agent,
        now=now,
        reason="Needs the core team.",
        handoff={"impact": "46 people"},
    )
    row = Notification.objects.filter(ticket=ticket).first()
    assert row is not None, "the climb told nobody"
    Delivery.objects.create(notification=row, attempt=1, at=now, ok=False, answer="451 try later")
    return house


def test_every_list_and_add_page_answers_an_admin_or_is_not_there_at_all(admin: Client) -> None:
    found = {}
    for app, model in PAGES:
        found[app, model, "changelist"] = admin.get(address(app, model, "changelist")).status_code
        answer = admin.get(address(app, model, "add"))
        # Read-only state has no such page: adding is refused, not hidden.
        expected = 200 if page_of(app, model).has_add_permission(answer.wsgi_request) else 403
        found[app, model, "add"] = 200 if answer.status_code == expected else answer.status_code
    assert set(found.values()) == {200}, {page: status for page, status in found.items() if status != 200}


def test_every_page_of_a_row_answers_an_admin(busy: House, admin: Client) -> None:
    looked_at = []
    for app, model in PAGES:
        row = page_of(app, model).model._default_manager.order_by("pk").first()
        if row is None:
            continue
        answer = admin.get(address(app, model, "change", row.pk), follow=True)
        assert answer.status_code == 200, (app, model)
        looked_at.append(model)
    assert {
        "ticket",
        "clock",
        "standing",
        "escalation",
        "escalationrequest",
        "notification",
        "delivery",
        "event",
    } <= set(looked_at)
    assert {
        "escalationpath",
        "calendar",
        "contact",
        "contactlist",
        "team",
        "user",
        "organisation",
        "severitycell",
    } <= set(looked_at)


@pytest.mark.parametrize("who", ["agent", "requester"])
def test_no_page_opens_for_people_who_administer_nothing(house: House, who: str) -> None:
    client = signed_in(getattr(house, who))
    found = {
        (app, model, kind): client.get(address(app, model, kind), follow=True).status_code
        for app, model in PAGES
        for kind in ("changelist", "add")
    }
    assert set(found.values()) == {403}, {page: status for page, status in found.items() if status != 403}


def test_a_stranger_is_sent_to_the_one_sign_in_page(db: None) -> None:
    for app, model in PAGES:
        answer = Client().get(address(app, model, "changelist"), follow=True)
        assert answer.redirect_chain[-1][0].startswith("/sign-in/?"), (app, model)
        assert answer.status_code == 200


def test_the_admins_own_login_form_is_not_a_second_door(house: House) -> None:
    client = Client()
    answer = client.post("/admin/login/", {"username": house.admin.email, "password": "whatever it is"})
    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in/")
    assert "_auth_user_id" not in client.session


READ_ONLY = [
    (model._meta.app_label, model._meta.model_name)
    for model, page in django_admin.site._registry.items()
    if isinstance(page, ReadOnlyAdmin)
]


def test_all_state_is_read_only() -> None:
    assert {name for _, name in READ_ONLY} >= {
        "ticket",
        "event",
        "seal",
        "notification",
        "delivery",
        "tickrecord",
        "clock",
        "standing",
        "escalation",
        "escalationrequest",
    }


def test_no_post_changes_adds_or_deletes_state(busy: House, admin: Client) -> None:
    for app, model in READ_ONLY:
        rows = page_of(app, model).model._default_manager.order_by("pk")
        row, before = rows.first(), rows.count()
        pk = row.pk if row is not None else 1
        assert admin.post(address(app, model, "add"), {"subject": "x"}).status_code == 403
        if row is not None:
            assert (
                admin.post(address(app, model, "change", pk), {"subject": "x", "state": "met"}).status_code
                == 403
            )
            assert admin.post(address(app, model, "delete", pk), {"post": "yes"}).status_code == 403
        chosen = {"action": "delete_selected", "_selected_action": [pk], "post": "yes"}
        admin.post(address(app, model, "changelist"), chosen)
        assert rows.count() == before, (app, model)


def test_the_page_of_a_ticket_shows_what_higher_apps_know_of_it(busy: House, admin: Client) -> None:
    ticket = Ticket.objects.get()
    page = admin.get(address("tickets", "ticket", "change", ticket.pk)).content.decode()
    for title in ("Timeline", "Clocks", "Escalations", "Notifications"):
        assert f"<h2>{title}</h2>" in page
    assert "Time at this tier" in page
    assert "Nobody calls back." in page
    assert "An agent (Gus Agent)" in page


def test_a_list_never_counts_all_rows(busy: House, admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.admin.CAP", 2)
    events = address("tickets", "event", "changelist")
    answer = admin.get(events)
    assert answer.context["cl"].result_count == 3
    assert "More than 10,000" in answer.content.decode()


@pytest.mark.parametrize(
    "listing",
    [
        "tickets_ticket",
        "escalation_clock",
        "escalation_escalation",
        "notifications_notification",
        "tickets_event",
    ],
)
def test_a_list_costs_the_same_queries_however_long(
    house: House, admin: Client, listing: str, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        draft = Draft(
            requester=house.requester, subject=f"No. {number}", service=house.service, impact=1, urgency=1
        )
        open_ticket(draft=draft, actor=house.agent, now=database_now())
    admin.get(reverse(f"admin:{listing}_changelist"))
    with django_assert_max_num_queries(8):
        assert admin.get(reverse(f"admin:{listing}_changelist")).status_code == 200


def test_state_is_found_by_the_number_of_its_ticket(busy: House, admin: Client) -> None:
    ticket = Ticket.objects.get()
    clocks = reverse("admin:escalation_clock_changelist")
    assert admin.get(clocks, {"q": f"#{ticket.pk}"}).context["cl"].result_count > 0
    assert admin.get(clocks, {"q": str(ticket.pk + 1)}).context["cl"].result_count == 0
    assert admin.get(clocks, {"q": "a word"}).context["cl"].result_count == 0
