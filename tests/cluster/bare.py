"""A bare client of the database: it connects anew, inserts a row, and notes when that was acknowledged.

Several of it take turns, so that one that hangs keeps nobody waiting.
"""

import ctypes
import ctypes.util
import select
import threading
import time

import net

CONNECTION_OK, COMMAND_OK = 0, 1
PACE, PATIENCE = 0.5, 3.0


def load():
    found = ctypes.util.find_library("pq")
    if found is None:
        raise RuntimeError("there is no libpq")
    pq = ctypes.CDLL(found)
    pq.PQconnectdb.restype = pq.PQgetResult.restype = ctypes.c_void_p
    for name in ("PQfinish", "PQstatus", "PQsocket", "PQconsumeInput", "PQisBusy", "PQgetResult", "PQresultStatus", "PQclear"):
        getattr(pq, name).argtypes = [ctypes.c_void_p]
    pq.PQconnectdb.argtypes = [ctypes.c_char_p]
    pq.PQsendQuery.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    return pq


class Bare(threading.Thread):
    """Inserts through one address, again and again."""

    def __init__(self, pq, address, acks, delay):
        super().__init__(daemon=True, name=f"bare client of {address}")
        self.pq, self.acks, self.delay, self.stopping = pq, acks, delay, False
        self.url = (f"host={address} user=keyroll dbname=bare sslmode=disable connect_timeout=2 "
                    "target_session_attrs=primary tcp_user_timeout=3000 options=-cclient_min_messages=error").encode()

    def run(self):
        net.enter("c1")
        time.sleep(self.delay)
        while not self.stopping:
            begun = time.monotonic()
            session = self.pq.PQconnectdb(self.url)
            if self.pq.PQstatus(session) == CONNECTION_OK and self.insert(session):
                self.acks.append((begun, time.monotonic()))
            self.pq.PQfinish(session)
            time.sleep(max(0.0, PACE - (time.monotonic() - begun)))

    def insert(self, session):
        """Whether the row was acknowledged before patience ended."""
        if not self.pq.PQsendQuery(session, b"INSERT INTO pulse (at) VALUES (now())"):
            return False
        end = time.monotonic() + PATIENCE
        while self.pq.PQisBusy(session):
            ready, _, _ = select.select([self.pq.PQsocket(session)], [], [], max(0.0, end - time.monotonic()))
            if not ready or not self.pq.PQconsumeInput(session):
                return False
        result = self.pq.PQgetResult(session)
        done = result is not None and self.pq.PQresultStatus(result) == COMMAND_OK
        self.pq.PQclear(result)
        return done


def start(addresses, acks):
    pq = load()
    bare = [Bare(pq, address, acks, turn * PACE / 2) for address in addresses for turn in range(2)]
    for one in bare:
        one.start()
    return bare
