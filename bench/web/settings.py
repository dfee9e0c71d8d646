"""The settings of a bench's web process: the real ones, with the reference page and with counted queries."""

from helpdesk.settings import *  # noqa: F403
from helpdesk.settings import BASE_DIR, MIDDLEWARE, TEMPLATES

ROOT_URLCONF = "bench.web.urls"
TEMPLATES = [TEMPLATES[0] | {"DIRS": [BASE_DIR / "templates", BASE_DIR / "bench/web/templates"]}]
# Outside of all others, whose queries count too. It does nothing unless a request asks for it.
MIDDLEWARE = ["bench.web.counting.count_queries", *MIDDLEWARE]
