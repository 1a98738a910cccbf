"""``sinchphone exchange --tls`` as a shell runs it: it says where its certificate authority is, and that is enough to reach it."""

import json
import os
import signal
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path

LIMIT = 30


def test_the_exchange_prints_where_its_certificate_authority_is(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from sinchphone.cli.main import main; main()", "exchange", "--json", "--tls", "--memory"]
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path)}
    host = subprocess.Popen([*command, "--port", "0", "--tls-port", "0"], stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path)
    try:
        assert host.stdout is not None
        started = json.loads(host.stdout.readline())
        assert started["event"] == "exchange.started"
        context = ssl.create_default_context(cafile=started["authority"])
        with urllib.request.urlopen(f"{started['tls_url']}/time/0", timeout=LIMIT, context=context) as answer:
            assert answer.status == 200
        with urllib.request.urlopen(f"{started['url']}/time/0", timeout=LIMIT) as answer:
            assert answer.status == 200
    finally:
        host.send_signal(signal.SIGINT)
        assert host.wait(LIMIT) == 0
    assert list(tmp_path.rglob("*.sqlite3")) == []
