"""A wire between fleet managers and the planning service that can be cut."""

from __future__ import annotations

import threading
from contextlib import suppress

import zmq

POLL_MS = 20


class ClientLink:
    """A ZeroMQ proxy in a thread of its own, from construction to `stop`. While `cut` whatever comes from either side
    is lost, as on a wire that is cut; connections stay, as TCP's do in a short outage."""

    def __init__(self, service: str) -> None:
        """service: endpoint of the planning service. It may go and come back."""
        self.cut = False
        self._stopping = threading.Event()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._front, self._back = self._context.socket(zmq.ROUTER), self._context.socket(zmq.DEALER)
        self._front.bind("tcp://127.0.0.1:*")
        self._back.connect(service)
        self.endpoint: str = self._front.getsockopt_string(zmq.LAST_ENDPOINT)
        self._thread = threading.Thread(target=self._run, name="client-link", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Idempotent."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        poller = zmq.Poller()
        for socket in (self._front, self._back):
            poller.register(socket, zmq.POLLIN)
        others = {self._front: self._back, self._back: self._front}
        while not self._stopping.is_set():
            for socket, _ in poller.poll(POLL_MS):
                frames = socket.recv_multipart()
                if not self.cut:
                    with suppress(zmq.Again):  # more wait for a service that is away than the wire holds
                        others[socket].send_multipart(frames, zmq.NOBLOCK)
        self._context.destroy(linger=0)
