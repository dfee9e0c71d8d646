"""The bell's pages."""

from django.urls import path

from web.bell import views

urlpatterns = [
    path("bell/", views.bell, name="bell"),
    path("bell/seen/", views.seen, name="bell_seen"),
    path("bell/<int:pk>/", views.follow, name="bell_follow"),
]
