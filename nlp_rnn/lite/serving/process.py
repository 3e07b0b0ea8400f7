"""The processes of a server: one that answers, or one that watches over several."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping, MutableSequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

from ..errors import Interrupted, RunError, UsageError
from .metrics import Metrics
from .served import Pipeline
from .settings import ServeSettings

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

logger = logging.getLogger(__name__)

_BACKLOG = 2_048  # connections that the system holds until they are accepted
_LOOPBACK = ("127.", "localhost", "::1")


@dataclass(frozen=True)
class Plan:
    """What to serve. It is sent to the workers, so that it must be possible to pickle it.

    Args:
        models: the folder of each model by its name.
        load: makes the pipeline of a folder.
        settings: of the server.
    """

    models: Mapping[str, str]
    load: Callable[[str], Pipeline]
    settings: ServeSettings


def serve(plan: Plan) -> None:
    """Serve models until a signal comes; then answer what is open, and pass the signal on.

    Raises:
        UsageError: the extra `serve` is not installed, a model cannot be loaded, or the address not used.
        RunError: a worker ended of itself, and would again.
        Interrupted: SIGTERM came, and all is answered.
        KeyboardInterrupt: SIGINT came.
    """
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise UsageError(f"{error}: a server needs the extra serve, as in nlp-rnn[serve]") from error
    settings = plan.settings
    if not settings.token and not settings.host.startswith(_LOOPBACK):
        logger.warning("--host %s without a token: whoever reaches this machine is answered", settings.host)
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        with _bind(settings) as listener:
            if settings.workers == 1:
                cells = [0.0] * Metrics.size([*plan.models])
                _answer(plan, listener, Metrics([*plan.models], cells), lambda: _say_ready(plan, listener))
            else:
                _watch(plan, listener)
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(number: int, frame: object) -> None:
    raise Interrupted(number)


def _bind(settings: ServeSettings) -> socket.socket:
    """A socket that has its address, but does not listen yet: clients are refused until models are loaded.

    Raises:
        UsageError: the address cannot be used.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind)
        try:
            if os.name == "posix":  # elsewhere it would share the port with another server
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except BaseException:
            listener.close()
            raise
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        where = f"--host {settings.host} --port {settings.port}"
        raise UsageError(f"{where}: cannot be used ({reason}); choose another") from error
    return listener


def _say_ready(plan: Plan, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    print(f"serving {', '.join(plan.models)} at http://{shown}:{port}", flush=True)


def _answer(plan: Plan, listener: socket.socket, metrics: Metrics, ready: Callable[[], None]) -> None:
    """Load the models, and answer until a signal comes."""
    pipelines = {name: plan.load(folder) for name, folder in plan.models.items()}
    import uvicorn

    from .app import make_app

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()

    app = make_app(pipelines, plan.settings, metrics)
    gc.collect()
    gc.freeze()  # what was loaded lives as long as the process
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=max(1, round(plan.settings.grace)),
    )
    Server(config).run([listener])


def _watch(plan: Plan, listener: socket.socket) -> None:
    """Start the workers, start those again that end, and end them when a signal comes."""
    context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    names = [*plan.models]
    count = plan.settings.workers
    cells = context.RawArray("d", count * Metrics.size(names))
    workers: list[BaseProcess | None] = [None] * count
    stopped: BaseException | None = None

    def start(number: int) -> Connection:
        ours, theirs = context.Pipe(duplex=False)
        worker = context.Process(target=_work, args=(plan, listener, cells, number, theirs))
        workers[number] = worker
        worker.start()
        theirs.close()
        return ours

    try:
        for pipe in [start(number) for number in range(count)]:
            _until_ready(pipe)
        _say_ready(plan, listener)
        while True:
            sentinels = {worker.sentinel: n for n, worker in enumerate(workers) if worker is not None}
            for sentinel in wait([*sentinels]):
                number = sentinels[sentinel]  # type: ignore[index]
                ended = workers[number]
                assert ended is not None
                ended.join()
                logger.warning("worker %d ended with code %s; starting another", number, ended.exitcode)
                _until_ready(start(number))
    except BaseException as error:
        stopped = error
        raise
    finally:
        _end([worker for worker in workers if worker is not None], plan.settings.grace, stopped)


def _until_ready(pipe: Connection) -> None:
    """Wait until a worker has loaded the models.

    Raises:
        UsageError: it cannot load them.
        RunError: it ended.
    """
    with pipe:
        try:
            kind, message = pipe.recv()
        except EOFError:
            raise RunError("a worker ended while it loaded the models") from None
    if kind != "ready":
        raise (UsageError if kind == "usage" else RunError)(message)


def _end(workers: list[BaseProcess], grace: float, stopped: BaseException | None) -> None:
    for worker in workers:
        if worker.is_alive() and worker.pid is not None:
            worker.terminate()  # SIGTERM
    for worker in workers:
        worker.join(grace + 5 if isinstance(stopped, (Interrupted, KeyboardInterrupt)) else 5)
        if worker.is_alive():
            worker.kill()
            worker.join()


def _work(
    plan: Plan, listener: socket.socket, cells: MutableSequence[float], number: int, pipe: Connection
) -> None:
    """Answer in a worker, until a signal comes."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    try:
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signal_number, _stop)
        threading.Thread(target=_end_with_parent, daemon=True).start()
        _answer_or_report(plan, listener, Metrics([*plan.models], cells, number), pipe)
    except Interrupted as stop:
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signal_number, signal.SIG_IGN)
        sys.exit(128 + stop.number)


def _answer_or_report(plan: Plan, listener: socket.socket, metrics: Metrics, pipe: Connection) -> None:
    """Answer; tell the parent when the models are loaded, or why they cannot be."""

    def ready() -> None:
        pipe.send(("ready", ""))
        pipe.close()

    try:
        _answer(plan, listener, metrics, ready)
    except Exception as error:
        known = isinstance(error, (UsageError, RunError))
        message = str(error) if known else f"a worker ended: {type(error).__name__}: {error}"
        with suppress(OSError):
            pipe.send(("usage" if isinstance(error, UsageError) else "run", message))
        sys.exit(1)


def _end_with_parent() -> None:
    parent: Any = multiprocessing.parent_process()
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
