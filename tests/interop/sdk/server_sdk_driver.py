"""Drives Sinch's server SDK for Python (``sinch``) for the tests: calls of its methods come as JSON lines, results go out as JSON lines.

python server_sdk_driver.py OPTIONS        OPTIONS is JSON: {"origin": "host:port", "key", "secret"}; the SDK speaks https
"""

import dataclasses
import json
import sys
from functools import reduce
from typing import Any

from sinch import SinchClient  # type: ignore[import-not-found]

options = json.loads(sys.argv[1])
client = SinchClient(application_key=options["key"], application_secret=options["secret"])
for name in ("voice_origin", "voice_applications_origin", "verification_origin"):
    setattr(client.configuration, name, options["origin"])


def answer(line: str) -> dict[str, Any]:
    asked = json.loads(line)
    try:
        method = reduce(getattr, asked["call"].split("."), client)
        result = method(**asked["arguments"][0])
    except Exception as error:  # noqa: BLE001 - the test looks at it
        response = getattr(error, "http_response", None)
        return {"error": f"{type(error).__name__}: {error}", "status": getattr(response, "status_code", None)}
    return {"result": dataclasses.asdict(result) if dataclasses.is_dataclass(result) and not isinstance(result, type) else {}}


for line in sys.stdin:
    print(json.dumps(answer(line), default=str), flush=True)
