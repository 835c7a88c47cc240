async def take():
    async with arrived:
        # nobody has brought one
        while  (not parcels) :  # yet
            await arrived.wait()
        return parcels.pop()
