"""(a) Flask and Flask-SQLAlchemy as their quickstarts have them; PyJWT reads the token. What is sent is not checked."""

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

Moment = Annotated[datetime, mapped_column(DateTime(timezone=True))]


class Base(DeclarativeBase):
    """Base of the models."""


app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
db = SQLAlchemy(app, model_class=Base)


class User(db.Model):
    """Somebody with a token."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    email: Mapped[str]
    role: Mapped[str]
    display_name: Mapped[str | None]
    created_at: Mapped[Moment]


class UserLocation(db.Model):
    """Where somebody was."""

    __tablename__ = "user_locations"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    user_id: Mapped[int]
    latitude: Mapped[float]
    longitude: Mapped[float]
    accuracy: Mapped[float | None]
    recorded_at: Mapped[Moment] = mapped_column(default=lambda: datetime.now(UTC))
    created_at: Mapped[Moment] = mapped_column(default=lambda: datetime.now(UTC))


def caller_id() -> int:
    """Return whom the bearer token speaks for; anything but a good one is answered 401."""
    _, _, token = request.headers.get("Authorization", "").partition(" ")
    try:
        return int(jwt.decode(token, os.environ["TOKEN_SECRET"], algorithms=["HS256"])["sub"])
    except jwt.InvalidTokenError:
        raise Unauthorized from None


@app.get("/health")
def health() -> dict[str, str]:
    """Answer without doing anything."""
    return {"status": "ok"}


@app.get("/api/v1/users/me")
def me() -> dict[str, Any]:
    """Return the caller's profile."""
    user = db.get_or_404(User, caller_id())
    return {
        "id": user.id,
        "email": user.email,
        "role": user.role,
        "display_name": user.display_name,
        "created_at": user.created_at.isoformat(),
    }


@app.post("/api/v1/locations")
def save() -> tuple[dict[str, Any], int]:
    """Save a position."""
    location = UserLocation(user_id=caller_id(), **request.get_json())
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
def save_batch() -> tuple[dict[str, int], int]:
    """Save many positions."""
    user_id = caller_id()
    rows = [
        {**item, "user_id": user_id, "recorded_at": datetime.fromisoformat(item["recorded_at"])}
        for item in request.get_json()["locations"]
    ]
    db.session.execute(db.insert(UserLocation), rows)
    db.session.commit()
    return {"accepted": len(rows)}, 201
