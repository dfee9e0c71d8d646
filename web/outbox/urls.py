"""The outbox's pages."""

from django.urls import path

from web.outbox import views

urlpatterns = [
    path("outbox/", views.outbox, name="outbox"),
    path("outbox/act/", views.act, name="outbox_act"),
    path("outbox/<int:pk>/", views.message, name="outbox_message"),
]
