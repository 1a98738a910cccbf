"""Opens a client for the configured user on the configured platform, and tells what happens to it."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, assert_never

from sinchphone.cli.addressing.recent import history_of, user_of
from sinchphone.cli.terminal.output.events import events as e
from sinchphone.cli.terminal.output.events.client import (
    ClientFailedTold,
    ClientReady,
    ClientReconnecting,
    ClientSleeping,
    PushDroppedTold,
    PushReceivedTold,
)
from sinchphone.cli.terminal.output.events.exchange import ExchangeBackground
from sinchphone.cli.terminal.session import Session
from sinchphone.credentials import (
    read_beside,
    read_exchange,
    read_gateway,
    read_ice_servers,
    read_local_application,
    read_password,
    read_secret,
)
from sinchphone.errors import ConfigError
from sinchphone.options import Options, Place
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.api import Api

if TYPE_CHECKING:
    from sinchphone.engine.calls.call import Call
    from sinchphone.engine.client import SinchClient
    from sinchphone.engine.environment import Environment
    from sinchphone.engine.events.events import MessageEvent, PushEvent
    from sinchphone.engine.history.history import History
    from sinchphone.local.background.launch import Launch
    from sinchphone.local.background.settings import HostSettings
    from sinchphone.media.pictures.pictures import PictureOptions
    from sinchphone.media.sound import SoundOptions
    from sinchphone.media.thread import MediaThread

OnCall = Callable[["Call"], Awaitable[None]]


@quick_dataclass(frozen=True, slots=True)
class Phone:
    """A registered client and where it is registered."""

    client: "SinchClient"
    environment: "Environment"
    media: "MediaThread"
    place: Place

    @property
    def hosted_here(self) -> bool | None:
        """Whether this process hosts the local exchange; ``None`` in the cloud."""
        return getattr(self.environment, "hosting", False) if self.place is Place.LOCAL else None


def open_environment(options: Options, media: "MediaThread | None" = None, early: "EarlyHost | None" = None) -> "Environment":
    """The configured platform, not contacted yet. ``media`` carries the sound of an exchange that is hosted here; ``early`` is what was
    begun to have it hosted elsewhere. Raises ConfigError."""
    return _cloud(options) if options.environment is Place.CLOUD else _local(options, media, early or EarlyHost())


@quick_dataclass(frozen=True, slots=True)
class EarlyHost:
    """A process in the background that hosts the exchange: what it's told, and its start where nobody hosted then."""

    settings: "HostSettings | None" = None
    launch: "Launch | None" = None


def begin_host(options: Options) -> EarlyHost:
    """Start a process that hosts the local exchange, where one is wanted and nobody hosts, before this process loads what its own
    command needs: both take a while, and go on at the same time. Raises ConfigError and NetworkError."""
    from sinchphone.local.background.launch import Launch, is_possible
    from sinchphone.local.background.settings import HostSettings

    where = options.exchange
    if options.environment is Place.CLOUD or not where.background or not is_possible(where.port):
        return EarlyHost()
    settings = HostSettings(
        folder=options.state_path,
        exchange=read_exchange(options),
        gateway=read_gateway(options),
        keep=where.keep,
        application=read_local_application(options),
    ).without_listening()
    return EarlyHost(settings, Launch.begin(settings))


def _local(options: Options, media: "MediaThread | None", early: EarlyHost) -> "Environment":
    from sinchphone.local import Local

    where = options.exchange
    gateway = early.settings.gateway if early.settings is not None else read_gateway(options)
    return Local(
        options.state_path,
        exchange=early.settings.exchange if early.settings is not None else read_exchange(options),
        media=media,
        gateway=gateway,
        api=options.api,
        keep=where.keep,
        background=early.settings,
        launch=early.launch,
        application=early.settings.application if early.settings is not None else read_local_application(options),
        ca_file=options.ca_file,
    )


