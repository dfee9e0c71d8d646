"""Alive, ready, measured."""

import hmac
import logging
from typing import Any

import django_prometheus.exports
import redis
from django.conf import settings
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import generate_latest

from core.deadline import NoAnswer, Question
from escalation import watchdog
from escalation.rules.alive import ENGINES, Vitals, overdue
from helpdesk.metrics import registry

log = logging.getLogger("belay.health")

# For the database; the broker has a second besides.
WITHIN = 2.0


@require_safe
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """Say that this process answers; asks nothing else."""
    return JsonResponse({"alive": True})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Say whether database, broker and engines are well, within three seconds whatever hangs.

    503 only without the database or when something due has waited longer than LATE: `late` names it with its age in
    seconds. A broker that is down is named but leaves Belay ready: the pacemaker ticks without it.
    """
    vitals, problem = _look()
    late = overdue(vitals) if vitals is not None else {}
    ready = vitals is not None and not late
    body: dict[str, Any] = {
        "ready": ready,
        "database": vitals is not None,
        "broker": _broker_answers(),
        "engine_lag_seconds": vitals.lag if vitals is not None else None,
        "late": {str(what): round(age, 1) for what, age in late.items()},
        "last_tick_seconds": {
            engine: round(vitals.ticks[engine].age, 1)
            if vitals is not None and engine in vitals.ticks
            else None
            for engine in ENGINES
        },
    }
    if problem:
        body["problem"] = problem
    return JsonResponse(body, status=200 if ready else 503)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Show the Prometheus metrics to who may see them."""
    if settings.BELAY_METRICS_TOKEN:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ").encode()
        allowed = hmac.compare_digest(given, settings.BELAY_METRICS_TOKEN.encode())
    else:
        here = request.META.get("REMOTE_ADDR") in {"127.0.0.1", "::1"}
        allowed = here and "X-Forwarded-For" not in request.headers
    if not allowed:
        return HttpResponseForbidden(
            "Send BELAY_METRICS_TOKEN as a bearer token, or ask from this machine.\n"
        )
    page: HttpResponse = django_prometheus.exports.ExportToDjangoView(request)
    page.content += generate_latest(_registry)
    return page


def _look() -> tuple[Vitals | None, str]:
    """Return what the watchdog sees, or in one line why it sees nothing."""
    try:
        return _vitals.ask(within=WITHIN), ""
    except NoAnswer as error:
        return None, f"database: {error}"
    except Exception as error:  # noqa: BLE001 a probe always answers; the driver's words may name hosts
        log.warning("not ready: %s", " ".join(str(error).split()))
        return None, f"database: {type(error).__name__}"


def _ask_database() -> Vitals:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '2s'")
        return watchdog.look()


def _ask_broker() -> bool:
    client = redis.from_url(settings.REDIS_URL, socket_timeout=0.5, socket_connect_timeout=0.5)
    try:
        return bool(client.ping())
    finally:
        client.close()


def _broker_answers() -> bool:
    try:
        return _broker.ask(within=1.0)
    except (NoAnswer, redis.RedisError, OSError):
        return False


_vitals = Question("readiness", _ask_database)
_broker = Question("broker", _ask_broker)
_registry = registry()
