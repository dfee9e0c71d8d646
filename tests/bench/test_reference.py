"""What the engine is measured against writes what the engine writes."""

import datetime as dt
from typing import Any

import pytest
from django.db import connection, models, transaction
from psycopg2.extras import RealDictCursor

from bench import reference
from bench.data import build
from bench.due import make_due
from core.db import database_now
from escalation.engine import tick
from escalation.models import Clock, Escalation, Standing
from notifications.models import Notification
from notifications.operations import mail_host
from tickets.models import Entry, Event, Payload, Ticket
from tickets.verification import verify

DUE = 50
TABLES = (Ticket, Event, Entry, Payload, Standing, Escalation, Clock, Notification)
# What no two runs share: ids, the transaction, and hashes, which cover how a number is spelt.
DIFFERENT = {"id", "x", "hash", "event_hash", "message_id"}
Rows = dict[str, list[str]]


def rows() -> Rows:
    """Everything of every ticket, in an order that does not depend on ids."""
    found = {}
    for model in TABLES:
        kept = [f.column for f in model._meta.concrete_fields if f.column not in DIFFERENT]
        if model in (Ticket,):
            kept.append("id")
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {', '.join(f'{name!r}'.replace(chr(39), chr(34)) for name in kept)} "
                           f"FROM {model._meta.db_table}")
            found[model._meta.db_table] = sorted(
                repr(dict(zip(kept, map(plain, row), strict=True))) for row in cursor.fetchall()
            )
    return found
