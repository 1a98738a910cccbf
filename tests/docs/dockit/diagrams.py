"""The state diagrams of the architecture page, made by driving the machines: what is drawn is what they do."""

import pickle
from collections import defaultdict
from collections.abc import Iterator

from sinchphone.errors import LocalProtocolError
from sinchphone.protocol.call import vocabulary as v
from sinchphone.protocol.call.machine import MESSAGES, TABLE, CallMachine
from sinchphone.protocol.call.vocabulary import STATES, Phase
from sinchphone.protocol.mxp.message import BodyType, CallFailure, Client, Message, Method, encode_client
from sinchphone.protocol.sdp.jsep import Candidate, Description, encode_candidate, encode_description
from sinchphone.protocol.sip.transactions import transaction as sip

ME, BOB, BOB2 = Client("ada", "ada-1", "sig-ada"), Client("bob", "bob-1", "sig-1"), Client("bob", "bob-2", "sig-2")
OFFER, ANSWER = encode_description(Description("offer", "v=0")), encode_description(Description("answer", "v=0"))
INVITE = Message(Method.INVITE, BOB, BodyType.MEDIA, "", {"sdp": OFFER})
BODIES = {
    Method.ACK: [(BodyType.SDP, ANSWER)],
    Method.JOINED: [(BodyType.CLIENT, encode_client(ME)), (BodyType.CLIENT, encode_client(BOB2))],
    Method.PEER_EVENT: [(BodyType.SDP, encode_candidate(Candidate("candidate:1", "0", 0)))],
}
PASSING = ("LocalCandidate", "PathFailing", "DescribedAgain", "PEER EVENT")  # what they change leads nowhere else
MAX_FOLLOWED = 100  # machines of each phase and direction that are driven on; with 1500 nothing is added


def _inputs() -> Iterator[v.Input]:
    yield from (v.Dial(), v.Greet(), v.Ring(), v.Preview(), v.Answer(), v.HangUp(), v.Elapsed())
    yield from (v.OfferReady(Description("offer", "v=0")), v.AnswerReady(Description("answer", "v=0")), v.Failed(CallFailure(1, "no")))
    yield from (v.Placed("sig-call", devices, pushed) for devices, pushed in ((1, False), (2, False), (1, True)))
    for peer in ("bob-1", "bob-2"):
        yield from (v.LocalCandidate(peer, None), v.MediaConnected(peer), v.MediaFailed(peer, "no"), v.MediaLost(peer))
        yield from (v.PathFailing(peer), v.DescribedAgain(peer, Description("offer", "v=0")))
    for sender in (BOB, BOB2):
        for method in Method:
            for body in BODIES.get(method, [(BodyType.NONE, "")]):
                yield v.Received(Message(method, sender, *body))


INPUTS = tuple(_inputs())


def _name(event: v.Input) -> str:
    return event.message.method.name.replace("_", " ") if isinstance(event, v.Received) else type(event).__name__


def _has_row(phase: Phase, event: v.Input) -> bool:
    if isinstance(event, v.Received):
        return (phase, event.message.method) in MESSAGES
    return (phase, type(event)) in TABLE


def _steps(machine: CallMachine, now: float) -> Iterator[tuple[str, CallMachine, float]]:
    """What the machine does with each input that has a row."""
    before = pickle.dumps(machine)  # read again for each input: a fifth of what copies cost
    for event in INPUTS:
        if not _has_row(machine.phase, event):
            continue
        then = machine.deadline or now if isinstance(event, v.Elapsed) else now
        after: CallMachine = pickle.loads(before)
        try:
            after.handle(event, then)
        except LocalProtocolError:
            continue  # an incoming call can't be dialled
        yield _name(event), after, then


def explore() -> dict[Phase, dict[str, set[Phase]]]:
    """For each phase: what is taken there, and every phase that it led to."""
    found: dict[Phase, dict[str, set[Phase]]] = {phase: defaultdict(set) for phase in Phase}
    for first in (CallMachine(ME), CallMachine(ME, invite=INVITE)):
        queue, seen, followed = [(first, 0.0)], {pickle.dumps(first)}, defaultdict[Phase, int](int)
        for machine, now in queue:
            followed[machine.phase] += 1
            if followed[machine.phase] > MAX_FOLLOWED:
                continue
            for name, after, then in _steps(machine, now):
                found[machine.phase][name].add(after.phase)
                if name not in PASSING and (key := pickle.dumps(after)) not in seen:
                    seen.add(key)
                    queue.append((after, then))
    return found


def call_machine() -> str:
    """Each phase with what people see of it, and its transitions by where they lead."""
    parts = []
    for phase, taken in explore().items():
        lines = [f"{phase.name}   {phase.value} ({STATES[phase].value})"]
        targets: dict[tuple[Phase, ...], list[str]] = defaultdict(list)
        for name, phases in taken.items():
            targets[tuple(sorted(phases - {phase}, key=list(Phase).index))].append(name)
        for leads, names in sorted(targets.items(), key=lambda item: (not item[0], [list(Phase).index(to) for to in item[0]])):
            where = "-> " + " or ".join(to.name for to in leads) if leads else "stays"
            lines += _wrapped(", ".join(names), where)
        parts.append("\n".join(lines))
    return "```text\n" + "\n\n".join(parts) + "\n```"


def _wrapped(text: str, where: str, width: int = 76) -> list[str]:
    """``text`` after ``where``, in lines."""
    lines, line = [], f"    {where}: "
    indent = " " * 8
    for word in text.split(" "):
        if len(line) + len(word) > width:
            lines.append(line.rstrip())
            line = indent
        line += word + " "
    return [*lines, line.rstrip()]


def transactions() -> str:
    """The four machines, row by row."""
    parts = []
    for kind in sip.TransactionKind:
        lines = [f"{kind.value}: begins in {sip.FIRST[kind].value}"]
        for state in dict.fromkeys(state for of, state, _ in sip.TABLE if of is kind):
            lines.append(f"  {state.value}")
            alike: dict[tuple[sip.TransactionState, tuple[sip.Do, ...]], list[str]] = defaultdict(list)
            for (of, at, what), row in sip.TABLE.items():
                if of is kind and at is state:
                    alike[row].append(what.value)
            for (to, actions), whats in alike.items():
                where = "stays" if to is state else f"-> {to.value}"
                doing = "; ".join(action.value for action in actions)
                lines.append(f"    {', '.join(whats):<36} {where:<14} {doing}".rstrip())
        parts.append("\n".join(lines))
    return "```text\n" + "\n\n".join(parts) + "\n```"


if __name__ == "__main__":
    print(call_machine())
    print(transactions())
