def sell(item):
	if stock[item]: stock[item] -= 1; sold.append(item)  # both
	else: return
