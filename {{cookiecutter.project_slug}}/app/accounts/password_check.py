"""The current password of a signed-in user, which sensitive changes need in addition to the session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from app.accounts import service, sign_ins
from app.accounts.models import User
from app.accounts.problem_types import WRONG_PASSWORD
from app.platform.database.base import db
from app.platform.security.access import account_deleted
from app.platform.security.passwords import verify_password
from app.platform.web.problems import Problem


@contextmanager
def current_password(user_id: int, password: str) -> Iterator[User]:
    """Run the `with` block for a user who proves the current password; raises 403, and 429 after several failures.

    A 4xx problem that the block raises, such as that of a wrong code, counts as a failure too.
    """
    with sign_ins.start_password_change(user_id) as attempt:
        user = service.get(db.session(), user_id)
        if user is None:
            raise account_deleted()
        if not verify_password(password, user.password_hash):
            sign_ins.record_failure("user.password_check_failed", user_id, actor_id=user_id)
            errors = {"current_password": ["Is wrong."]}
            raise Problem(WRONG_PASSWORD, "The current password is wrong.", errors=errors)
        yield user
        attempt.succeeded()
