"""(a) Flask and Flask-SQLAlchemy as in their quickstarts, with PyJWT for the token. It does not validate input."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Annotated, Any

import jwt
from flask import Flask, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import DateTime, Identity
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from werkzeug.exceptions import Unauthorized

Timestamp = Annotated[datetime, mapped_column(DateTime(timezone=True))]


class Base(DeclarativeBase):
    """Base of the models."""


app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
db = SQLAlchemy(app, model_class=Base)


class User(db.Model):
    """A user."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    email: Mapped[str]
    role: Mapped[str]
    display_name: Mapped[str | None]
    created_at: Mapped[Timestamp]


class UserLocation(db.Model):
    """A location of a user."""

    __tablename__ = "user_locations"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    user_id: Mapped[int]
    latitude: Mapped[float]
    longitude: Mapped[float]
    accuracy: Mapped[float | None]
    recorded_at: Mapped[Timestamp] = mapped_column(default=lambda: datetime.now(UTC))
    created_at: Mapped[Timestamp] = mapped_column(default=lambda: datetime.now(UTC))


def current_user_id() -> int:
    """Return the user id in the bearer token; abort with 401 if the token is missing or invalid."""
    _, _, token = request.headers.get("Authorization", "").partition(" ")
    try:
        return int(jwt.decode(token, os.environ["TOKEN_SECRET"], algorithms=["HS256"])["sub"])
    except jwt.InvalidTokenError:
        raise Unauthorized from None


@app.get("/health")
def health() -> dict[str, str]:
    """Return a constant."""
    return {"status": "ok"}


@app.get("/api/v1/users/me")
def profile() -> dict[str, Any]:
    """Return the user's profile."""
    user = db.get_or_404(User, current_user_id())
    return {
        "id": user.id,
        "email": user.email,
        "role": user.role,
        "display_name": user.display_name,
        "created_at": user.created_at.isoformat(),
    }


@app.post("/api/v1/locations")
def create_location() -> tuple[dict[str, Any], int]:
    """Insert a location."""
    location = UserLocation(user_id=current_user_id(), **request.get_json())
    db.session.add(location)
    db.session.commit()
    return {
        "id": location.id,
        "user_id": location.user_id,
        "latitude": location.latitude,
        "longitude": location.longitude,
        "accuracy": location.accuracy,
        "recorded_at": location.recorded_at.isoformat(),
    }, 201


@app.post("/api/v1/locations/batch")
def create_locations() -> tuple[dict[str, int], int]:
    """Insert a batch of locations."""
    user_id = current_user_id()
    rows = [
        {**item, "user_id": user_id, "recorded_at": datetime.fromisoformat(item["recorded_at"])}
        for item in request.get_json()["locations"]
    ]
    db.session.execute(db.insert(UserLocation), rows)
    db.session.commit()
    return {"accepted": len(rows)}, 201
