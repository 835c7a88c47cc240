# a provider
@traced
# it is closed
@asynccontextmanager  # for with
# now
async def get_session():
    yield 1
