def check(texts, machine):
    return []
