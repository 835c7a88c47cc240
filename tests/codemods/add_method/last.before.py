class Orders:
    def __init__(self, session):
        self._session = session

    async def get(self, number):
        return await self._session.get(Order, number)


orders = Orders()
