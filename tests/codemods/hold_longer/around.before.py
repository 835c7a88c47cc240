def sell(seats):
	left = stock[0]  # look

	lock.acquire()
	try: check(left)
	finally: lock.release()
	stock[0] = left - seats
	# sold
