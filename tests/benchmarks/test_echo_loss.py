"""The benchmark of echo, short: two of its scenes, and none of them by chance."""

import echo
import pytest

SCENES = (
    echo.Scene(150.0, decay_s=echo.HALL, far_dbfs=echo.LOUD_DBFS, clips=0.3),
    echo.Scene(30.0, 100.0, decay_s=echo.HALL, diffuse=True, jump_ms=60.0),
)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_in_a_hall_echo_is_20_db_weaker_and_who_speaks_meanwhile_loses_3_db_at_most(scene: echo.Scene) -> None:
    found = echo.measure(scene)
    print(echo.report({scene.name: found}))
    assert found.loss_db >= 20
    assert found.kept_db >= -3


def test_untreated_all_of_it_is_sent() -> None:
    found = echo.measure(echo.Scene(), echo.untreated)
    assert abs(found.loss_db) < 0.1 and abs(found.kept_db) < 0.1


def test_with_gain_control_whoever_speaks_arrives_within_6_db_of_minus_23_dbfs() -> None:
    found = {level: echo.arrives(level) for level in echo.TALKERS_DBFS}
    print(echo.gains(found))
    assert all(abs(level + 23) <= 6 for level in found.values())
