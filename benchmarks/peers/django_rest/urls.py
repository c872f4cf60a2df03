"""URL configuration."""

from django.urls import path

from . import views

urlpatterns = [
    path("health", views.health),
    path("api/v1/users/me", views.ProfileView.as_view()),
    path("api/v1/locations", views.LocationView.as_view()),
    path("api/v1/locations/batch", views.LocationBatchView.as_view()),
]
