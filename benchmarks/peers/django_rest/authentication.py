"""Tokens of rest_framework.authtoken: one query returns the token and its user."""

from rest_framework.authentication import TokenAuthentication


class BearerAuthentication(TokenAuthentication):
    """The framework's token authentication, with the keyword that the other servers use."""

    keyword = "Bearer"
