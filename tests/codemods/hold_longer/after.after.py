async def enrol(self, name):
    # one at a time
    async with self.lock:  # waits
        # count
        free = self.places - len(self.names)

        print(free)

        # ask
        if not free: raise Full
        self.names.append(name)
    return free
