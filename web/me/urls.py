"""One's own pages."""

from django.urls import path

from web.me import reach, ways

urlpatterns = [
    path("me/reach/", reach.reach, name="reach"),
    path("me/reach/quiet/", reach.quiet, name="reach_quiet"),
    path("me/reach/methods/add/", ways.add, name="reach_add"),
    path("me/reach/methods/<int:pk>/test/", ways.try_out, name="reach_test"),
    path("me/reach/methods/<int:pk>/remove/", ways.remove, name="reach_remove"),
    path("me/reach/methods/<int:pk>/move/", reach.move, name="reach_move"),
    path("me/reach/methods/<int:pk>/switch/", reach.switch, name="reach_switch"),
]
