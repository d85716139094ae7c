"""A port for a test that gives it up again and goes on to say that nobody is there."""

import os


def own_port() -> int:
    """One that the system gives to no other program meanwhile: it lies below those it chooses from."""
    return 20_000 + os.getpid() % 9_000
