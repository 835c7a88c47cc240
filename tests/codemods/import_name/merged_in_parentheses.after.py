from app.store import (
    Stock,  # a class
    stock,  # the state
    stock_lock,
)
