"""Devices in the exchange's store: written as they register, read when it starts."""

import json
from collections.abc import Mapping
from dataclasses import astuple

from sinchphone.exchange.directory.devices import Application, Device
from sinchphone.exchange.directory.identity import device_identity, renewed
from sinchphone.exchange.store.store import Store, StoreError
from sinchphone.exchange.store.tables import DEVICES, PUSH_SUBSCRIPTIONS, SEEN, Row
from sinchphone.protocol.webpush.subscription import PushSubscription
from sinchphone.signaling.rest.software import Software


async def read_devices(store: Store, applications: Mapping[str, Application]) -> list[Device]:
    """All devices of these applications. Raises StoreError."""
    rows, pushes, seen = await store.read(DEVICES), await store.read(PUSH_SUBSCRIPTIONS), await store.read(SEEN)
    try:
        devices = [device_of(applications[row[0]], row) for row in rows if row[0] in applications]
        woken = {(application, instance): PushSubscription(*push) for application, instance, *push in pushes}
        seen_up_to = {(application, instance): int(token) for application, instance, token in seen}
        for device in devices:
            key = (device.application.key, device.instance_id)
            device.push, device.seen_up_to = woken.get(key), seen_up_to.get(key, 0)
        return devices
    except (ValueError, TypeError) as error:
        raise StoreError("the exchange's store has devices that can't be read", hint="delete it") from error


def write_device(store: Store, device: Device) -> None:
    """Keep a device, after all others."""
    store.drop(DEVICES, device.application.key, device.instance_id)
    store.put(
        DEVICES,
        device.application.key,
        device.instance_id,
        device.user_id,
        device.device_id,
        device.legacy,
        device.generation,
        json.dumps(device.capabilities),
        json.dumps(astuple(device.software)),
        device.expire_at,
        device.limited,
    )
    write_seen(store, device)


def write_seen(store: Store, device: Device) -> None:
    """Keep up to where a device has its messages."""
    store.put(SEEN, device.application.key, device.instance_id, device.seen_up_to)


def write_push(store: Store, device: Device) -> None:
    """Keep how a device is woken, or that it isn't."""
    key = (device.application.key, device.instance_id)
    if device.push is None:
        store.drop(PUSH_SUBSCRIPTIONS, *key)
    else:
        store.put(PUSH_SUBSCRIPTIONS, *key, device.push.endpoint, device.push.p256dh, device.push.auth)


def forget_device(store: Store, device: Device) -> None:
    """Keep a device no longer."""
    for table in (PUSH_SUBSCRIPTIONS, DEVICES):
        store.drop(table, device.application.key, device.instance_id)


def device_of(application: Application, row: Row) -> Device:
    """A device as ``write_device`` keeps it. Raises ValueError or TypeError for a row that is none."""
    _, _, user_id, device_id, legacy, generation, capabilities, software, expire_at, limited = row
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
    )
