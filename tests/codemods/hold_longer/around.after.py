def sell(seats):
	with lock:
		left = stock[0]  # look

		check(left)
		stock[0] = left - seats
	# sold
