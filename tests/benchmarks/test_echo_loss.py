"""The benchmark of echo, short: two of its scenes, and none of them by chance."""

import echo


def test_echo_is_25_db_weaker_near_and_far_and_untreated_it_is_not() -> None:
    found = {scene.name: echo.measure(scene) for scene in (echo.Scene(), echo.Scene(150.0, 100.0))}
    print(echo.report(found))
    assert min(one.loss_db for one in found.values()) >= 25
    assert min(one.kept_db for one in found.values()) >= -8, "who speaks at the same time is still heard"
    untreated = echo.measure(echo.Scene(), process=False)
    assert abs(untreated.loss_db) < 0.1 and abs(untreated.kept_db) < 0.1
