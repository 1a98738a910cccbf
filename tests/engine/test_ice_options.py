"""What a call's ports are told of ICE: the user's word and the platform's, whichever is stricter."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sinchphone.engine.active_calls import ActiveCalls
from sinchphone.engine.capabilities import Capabilities
from sinchphone.engine.events.listeners import ListenerTasks
from sinchphone.media.ice_servers import IceServer
from sinchphone.media.port import PortOptions
from sinchphone.media.sound import SoundOptions

OWN = IceServer(urls=("turn:own",), username="u", credential="hush-hush")


def options(*, ours: bool, theirs: bool) -> PortOptions:
    """Those of a call whose platform names a STUN server of the older kind."""
    registration = SimpleNamespace(stun_urls=("stun:theirs",), relay_only=theirs)
    link = SimpleNamespace(registration=registration, dialect=SimpleNamespace(ice_servers=None, now=0.0), renew=None)
    calls = ActiveCalls(
        cast(Any, link),
        "ada",
        cast(Any, SimpleNamespace(loopback=False, ca_file=Path("ca.pem"))),
        cast(Any, None),
        sound=lambda: None,
        video=lambda: None,
        display_name="Ada",
        relay_only=ours,
        ice_servers=(OWN,),
        takes_calls=True,
        capabilities=Capabilities(),
        history=None,
        tell=lambda event: None,
        listening=ListenerTasks(),
    )
    return calls._port_options(SoundOptions(devices=False), calls._call_servers(), ("opus",), seen=False)


@pytest.mark.parametrize(("ours", "theirs"), [(False, False), (True, False), (False, True), (True, True)])
def test_calls_go_by_relays_only_where_either_says_so(ours: bool, theirs: bool) -> None:
    assert options(ours=ours, theirs=theirs).relay_only is (ours or theirs)


def test_servers_of_the_user_and_the_platform_are_asked_and_the_ca_file_is_trusted() -> None:
    told = options(ours=False, theirs=False)
    assert told.ice_servers == (OWN, IceServer(urls=("stun:theirs",)))
    assert told.more_servers is not None
    assert told.ca_file == Path("ca.pem")
    assert "hush-hush" not in repr(told)
