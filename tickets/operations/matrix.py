"""Change the severity matrix; it proposes for tickets opened or changed from now on."""

from collections.abc import Mapping

from accounts.models import User
from accounts.operations import permit
from accounts.rules import Verb
from core.errors import Refused
from tickets.models import Impact, Severity, SeverityCell, Urgency

CELLS = tuple((int(impact), int(urgency)) for impact in Impact for urgency in Urgency)


def set_severity_matrix(*, cells: Mapping[tuple[int, int], int], actor: User | None) -> None:
    """Write the whole matrix, (impact, urgency) -> severity, in one statement; no ticket changes by it.

    Raises NotAllowed, and Refused naming the cell that is missing or wrong.
    """
    permit(actor, Verb.ADMINISTER)
    for impact, urgency in CELLS:
        severity = cells.get((impact, urgency))
        if severity not in Severity.values:
            raise Refused(
                f"{Impact(impact).label} impact, {Urgency(urgency).label.lower()} urgency has no severity.",
                field=f"cell_{impact}_{urgency}",
                value=severity,
                mend="Take 1, 2, 3 or 4.",
            )
    SeverityCell.objects.bulk_create(
        [SeverityCell(impact=i, urgency=u, severity=cells[i, u]) for i, u in CELLS],
        update_conflicts=True,
        unique_fields=["impact", "urgency"],
        update_fields=["severity"],
    )
