# a provider
@traced
# it is closed
# now
async def get_session():
    yield 1
