"""Alive, ready, measured."""

import hmac

import django_prometheus.exports
import redis
from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from core.db import database_now
from escalation.queries import engine_lag

# The engine ticks every second and the pacemaker steps in after three: beyond this neither has helped.
LATEST_ENGINE_LAG = 10.0


@require_safe
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """Say that this process answers; asks nothing else."""
    return JsonResponse({"alive": True})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Say whether database, broker and engine are well.

    503 only without the database or with an engine that falls behind. A broker that is down is named but leaves
    Belay ready: the pacemaker ticks without it.
    """
    lag = _engine_lag()
    database = lag is not None
    ready = lag is not None and lag <= LATEST_ENGINE_LAG
    body = {"ready": ready, "database": database, "broker": _broker_answers(), "engine_lag_seconds": lag}
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
    return page


def _broker_answers() -> bool:
    client = redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()


def _engine_lag() -> float | None:
    """Return how late the engine is, in seconds; None where the database does not answer."""
    try:
        return engine_lag(database_now()).total_seconds()
    except DatabaseError:
        return None
