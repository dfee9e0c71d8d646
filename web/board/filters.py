"""What of the board is looked at, as it stands in the address."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from django.db.models import Q

from tickets.models import Severity

VIEWS = ("ladder", "table", "wall")
_BIGGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class BoardFilter:
    """Team, service, severity and the way of looking; what is not understood is left out."""

    team: int | None = None
    service: int | None = None
    severity: int | None = None
    view: str = "ladder"

    @classmethod
    def read(cls, asked: Mapping[str, str]) -> "BoardFilter":
        """Read the address's parameters."""
        severity = _number(asked.get("severity", ""))
        view = asked.get("view", "")
        return cls(
            team=_number(asked.get("team", "")),
            service=_number(asked.get("service", "")),
            severity=severity if severity in Severity.values else None,
            view=view if view in VIEWS else "ladder",
        )

    @property
    def narrows(self) -> bool:
        """Tell whether this shows less than everything."""
        return any((self.team, self.service, self.severity))

    def condition(self, prefix: str = "") -> Q:
        """Return the filter over tickets, or over rows that have one at `prefix`."""
        wanted = {"team_id": self.team, "service_id": self.service, "severity": self.severity}
        return Q(**{f"{prefix}{name}": value for name, value in wanted.items() if value is not None})

    def query(self, **changes: object) -> str:
        """Return the address's parameters with some of them changed; "" or "?..."."""
        values: dict[str, object] = {"team": self.team, "service": self.service, "severity": self.severity}
        values["view"] = None if self.view == "ladder" else self.view
        values.update(changes)
        kept = {name: value for name, value in values.items() if value not in (None, "")}
        return f"?{urlencode(kept)}" if kept else ""


def _number(text: str) -> int | None:
    # isdecimal also takes other scripts' digits, and int() reads them too; the limit is the column's.
    if not text.isdecimal() or len(text) > 19:
        return None
    number = int(text)
    return number if 0 < number <= _BIGGEST_ID else None
