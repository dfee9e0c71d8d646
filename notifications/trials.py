"""How a test of a contact method reads, and what became of the last ones."""

from collections.abc import Iterable, Mapping, Sequence

from notifications.letters import Action, Letter, compose, page
from notifications.models import ContactMethod, Notification
from notifications.operations.trials import TEST
from notifications.rendering import Rendered, register_renderer


def register() -> None:
    """Register how the test reads; called from `ready()`."""
    register_renderer(TEST, _test, load=_load)


def last_tests(methods: Iterable[ContactMethod]) -> Mapping[int, Notification]:
    """Return the last test of each method, by the method's id; one query."""
    ids = [method.pk for method in methods]
    contacts = {method.contact_id for method in methods}
    rows = Notification.objects.filter(contact__in=contacts, kind=TEST, method__in=ids)
    return {row.method_id or 0: row for row in rows.order_by("method_id", "-pk").distinct("method_id")}


def _load(_rows: Sequence[Notification]) -> None:
    """Nothing is needed beside the row."""


def _test(row: Notification, _known: None) -> Rendered:
    return compose(
        Letter(
            subject="Test from Belay",
            title="This way works",
            lead=(
                f"{row.context.get('by', 'Belay')} tests whether {row.contact or 'you'} can be reached here.",
                "There is nothing to do.",
            ),
            link=Action("Belay", page("/")),
            footer="You get this because somebody tested how you are reached.",
        )
    )
