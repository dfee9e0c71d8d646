"""Who is on call."""

from django.urls import path

from web.oncall import changing, feeds, rotations, views

urlpatterns = [
    path("oncall/", views.overview, name="oncall"),
    path("oncall/new/", rotations.new_schedule, name="oncall_new"),
    path("oncall/feed/", feeds.make, name="oncall_feed_make"),
    path("oncall/feed/<str:token>.ics", feeds.feed, name="oncall_feed"),
    path("oncall/time-off/", changing.time_off, name="oncall_time_off"),
    path("oncall/time-off/<int:pk>/remove/", changing.drop_time_off, name="oncall_time_off_remove"),
    path("oncall/override/<int:pk>/remove/", changing.drop_override, name="oncall_override_remove"),
    path("oncall/<int:pk>/", views.schedule, name="oncall_schedule"),
    path("oncall/<int:pk>/edit/", rotations.edit_schedule, name="oncall_edit"),
    path("oncall/<int:pk>/override/", changing.override, name="oncall_override"),
    path("oncall/<int:pk>/rotations/new/", rotations.rotation, name="oncall_rotation_new"),
    path("oncall/<int:pk>/rotations/<int:rotation_id>/", rotations.rotation, name="oncall_rotation"),
    path(
        "oncall/<int:pk>/rotations/<int:rotation_id>/remove/",
        rotations.drop_rotation,
        name="oncall_rotation_remove",
    ),
]
