"""Request and response bodies."""

from typing import Any

from rest_framework import serializers

from .models import User, UserLocation


class ProfileSerializer(serializers.ModelSerializer):
    """Response body of the profile route."""

    class Meta:
        """Model and fields."""

        model = User
        fields = ("id", "email", "role", "display_name", "created_at")


class LocationListSerializer(serializers.ListSerializer):
    """Inserts a batch with one statement, as in the serializer documentation."""

    def create(self, validated_data: list[dict[str, Any]]) -> list[UserLocation]:
        """Insert the locations."""
        saved: list[UserLocation] = UserLocation.objects.bulk_create([UserLocation(**item) for item in validated_data])
        return saved


class LocationSerializer(serializers.ModelSerializer):
    """Request and response body of a location."""

    class Meta:
        """Model and fields."""

        model = UserLocation
        fields = ("id", "user_id", "latitude", "longitude", "accuracy", "recorded_at")
        list_serializer_class = LocationListSerializer
