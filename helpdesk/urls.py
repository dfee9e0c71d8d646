"""Which app answers which path."""

from importlib.util import find_spec

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from helpdesk import health

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", health.metrics),
    path("admin/", admin.site.urls),
    path("account/", include("allauth.urls")),
]
for prefix, module in (("api/", "api.urls"), ("intake/", "intake.urls"), ("", "web.urls")):
    if find_spec(module.partition(".")[0]) and find_spec(module):
        urlpatterns.append(path(prefix, include(module)))
