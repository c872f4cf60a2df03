"""The routes' answers."""

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
    """Answer without doing anything."""
    return Response({"status": "ok"})


class Me(generics.RetrieveAPIView):
    """The caller's profile."""

    serializer_class = ProfileSerializer

    def get_object(self) -> User:
        """Return the caller."""
        caller: User = self.request.user
        return caller


class Locations(generics.CreateAPIView):
    """Positions, one at a time."""

    serializer_class = LocationSerializer

    def perform_create(self, serializer: Any) -> None:  # noqa: ANN401  # the framework has no types
        """Save it as the caller's."""
        serializer.save(user=self.request.user)


class Batches(generics.GenericAPIView):
    """Positions, many at a time."""

    serializer_class = LocationSerializer

    def post(self, request: Request) -> Response:
        """Save them as the caller's."""
        serializer = self.get_serializer(data=request.data["locations"], many=True)
        serializer.is_valid(raise_exception=True)
        return Response({"accepted": len(serializer.save(user=request.user))}, status=201)
