async def take():
    async with arrived:
        # nobody has brought one
        if  (not parcels) :  # yet
            await arrived.wait()
        return parcels.pop()
