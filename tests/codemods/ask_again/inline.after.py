def take():
    while not parcels: arrived.wait()
