def take():
    if not parcels: arrived.wait()
