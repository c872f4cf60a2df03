"""(b) FastAPI and SQLAlchemy as in its tutorial: plain functions, session and user as dependencies, PyJWT."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated

import jwt
from anyio.to_thread import current_default_thread_limiter
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer
from pydantic import BaseModel, ConfigDict
from sqlalchemy import DateTime, Identity, create_engine, insert
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

THREADS = 4  # per process, as in the other servers

# A request holds its connection while it waits for a thread. With the default of 5, most requests would open a new one.
engine = create_engine(os.environ["DATABASE_URL"], pool_size=16)
oauth2_scheme = OAuth2PasswordBearer(tokenUrl="token")


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Limit the threads for plain functions, as Starlette's documentation describes."""
    current_default_thread_limiter().total_tokens = THREADS
    yield


app = FastAPI(lifespan=lifespan)


Timestamp = Annotated[datetime, mapped_column(DateTime(timezone=True))]


class Base(DeclarativeBase):
    """Base of the models."""


class User(Base):
    """A user."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    email: Mapped[str]
    role: Mapped[str]
    display_name: Mapped[str | None]
    created_at: Mapped[Timestamp]


class UserLocation(Base):
    """A location of a user."""

    __tablename__ = "user_locations"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    user_id: Mapped[int]
    latitude: Mapped[float]
    longitude: Mapped[float]
    accuracy: Mapped[float | None]
    recorded_at: Mapped[Timestamp] = mapped_column(default=lambda: datetime.now(UTC))
    created_at: Mapped[Timestamp] = mapped_column(default=lambda: datetime.now(UTC))


class Profile(BaseModel):
    """Response body of the profile route."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    email: str
    role: str
    display_name: str | None
    created_at: datetime


class LocationRequest(BaseModel):
    """Request body of the location route."""

    latitude: float
    longitude: float
    accuracy: float | None = None
    recorded_at: datetime | None = None


class BatchRequest(BaseModel):
    """Request body of the batch route."""

    locations: list[LocationRequest]


class LocationResponse(BaseModel):
    """Response body of the location route."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    user_id: int
    latitude: float
    longitude: float
    accuracy: float | None
    recorded_at: datetime


class BatchResponse(BaseModel):
    """Response body of the batch route: the number of inserted locations."""

    accepted: int


def get_session() -> Iterator[Session]:
    """Yield the session of a request."""
    with Session(engine) as session:
        yield session


SessionDep = Annotated[Session, Depends(get_session)]


def get_current_user(token: Annotated[str, Depends(oauth2_scheme)], session: SessionDep) -> User:
    """Return the user of the bearer token; raises 401 if the token is invalid or the user does not exist."""
    refusal = HTTPException(401, "Could not validate credentials", {"WWW-Authenticate": "Bearer"})
    try:
        user_id = int(jwt.decode(token, os.environ["TOKEN_SECRET"], algorithms=["HS256"])["sub"])
    except jwt.InvalidTokenError:
        raise refusal from None
    user = session.get(User, user_id)
    if user is None:
        raise refusal
    return user


CurrentUser = Annotated[User, Depends(get_current_user)]


@app.get("/health")
async def health() -> dict[str, str]:
    """Return a constant."""
    return {"status": "ok"}


@app.get("/api/v1/users/me", response_model=Profile)
def profile(user: CurrentUser) -> User:
    """Return the user's profile."""
    return user


@app.post("/api/v1/locations", response_model=LocationResponse, status_code=201)
def create_location(body: LocationRequest, user: CurrentUser, session: SessionDep) -> UserLocation:
    """Insert a location."""
    location = UserLocation(user_id=user.id, **body.model_dump(exclude_unset=True))
    session.add(location)
    session.commit()
    session.refresh(location)
    return location


@app.post("/api/v1/locations/batch", response_model=BatchResponse, status_code=201)
def create_locations(batch: BatchRequest, user: CurrentUser, session: SessionDep) -> BatchResponse:
    """Insert a batch of locations."""
    rows = [{"user_id": user.id, **location.model_dump(exclude_unset=True)} for location in batch.locations]
    session.execute(insert(UserLocation), rows)
    session.commit()
    return BatchResponse(accepted=len(rows))