def _cloud(options: Options) -> "Environment":
    from sinchphone.engine.environment import Cloud
    from sinchphone.signaling.http.tokens import fetch_token
    from sinchphone.signaling.ocra.learning.learned import LearnedNames

    if options.application_key is None:
        raise ConfigError("no application key", hint="SINCH_APPLICATION_KEY or application_key in the configuration; --profile local")
    open_cloud = partial(Cloud, options.application_key, caller_id=options.caller_id, api=options.api, ca_file=options.ca_file)
    if options.api is Api.OCRA and (learned := LearnedNames.read(options.state_path)) is not None:
        open_cloud = partial(open_cloud, ocra_names=learned)
    if options.host is not None:
        open_cloud = partial(open_cloud, host=options.host)
    if options.token is not None:
        return open_cloud(token=options.token)
    if options.token_url is not None:
        return open_cloud(token_source=partial(fetch_token, options.token_url, ca_file=options.ca_file))
    password = read_password(options) if options.api is Api.PAPI else None
    if password is not None:
        return open_cloud(token_source=partial(_log_in, options, password))
    secret = read_secret(options)
    if secret is None:
        raise ConfigError(
            "nothing proves who you are to the cloud, which an application key stands for: no secret and no token",
            hint="SINCH_APPLICATION_SECRET, secret_file, secret_command, the keyring or token_url; --profile local stays on this machine",
        )
    return open_cloud(secret=secret.value)


async def _log_in(options: Options, password: str, user: str) -> str:
    """A user ticket for the user's password."""
    from sinchphone.engine.environment import base_url_of
    from sinchphone.signaling.dialect import Recipient
    from sinchphone.signaling.papi.users import log_in

    assert options.application_key is not None, "checked before"
    return await log_in(base_url_of(options.host, options.api), options.application_key, Recipient(user), password, ca_file=options.ca_file)


@contextlib.asynccontextmanager
async def open_phone(
    session: Session,
    *,
    sound: "Callable[[], SoundOptions | None] | None" = None,
    video: "Callable[[], PictureOptions | None] | None" = None,
    is_noted: bool = True,
) -> AsyncIterator[Phone]:
    """A registered client. ``sound`` makes that of an incoming call; without it this command can't answer one, and nobody can call it.
    ``video`` makes the pictures of one that offers any. ``is_noted``: the history tells of its calls."""
    options = session.options
    user = user_of(options)
    early = await read_beside(partial(begin_host, options))
    servers = await read_beside(partial(read_ice_servers, options))
    from sinchphone.engine.client import SinchClient
    from sinchphone.media.thread import MediaThread

    answers = sound is not None
    async with MediaThread() as media:
        media.warm_up()
        environment = await read_beside(partial(open_environment, options, media, early))
        state = options.state_path / "instances"
        try:
            async with (
                history_if_usable(session) if is_noted else contextlib.nullcontext() as history,
                SinchClient(
                    user,
                    environment,
                    sound=sound,
                    video=video,
                    media=media,
                    state_dir=state,
                    relay_only=options.ice.relay_only,
                    ice_servers=servers,
                    history=history,
                    takes_calls=answers,
                ) as client,
            ):
                tell_host_news(session, environment)
                yield Phone(client, environment, media, options.environment)
        finally:
            await environment.close()


def tell_host_news(session: Session, environment: "Environment") -> None:
    """Tell what there is to be told about the process in the background that hosts the local exchange."""
    if session.options.environment is Place.CLOUD:
        return
    from sinchphone.local import Local
    from sinchphone.local.background.settings import Started
    from sinchphone.local.environment import KeptHost

    for news in environment.take_news() if isinstance(environment, Local) else []:
        match news:
            case Started(pid=pid, log=log):
                session.tell(ExchangeBackground(pid=pid, log=log))
            case KeptHost(older=older):
                what = "is of an older version" if older else "has other settings"
                hint = "it's replaced when nobody calls; sinchphone exchange status says who does"
                session.tell(
                    e.Warned(message=f"the exchange in the background {what}: it's used as it is, since somebody calls", hint=hint)
                )
            case _:
                assert_never(news)


