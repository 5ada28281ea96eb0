"""What is got once and then shared by threads until it is over: a login, for example."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Session(Generic[T]):
    """One value, made by the first who needs it. Safe to share between threads."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._value: T | None = None

    def current(self) -> T:
        """The value; made now where there is none. Raises what making it raises."""
        value = self._value
        if value is not None:
            return value
        with self._lock:
            if self._value is None:
                self._value = self._make()
            return self._value

    def forget(self) -> None:
        """Whatever it is, it is made anew when it is needed next."""
        with self._lock:
            self._value = None

    def drop(self, value: T) -> bool:
        """Forget this value, unless another thread has renewed it already. Whether it was forgotten."""
        with self._lock:
            dropped = self._value == value
            if dropped:
                self._value = None
        return dropped
