"""Which app answers which path."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from helpdesk import health

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", health.metrics),
    path("admin/", admin.site.urls),
    path("account/", include("allauth.urls")),
    path("api/", include("api.urls")),
    path("", include("web.urls")),
]
