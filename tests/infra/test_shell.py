"""Health, metrics, ticks, headers, logs: what the shell itself answers for."""

import os
import subprocess
import sys
from typing import Any

import pytest
from django.contrib import admin
from django.core.management import call_command
from django.test import Client, RequestFactory
from django_celery_beat.models import PeriodicTask

from accounts.models import Role
from accounts.operations import create_user
from helpdesk.environment import BASE_DIR
from helpdesk.logs import redact
from helpdesk.ticks import SYSTEM


def test_healthz_asks_nobody(client: Client) -> None:
    assert client.get("/healthz").json() == {"alive": True}


@pytest.mark.django_db
def test_readyz_names_what_it_asked(client: Client) -> None:
    answer = client.get("/readyz").json()

    assert answer["database"] is True
    assert answer["broker"] is True
    assert "engine_lag_seconds" in answer


@pytest.mark.django_db
def test_a_dead_broker_is_named_and_leaves_belay_ready(client: Client, settings: Any) -> None:
    before = client.get("/readyz")
    settings.REDIS_URL = "redis://127.0.0.1:1"

    answer = client.get("/readyz")

    assert answer.json()["broker"] is False
    assert answer.status_code == before.status_code


def test_metrics_are_for_this_machine_only(client: Client) -> None:
    assert b"django_http_requests" in client.get("/metrics").content
    assert client.get("/metrics", REMOTE_ADDR="192.0.2.7").status_code == 403
    assert client.get("/metrics", headers={"X-Forwarded-For": "192.0.2.7"}).status_code == 403


def test_metrics_take_a_token_where_there_is_one(client: Client, settings: Any) -> None:
    settings.BELAY_METRICS_TOKEN = "well-kept"

    assert client.get("/metrics").status_code == 403
    assert client.get("/metrics", headers={"Authorization": "Bearer well-kept"}).status_code == 200


def test_pages_may_load_nothing_from_elsewhere(client: Client) -> None:
    policy = client.get("/healthz").headers["Content-Security-Policy"]

    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.django_db
def test_ticks_are_written_anew_and_those_of_an_admin_stay(settings: Any) -> None:
    call_command("sync_ticks")
    tick = PeriodicTask.objects.get(name=SYSTEM + "escalation.tick")
    tick.enabled = False
    tick.save()
    PeriodicTask.objects.create(name="an admin's", task="reports.weekly", interval=tick.interval)
    PeriodicTask.objects.create(name=SYSTEM + "long.gone", task="long.gone", interval=tick.interval)

    call_command("sync_ticks")

    tick.refresh_from_db()
    assert (tick.enabled, tick.expire_seconds, tick.interval.every) == (True, None, 1)
    names = set(
        PeriodicTask.objects.filter(name__in=["an admin's", SYSTEM + "long.gone"]).values_list(
            "name", flat=True
        )
    )
    assert names == {"an admin's"}
    assert set(settings.BELAY_TICKS) <= set(PeriodicTask.objects.values_list("task", flat=True))


@pytest.mark.django_db
def test_no_admin_stops_the_engine_by_accident(rf: RequestFactory) -> None:
    call_command("sync_ticks")
    tick = PeriodicTask.objects.get(name=SYSTEM + "escalation.tick")
    pages = admin.site.get_model_admin(PeriodicTask)
    request, action = rf.get("/"), rf.post("/", {"action": "disable_tasks"})
    request.user = action.user = create_user(email="a@example.com", name="Ann", role=Role.ADMIN)

    assert not pages.has_change_permission(request, tick)
    assert not pages.has_delete_permission(request, tick)
    assert tick in pages.get_queryset(request)
    assert tick not in pages.get_queryset(action)


def test_logs_keep_secrets() -> None:
    event = {"event": "signed in", "user": 3, "Password": "hush", "api_token": "hush", "set-cookie": "hush"}

    assert "hush" not in str(redact(None, "info", event))
    assert event["user"] == 3


def test_logs_keep_the_addresses_of_private_calendars() -> None:
    said = {"event": "Not Found: /oncall/feed/3-hush.sig.ics", "request": "GET /oncall/feed/3-hush.sig.ics"}

    assert redact(None, "info", said) == {
        "event": "Not Found: /oncall/feed/***",
        "request": "GET /oncall/feed/***",
    }


@pytest.mark.parametrize(
    ("url", "secure"), [("http://localhost:8000", False), ("https://help.example", True)]
)
def test_the_public_address_decides_whether_cookies_are_secure(url: str, secure: bool) -> None:
    code = (
        "from django.conf import settings as s; "
        "print(s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, s.SECURE_HSTS_SECONDS > 0, s.SECURE_SSL_REDIRECT)"
    )
    chosen = {"DJANGO_SETTINGS_MODULE": "helpdesk.settings", "BELAY_URL": url}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=BASE_DIR,
        env=os.environ | chosen,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == [str(secure)] * 4
