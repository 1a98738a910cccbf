"""``sinchphone exchange`` with [sip] as a shell runs it: it says where phones register."""

import json
import signal
import subprocess
import sys
from pathlib import Path


def test_the_exchange_prints_where_phones_register(tmp_path: Path) -> None:
    file = tmp_path / "sinchphone.toml"
    file.write_text("[exchange]\nport = 0\nkeep = false\n[sip]\nenabled = true\nport = 0\ntls = true\ntls_port = 0\n")
    state = tmp_path / "state"
    command = [sys.executable, "-c", "from sinchphone.cli.main import main; main()", "exchange", "--json", "--config", str(file)]
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "XDG_STATE_HOME": str(state)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ, text=True) as process:
        assert process.stdout is not None
        try:
            started = json.loads(process.stdout.readline())
            assert started["event"] == "exchange.started"
            assert started["sip"].startswith("127.0.0.1:") and started["sip_tls"].startswith("127.0.0.1:")
            assert started["sip"] != started["sip_tls"]
            assert started["tls_url"] is None and Path(started["authority"]).exists()
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)


def test_an_exchange_that_listens_for_phones_everywhere_warns_and_prints_an_address_that_can_be_dialled(tmp_path: Path) -> None:
    file = tmp_path / "sinchphone.toml"
    file.write_text('[exchange]\nport = 0\nkeep = false\n[sip]\nenabled = true\nhost = "0.0.0.0"\nport = 0\n')
    command = [sys.executable, "-c", "from sinchphone.cli.main import main; main()", "exchange", "--json", "--config", str(file)]
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ, text=True) as process:
        assert process.stdout is not None
        try:
            warned, started = (json.loads(process.stdout.readline()) for _ in range(2))
            assert (warned["event"], started["event"]) == ("warning", "exchange.started")
            assert "anybody who reaches 0.0.0.0" in warned["message"]
            assert not started["sip"].startswith("0.0.0.0")
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)
