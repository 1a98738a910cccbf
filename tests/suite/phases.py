"""Which tests run beside each other: the phases of a run, and the scheduler of pytest-xdist that keeps them apart.

::

    phase       beside each other                 what is in it
    waiting     as many as there are processes    tests in real time, which mostly wait
    computing   as many as there are processes    everything else
    sounding    three                             sound servers and their devices, rooms that are mixed in real time
    measuring   one                               what compares times or CPU

Beside those, processes of low priority run what computes in the time that the waiting phase leaves; they end with it.

A process runs a test only when it knows the next one (or that there is none): at the end of a phase each keeps one in hand. Those
that aren't needed for the next phase are shut down first, which lets go of theirs; then the next phase begins.
"""

import enum
import functools
import os
import random
from collections import deque
from pathlib import Path, PurePath
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

TESTS = Path(__file__).parent.parent.resolve()
PROCESSES_PER_CORE = 3  # and one: in the first phase, two cores are half idle with five
MOST_PROCESSES = 12
MOST_IN_BACKGROUND = 8
NICENESS = 10  # of those in the background
IN_BACKGROUND = "in_background"  # in what a process is told


class Phase(enum.IntEnum):
    """In the order of a run, which goes from many beside each other to one."""

    WAITING = 0
    COMPUTING = 1
    SOUNDING = 2
    MEASURING = 3


WIDTHS = {Phase.SOUNDING: 3, Phase.MEASURING: 1}

IN_HAND = {Phase.COMPUTING: 12}  # tests that a process has ready: it waits for none of many that are over at once

# One process runs the whole file: what all its tests look at takes long to make.
TOGETHER = {"test_listening_day.py", "test_sources.py", "test_terminal_screens.py"}

# What has tests of half a minute and more is begun first in its phase: at its end the others would wait for them.
LONG = {
    "test_official_sdk.py",
    "test_outages.py",
    "test_rules.py",
    "test_sdk_endings.py",
    "test_virtual_call.py",
}

