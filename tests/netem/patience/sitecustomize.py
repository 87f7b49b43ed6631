"""Stretches the timers of wstest, by way of PYTHONPATH.

Most of them are a second, from the opening of a connection to what is to have come by then. That
is less than it takes to send a lost packet again over a link with a round trip of 400 ms.
"""

import os
import sys

if sys.version_info[0] == 2:
    from twisted.internet.base import ReactorBase

    def stretched(self, delay, *args, **kwargs):
        return call_later(self, delay * float(os.environ["STRETCH"]), *args, **kwargs)

    call_later, ReactorBase.callLater = ReactorBase.callLater, stretched
