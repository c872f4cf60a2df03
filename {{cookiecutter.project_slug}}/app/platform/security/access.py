"""Who may call a route. A decorator on the view declares it; a route without one rejects every call."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from flask import Flask, current_app

from app.platform.components import platform_of
from app.platform.security import api_key_owners, sessions, step_up, tokens
from app.platform.security.admin_rights import AdminRefusals, has_admin_rights
from app.platform.security.api_key_owners import INVALID
from app.platform.settings.declarations import settings_of
from app.platform.telemetry.logging import bind_context
from app.platform.web.caller import KEY_PREFIX, Caller
from app.platform.web.client_address import is_private_client
from app.platform.web.problem_types import (
    ACCOUNT_DELETED,
    AUTHENTICATION_REQUIRED,
    EMAIL_UNVERIFIED,
    LOGIN_REQUIRED,
    MISSING_SCOPE,
    PERMISSION_DENIED,
    RECENT_LOGIN_REQUIRED,
    SECOND_FACTOR_REQUIRED,
    ProblemType,
)
from app.platform.web.problems import Problem, raises
from app.platform.web.request_state import current_request, request_state
from app.platform.web.route_policy import Access, View, policy_of

ApiKeyLookup = Callable[[str], Caller]

API_KEY_FIELD = "HTTP_X_API_KEY"  # the header X-API-Key in the WSGI environment
UNVERIFIED = "Confirm your e-mail address first, with the link in the e-mail to it. Then refresh your tokens."
NO_SECOND_FACTOR = "Admins must use a second factor: set up TOTP for your account first. Then refresh your tokens."
INVALID_KEY = "The API key is not valid."  # for every reason, so that the text does not show which keys exist


@dataclass(frozen=True)
class ApiKeys:
    """The lookup of API keys: returns the caller of a key, or raises `TokenError`.

    `is_well_formed` recognizes without a database query that a text is no key.
    """

    lookup: ApiKeyLookup
    is_well_formed: Callable[[str], bool] = bool


def public(reason: str) -> Callable[[View], View]:
    """Let anyone call this route, for this reason."""

    def decorate(view: View) -> View:
        policy_of(view).public_reason = reason
        return _set_access(view, PUBLIC)

    return decorate


def login_required(view: View) -> View:
    """Let logged-in users call this route; `current_caller()` returns the caller."""
    return _set_access(view, LOGIN)


def login_or_api_key(scope: str) -> Callable[[View], View]:
    """Let logged-in users and API keys with this scope call this route."""

    def decorate(view: View) -> View:
        policy_of(view).scope = scope
        return _set_access(view, LOGIN_OR_API_KEY)

    return decorate


def admin_required(view: View) -> View:
    """Let logged-in users with the role admin call this route."""
    return _set_access(raises(SECOND_FACTOR_REQUIRED)(view), ADMIN)


def allow_unverified(view: View) -> View:
    """Also let users who have not confirmed their e-mail address call this route; all others reject them."""
    policy_of(view).allows_unverified = True
    return view


def recent_login_required(view: View) -> View:
    """Let only callers whose last proof of the password is recent call this route; above `login_required`."""
    policy_of(view).recent_login = True
    return raises(RECENT_LOGIN_REQUIRED)(view)


def operator_token_required(view: View) -> View:
    """Let callers with `METRICS_TOKEN` call this route."""
    return _set_access(view, OPERATOR)


def operators_or_private_network(view: View) -> View:
    """Like `operator_token_required`; outside production, private addresses need no token if none is set."""
    return _set_access(view, OPERATOR_OR_PRIVATE_NETWORK)


def _set_access(view: View, access: Access) -> View:
    policy_of(view).access = access
    return view


def init_app(app: Flask) -> None:
    """Check the access of every request."""
    api_key_owners.init_app(app)
    app.before_request(partial(_check_access, app))


def register_api_key_lookup(app: Flask, api_keys: ApiKeys) -> None:
    """Register the lookup of API keys."""
    platform_of(app).add(api_keys)


def _check_access(app: Flask) -> None:
    request = current_request()
    if request.routing_exception is not None or request.method == "OPTIONS":
        return  # no view runs: the response is a 404, a 405, or the list of methods
    policy = policy_of(app.view_functions[request.endpoint or ""])
    if policy.access is None:
        raise Problem(PERMISSION_DENIED, "This route declares no access rule, so every call is rejected.")
    policy.access.check()
    caller = request_state().caller
    if caller is not None and not caller.verified and not policy.allows_unverified:
        raise Problem(EMAIL_UNVERIFIED, UNVERIFIED)
    if policy.recent_login:
        step_up.require_recent(current_caller())


def current_caller() -> Caller:
    """Return the caller of this request; not for public routes."""
    caller = request_state().caller
    if caller is None:
        raise LookupError("No caller: the route is public, or access has not been checked yet.")
    return caller


def authenticated_caller() -> Caller | None:
    """Return the caller, or None if there are no credentials, they are invalid, or the session is revoked."""
    state = request_state()
    if not state.caller_verified:
        state.caller_verified = True
        state.caller = caller = unverified_caller()
        if caller and caller.session_id is not None and sessions.is_revoked(caller.session_id):
            state.caller, state.auth_error = None, "This session has ended. Sign in again."
        elif caller:
            bind_context(user_id=caller.user_id)
    return state.caller


def unverified_caller() -> Caller | None:
    """Return the caller of a valid token whose session may be revoked; `authenticated_caller` checks the session."""
    state = request_state()
    if not state.credentials_read:
        state.credentials_read = True
        try:
            state.unverified_caller = _verify_credentials(_credentials())
        except tokens.TokenError as error:
            state.auth_error = str(error)
    return state.unverified_caller


def counted_user_id() -> int | None:
    """Return the user that this request counts for, without a database query; None: it counts for its address."""
    state, key = request_state(), current_api_key()
    if key and not state.credentials_read:
        return api_key_owners.api_key_owners().get(key) or None
    caller = state.caller if state.caller_verified else unverified_caller()
    return caller.user_id if caller else None


def is_unknown_api_key() -> bool:
    """Whether only a database query can show whose API key the request has."""
    key = current_api_key()
    api_keys = platform_of(current_app).find(ApiKeys) if key else None
    return bool(api_keys and api_keys.is_well_formed(key)) and api_key_owners.api_key_owners().get(key) is None


def current_api_key() -> str:
    """Return the API key of the request, unverified; empty if the request has none."""
    credentials = _credentials()
    return credentials if credentials.startswith(KEY_PREFIX) else ""


def _credentials() -> str:
    state = request_state()
    if state.credentials is None:
        state.credentials = current_request().environ.get(API_KEY_FIELD) or _bearer_token()
    return state.credentials


def _verify_credentials(credentials: str) -> Caller:
    if not credentials:
        raise tokens.TokenError("Sign in first, and send the token: Authorization: Bearer <access_token>.")
    if credentials.startswith(KEY_PREFIX):
        return _look_up(credentials)
    if API_KEY_FIELD in current_request().environ:
        raise tokens.TokenError(INVALID_KEY)
    return tokens.verify_access_token(credentials)


def _look_up(key: str) -> Caller:
    """Return the caller of an API key; a key that is known to be invalid costs no database query."""
    api_keys, owners = platform_of(current_app).find(ApiKeys), api_key_owners.api_key_owners()
    if api_keys is None:
        raise tokens.TokenError("This service accepts no API keys: sign in.")
    if not api_keys.is_well_formed(key) or owners.get(key) == INVALID:
        raise tokens.TokenError(INVALID_KEY)
    try:
        caller = api_keys.lookup(key)
    except tokens.TokenError:
        owners.remember(key, INVALID)
        raise
    owners.remember(key, caller.user_id)
    return caller


def _bearer_token() -> str:
    scheme, _, credentials = current_request().environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else ""


def _allow() -> None:
    """Accept every request."""


def _require_caller() -> Caller:
    caller = authenticated_caller()
    if caller is None:
        raise unauthorized(request_state().auth_error)
    return caller


def _require_login() -> None:
    if current_api_key():
        raise Problem(LOGIN_REQUIRED, "API keys cannot do this: sign in.")
    _require_caller()


def _require_login_or_scope() -> None:
    caller = _require_caller()
    scope = policy_of(current_app.view_functions[current_request().endpoint or ""]).scope
    if caller.session_id is None and scope not in caller.scopes:
        raise Problem(MISSING_SCOPE, f"This API key lacks the scope {scope}.")


def _require_admin() -> None:
    _require_login()
    caller = current_caller()
    if caller.role != "admin":
        for record in platform_of(current_app).get_or_create(AdminRefusals):
            record(caller)
        raise Problem(PERMISSION_DENIED, "Only admins may do this.")
    if not has_admin_rights(caller):
        raise Problem(SECOND_FACTOR_REQUIRED, NO_SECOND_FACTOR)


def _require_operator() -> None:
    expected = settings_of(current_app).METRICS_TOKEN
    if not expected:
        raise Problem(PERMISSION_DENIED, "Closed until METRICS_TOKEN is set.")
    if not hmac.compare_digest(_bearer_token().encode(), expected.encode()):
        raise unauthorized("Send the operators' token: Authorization: Bearer <METRICS_TOKEN>.")


def _require_operator_or_private_network() -> None:
    settings = settings_of(current_app)
    # In production a private address may be that of a proxy that adds no header.
    if settings.in_production or settings.METRICS_TOKEN or not is_private_client():
        _require_operator()


def unauthorized(message: str, kind: ProblemType = AUTHENTICATION_REQUIRED) -> Problem:
    """Return a 401 problem for missing or invalid credentials."""
    return Problem(kind, message, headers={"WWW-Authenticate": "Bearer"})


def account_deleted() -> Problem:
    """Return a 401 problem for valid credentials whose account has been deleted."""
    return unauthorized("This account no longer exists. Sign in with another account.", ACCOUNT_DELETED)


PUBLIC = Access("public", _allow)
LOGIN = Access("login", _require_login)
LOGIN_OR_API_KEY = Access("login_or_api_key", _require_login_or_scope)
ADMIN = Access("admin", _require_admin)
OPERATOR = Access("operator", _require_operator)
OPERATOR_OR_PRIVATE_NETWORK = Access("operator_or_private_network", _require_operator_or_private_network)
