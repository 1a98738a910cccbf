"""Devices in the exchange's store: written as they register, read when it starts."""

import json
from collections.abc import Mapping
from dataclasses import astuple

from sinchphone.exchange.directory.devices import Application, Device
from sinchphone.exchange.directory.identity import device_identity, renewed
from sinchphone.exchange.store import Row, Store, StoreError
from sinchphone.signaling.software import Software

_COLUMNS = "application, user_id, device_id, legacy, generation, capabilities, software, expire_at, has_push, limited, seen_up_to"


async def read_devices(store: Store, applications: Mapping[str, Application]) -> list[Device]:
    """All devices of these applications. Raises StoreError."""
    rows = await store.read(f"SELECT {_COLUMNS} FROM devices ORDER BY rowid")  # noqa: S608 - our own columns
    try:
        return [_device(applications[row[0]], row[1:]) for row in rows if row[0] in applications]
    except (ValueError, TypeError) as error:
        raise StoreError("the exchange's store has devices that can't be read", hint="Delete it.") from error


def write_device(store: Store, device: Device) -> None:
    """Keep a device."""
    store.write(
        f"INSERT OR REPLACE INTO devices (instance_id, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        device.instance_id,
        device.application.key,
        device.user_id,
        device.device_id,
        device.legacy,
        device.generation,
        json.dumps(device.capabilities),
        json.dumps(astuple(device.software)),
        device.expire_at,
        device.has_push,
        device.limited,
        device.seen_up_to,
    )


def write_seen(store: Store, device: Device) -> None:
    """Keep up to where a device has its messages."""
    store.write(
        "UPDATE devices SET seen_up_to = ? WHERE application = ? AND instance_id = ?",
        device.seen_up_to,
        device.application.key,
        device.instance_id,
    )


def forget_device(store: Store, device: Device) -> None:
    """Keep a device no longer."""
    store.write("DELETE FROM devices WHERE application = ? AND instance_id = ?", device.application.key, device.instance_id)


def _device(application: Application, row: Row) -> Device:
    user_id, device_id, legacy, generation, capabilities, software, expire_at, has_push, limited, seen_up_to = row
    identity = device_identity(application.secret, user_id, device_id)
    return Device(
        application,
        user_id,
        device_id,
        renewed(application.secret, identity, generation),
        tuple(json.loads(capabilities)),
        Software(*json.loads(software)),
        expire_at,
        bool(has_push),
        bool(limited),
        bool(legacy),
        generation,
        seen_up_to,
    )
