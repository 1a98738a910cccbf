"""The targets of this folder: tests with a property, whose inputs hypothesis finds. Each file begins with the invariant that it holds.

By default each target tries some hundred inputs, the same each time, so that nobody's change fails by chance. With
``SINCHPHONE_FUZZ_SECONDS=60`` each runs that long, on other inputs each time, and a failure prints how to repeat it.
"""

import os
import time
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

SECONDS: Final = float(os.environ.get("SINCHPHONE_FUZZ_SECONDS") or 0)
_UNHURRIED: Final = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
SHORT: Final = settings(max_examples=300, deadline=None, derandomize=True, database=None, suppress_health_check=_UNHURRIED)
LONG: Final = settings(max_examples=2_000, deadline=None, database=None, print_blob=True, suppress_health_check=_UNHURRIED)


def _is_target(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and item.path.parent.name == "fuzz" and is_hypothesis_test(item.obj)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each target its number of inputs, unless it says itself how many, and a long run the time it was promised."""
    for item in items:
        if isinstance(item, pytest.Function) and _is_target(item):
            function: Any = item.obj
            if not hasattr(function, "_hypothesis_internal_settings_applied"):
                (LONG if SECONDS else SHORT)(function)
            if SECONDS:
                item.add_marker(pytest.mark.timeout(2 * SECONDS + 120))


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Any:
    """Run a target again and again until its time is over."""
    began = time.monotonic()
    result = yield
    while _is_target(pyfuncitem) and time.monotonic() - began < SECONDS:
        pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames})
    return result
