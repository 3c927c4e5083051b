"""What holds for all tests: neither a busy machine nor a shell that ignores Ctrl-C for its jobs lets them fail."""

import signal

from hypothesis import HealthCheck, settings

settings.register_profile("oncefold", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("oncefold")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Programs that tests start would inherit it, and could not be interrupted.
    signal.signal(signal.SIGINT, signal.default_int_handler)
