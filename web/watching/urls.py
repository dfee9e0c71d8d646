"""Following."""

from django.urls import path

from web.watching import views

urlpatterns = [
    path("watching/", views.watching, name="watching"),
    path("watching/<int:pk>/stop/", views.stop, name="watching_stop"),
    path("t/<int:pk>/follow/", views.follow_ticket, name="follow"),
    path("watch/stop/<str:token>/", views.stop_by_link, name="watch_stop"),
]
