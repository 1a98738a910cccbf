import asyncio

from sinchphone.engine.serial_queue import SerialQueue
from sinchphone.errors import NetworkError, SinchphoneError
from sinchphone.tasks import start_task


async def test_work_is_done_in_order_and_an_error_doesnt_stop_it() -> None:
    done: list[int] = []
    errors: list[SinchphoneError] = []
    queue = SerialQueue(errors.append)

    async def work(number: int) -> None:
        await asyncio.sleep(0)
        if number == 1:
            raise NetworkError("gone")
        done.append(number)

    for number in range(4):
        queue.put(lambda number=number: work(number))  # type: ignore[misc]
    running = start_task(queue.run(), name="run")
    assert await queue.drain(10.0)
    assert done == [0, 2, 3]
    assert len(errors) == 1
    running.cancel()


async def test_draining_gives_up_in_time() -> None:
    queue = SerialQueue(lambda _: None)
    queue.put(asyncio.Event().wait)  # type: ignore[arg-type]
    running = start_task(queue.run(), name="run")
    assert not await queue.drain(0.01)
    running.cancel()
