"""What tickets are linked to is a major incident: a row of the same table, which no CHECK can look at (DESIGN 2)."""

from typing import ClassVar

from django.db import migrations

FORWARD = """
CREATE FUNCTION tickets_incident_is_major() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Locked, so that the declaration is not taken back at the same moment.
    PERFORM FROM tickets_ticket WHERE id = NEW.incident_id AND is_major FOR SHARE;
    IF NEW.incident_id IS NOT NULL AND NOT FOUND THEN
        RAISE EXCEPTION 'ticket_incident_is_major: ticket % is linked to %, which is no major incident',
            NEW.id, NEW.incident_id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NOT NEW.is_major AND EXISTS (SELECT FROM tickets_ticket WHERE incident_id = NEW.id) THEN
        RAISE EXCEPTION 'ticket_incident_is_major: tickets are linked to %, so it stays a major incident', NEW.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$$;

-- They cost nothing where neither column is written, which is nearly always.
CREATE TRIGGER tickets_ticket_opened_linked AFTER INSERT ON tickets_ticket
    FOR EACH ROW WHEN (NEW.incident_id IS NOT NULL) EXECUTE FUNCTION tickets_incident_is_major();
CREATE TRIGGER tickets_ticket_linked AFTER UPDATE OF incident_id, is_major ON tickets_ticket
    FOR EACH ROW WHEN (
        NEW.incident_id IS DISTINCT FROM OLD.incident_id OR NEW.is_major IS DISTINCT FROM OLD.is_major
    ) EXECUTE FUNCTION tickets_incident_is_major();
"""

BACKWARD = """
DROP TRIGGER tickets_ticket_linked ON tickets_ticket;
DROP TRIGGER tickets_ticket_opened_linked ON tickets_ticket;
DROP FUNCTION tickets_incident_is_major();
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("tickets", "0006_major_incidents")]
    operations: ClassVar = [migrations.RunSQL(FORWARD, BACKWARD)]
