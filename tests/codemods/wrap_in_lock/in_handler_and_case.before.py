def sell(item):
  try:
    pay()
  except* Refused as error:
    match error:
      case Late():
        late[item] += 1
        raise
