def sell(item):
  try:
    pay()
  except* Refused as error:
    match error:
      case Late():
        with late_lock:
          late[item] += 1
          raise
