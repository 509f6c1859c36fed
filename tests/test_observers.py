"""Observers are added and removed by any thread."""

from __future__ import annotations

from threading import Thread

from images_emulator.observers import add_observer, remove_observer


class Observed:
    """When its observers are read first, another thread changes them, too."""

    def __init__(self) -> None:
        self._observers: tuple[str, ...] = ("old", "kept")
        self._reads = 0
        self.other = Thread(target=lambda: add_observer(self, "other"))

    @property
    def observers(self) -> tuple[str, ...]:
        self._reads += 1
        observers = self._observers
        if self._reads == 1:
            self.other.start()
            # It ends within this time only where nothing keeps it from changing them.
            self.other.join(0.05)
        return observers

    @observers.setter
    def observers(self, observers: tuple[str, ...]) -> None:
        self._observers = observers


def test_observer_that_two_threads_add_at_once_is_not_lost() -> None:
    observed = Observed()
    add_observer(observed, "one")
    observed.other.join()
    assert observed.observers == ("old", "kept", "one", "other")


def test_observer_that_is_added_while_another_is_removed_is_not_lost() -> None:
    observed = Observed()
    remove_observer(observed, "old")
    observed.other.join()
    assert observed.observers == ("kept", "other")


def test_observer_is_told_once() -> None:
    observed = Observed()
    for _ in range(2):
        add_observer(observed, "one")
    observed.other.join()
    assert sorted(observed.observers) == ["kept", "old", "one", "other"]
