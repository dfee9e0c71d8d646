"""A path's version and all its rows never change: running clocks and pinned tickets rely on it (DESIGN 2)."""

from typing import ClassVar

from django.db import migrations

TABLES = (
    "escalation_pathversion",
    "escalation_step",
    "escalation_stepcontactlist",
    "escalation_steptarget",
    "escalation_servicetarget",
)

FORWARD = """
CREATE FUNCTION escalation_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is immutable: % refused, publish a new version', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;
""" + "".join(
    f"CREATE TRIGGER {table}_immutable BEFORE UPDATE OR DELETE ON {table}"
    " FOR EACH ROW EXECUTE FUNCTION escalation_immutable();\n"
    for table in TABLES
)

BACKWARD = (
    "".join(f"DROP TRIGGER {table}_immutable ON {table};\n" for table in TABLES)
    + "DROP FUNCTION escalation_immutable();"
)


class Migration(migrations.Migration):
    dependencies: ClassVar = [("escalation", "0001_ladder")]
    operations: ClassVar = [migrations.RunSQL(FORWARD, BACKWARD)]
