"""Devices in the exchange's store: written as they register, read when it starts."""

import json
from collections.abc import Mapping
from dataclasses import astuple

from sinchphone.exchange.directory.devices import Application, Device
from sinchphone.exchange.directory.identity import device_identity, renewed
from sinchphone.exchange.store import Row, Store, StoreError
from sinchphone.protocol.webpush.subscription import PushSubscription
from sinchphone.signaling.software import Software

_COLUMNS = "application, user_id, device_id, legacy, generation, capabilities, software, expire_at, limited, seen_up_to"


async def read_devices(store: Store, applications: Mapping[str, Application]) -> list[Device]:
    """All devices of these applications. Raises StoreError."""
    rows = await store.read(f"SELECT {_COLUMNS} FROM devices ORDER BY rowid")  # noqa: S608 - our own columns
    pushes = await store.read("SELECT application, instance_id, endpoint, p256dh, auth FROM push_subscriptions")
    try:
        devices = [_device(applications[row[0]], row[1:]) for row in rows if row[0] in applications]
        woken = {(application, instance): PushSubscription(*push) for application, instance, *push in pushes}
        for device in devices:
            device.push = woken.get((device.application.key, device.instance_id))
        return devices
    except (ValueError, TypeError) as error:
        raise StoreError("the exchange's store has devices that can't be read", hint="Delete it.") from error


def write_device(store: Store, device: Device) -> None:
    """Keep a device."""
    store.write(
        f"INSERT OR REPLACE INTO devices (instance_id, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        device.instance_id,
        device.application.key,
        device.user_id,
        device.device_id,
        device.legacy,
        device.generation,
        json.dumps(device.capabilities),
        json.dumps(astuple(device.software)),
        device.expire_at,
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


def write_push(store: Store, device: Device) -> None:
    """Keep how a device is woken, or that it isn't."""
    key = (device.application.key, device.instance_id)
    if device.push is None:
        store.write("DELETE FROM push_subscriptions WHERE application = ? AND instance_id = ?", *key)
        return
    values = (*key, device.push.endpoint, device.push.p256dh, device.push.auth)
    store.write(
        "INSERT OR REPLACE INTO push_subscriptions (application, instance_id, endpoint, p256dh, auth) VALUES (?, ?, ?, ?, ?)", *values
    )


def forget_device(store: Store, device: Device) -> None:
    """Keep a device no longer."""
    store.write("DELETE FROM push_subscriptions WHERE application = ? AND instance_id = ?", device.application.key, device.instance_id)
    store.write("DELETE FROM devices WHERE application = ? AND instance_id = ?", device.application.key, device.instance_id)


def _device(application: Application, row: Row) -> Device:
    user_id, device_id, legacy, generation, capabilities, software, expire_at, limited, seen_up_to = row
    identity = device_identity(application.secret, user_id, device_id)
    return Device(
        application,
        user_id,
        device_id,
        renewed(application.secret, identity, generation),
        tuple(json.loads(capabilities)),
        Software(*json.loads(software)),
        expire_at,
        limited=bool(limited),
        legacy=bool(legacy),
        generation=generation,
        seen_up_to=seen_up_to,
    )
