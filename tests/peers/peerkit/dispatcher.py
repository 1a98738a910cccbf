"""Kamailio in front of several processes of an exchange: it shares what phones ask among them, and tells by Path how a phone is reached."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from tests.peers.peerkit.kamailio import MODULE_FOLDERS, PASSED_ON
from tests.peers.peerkit.programs import HOST, Program, require, running
from tests.suite.ports import free_ports

MODULES = ("tm", "sl", "rr", "pv", "maxfwd", "siputils", "textops", "path", "dispatcher")

CONFIG = (
    """#!KAMAILIO
debug=1
log_stderror=yes
children=2
auto_aliases=no
mpath="{modules}"
listen=udp:{host}:{port}
{load}
modparam("rr", "enable_full_lr", 1)
modparam("path", "use_received", 1)
modparam("dispatcher", "list_file", "{folder}/processes.list")
modparam("dispatcher", "ds_ping_interval", 1)
modparam("dispatcher", "ds_probing_mode", 1)
modparam("dispatcher", "ds_probing_threshold", 1)
modparam("tm", "fr_timer", 1000)

"""
    + PASSED_ON
    + """    if (is_method("OPTIONS")) {{ sl_send_reply("200", "OK"); exit; }}
    if (ds_is_from_list("1")) {{
        loose_route();
        record_route();
        t_relay();
        exit;
    }}
    if (is_method("REGISTER")) add_path_received();
    else record_route();
    if (!ds_select_dst("1", "4")) {{ sl_send_reply("503", "No Exchange"); exit; }}
    t_on_failure("NEXT");
    t_relay();
}}

failure_route[NEXT] {{
    if (t_is_canceled()) exit;
    if (t_check_status("408|50[03]") && ds_next_dst()) {{ t_on_failure("NEXT"); t_relay(); }}
}}
"""
)


class Dispatcher:
    """A Kamailio that runs."""

    def __init__(self, program: Program, port: int) -> None:
        self.program = program
        self.at = f"{HOST}:{port}"


@contextlib.asynccontextmanager
async def dispatcher(folder: Path, processes: Sequence[str]) -> AsyncIterator[Dispatcher]:
    """In front of those processes (``host:port`` each)."""
    program = require("kamailio")
    folder.mkdir()
    port = free_ports(1)
    modules = next(path for path in MODULE_FOLDERS if Path(path).exists())
    load = "\n".join(f'loadmodule "{name}.so"' for name in MODULES)
    (folder / "processes.list").write_text("".join(f"1 sip:{one}\n" for one in processes))
    (folder / "kamailio.cfg").write_text(CONFIG.format(modules=modules, host=HOST, port=port, load=load, folder=folder))
    files = ("-f", folder / "kamailio.cfg", "-P", folder / "pid", "-w", folder, "-Y", folder)
    async with running(program, *files, "-DD", "-E", "-e", "-m", "64", "-M", "8", log=folder / "log") as process:
        await process.listens(port)
        yield Dispatcher(process, port)
