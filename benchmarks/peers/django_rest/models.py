"""The service's tables; Django does not create them."""

from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models
from django.utils import timezone


class User(AbstractBaseUser):
    """A user."""

    id = models.BigAutoField(primary_key=True)
    email = models.EmailField(unique=True)
    password = models.CharField(max_length=255, db_column="password_hash")
    role = models.CharField(max_length=16)
    display_name = models.TextField(null=True)  # noqa: DJ001  # the service stores no empty string
    created_at = models.DateTimeField()
    last_login = models.DateTimeField(null=True, db_column="last_login_at")

    USERNAME_FIELD = "email"

    class Meta:
        """Table of the service."""

        managed = False
        db_table = "users"


class UserLocation(models.Model):
    """A location of a user."""

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE)
    latitude = models.FloatField()
    longitude = models.FloatField()
    accuracy = models.FloatField(null=True)
    recorded_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        """Table of the service."""

        managed = False
        db_table = "user_locations"
        ordering: ClassVar[list[str]] = []

    def __str__(self) -> str:
        """Return a label; Django's own pages, which use it, are off here."""
        return f"{self.latitude}, {self.longitude}"
