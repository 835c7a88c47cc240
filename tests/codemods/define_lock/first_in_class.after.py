from threading import Lock


class Store:
    """Seats."""

    _lock = Lock()

    def reserve(self): ...
