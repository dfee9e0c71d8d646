"""The kinds of timeline events that tickets record; higher apps add their own with their name in front."""

OPENED = "opened"
REPLIED = "replied"
NOTED = "noted"
UPDATED = "updated"
HANDED_OFF = "handed_off"
ASSIGNED = "assigned"
TEAM_CHANGED = "team_changed"
STATUS_CHANGED = "status_changed"
SEVERITY_CHANGED = "severity_changed"
TIER_CHANGED = "tier_changed"
TAGGED = "tagged"
FIELD_CHANGED = "field_changed"
# On those that end (`into`, `was_open`) and on the one that goes on (`from`).
MERGED = "merged"
DECLARED_MAJOR = "declared_major"
# On those that are linked (`incident`) and on the incident (`tickets`).
LINKED = "linked"
UNLINKED = "unlinked"
# A row of an imported log that changed nothing Belay keeps; its words stand in `log`.
LOGGED = "logged"
