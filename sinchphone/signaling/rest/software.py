"""Which program on which machine: what the platform is told about us, and tells of others."""

import importlib.metadata
import platform

from sinchphone.quick_dataclass import quick_dataclass

PLATFORM = "js"  # the identifiers are ios, android, js and test; we speak the JavaScript client's dialect


@quick_dataclass(frozen=True, slots=True)
class Software:
    """Which program on which machine (InstanceVersionData)."""

    application: str
    platform: str
    os: str
    device_model_id: str = ""
    device_model_name: str = ""


def this_software() -> Software:
    """What this program tells the platform about itself."""
    try:
        version = importlib.metadata.version("sinchphone")
    except importlib.metadata.PackageNotFoundError:
        version = "0"
    return Software(version, PLATFORM, platform.system(), f"sinchphone/{version}", "sinchphone")
