return found({})
