from fastapi import FastAPI, HTTPException

app = FastAPI()
stock = {"book": 1}


@app.post("/purchase")
async def purchase(item: str, quantity: int) -> dict[str, str]:
    global stock
    # the part that only reads

    # may it be sold?
    if stock[item] >= quantity:
        await charge(
            item,
            quantity,  # of them
        )

        stock[item] -= quantity  # sold
        text = """as
it is"""
        return {"status": text}

    # too late
    raise HTTPException(409)
