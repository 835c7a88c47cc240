async def device(self, stmt):
    device = (await self.session.execute(stmt)).scalar_one_or_none()
    if device is None:
        device = Device()
        try:
            async with self.session.begin_nested():
                self.session.add(device)
        except IntegrityError:
            device = (await self.session.execute(stmt)).scalar_one()
    return device
