"""One's own pages."""

from django.urls import path

from web.me import reach

urlpatterns = [
    path("me/reach/", reach.reach, name="reach"),
    path("me/reach/quiet/", reach.quiet, name="reach_quiet"),
    path("me/reach/methods/<int:pk>/move/", reach.move, name="reach_move"),
    path("me/reach/methods/<int:pk>/switch/", reach.switch, name="reach_switch"),
]
