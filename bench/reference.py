"""The measure of the engine: a hand-written set-based transaction that writes, row for row, what a tick writes.

It knows only the tickets of the bench (calendars round the clock, one due clock each, nobody waiting) and decides in
SQL what Belay decides in rules. It claims as safely: the tickets are locked first, and what is due is read under the
lock by a second statement.
"""

import datetime as dt
import time
from typing import Any

from django.db import connection, transaction

BATCH = 500

_CLAIM = """
PREPARE bench_claim (timestamptz) AS
SELECT c.ticket_id FROM escalation_clock c JOIN tickets_ticket t ON t.id = c.ticket_id
WHERE c.fires_at <= $1 AND c.recorded_at < $1
ORDER BY c.fires_at, c.id LIMIT 500
FOR NO KEY UPDATE OF t SKIP LOCKED
"""

_CLIMB = """
PREPARE bench_climb (timestamptz, bigint[], text) AS
WITH due AS MATERIALIZED (
    SELECT t.id, t.team_id, t.assignee_id, t.historic, t.event_seq, t.event_hash, t.severity,
           greatest($1, t.last_event_at) AS at, s.seq + 1 AS seq, s.version_id,
           c.kind AS trigger, c.due_at, greatest($1 - c.due_at, interval '0') AS late_by,
           CASE WHEN $1 - c.due_at <= interval '60 seconds' THEN c.due_at ELSE $1 END AS begin_at,
           f.id AS from_id, f.position AS from_position, f.name AS from_name, f.tier AS from_tier,
           n.id AS to_id, n.position AS to_position, n.name AS to_name, n.tier AS to_tier,
           n.mode = 'transfers' AS transfers, n.team_id AS to_team, n.wait, g.work_within, g.acknowledge_within,
           CASE WHEN t.severity = 1 AND v.sev1_round_the_clock
                THEN (SELECT current_id FROM calendars_calendar WHERE is_built_in)
                ELSE (SELECT current_id FROM calendars_calendar WHERE id = coalesce(n.calendar_id, v.calendar_id))
           END AS calendar_version_id, v.warn_percent,
           (SELECT min(o.due_at) FROM escalation_clock o
            WHERE o.ticket_id = t.id AND o.state IN ('running', 'paused')
              AND o.kind NOT IN ('tier_time', 'acknowledge', 'next_telling')) AS other_due_at
    FROM tickets_ticket t
    JOIN escalation_standing s ON s.ticket_id = t.id
    JOIN escalation_clock c ON c.ticket_id = t.id AND c.state = 'running' AND c.fires_at <= $1 AND c.recorded_at < $1
    JOIN escalation_step f ON f.id = s.step_id
    JOIN escalation_step n ON n.version_id = f.version_id AND n.position = f.position + 1
    JOIN escalation_pathversion v ON v.id = s.version_id
    LEFT JOIN escalation_steptarget g ON g.step_id = n.id AND g.severity = t.severity
    WHERE t.id = ANY($2)
), stopped AS (
    UPDATE escalation_clock c
    SET state = CASE WHEN c.kind = d.trigger THEN 'fired' ELSE 'cancelled' END,
        used = c.used + CASE WHEN c.running_since < d.at THEN d.at - c.running_since ELSE interval '0' END,
        running_since = NULL, fires_at = NULL, stopped_at = d.at,
        fired_at = CASE WHEN c.kind = d.trigger THEN d.at ELSE c.fired_at END
    FROM due d
    WHERE c.ticket_id = d.id AND c.state IN ('running', 'paused')
      AND c.kind IN ('tier_time', 'acknowledge', 'next_telling')
    RETURNING c.id
), started AS (
    INSERT INTO escalation_clock (
        ticket_id, kind, state, seq, round, started_at, recorded_at, budget, used, running_since, due_at, warn_at,
        fires_at, pauses, calendar_version_id, path_version_id, step_id
    )
    SELECT d.id, k.kind, 'running', d.seq, k.round, d.begin_at, d.at, k.budget, interval '0', d.begin_at,
           d.begin_at + k.budget, k.warn_at, coalesce(k.warn_at, d.begin_at + k.budget), '[]',
           d.calendar_version_id, d.version_id, d.to_id
    FROM due d CROSS JOIN LATERAL (VALUES
        ('tier_time', d.work_within, 0, d.begin_at + d.work_within * (d.warn_percent / 100.0)),
        ('acknowledge', d.acknowledge_within, 0, NULL),
        ('next_telling', d.wait, 1, NULL)
    ) k (kind, budget, round, warn_at)
    -- One live clock of a kind: the old ones have to be stopped first.
    WHERE k.budget IS NOT NULL AND (SELECT count(*) FROM stopped) > 0
), stood AS (
    UPDATE escalation_standing s
    SET step_id = d.to_id, seq = d.seq, since = d.at, automatic_steps = s.automatic_steps + 1, round = 1,
        declined = '{}'
    FROM due d WHERE s.ticket_id = d.id
), climbed AS (
    INSERT INTO escalation_escalation (
        ticket_id, seq, kind, trigger, co_triggers, path_version_id, from_step_id, to_step_id, from_tier, to_tier,
        at, due_at, late_by, acknowledged_via, historic
    )
    SELECT id, seq, 'climb', trigger, '[]', version_id, from_id, to_id, from_tier, to_tier, at, due_at, late_by, '',
           false
    FROM due
), withdrawn AS (
    UPDATE notifications_notification n
    SET state = CASE n.state WHEN 'pending' THEN 'withdrawn' ELSE n.state END, withdrawn_at = $1
    -- As one array: a join would be planned for the outbox as it was analysed, empty.
    WHERE n."group" = ANY ((SELECT array_agg('telling:' || id || ':' || (seq - 1)) FROM due)::text[])
      AND n.state IN ('pending', 'sending') AND n.withdrawn_at IS NULL
), overtaken AS (
    UPDATE escalation_escalationrequest r SET state = 'overtaken', answered_at = $1
    FROM due d WHERE r.ticket_id = d.id AND r.state = 'open'
), people AS MATERIALIZED (
    SELECT DISTINCT ON (l.step_id, e.contact_id) l.step_id, e.contact_id, k.user_id, m.id AS method_id, m.channel,
           m.address, e.when_to_reach_out, e.severities, l.position AS list_position, e.position
    FROM escalation_stepcontactlist l
    JOIN notifications_contactlistentry e ON e.contact_list_id = l.contact_list_id
    JOIN notifications_contact k ON k.id = e.contact_id AND k.is_active
    JOIN notifications_contactmethod m ON m.contact_id = k.id AND m.is_active
    LEFT JOIN accounts_user u ON u.id = k.user_id
    WHERE e.from_round <= 1 AND coalesce(u.is_active, true)
    ORDER BY l.step_id, e.contact_id, m.failing_since IS NOT NULL, m.position, m.id
), told AS (
    INSERT INTO notifications_notification (
        kind, "group", ticket_id, seq, round, contact_id, method_id, user_id, channel, address, context, message_id,
        state, created_at, due_at, attempts, answer
    )
    SELECT 'escalation.told', 'telling:' || d.id || ':' || d.seq, d.id, d.seq, 1, p.contact_id, p.method_id, p.user_id,
           p.channel, p.address, jsonb_build_object(
               'step_position', d.to_position, 'step_name', d.to_name, 'tier', d.to_tier,
               'instructions', p.when_to_reach_out, 'trigger', d.trigger, 'kind', 'climb',
               'from_tier', d.from_tier, 'handoff_entry', NULL
           ), '<' || lpad(to_hex((extract(epoch FROM $1) * 1000)::bigint), 12, '0')
               || substr(replace(gen_random_uuid()::text, '-', ''), 13) || '@' || $3 || '>', 'pending', $1, $1, 0, ''
    FROM due d JOIN people p ON p.step_id = d.to_id
    WHERE p.severities = '{}' OR d.severity = ANY(p.severities)
    ORDER BY d.id, p.list_position, p.position
    ON CONFLICT DO NOTHING
), contacts AS MATERIALIZED (
    SELECT step_id, s.severity, jsonb_agg(contact_id ORDER BY list_position, position) AS ids
    FROM people CROSS JOIN generate_series(1, 4) s (severity)
    WHERE severities = '{}' OR s.severity = ANY(severities) GROUP BY step_id, s.severity
), happened AS (
    SELECT d.id, d.at, d.historic, d.event_hash, d.begin_at, d.to_tier, d.to_team, d.transfers, d.work_within,
           d.acknowledge_within, d.other_due_at, k.place, k.kind, k.data,
           d.event_seq + row_number() OVER (PARTITION BY d.id ORDER BY k.place) AS seq
    FROM due d
    JOIN contacts o ON o.step_id = d.to_id AND o.severity = d.severity
    CROSS JOIN LATERAL (VALUES
        (1, 'escalation.escalated', jsonb_build_object(
            'seq', d.seq, 'kind', 'climb', 'trigger', d.trigger, 'from', d.from_position, 'to', d.to_position,
            'from_name', d.from_name, 'to_name', d.to_name, 'from_tier', d.from_tier, 'to_tier', d.to_tier,
            'path_changed', false,
            'due_at', to_char(d.due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS')
                || CASE WHEN date_trunc('second', d.due_at) = d.due_at THEN ''
                        ELSE to_char(d.due_at, '.US') END || '+00:00',
            'late_seconds', extract(epoch FROM d.late_by), 'co_triggers', '[]'::jsonb
        ), true),
        (2, 'tier_changed', jsonb_build_object('from', d.from_tier, 'to', d.to_tier), d.from_tier <> d.to_tier),
        (3, 'team_changed', jsonb_build_object('from', d.team_id, 'to', d.to_team),
         d.transfers AND d.to_team IS DISTINCT FROM d.team_id),
        (4, 'assigned', jsonb_build_object('from', d.assignee_id, 'to', NULL),
         d.transfers AND d.assignee_id IS NOT NULL),
        (5, 'escalation.told', jsonb_build_object(
            'seq', d.seq, 'round', 1, 'step', d.to_position, 'tier', d.to_tier, 'contacts', o.ids, 'fallback', false
        ), true)
    ) k (place, kind, data, wanted)
    WHERE k.wanted
), chained AS (
    SELECT happened.*, tickets_chain(event_hash, tickets_event_digest(
               id, seq, kind, NULL, at, NULL, historic, NULL, data, NULL
           )) OVER (PARTITION BY id ORDER BY place) AS hash
    FROM happened
), appended AS (
    INSERT INTO tickets_event (ticket_id, seq, kind, at, historic, data, hash)
    SELECT id, seq, kind, at, historic, data, hash FROM chained ORDER BY id, place
), heads AS (
    SELECT DISTINCT ON (id) * FROM chained ORDER BY id, seq DESC
)
UPDATE tickets_ticket t
SET tier = h.to_tier, tier_since = h.at,
    team_id = CASE WHEN h.transfers AND h.to_team IS NOT NULL THEN h.to_team ELSE t.team_id END,
    assignee_id = CASE WHEN h.transfers THEN NULL ELSE t.assignee_id END,
    event_seq = h.seq, event_hash = h.hash, last_event_at = h.at,
    next_due_at = least(h.other_due_at, h.begin_at + h.work_within, h.begin_at + h.acknowledge_within),
    tier_due_at = h.begin_at + h.work_within,
    unacknowledged_since = CASE WHEN h.acknowledge_within IS NOT NULL THEN h.begin_at END
FROM heads h WHERE h.id = t.id
"""


def prepare() -> None:
    """Have the server plan the statements once for this connection."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM)
        cursor.execute(_CLIMB)


def climb_batch(*, now: dt.datetime, mail_host: str) -> int:
    """Claim up to BATCH due tickets and move each one step up, in one transaction; return how many."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("EXECUTE bench_claim (%s)", [now])
        ids = [ticket_id for (ticket_id,) in cursor.fetchall()]
        if ids:
            cursor.execute("EXECUTE bench_climb (%s, %s, %s)", [now, ids, mail_host])
            if cursor.rowcount != len(ids):
                raise RuntimeError(f"{len(ids)} tickets were claimed, {cursor.rowcount} moved")
        return len(ids)


def drain(*, now: str) -> dict[str, Any]:
    """Move all that is due by `now` (ISO 8601); return how many tickets and how long each batch took."""
    from notifications.operations import mail_host

    at, host = dt.datetime.fromisoformat(now), mail_host()
    tickets = 0
    seconds: list[float] = []
    while True:
        began = time.perf_counter()
        moved = climb_batch(now=at, mail_host=host)
        if not moved:
            return {"tickets": tickets, "batch_seconds": seconds}
        seconds.append(time.perf_counter() - began)
        tickets += moved
