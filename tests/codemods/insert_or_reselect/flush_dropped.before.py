async def device(self, stmt):
    device = (await self.session.execute(stmt)).scalar_one_or_none()
    if device is None:
        device = Device()
        self.session.add(device)
        await self.session.flush()
    return device
