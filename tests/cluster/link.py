"""A client of HTTP that keeps its connection and takes little time: JSON, lengths, nothing else."""

import json
import socket


class Broken(Exception):
    """No answer came, or none that can be read."""


class Link:
    """One connection to one address, made when it is needed."""

    def __init__(self, address, bearer, seconds, media="application/json"):
        self.address, self.seconds, self.socket, self.rest = address, seconds, None, b""
        self.head = f"Host: {address[0]}\r\nAuthorization: Bearer {bearer}\r\nContent-Type: {media}\r\n"

    def close(self):
        if self.socket is not None:
            self.socket.close()
        self.socket, self.rest = None, b""

    def ask(self, method, path, body=None):
        """The status and the body of the answer."""
        text = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\n{self.head}Content-Length: {len(text)}\r\n\r\n"
        try:
            if self.socket is None:
                self.socket = socket.create_connection(self.address, self.seconds)
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket.sendall(head.encode() + text)
            return self.answer()
        except (OSError, ValueError, Broken) as error:
            self.close()
            raise Broken(f"{type(error).__name__}: {error}") from None

    def answer(self):
        while b"\r\n\r\n" not in self.rest:
            self.receive()
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").lower().split("\r\n")
        status, fields = int(lines[0].split()[1]), dict(line.split(": ", 1) for line in lines[1:])
        if "transfer-encoding" in fields:
            raise Broken("an answer without a length")
        length = int(fields.get("content-length", 0))
        while len(self.rest) < length:
            self.receive()
        body, self.rest = self.rest[:length], self.rest[length:]
        if fields.get("connection") == "close":
            self.close()
        return status, json.loads(body) if body else None

    def receive(self):
        more = self.socket.recv(65536)
        if not more:
            raise Broken("the connection ended")
        self.rest += more
