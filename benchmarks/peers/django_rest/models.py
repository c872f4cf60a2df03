"""The service's tables, which Django must not make."""

from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models
from django.utils import timezone


class User(AbstractBaseUser):
    """Somebody with a token."""

    id = models.BigAutoField(primary_key=True)
    email = models.EmailField(unique=True)
    password = models.CharField(max_length=255, db_column="password_hash")
    role = models.CharField(max_length=16)
    display_name = models.TextField(null=True)  # noqa: DJ001  # the column has no other empty value
    created_at = models.DateTimeField()
    last_login = models.DateTimeField(null=True, db_column="last_login_at")

    USERNAME_FIELD = "email"

    class Meta:
        """Where it is kept."""

        managed = False
        db_table = "users"


class UserLocation(models.Model):
    """Where somebody was."""

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE)
    latitude = models.FloatField()
    longitude = models.FloatField()
    accuracy = models.FloatField(null=True)
    recorded_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        """Where it is kept."""

        managed = False
        db_table = "user_locations"
        ordering: ClassVar[list[str]] = []

    def __str__(self) -> str:
        """Name it in Django's own pages, of which there are none here."""
        return f"{self.latitude}, {self.longitude}"
