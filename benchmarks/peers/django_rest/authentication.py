"""Tokens of rest_framework.authtoken: looked up in the database together with their user."""

from rest_framework.authentication import TokenAuthentication


class BearerAuthentication(TokenAuthentication):
    """The framework's own, under the word that other clients use."""

    keyword = "Bearer"
