"""Apply a version to open tickets in the admin: offered, previewed, applied, stopped, by people who may."""

from dataclasses import replace

import pytest
from django.test import Client

from calendars.operations import publish_calendar
from calendars.rules import parse
from core.db import database_now
from escalation import recomputing
from escalation.models import RecomputeJob, Standing
from escalation.operations import PromiseSpec
from tests.admin.conftest import House, minutes, signed_in
from tickets.models import Ticket
from tickets.operations import Draft, open_ticket

JOBS = "/admin/escalation/recomputejob/"


def opened(house: House) -> Ticket:
    draft = Draft(requester=house.requester, subject="VPN drops", service=house.service, impact=2, urgency=2)
    return open_ticket(draft=draft, actor=house.agent, now=database_now())


def edited(house: House) -> None:
    """Publish a version with more time at the desk, less for the first response, and no second step."""
    desk = house.spec().steps[0]
    targets = {severity: (minutes(10 * severity), minutes(45 * severity)) for severity in (1, 2, 3, 4)}
    promises = {s: PromiseSpec(first_response=minutes(20), resolution=minutes(240 * s)) for s in (1, 2, 3, 4)}
    house.publish(house.path.pk, steps=(replace(desk, targets=targets),), promises=promises)
    house.path.refresh_from_db()


def asked(admin: Client, address: str) -> RecomputeJob:
    answer = admin.post(address, follow=True)
    return RecomputeJob.objects.get(pk=answer.redirect_chain[-1][0].split("/")[-3])


def test_the_page_of_a_path_offers_it_with_the_number_of_tickets(house: House, admin: Client) -> None:
    opened(house), opened(house)
    page = admin.get(f"/admin/escalation/escalationpath/{house.path.pk}/change/").content.decode()
    assert "There is no older version." in page
    edited(house)
    page = admin.get(f"/admin/escalation/escalationpath/{house.path.pk}/change/").content.decode()
    assert "2 open tickets run by an older version: version 1: 2." in page
    assert f'href="{JOBS}path/{house.path.pk}/"' in page


def test_looked_at_and_applied_it_says_what_it_did(house: House, admin: Client) -> None:
    ticket = opened(house)
    edited(house)
    address = f"{JOBS}path/{house.path.pk}/"
    assert "1 open ticket</b> would be concerned" in admin.get(address).content.decode()
    assert not RecomputeJob.objects.exists()

    job = asked(admin, address)
    page = admin.get(f"{JOBS}{job.pk}/change/").content.decode()
    assert "The preview is being computed" in page
    assert '<meta http-equiv="refresh"' in page
    recomputing.run(job.pk)
    page = admin.get(f"{JOBS}{job.pk}/change/").content.decode()
    assert "This is what would change; nothing has yet" in page
    assert "Apply to 1 ticket" in page
    assert '<meta http-equiv="refresh"' not in page
    assert Standing.objects.get(ticket=ticket).version.number == 1

    page = admin.post(f"{JOBS}{job.pk}/start/", follow=True).content.decode()
    assert "Waiting for a worker" in page
    recomputing.run(job.pk)
    page = admin.get(f"{JOBS}{job.pk}/part/").content.decode()
    assert "1 of 1 ticket: 1 changed." in page
    assert "data-live" not in page
    assert Standing.objects.get(ticket=ticket).version.number == 2
    page = admin.get(f"/admin/escalation/escalationpath/{house.path.pk}/change/").content.decode()
    assert "No open ticket runs by an older version." in page


def test_stopped_it_says_how_many_are_as_before_and_goes_on(house: House, admin: Client) -> None:
    opened(house)
    edited(house)
    job = asked(admin, f"{JOBS}path/{house.path.pk}/")
    recomputing.run(job.pk)
    admin.post(f"{JOBS}{job.pk}/start/")

    page = admin.post(f"{JOBS}{job.pk}/stop/", follow=True).content.decode()
    assert "Stopped: 1 ticket is as before" in page
    edited_again = house.publish(house.path.pk, warn_percent=55)
    page = admin.post(f"{JOBS}{job.pk}/start/", follow=True).content.decode()
    assert f"Version {edited_again.number} has been published since." in page
    assert "This goes on to version 2" in page


def test_a_second_one_of_the_same_path_is_refused_in_words(house: House, admin: Client) -> None:
    opened(house)
    edited(house)
    jobs = [asked(admin, f"{JOBS}path/{house.path.pk}/") for _ in range(2)]
    for job in jobs:
        recomputing.run(job.pk)
    admin.post(f"{JOBS}{jobs[0].pk}/start/")

    answer = admin.post(f"{JOBS}{jobs[1].pk}/start/", follow=True)

    assert "are being changed already. Wait until that is done, or stop it." in answer.content.decode()
    page = admin.get(f"{JOBS}path/{house.path.pk}/").content.decode()
    assert f'{JOBS}{jobs[0].pk}/change/">see how far it is' in page


def test_the_page_of_a_calendar_offers_it_too(house: House, admin: Client) -> None:
    opened(house)
    hours = parse({"tz": "Europe/Berlin", "week": {"mon": [["10:00", "16:00"]]}})
    publish_calendar(
        calendar_id=house.calendar.pk,
        name=house.calendar.name,
        hours=hours,
        actor_name="",
        now=database_now(),
    )
    page = admin.get(f"/admin/calendars/calendar/{house.calendar.pk}/change/").content.decode()
    assert "1 open ticket has clocks that count by older hours: version 1: 1." in page

    job = asked(admin, f"{JOBS}calendar/{house.calendar.pk}/")
    recomputing.run(job.pk)

    page = admin.get(f"{JOBS}{job.pk}/change/").content.decode()
    assert "Apply to 1 ticket" in page
    assert "Time at this tier" in page


def test_a_job_that_nobody_works_on_says_so(house: House, admin: Client) -> None:
    opened(house)
    edited(house)
    job = asked(admin, f"{JOBS}path/{house.path.pk}/")
    RecomputeJob.objects.filter(pk=job.pk).update(created_at=database_now() - minutes(3))
    assert "Nobody has worked on it for 3 min" in admin.get(f"{JOBS}{job.pk}/change/").content.decode()


@pytest.mark.parametrize("who", ["agent", "requester", "nobody"])
def test_nobody_else_sees_or_starts_anything(house: House, admin: Client, who: str) -> None:
    edited(house)
    job = asked(admin, f"{JOBS}path/{house.path.pk}/")
    recomputing.run(job.pk)
    client = Client() if who == "nobody" else signed_in(getattr(house, who))
    for page in ("change", "part"):
        assert client.get(f"{JOBS}{job.pk}/{page}/").status_code in (302, 403)
    for button in ("start", "stop"):
        assert client.post(f"{JOBS}{job.pk}/{button}/").status_code in (302, 403)
    assert client.post(f"{JOBS}path/{house.path.pk}/").status_code in (302, 403)
    job.refresh_from_db()
    assert job.state == "previewed"
    assert RecomputeJob.objects.count() == 1


def test_what_there_is_not_is_not_found(house: House, admin: Client) -> None:
    for address in ("path/0/", "calendar/0/", "0/part/", "0/change/"):
        assert admin.get(JOBS + address).status_code in (302, 404)
    assert admin.get(f"{JOBS}1/start/").status_code == 405
