from typing import Any
import pytest
from core.db import database_now
from tests.admin.conftest import build_house
from tests.admin.test_every_page import address
from tickets.operations import Draft, open_ticket
from escalation.operations import escalate
from notifications.models import Notification
from accounts.models import User


def test_shots(live: Any, page: Any, sign_in: Any, axe: Any) -> None:
    house = build_house()
    sign_in(page, house.admin)
    logs = []
    page.on("console", lambda m: logs.append((page.url, m.type, m.text)))
    ticket = open_ticket(draft=Draft(requester=house.requester, subject="VPN drops every few minutes for the Madrid office", body="Since nine.", service=house.service, impact=1, urgency=1), actor=house.agent, now=database_now())
    escalate(ticket_id=ticket.pk, seen_seq=ticket.standing.seq, actor=house.agent, now=database_now(), reason="Needs the core team.", handoff={"impact": "46 people", "tried": "reboot", "suspected":"dns", "next_action": "look"})
    note = Notification.objects.filter(ticket=ticket).first()
    Notification.objects.filter(pk=note.pk).update(state="dead", dead_at=database_now(), answer="550 no such user")
    pages = {
        "index": "/admin/",
        "path": f"/admin/escalation/escalationpath/{house.path.pk}/change/",
        "path-add": "/admin/escalation/escalationpath/add/",
        "paths": "/admin/escalation/escalationpath/",
        "calendar": f"/admin/calendars/calendar/{house.calendar.pk}/change/",
        "calendars": "/admin/calendars/calendar/",
        "contact": f"/admin/notifications/contact/{house.contacts[0].pk}/change/",
        "list": f"/admin/notifications/contactlist/{house.first_list.pk}/change/",
        "user": f"/admin/accounts/user/{house.agent.pk}/change/",
        "user-add": "/admin/accounts/user/add/",
        "team": f"/admin/accounts/team/{house.network.pk}/change/",
        "matrix": "/admin/tickets/severitycell/",
        "ticket": f"/admin/tickets/ticket/{ticket.pk}/change/",
        "tickets": "/admin/tickets/ticket/",
        "clocks": "/admin/escalation/clock/",
        "notification": f"/admin/notifications/notification/{note.pk}/change/",
    }
    page.set_viewport_size({"width": 1380, "height": 900})
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for name, url in pages.items():
            page.goto(url)
            page.screenshot(path=f"/tmp/admin-shots/{name}-{scheme}.png", full_page=True)
            try:
                axe(page)
            except AssertionError as e:
                print("AXE", scheme, name, str(e)[:1500])
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(pages["path"])
    page.screenshot(path="/tmp/admin-shots/path-phone.png")
    for l in sorted(set(logs)):
        print("LOG", l)
