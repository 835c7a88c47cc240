import threading as th


class Store:
    """Seats."""

    def __init__(self):
        self._seats = {}
        self._seats_lock = th.Lock()

        self.name = "x"
