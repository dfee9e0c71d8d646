"""Keep what is doubtful about the paths in force: worked out when a path is published and every few minutes."""

import datetime as dt
from collections.abc import Sequence

from django.db import transaction

from escalation.linting import Linted, lint_active
from escalation.models import EscalationPath, PathDoubt
from escalation.rules.lint import Doubt


def record_doubts(*, now: dt.datetime) -> int:
    """Lint the active paths and keep their doubts; return how many there are.

    Contacts, methods and teams change without anything being published: that is why it runs by the clock, too. A
    doubt that stays keeps its `since`; where nothing changed, nothing is written. Locks all paths, in id order, as
    publishing does. A constant number of queries.
    """
    with transaction.atomic():
        # Evaluated for the lock alone: two at once would write the same rows.
        list(
            EscalationPath.objects.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True)
        )
        linted = lint_active(now)
        kept: dict[int, list[PathDoubt]] = {}
        for row in PathDoubt.objects.order_by("path_id", "number"):
            kept.setdefault(row.path_id, []).append(row)
        changed = [
            one for one in linted if [_content(row) for row in kept.get(one.path.pk, [])] != list(one.doubts)
        ]
        gone = kept.keys() - {one.path.pk for one in linted}
        stale = gone | {one.path.pk for one in changed}
        if stale:
            PathDoubt.objects.filter(path_id__in=stale).delete()
        fresh = [row for one in changed for row in _rows(one, kept.get(one.path.pk, []), now)]
        if fresh:
            PathDoubt.objects.bulk_create(fresh)
        return sum(len(one.doubts) for one in linted)


def _rows(linted: Linted, before: Sequence[PathDoubt], now: dt.datetime) -> list[PathDoubt]:
    since = {_content(row): row.since for row in before}
    return [
        PathDoubt(
            path=linted.path,
            number=number,
            code=doubt.code,
            level=doubt.level,
            message=doubt.message,
            mend=doubt.mend,
            field=doubt.field,
            step=doubt.step,
            severity=doubt.severity,
            since=since.get(doubt, now),
        )
        for number, doubt in enumerate(linted.doubts, start=1)
    ]


def _content(row: PathDoubt) -> Doubt:
    return Doubt(row.code, row.level, row.message, row.mend, row.field, row.step, row.severity)
