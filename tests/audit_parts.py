"""What is plugged into an audit in tests: in a module that other processes can import too."""


def no_pandas(candidates):
    return ["in the test set" if "panda" in one.record.turns[0].text else None for one in candidates]


def last_bytes(candidate):
    return next(iter(candidate.encoded.values()))[-12:]


def same(signatures):
    return [one in signatures[:place] for place, one in enumerate(signatures)]
