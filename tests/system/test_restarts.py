#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The conversations in operations/*.txt once more, and the server is killed after each of their steps: nobody notices, and
the state at the end of each is the same before a death and after it."""
from lib import daemon, guest, harness, script
from lib.daemon import wait_for
from lib.harness import check
from lib.state import lasting, same_again, state
from lib.wire import Client
from test_operations import cases


class KilledPlayer(script.Player):
    """`d` is killed whenever a step is over."""

    def __init__(self, d, host=None):
        super().__init__(d.socket, host=host)
        self.d = d
        self.kills = 0

    def after_step(self):
        old = self.d.kill_server()
        wait_for(lambda: self.d.server_pid() not in (None, old), "the next server")
        self.kills += 1

    def after_all(self):
        with Client(self.path) as probe:
            for _ in range(3):  # what others have closed before is closed in the state, too, when these are answered
                probe.read("/")
            wanted = lasting(state(self.d))
            self.after_step()
            now = same_again(self.d, wanted)
        if now != wanted:
            raise script.Mismatch("the state is another one after a restart: "
                                  + "; ".join(sorted(set(now) ^ set(wanted)))[:600])


def play_all(d, chosen, host=None):
    kills = 0
    for case in chosen:
        player, problem = KilledPlayer(d, host), ""
        try:
            player.play(case)
        except Exception as e:  # Closed, a timeout: a failed case, not the end
            problem = f"{type(e).__name__}: {e}"
        check(not problem, f"{case.title}, killed {player.kills} times", f"{case.where}: {problem}")
        kills += player.kills
    harness.note(f"{kills} kills in {len(chosen)} conversations")


def over_sockets():
    play_all(daemon.Daemon().start(), [c for c in cases() if not c.needs_host()])


def with_domains():
    host = guest.XenHost()
    play_all(host.daemon().start(), [c for c in cases() if c.needs_host()], host)


if __name__ == "__main__":
    harness.main(over_sockets, with_domains)
