"""(c) Django REST framework as in its tutorial and its authentication guide."""
