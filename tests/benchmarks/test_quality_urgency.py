"""The priority of measured peers: of all that a program has started, and what somebody at that priority waits too long."""

import os
import subprocess
import time
from pathlib import Path

import pytest
from quality_urgency import Punctuality, hurry


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_whoever_a_program_has_started_goes_before_others_too() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 30 & echo $!; wait"], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        try:
            hurry(parent.pid)
            both = [os.sched_getscheduler(each) == os.SCHED_RR or os.getpriority(os.PRIO_PROCESS, each) < 0 for each in (parent.pid, child)]
        finally:
            os.kill(child, 15)
    if os.geteuid():
        pytest.skip("needs a user who may")
    assert both == [True, True]


def test_who_goes_before_others_waits_no_longer_than_asked_for_and_nothing_is_told_before_the_start() -> None:
    with Punctuality() as never:
        pass
    assert never.late == 0
    with Punctuality() as waits:
        waits.start()
        time.sleep(0.2)
    assert 0 <= waits.late <= 1
