# SPDX-License-Identifier: MIT
"""A client that hears of any gap: on one connection it holds a transaction open, and writes where its own watch is, again
and again. It prints the number of each turn, or what was wrong; when somebody writes /exact/end it commits, and says so.
Argument: the socket.
Read from standard input, so that it needs no file on the host: it speaks for itself."""
import socket
import struct
import sys
import time

HEADER = struct.Struct("<IIII")
READ, WATCH, START, END, WRITE, EVENT = 2, 4, 6, 7, 11, 15
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.connect(sys.argv[1])
s.settimeout(30)
number, quit_ = 0, False


def receive():
    """The next message that is not the order to end."""
    global quit_
    while True:
        m = message()
        if m != (EVENT, 0, 0, b"/exact/end\0token\0"):
            return m
        quit_ = True


def message():
    data = b""
    while len(data) < 16 or len(data) < 16 + HEADER.unpack_from(data)[3]:
        part = s.recv(16 - len(data) if len(data) < 16 else 16 + HEADER.unpack_from(data)[3] - len(data))
        if not part:
            raise EOFError("the connection is closed")
        data += part
    return HEADER.unpack_from(data)[:3] + (data[16:],)


def ask(kind, payload, tx=0, events=(), want=b"OK\0"):
    """Sends, and hears exactly the events named, then exactly that answer (None: any)."""
    global number
    number += 1
    s.sendall(HEADER.pack(kind, number, tx, len(payload)) + payload)
    for e in events:
        got = receive()
        if got != (EVENT, 0, 0, e):
            raise ValueError(f"{got} instead of the event {e}")
    got = receive()
    if got[:3] != (kind, number, tx) or want is not None and got[3] != want:
        raise ValueError(f"{got} instead of {want}")
    return got[3]


try:
    ask(WRITE, b"/exact/n\0000")
    ask(WATCH, b"/exact\0token\0")
    if receive() != (EVENT, 0, 0, b"/exact\0token\0"):
        raise ValueError("no first event")
    tx = int(ask(START, b"\0", want=None)[:-1])
    ask(WRITE, b"/other\0inside", tx)
    turn = 0
    while not quit_:
        turn += 1
        ask(WRITE, b"/exact/n\0%d" % turn, events=[b"/exact/n\0token\0"])
        ask(READ, b"/exact/n\0", want=b"%d" % turn)
        ask(READ, b"/other\0", tx, want=b"inside")
        print(turn, flush=True)
        time.sleep(0.02)
    ask(END, b"T\0", tx)
    ask(READ, b"/other\0", want=b"inside")
    print("committed", flush=True)
except (OSError, ValueError, EOFError) as e:
    print("WRONG:", e, flush=True)
