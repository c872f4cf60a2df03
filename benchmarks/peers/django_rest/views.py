"""Views of the routes."""

from typing import Any

from rest_framework import generics
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.request import Request
from rest_framework.response import Response

from .models import User
from .serializers import LocationSerializer, ProfileSerializer


@api_view(["GET"])
@authentication_classes([])
@permission_classes([])
def health(_: Request) -> Response:
    """Return a constant."""
    return Response({"status": "ok"})


class ProfileView(generics.RetrieveAPIView):
    """Profile of the user."""

    serializer_class = ProfileSerializer

    def get_object(self) -> User:
        """Return the authenticated user."""
        user: User = self.request.user
        return user


class LocationView(generics.CreateAPIView):
    """Insert one location."""

    serializer_class = LocationSerializer

    def perform_create(self, serializer: Any) -> None:  # noqa: ANN401  # the framework has no types
        """Insert the location for the authenticated user."""
        serializer.save(user=self.request.user)


class LocationBatchView(generics.GenericAPIView):
    """Insert a batch of locations."""

    serializer_class = LocationSerializer

    def post(self, request: Request) -> Response:
        """Insert the locations for the authenticated user."""
        serializer = self.get_serializer(data=request.data["locations"], many=True)
        serializer.is_valid(raise_exception=True)
        return Response({"accepted": len(serializer.save(user=request.user))}, status=201)
