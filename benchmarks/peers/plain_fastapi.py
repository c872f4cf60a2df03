"""(b) FastAPI and SQLAlchemy as its tutorial has them: plain functions, session and user by dependency, PyJWT."""

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

THREADS = 4  # as every other server here; Starlette's documentation says how

# A request holds its connection while it waits for a thread. With the default of five, most would be opened anew.
engine = create_engine(os.environ["DATABASE_URL"], pool_size=16)
oauth2_scheme = OAuth2PasswordBearer(tokenUrl="token")


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Run plain functions in as many threads as the others have."""
    current_default_thread_limiter().total_tokens = THREADS
    yield


app = FastAPI(lifespan=lifespan)


Moment = Annotated[datetime, mapped_column(DateTime(timezone=True))]


class Base(DeclarativeBase):
    """Base of the models."""


class User(Base):
    """Somebody with a token."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    email: Mapped[str]
    role: Mapped[str]
    display_name: Mapped[str | None]
    created_at: Mapped[Moment]


class UserLocation(Base):
    """Where somebody was."""

    __tablename__ = "user_locations"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    user_id: Mapped[int]
    latitude: Mapped[float]
    longitude: Mapped[float]
    accuracy: Mapped[float | None]
    recorded_at: Mapped[Moment] = mapped_column(default=lambda: datetime.now(UTC))
    created_at: Mapped[Moment] = mapped_column(default=lambda: datetime.now(UTC))


class Profile(BaseModel):
    """A user as the user sees it."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    email: str
    role: str
    display_name: str | None
    created_at: datetime


class Position(BaseModel):
    """Where the caller is, or was."""

    latitude: float
    longitude: float
    accuracy: float | None = None
    recorded_at: datetime | None = None


class Batch(BaseModel):
    """Several positions."""

    locations: list[Position]


class Location(BaseModel):
    """A saved position."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    user_id: int
    latitude: float
    longitude: float
    accuracy: float | None
    recorded_at: datetime


class Accepted(BaseModel):
    """How many positions were saved."""

    accepted: int


def get_session() -> Iterator[Session]:
    """Lend a session to a request."""
    with Session(engine) as session:
        yield session


SessionDep = Annotated[Session, Depends(get_session)]


def get_current_user(token: Annotated[str, Depends(oauth2_scheme)], session: SessionDep) -> User:
    """Return whom the bearer token speaks for; anything but a good one is answered 401."""
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
    """Answer without doing anything."""
    return {"status": "ok"}


@app.get("/api/v1/users/me", response_model=Profile)
def me(user: CurrentUser) -> User:
    """Return the caller's profile."""
    return user


@app.post("/api/v1/locations", response_model=Location, status_code=201)
def save(position: Position, user: CurrentUser, session: SessionDep) -> UserLocation:
    """Save a position."""
    location = UserLocation(user_id=user.id, **position.model_dump(exclude_unset=True))
    session.add(location)
    session.commit()
    session.refresh(location)
    return location


@app.post("/api/v1/locations/batch", response_model=Accepted, status_code=201)
def save_batch(batch: Batch, user: CurrentUser, session: SessionDep) -> Accepted:
    """Save many positions."""
    rows = [{"user_id": user.id, **position.model_dump(exclude_unset=True)} for position in batch.locations]
    session.execute(insert(UserLocation), rows)
    session.commit()
    return Accepted(accepted=len(rows))
