"""The timeline's chain and its guard live in the database (DESIGN 3, memory)."""

from typing import ClassVar

from django.db import migrations

FORWARD = """
-- What of an event is chained. jsonb writes itself in one canonical form; instants are microseconds since 1970.
CREATE FUNCTION tickets_event_digest(
    ticket bigint, seq bigint, kind text, actor bigint, at timestamptz, happened timestamptz,
    historic boolean, cause bigint, data jsonb, payload bytea
) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT sha256(convert_to(jsonb_build_array(
        ticket, seq, kind, actor,
        (extract(epoch FROM at) * 1000000)::bigint,
        (extract(epoch FROM happened) * 1000000)::bigint,
        historic, cause, data, encode(payload, 'hex')
    )::text, 'UTF8'))
$$;

CREATE FUNCTION tickets_chain_step(state bytea, head bytea, digest bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT sha256(coalesce(state, head) || digest) $$;

-- Over events in order: each hash is sha256(hash before || digest); the first one follows the ticket's head.
CREATE AGGREGATE tickets_chain(head bytea, digest bytea) (SFUNC = tickets_chain_step, STYPE = bytea);

CREATE FUNCTION tickets_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Test databases are emptied between tests; nothing else ever is.
    IF TG_OP = 'TRUNCATE' AND current_database() LIKE 'test\\_%' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;

CREATE TRIGGER tickets_event_append_only BEFORE UPDATE OR DELETE ON tickets_event
    FOR EACH ROW EXECUTE FUNCTION tickets_append_only();
CREATE TRIGGER tickets_event_never_emptied BEFORE TRUNCATE ON tickets_event
    FOR EACH STATEMENT EXECUTE FUNCTION tickets_append_only();
CREATE TRIGGER tickets_seal_append_only BEFORE UPDATE OR DELETE ON tickets_seal
    FOR EACH ROW EXECUTE FUNCTION tickets_append_only();
CREATE TRIGGER tickets_seal_never_emptied BEFORE TRUNCATE ON tickets_seal
    FOR EACH STATEMENT EXECUTE FUNCTION tickets_append_only();
CREATE TRIGGER tickets_sealedhead_append_only BEFORE UPDATE OR DELETE ON tickets_sealedhead
    FOR EACH ROW EXECUTE FUNCTION tickets_append_only();
CREATE TRIGGER tickets_sealedhead_never_emptied BEFORE TRUNCATE ON tickets_sealedhead
    FOR EACH STATEMENT EXECUTE FUNCTION tickets_append_only();
"""

BACKWARD = """
DROP TRIGGER tickets_sealedhead_never_emptied ON tickets_sealedhead;
DROP TRIGGER tickets_sealedhead_append_only ON tickets_sealedhead;
DROP TRIGGER tickets_seal_never_emptied ON tickets_seal;
DROP TRIGGER tickets_seal_append_only ON tickets_seal;
DROP TRIGGER tickets_event_never_emptied ON tickets_event;
DROP TRIGGER tickets_event_append_only ON tickets_event;
DROP FUNCTION tickets_append_only();
DROP AGGREGATE tickets_chain(bytea, bytea);
DROP FUNCTION tickets_chain_step(bytea, bytea, bytea);
DROP FUNCTION tickets_event_digest(
    bigint, bigint, text, bigint, timestamptz, timestamptz, boolean, bigint, jsonb, bytea
);
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("tickets", "0001_tickets")]
    operations: ClassVar = [migrations.RunSQL(FORWARD, BACKWARD)]
