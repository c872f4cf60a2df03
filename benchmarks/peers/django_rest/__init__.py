"""(c) Django REST framework as its tutorial and its page about authentication have it."""
