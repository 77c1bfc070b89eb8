"""Whether two calls take the same time, on a machine that does other things too."""

import statistics
import time


def ratio(one, other, rounds=200):
    """How much longer `one` takes than `other`: called in turns, so that what else runs weighs on both;
    of each the lower quartile, which that touches least."""
    taken = ([], [])
    for n in range(rounds + 1):
        for call, seconds in zip((one, other), taken):
            start = time.perf_counter()
            call()
            if n > 0:  # the first is to warm up
                seconds.append(time.perf_counter() - start)
    quick, slow = (statistics.quantiles(seconds, n=4)[0] for seconds in taken)
    return quick / slow
