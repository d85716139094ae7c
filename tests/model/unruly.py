"""Backends that do what none should, or that can be watched: what `inference` has to live with."""

import threading
from collections.abc import Iterator

from sususbot.model.backend import Chunk, Deadline, Request, Usage
from sususbot.model.scripted import Scripted


class Stuck(Scripted):
    """Looks at no deadline: says a word, is stuck until it is let go, then goes on talking."""

    def __init__(self) -> None:
        super().__init__(["unused"])
        self.began = threading.Event()
        self.released = threading.Event()
        self.ended = threading.Event()

    def generate(self, _request: Request, _deadline: Deadline) -> Iterator[Chunk]:
        try:
            yield Chunk("erm")
            self.began.set()
            self.released.wait(20)
            for _ in range(1000):
                yield Chunk(" at last")
            yield Chunk("", "stop", Usage())
        finally:
            self.ended.set()


class Broken(Scripted):
    """Breaks in a way that no backend should."""

    def generate(self, _request: Request, _deadline: Deadline) -> Iterator[Chunk]:
        yield Chunk("I am")
        raise ZeroDivisionError("a bug")


class Watched(Scripted):
    """Tells when it began and how its deadline ended."""

    def __init__(self) -> None:
        super().__init__(["word " * 10_000], seconds_per_token=0.05)
        self.began = threading.Event()
        self.finish: str | None = None
        self.ended = threading.Event()

    def generate(self, request: Request, deadline: Deadline) -> Iterator[Chunk]:
        for chunk in super().generate(request, deadline):
            self.began.set()
            self.finish = chunk.finish
            if chunk.finish:
                self.ended.set()
            yield chunk
