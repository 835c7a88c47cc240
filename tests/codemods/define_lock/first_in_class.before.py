from threading import Lock


class Store:
    """Seats."""

    def reserve(self): ...
