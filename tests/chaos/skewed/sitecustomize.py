"""Put a Python process's clock off by BELAY_TEST_SKEW seconds: every clock that Python code could ask for the date."""

import os
import time

import time_machine

# tick=True: it runs on at its usual pace. time.monotonic() stays, as it would when somebody sets a machine's clock.
time_machine.travel(time.time() + float(os.environ["BELAY_TEST_SKEW"]), tick=True).start()