# Folders and files by name, wherever they stand; the innermost decides.
PHASES = {
    "e2e": Phase.WAITING,
    "examples": Phase.WAITING,
    "interop": Phase.WAITING,
    "peers": Phase.WAITING,
    "relay": Phase.WAITING,
    "janus": Phase.WAITING,
    "backend_apis": Phase.WAITING,
    "webrtc": Phase.WAITING,
    "test_plugin.py": Phase.WAITING,
    "test_script.py": Phase.WAITING,
    "test_simulated_line.py": Phase.WAITING,
    "test_recipes.py": Phase.WAITING,
    "test_exchange_users.py": Phase.WAITING,
    "test_exchange_sms.py": Phase.WAITING,
    "test_asking_too_often.py": Phase.WAITING,
    "test_papi_rest.py": Phase.WAITING,  # as in the next one, whoever asks slowly isn't held back
    "test_sms_api.py": Phase.WAITING,
    "test_b2bua.py": Phase.WAITING,
    "shared": Phase.WAITING,  # a process that stalls for two seconds is taken for dead by Redis's others
    "test_channel_rights.py": Phase.WAITING,  # these too run on Redis
    "test_kept_messages.py": Phase.WAITING,
    "test_ocra_rest.py": Phase.WAITING,
    "test_squatting.py": Phase.WAITING,
    "test_bad_input.py": Phase.WAITING,
    "test_blocks.py": Phase.WAITING,
    "test_call_recording.py": Phase.WAITING,
    "test_call_waiting.py": Phase.WAITING,
    "test_begun_calls.py": Phase.WAITING,
    "test_transfer_keys.py": Phase.WAITING,
    "test_room_screen.py": Phase.WAITING,
    "test_callback_configuration.py": Phase.WAITING,
    "test_chromium_inspector.py": Phase.WAITING,
    "test_cli_commands.py": Phase.WAITING,
    "test_cli_process.py": Phase.WAITING,
    "test_conference_rest.py": Phase.WAITING,
    "test_control_phone.py": Phase.WAITING,
    "test_control_stream.py": Phase.WAITING,
    "test_dial_and_verify.py": Phase.WAITING,
    "test_dialling_keys.py": Phase.WAITING,
    "test_doctor_cloud.py": Phase.WAITING,
    "test_exchange_sip.py": Phase.WAITING,
    "test_growing.py": Phase.WAITING,
    "test_exchange_tls.py": Phase.WAITING,
    "test_exhaustion.py": Phase.WAITING,
    "test_gateway_on_demand.py": Phase.WAITING,
    "test_group_command.py": Phase.WAITING,
    "test_gc_tuning.py": Phase.WAITING,
    "test_given_descriptors.py": Phase.WAITING,
    "test_hook_program.py": Phase.WAITING,
    "test_hooks.py": Phase.WAITING,
    "test_ice.py": Phase.WAITING,
    "test_job_control.py": Phase.WAITING,
    "test_keys.py": Phase.WAITING,
    "test_late_cancel.py": Phase.WAITING,
    "test_listening_day.py": Phase.WAITING,
    "test_local.py": Phase.WAITING,
    "test_local_audio.py": Phase.WAITING,
    "test_lost_messages.py": Phase.WAITING,
    "test_narrowing.py": Phase.WAITING,
    "test_terminal_screens.py": Phase.WAITING,
    "test_open_calls.py": Phase.WAITING,
    "test_outcomes.py": Phase.WAITING,
    "test_outgoing_commands.py": Phase.WAITING,
    "test_picture.py": Phase.WAITING,
    "test_pipes.py": Phase.WAITING,
    "test_pubsub.py": Phase.WAITING,
    "test_real_terminals.py": Phase.WAITING,
    "test_registration.py": Phase.WAITING,
    "test_push_commands.py": Phase.WAITING,
    "test_push_sender.py": Phase.WAITING,
    "test_retry_after.py": Phase.WAITING,
    "test_rooms.py": Phase.WAITING,
    "test_rtp_port.py": Phase.WAITING,
    "test_said_right.py": Phase.WAITING,
    "test_signals.py": Phase.WAITING,
    "test_sip_agent.py": Phase.WAITING,
    "test_sip_rules.py": Phase.WAITING,
    "test_sip_transport.py": Phase.WAITING,
    "test_streams.py": Phase.WAITING,
    "test_two_networks.py": Phase.WAITING,
    "test_webrtc_codecs.py": Phase.WAITING,
    "test_chromium_pictures.py": Phase.SOUNDING,  # a browser that encodes, decodes and draws
    "test_conference.py": Phase.SOUNDING,
    "test_groups.py": Phase.SOUNDING,  # six legs in one process
    "test_sdk_groups.py": Phase.SOUNDING,  # twelve, and two Nodes
    "test_devices_and_terminals.py": Phase.SOUNDING,
    "test_pulse_devices.py": Phase.SOUNDING,
    "test_server_devices.py": Phase.SOUNDING,
    "test_lossy_call.py": Phase.WAITING,
    "test_stock_aiortc.py": Phase.SOUNDING,  # it takes a core
    "test_bridge_speed.py": Phase.MEASURING,
    "test_emulator.py": Phase.MEASURING,
    "test_fast_hands.py": Phase.MEASURING,
    "test_frame_clock.py": Phase.MEASURING,
    "test_media_thread.py": Phase.MEASURING,
    "test_room.py": Phase.MEASURING,
    "test_speed.py": Phase.MEASURING,
}


_FOREGROUND = pytest.StashKey[int]()  # how many processes aren't in the background


def may_be_tried_again(path: PurePath) -> bool:
    """Whether a stall of the machine may fail a test of that file, which then has two more tries (shown as reruns): where it waits, sounds
    or measures in real time. What computes has no such excuse."""
    return phase_of(path) is not Phase.COMPUTING


@functools.cache
def phase_of(path: PurePath) -> Phase:
    """The phase of a test file."""
    return next((PHASES[part] for part in reversed(path.parts) if part in PHASES), Phase.COMPUTING)


def processes_for(config: pytest.Config) -> int:
    """How many processes a run of the whole suite is worth. For a part of it, for ``-s`` and for a list of the tests: none but this one."""
    whole = {(config.invocation_params.dir / each).resolve() for each in config.args} == {TESTS}
    if not whole or config.option.capture == "no" or config.option.collectonly:
        return 0
    in_background = min(cores(), MOST_IN_BACKGROUND) if hasattr(os, "nice") else 0
    config.stash[_FOREGROUND] = min(PROCESSES_PER_CORE * cores() + 1, MOST_PROCESSES)
    return config.stash[_FOREGROUND] + in_background


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def tell(node: WorkerController) -> None:
    """Tell a process that begins whether it is one in the background. Those are the last; who takes a crashed one's place is none."""
    foreground = node.config.stash.get(_FOREGROUND, None)
    number = int(node.gateway.id.removeprefix("gw"))
    node.workerinput[IN_BACKGROUND] = foreground is not None and foreground <= number < node.config.option.numprocesses


