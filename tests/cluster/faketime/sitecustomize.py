"""Replace `time.sleep`, which Python imports at its start on a machine with a skewed clock.

It sleeps until a monotonic time, for which libfaketime 0.9.10 passes an undefined time to the kernel (EINVAL).
"""

import select
import time

time.sleep = lambda seconds: select.select([], [], [], seconds)  # type: ignore[assignment, return-value]
