def sell(item):
	if stock[item]:
		with self._lock:
			stock[item] -= 1; sold.append(item)  # both
	else: return