def step_back(config: pytest.Config) -> None:
    """In a process in the background: others go first from here on."""
    if getattr(config, "workerinput", {}).get(IN_BACKGROUND):
        os.nice(NICENESS)


def hash_alike() -> None:
    """Have all processes of a run go through sets in the same order, another one in each run: they must collect the same tests."""
    os.environ.setdefault("PYTHONHASHSEED", str(random.SystemRandom().randrange(1, 2**32)))


class PhasedScheduling(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """Hands out the tests one by one (whole files of those that belong together) in the order of their collection, which is that of the
    phases."""

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        super().__init__(config, log)
        self._width = 0  # of the phase that runs
        self._computing: deque[str] = deque()  # scopes in their order, for those in the background

    def schedule(self) -> None:
        """Called when all processes have collected, and for each that takes the place of one that crashed."""
        if self.collection is None:  # type: ignore[has-type]
            if not self._check_nodes_have_same_collection():
                return
            self.collection = list(next(iter(self.registered_collections.values())))
            for nodeid in self.collection:  # type: ignore[attr-defined]
                self.workqueue.setdefault(_scope(nodeid), {})[nodeid] = False
            self._computing.extend(scope for scope in self.workqueue if _phase_of_scope(scope) is Phase.COMPUTING)
        self._feed_all()

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        nodeid = self.registered_collections[node][item_index]
        work = self.assigned_work[node]
        del work[_scope(nodeid)][nodeid]
        if not work[_scope(nodeid)]:
            del work[_scope(nodeid)]
        self._feed_all()

    def remove_node(self, node: WorkerController) -> str | None:
        """A process has ended; if it crashed, the test that it ran then, and its next ones are another's."""
        in_hand = self._in_hand(node)
        del self.assigned_work[node]
        for nodeid in in_hand[1:]:
            self.workqueue.setdefault(_scope(nodeid), {})[nodeid] = False
            self.workqueue.move_to_end(_scope(nodeid), last=False)
        self._feed_all()
        return in_hand[0] if in_hand else None

    def _in_hand(self, node: WorkerController) -> list[str]:
        """The tests that a process has and hasn't ended, the one that it runs first."""
        return [nodeid for unit in self.assigned_work[node].values() for nodeid in unit]

    def _feed_all(self) -> None:
        for node in self._open_nodes():
            self._feed(node)

    def _feed(self, node: WorkerController) -> None:
        """Gives a process its next test, shuts it down if it isn't needed any more, or has it wait for the next phase."""
        width = self._width_of_next()
        if _is_in_background(node):
            self._feed_in_background(node)
        elif node not in self._open_nodes()[:width]:
            node.shutdown()
        elif len(self._in_hand(node)) < self._ready() and (width == self._width or self._is_quiet()):
            self._width = width
            self._assign_work_unit(node)
            self._feed(node)

    def _feed_in_background(self, node: WorkerController) -> None:
        """Gives it what computes as long as there's something to wait for; then it has done its part."""
        while self._computing and self._computing[0] not in self.workqueue:
            self._computing.popleft()
        if not self._computing or self._next_phase() is not Phase.WAITING:
            node.shutdown()
        elif len(self._in_hand(node)) < 2:
            self.workqueue.move_to_end(self._computing.popleft(), last=False)
            self._assign_work_unit(node)
            self._feed(node)

    def _width_of_next(self) -> int:
        """How many processes the next test may have beside its own, and that; 0 when there's none."""
        return WIDTHS.get(self._next_phase(), int(self.numnodes)) if self.workqueue else 0

    def _ready(self) -> int:
        """How many tests a process has ready: two, since it runs one when it knows the next; more where they are short and many."""
        return IN_HAND.get(self._next_phase(), 2) if len(self.workqueue) > 20 * self.numnodes else 2

    def _next_phase(self) -> Phase:
        return _phase_of_scope(next(iter(self.workqueue)))

    def _open_nodes(self) -> list[WorkerController]:
        return [node for node in self.nodes if not node.shutting_down]

    def _is_quiet(self) -> bool:
        """Whether nothing runs: what goes on has at most the test in hand that it can't start, what ends has none."""
        return all(len(self._in_hand(node)) <= (not node.shutting_down) for node in self.assigned_work)


def _is_in_background(node: WorkerController) -> bool:
    return bool(node.workerinput.get(IN_BACKGROUND))


def _phase_of_scope(scope: str) -> Phase:
    return phase_of(PurePath(scope.split("::")[0]))


def _scope(nodeid: str) -> str:
    """What is handed out at once: a test, or its file."""
    file = nodeid.split("::")[0]
    return file if PurePath(file).name in TOGETHER else nodeid
