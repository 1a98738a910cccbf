"""Kamailio as a registrar and proxy: digest for REGISTER and INVITE, Record-Route, UDP, TCP and TLS; users and bindings in memory."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from tests.peers.peerkit.programs import HOST, Program, require, running
from tests.suite.ports import free_ports

DOMAIN = "pbx.test"
MODULE_FOLDERS = (
    "/usr/lib/x86_64-linux-gnu/kamailio/modules",
    "/usr/lib/aarch64-linux-gnu/kamailio/modules",
    "/usr/lib64/kamailio/modules",
)
MODULES = ("tm", "sl", "rr", "pv", "maxfwd", "siputils", "textops", "usrloc", "registrar", "auth", "htable", "xlog", "tls")

#: what begins a proxy's work: what belongs to a dialog or a transaction that it knows goes on by that (RFC 3261 16)
PASSED_ON = """request_route {{
    if (!mf_process_maxfwd_header("16")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
    if (has_totag()) {{
        if (loose_route() || (is_method("ACK") && t_check_trans())) {{ t_relay(); exit; }}
        if (!is_method("ACK")) sl_send_reply("404", "Not Here");
        exit;
    }}
    t_check_trans();
"""

CONFIG = (
    """#!KAMAILIO
debug=1
log_stderror=yes
children=2
tcp_children=2
auto_aliases=no
enable_tls=yes
mpath="{modules}"
listen=udp:{host}:{port}
listen=tcp:{host}:{port}
listen=tls:{host}:{tls_port}
alias="{domain}"
{load}
modparam("tls", "tls_method", "TLSv1.2+")
modparam("tls", "certificate", "{chain}")
modparam("tls", "private_key", "{key}")
modparam("tls", "verify_certificate", 0)
modparam("tls", "require_certificate", 0)
modparam("usrloc", "db_mode", 0)
modparam("registrar", "min_expires", 30)
modparam("auth", "qop", "auth")
modparam("rr", "enable_full_lr", 1)
modparam("htable", "htable", "passwords=>size=6;")

event_route[htable:mod-init] {{
{passwords}
}}

"""
    + PASSED_ON
    + """    if (is_method("OPTIONS")) {{ sl_send_reply("200", "OK"); exit; }}
    if (is_method("REGISTER")) {{
        if ($sht(passwords=>$au) == $null || !pv_www_authenticate("$td", "$sht(passwords=>$au)", "0")) {{
            www_challenge("$td", "1");
            exit;
        }}
        if ($au != $tU) {{ sl_send_reply("403", "Forbidden"); exit; }}
        xlog("L_ALERT", "registering $tU\n");
        save("location");
        exit;
    }}
    if (!is_method("INVITE")) {{ sl_send_reply("405", "Method Not Allowed"); exit; }}
    if ($sht(passwords=>$au) == $null || !pv_proxy_authenticate("$fd", "$sht(passwords=>$au)", "0")) {{
        proxy_challenge("$fd", "1");
        exit;
    }}
    consume_credentials();
    record_route();
    if (!lookup("location")) {{
{otherwise}
    }}
    t_relay();
}}
"""
)


class Kamailio:
    """A running Kamailio."""

    def __init__(self, program: Program, port: int, tls_port: int) -> None:
        self.program = program
        self.port = port
        self.tls_port = tls_port

    def at(self, transport: str = "udp") -> str:
        """Where it listens, as a URI has it."""
        return f"{HOST}:{self.tls_port if transport == 'tls' else self.port};transport={transport}"

    async def knows(self, user: str) -> None:
        """Waits until somebody registered under that name."""
        await self.program.says(f"registering {user}")

    def address(self, user: str, transport: str = "udp") -> str:
        return f"sip:{user}@{self.at(transport)}"


@contextlib.asynccontextmanager
async def kamailio(
    folder: Path, passwords: Mapping[str, str], chain: Path, key: Path, *, exchange: str | None = None
) -> AsyncIterator[Kamailio]:
    """Kamailio with those users. Whom it doesn't know is asked of ``exchange`` (``host:port``), where that is given."""
    program = require("kamailio")
    folder.mkdir()
    port = free_ports(2)
    otherwise = f'        $du = "sip:{exchange}";' if exchange else '        sl_send_reply("404", "Not Found");\n        exit;'
    modules = next(path for path in MODULE_FOLDERS if Path(path).exists())
    load = "\n".join(f'loadmodule "{name}.so"' for name in MODULES)
    known = "\n".join(f'    $sht(passwords=>{user}) = "{password}";' for user, password in passwords.items())
    text = CONFIG.format(
        modules=modules,
        host=HOST,
        port=port,
        tls_port=port + 1,
        domain=DOMAIN,
        load=load,
        chain=chain,
        key=key,
        passwords=known,
        otherwise=otherwise,
    )
    (folder / "kamailio.cfg").write_text(text)
    command = (
        program,
        "-f",
        folder / "kamailio.cfg",
        "-DD",
        "-E",
        "-e",
        "-m",
        "64",
        "-M",
        "8",
        "-P",
        folder / "pid",
        "-w",
        folder,
        "-Y",
        folder,
    )
    async with running(*command, log=folder / "log") as process:
        for kind in ("udp", "tcp"):
            await process.listens(port, kind)
        await process.listens(port + 1, "tcp")
        yield Kamailio(process, port, port + 1)
