# SPDX-License-Identifier: MIT
"""Transactions in two daemons. Where they rightly disagree on a commit, the one that refused it does it again at
once, when nobody is in its way: it must then answer, do and tell the same as the other."""
from . import differences, merges
from .comparison import END, LETTERS, Comparison, Step, show_events, show_two
from .differences import answer
from .lockstep import Two
from .wire import NAMES

START = NAMES["TRANSACTION_START"]


def removals(transaction):
    return [request[1] for request, _, effect in transaction.log if effect == "removed"]


class Commits(Comparison):
    def start(self, number, payload=b"\0"):
        """Key of the new transaction in .open."""
        replies = self.do(Step(number, START, payload))
        key = number, int(replies.ours.payload[:-1])
        if key[1] == 0 or key in self.open:
            self.fail(f"{key[1]} is the id of no new transaction")
        self.open[key] = merges.Open(self.head, number)
        return key

    def end(self, key, commit=True):
        number, tx = key
        t = self.open.pop(key)
        step = Step(number, END, b"T\0" if commit else b"F\0", tx, t)
        now, changes, conflict = t.replayed(self.head)
        if not commit:
            self.do(step)
            self.coverage.ends["aborted"] += 1
            if step.replies.ours.payload != b"OK\0" or step.replies.theirs.payload != b"OK\0":
                self.fail("an abort is refused")
            return self.compare_events(step, self.gather(number, True))
        if conflict:
            step.place, step.conflict = conflict
            self.coverage.conflicts[step.conflict] += 1
        step.removed = removals(t)
        self.do(step)
        events = self.gather(number, True)
        if answer(step.replies.ours) != ("EAGAIN" if conflict else b"OK\0"):
            self.fail(f"the model answers {'EAGAIN: ' + conflict[1] if conflict else 'OK'}; the log is {t.log}")
        if step.replies.ours == step.replies.theirs:
            if t.differed and not conflict:
                self.fail("both commit, though they had answered differently inside")
            self.coverage.ends["refused by both" if conflict else "committed by both"] += 1
        else:
            found = differences.find("end", step, *step.replies)
            if not found:
                self.fail(f"the commits differ; others touched {t.touched}, after it looked {t.conflicts}; the log is {t.log}")
            self.coverage.differences[found.name] += 1
            self.coverage.ends["committed by ours" if not conflict else "committed by theirs"] += 1
            if not conflict:
                self.coverage.merged.update(t.conflicts)
            now, changes, events = self.again(step, t, 0 if conflict else 1, events)
        if now:
            self.head = step.now = now
            for other in self.open.values():
                other.others(changes)
        return self.compare_events(step, events)

    def again(self, step, t, refused, events):
        """The transaction once more in the daemon (0 or 1) that refused it; the other daemon gets an empty one, so that ids
        stay equal. Returns the new head, what changes, and the events of the two commits side by side."""
        number = step.number
        told = {n: pair[1 - refused] for n, pair in events.items()}
        if any(pair[refused] for pair in events.values()):
            self.fail(f"a refused commit fired {[show_events(pair[refused]) for pair in events.values()]}")
        key = self.start(number)
        tx = key[1]
        fresh = self.open.pop(key)
        client, other = self.lock.pairs[number][refused], self.lock.pairs[number][1 - refused]
        for entry in t.entries:
            one = Step(number, *entry.wire)
            one.expected = fresh.apply(entry.request)
            client.send(*entry.wire, tx, 0)
            now, then = client.reply(), entry.reply[1 - refused]._replace(req=0, tx=tx)
            one.replies = Two(then, now) if refused else Two(now, then)
            if not one.as_expected() or now != then and not differences.find("reply", one, *one.replies):
                self.fail(f"done again at once in {('ours', 'theirs')[refused]} it is answered otherwise: {one}")
        other.end(tx, False)
        client.send(END, b"T\0", tx, 0)
        reply = client.reply()
        if reply.payload != b"OK\0":
            self.fail(f"done again at once in {('ours', 'theirs')[refused]} its commit fails: {reply}; {show_two(step.replies)}")
        out = {}
        later = self.gather(number, True)
        for n in {*told, *later}:
            new, nothing = (later[n][refused], later[n][1 - refused]) if n in later else ([], [])
            if nothing:
                self.fail(f"an empty transaction fired on {LETTERS[n]}: {show_events(nothing)}")
            out[n] = Two(told.get(n, []), new) if refused else Two(new, told.get(n, []))
        step.removed = removals(fresh)
        now, changes, _ = fresh.replayed(self.head)
        return now, changes, out
