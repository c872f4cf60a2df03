"""What is taken in and given out."""

from typing import Any

from rest_framework import serializers

from .models import User, UserLocation


class ProfileSerializer(serializers.ModelSerializer):
    """A user as the user sees it."""

    class Meta:
        """Of what, and which parts."""

        model = User
        fields = ("id", "email", "role", "display_name", "created_at")


class LocationListSerializer(serializers.ListSerializer):
    """Saves many with one statement, as the page about serializers shows it."""

    def create(self, validated_data: list[dict[str, Any]]) -> list[UserLocation]:
        """Save them."""
        saved: list[UserLocation] = UserLocation.objects.bulk_create([UserLocation(**item) for item in validated_data])
        return saved


class LocationSerializer(serializers.ModelSerializer):
    """A position."""

    class Meta:
        """Of what, and which parts."""

        model = UserLocation
        fields = ("id", "user_id", "latitude", "longitude", "accuracy", "recorded_at")
        list_serializer_class = LocationListSerializer
