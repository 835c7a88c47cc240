async def add(text):
    if text not in seen:
        await store(text)
        if text:
            seen.add(text)
    # else: it is there
         # log("seen before")


def clear():
    seen.clear()
