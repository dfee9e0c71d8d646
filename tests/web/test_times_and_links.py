"""What pages write by hand for speed is what Django's own would have written."""

import datetime as dt
import zoneinfo

import pytest
from django.utils.dateformat import format as format_date
from django.utils.html import urlize

from web.templatetags.belay import linked
from web.times import exact_text

DAYS = [dt.datetime(2026, 1, 27, 23, 59, 7, tzinfo=dt.UTC) + 11 * n * dt.timedelta(days=3) for n in range(12)]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"])
def test_exact_instants_read_as_djangos_formatter_writes_them(zone: str) -> None:
    for at in DAYS:
        local = at.astimezone(zoneinfo.ZoneInfo(zone))
        assert exact_text(at, zoneinfo.ZoneInfo(zone)) == format_date(local, "D j M Y, H:i:s T")


@pytest.mark.parametrize(
    "text",
    [
        "Nothing to see. At 09:14 it failed: a & b, <script>alert('x')</script>!",
        "See https://example.org/a?b=c&d=e, or HTTP://EXAMPLE.ORG.",
        "www.example.net/x and (example.com) but not example.de; note.comma",
        "Write to ann@example.org, or mailto:ben@example.org",
        "  two  spaces\nand lines\r\n\r\n",
        "",
    ],
)
def test_links_are_djangos_links(text: str) -> None:
    assert linked(text) == urlize(text, nofollow=True, autoescape=True)
