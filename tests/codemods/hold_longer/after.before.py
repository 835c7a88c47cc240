async def enrol(self, name):
    # one at a time
    await self.lock.acquire()  # waits
    # count
    try:
        free = self.places - len(self.names)

        print(free)
    finally:
        self.lock.release()

    # ask
    if not free: raise Full
    self.names.append(name)
    return free
