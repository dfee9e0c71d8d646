"""Refuse every change to a calendar version: running clocks count on what it says (DESIGN 2 and 3)."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION calendars_version_is_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Test databases are emptied between tests that commit; no other database ever is.
    IF TG_OP = 'TRUNCATE' AND starts_with(current_database(), 'test_') THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'calendar versions are immutable: % refused', TG_OP
        USING ERRCODE = 'restrict_violation', HINT = 'Publish a new version of the calendar.';
END $$;

CREATE TRIGGER calendars_version_no_change
    BEFORE UPDATE OR DELETE ON calendars_calendarversion
    FOR EACH ROW EXECUTE FUNCTION calendars_version_is_immutable();

CREATE TRIGGER calendars_version_no_truncate
    BEFORE TRUNCATE ON calendars_calendarversion
    FOR EACH STATEMENT EXECUTE FUNCTION calendars_version_is_immutable();
"""

BACKWARD = """
DROP TRIGGER calendars_version_no_truncate ON calendars_calendarversion;
DROP TRIGGER calendars_version_no_change ON calendars_calendarversion;
DROP FUNCTION calendars_version_is_immutable();
"""


class Migration(migrations.Migration):
    dependencies = [("calendars", "0001_calendars")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