@contextlib.asynccontextmanager
async def history_if_usable(session: Session) -> "AsyncIterator[History | None]":
    """The history; what is wrong with it keeps nobody from calling."""
    from sinchphone.engine.history.history import History

    history = History(*history_of(session.options))
    try:
        await history.open()
    except ConfigError as error:
        session.tell(e.Warned(message=f"nothing is noted: {error}", hint=error.hint or None))
        yield None
        return
    try:
        yield history
    finally:
        await history.close()


async def follow(session: Session, phone: Phone, on_call: OnCall | None = None) -> None:
    """Tell what happens to the client until it fails: raises its error. Incoming calls go to ``on_call``; a command without
    it opened its client so that there are none."""
    from sinchphone.engine.events import events as engine

    async for event in phone.client.events():
        if on_call is None and session.calls:
            return  # the call is over: what becomes of the line matters no more
        match event:
            case engine.Ready(user_id=user, instance_id=instance):
                session.tell(ClientReady(user_id=user, instance_id=instance, environment=phone.place, hosted_here=phone.hosted_here))
            case engine.Reconnecting(reason=reason):
                session.tell(ClientReconnecting(reason=reason))
            case engine.Reconnected():
                tell_host_news(session, phone.environment)
                session.tell(
                    ClientReady(
                        user_id=phone.client.user_id,
                        instance_id=phone.client.instance_id,
                        environment=phone.place,
                        hosted_here=phone.hosted_here,
                        again=True,
                    )
                )
            case engine.IncomingCall(call=call):
                if on_call is not None:
                    await on_call(call)
            case engine.MessageReceived() | engine.MessageSent() | engine.MessageDelivered() | engine.MessageFailed():
                tell_message(session, event, aside=on_call is None)
            case engine.FellAsleep() | engine.PushReceived() | engine.PushDropped():
                session.tell(_told_of_push(event))
            case engine.ClientWarning(message=message, hint=hint):
                session.tell(e.Warned(message=message, hint=hint or None))
            case engine.ClientFailed(error=error):
                session.tell(ClientFailedTold(message=str(error), hint=error.hint or None))
                raise error
            case _:
                assert_never(event)


def _told_of_push(event: "PushEvent") -> e.Event:
    from sinchphone.engine.events import events as engine

    match event:
        case engine.FellAsleep():
            return ClientSleeping()
        case engine.PushReceived(notification=one, woke=woke):
            return PushReceivedTold(call_id=one.call_id, peer=one.remote_user_id, display_name=one.display_name, woke=woke)
        case engine.PushDropped(reason=reason):
            return PushDroppedTold(reason=reason)
        case _:
            assert_never(event)


def tell_message(session: Session, event: "MessageEvent", *, aside: bool = False) -> None:
    """Tell what happened to a message. ``aside``: the command is about something else, and yet nobody's message may be lost."""
    from sinchphone.engine.events import events as engine

    match event:
        case engine.MessageReceived(message=one):
            session.tell(
                e.MessageReceivedTold(
                    message_id=one.id, sender=one.sender, recipients=list(one.recipients), text=one.text, headers=dict(one.headers)
                ),
                aside=aside,
            )
        case engine.MessageSent(message=one, elsewhere=elsewhere):
            if not elsewhere:
                session.sent_here.add(one.id)
            session.tell(
                e.MessageSentTold(
                    message_id=one.id, recipients=list(one.recipients), via=e.MessageTransport.INSTANT, elsewhere=elsewhere, text=one.text
                )
            )
        case engine.MessageDelivered(message_id=message_id, recipient=recipient):
            older = message_id not in session.sent_here  # of an earlier command, whose result it was
            session.tell(e.MessageDeliveredTold(message_id=message_id, recipient=recipient), aside=aside and older)
        case engine.MessageFailed(message_id=message_id, recipient=recipient, error=error):
            session.tell(e.MessageFailedTold(message_id=message_id, recipient=recipient, reason=str(error), hint=error.hint or None))
