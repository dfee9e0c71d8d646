"""All of Belay's paths, and the reference page's."""

from django.urls import include, path

from bench.web.reference import reference

urlpatterns = [
    path("bench/reference/", reference),
    path("", include("helpdesk.urls")),
]
