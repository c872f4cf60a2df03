"""Which address is answered by what."""

from django.urls import path

from . import views

urlpatterns = [
    path("health", views.health),
    path("api/v1/users/me", views.Me.as_view()),
    path("api/v1/locations", views.Locations.as_view()),
    path("api/v1/locations/batch", views.Batches.as_view()),
]
