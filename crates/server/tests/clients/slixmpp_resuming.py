"""Two people talk with slixmpp while the edge that both are connected to dies.

Their clients come back by another edge and resume (XEP-0198). Where the edges
are comes from the environment; whoever runs this kills the first of them when a
line says "kill", see `crates/server/tests/cluster/resuming.rs`. Each check
prints a line; the last line is "N passed, N failed".
"""

import asyncio
import logging
import os
import ssl
import sys

from slixmpp import ClientXMPP

HOST = os.environ["XMPP_HOST"]
PORTS = [int(port) for port in os.environ["XMPP_TLS_PORTS"].split()]
PASSWORD = os.environ["XMPP_PASSWORD"]

# How long anything may take before it has failed.
DEADLINE_SECONDS = 120

# Messages that each has of the other before the edge dies, and gets after both
# are back.
ROUNDS = 100

# Messages of one that the other does not have yet.
WINDOW = 20


class Complaints(logging.Handler):
    """What slixmpp has to say against the server's counting."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.all = []

    def emit(self, record):
        self.all.append(record.getMessage())


class Person(ClientXMPP):
    """One client, which goes to the next edge whenever it is cut off."""

    def __init__(self, user, changed):
        super().__init__(f"{user}@{HOST}/road", PASSWORD)
        self.ssl_context.check_hostname = False
        self.ssl_context.verify_mode = ssl.CERT_NONE
        self.enable_direct_tls, self.enable_starttls, self.enable_plaintext = True, False, False
        self.register_plugin("xep_0198")
        self.register_plugin("xep_0199")
        self.changed = changed
        self.ports = iter(PORTS)
        self.is_up = self.is_leaving = False
        self.began = self.resumed = self.said = 0
        self.heard = []
        self.add_event_handler("session_start", self.on_start)
        self.add_event_handler("session_resumed", self.on_resumed)
        self.add_event_handler("disconnected", self.on_disconnected)
        self.add_event_handler("message", self.on_message)

    def go(self):
        self.connect("127.0.0.1", next(self.ports))

    def connection_lost(self, exception):
        # Before anything more is said.
        self.is_up = False
        super().connection_lost(exception)

    async def on_start(self, _):
        self.began += 1
        self.send_presence()
        # Everything before is counted, and nothing comes in between.
        await self.plugin["xep_0199"].send_ping(HOST, timeout=DEADLINE_SECONDS)
        self.up()

    def on_resumed(self, _):
        self.resumed += 1
        self.up()

    def up(self):
        self.is_up = True
        self.changed.set()

    def on_disconnected(self, _):
        if not self.is_leaving:
            self.go()

    def on_message(self, message):
        self.heard.append(message["body"])
        self.changed.set()

    def has(self, count):
        return len(self.heard) >= count


class Talk:
    """Two people, and what they say to each other."""

    def __init__(self):
        self.changed = asyncio.Event()
        self.romeo = Person("romeo", self.changed)
        self.juliet = Person("juliet", self.changed)
        self.pair = (self.romeo, self.juliet)
        self.is_over = False

    async def until(self, words, is_so):
        async def look():
            while not is_so():
                self.changed.clear()
                await self.changed.wait()
        try:
            await asyncio.wait_for(look(), DEADLINE_SECONDS)
        except asyncio.TimeoutError:
            state = [(one.is_up, one.began, one.resumed, one.said, len(one.heard)) for one in self.pair]
            raise AssertionError(f"awaited {words}: {state}") from None

    async def speak(self, one, other):
        """Says one number after the other, without waiting for each."""
        def may_speak():
            return self.is_over or (one.is_up and one.said < len(other.heard) + WINDOW)
        while not self.is_over:
            await self.until("a word", may_speak)
            if one.is_up and not self.is_over:
                management = one.plugin["xep_0198"]
                counted = management.seq
                one.send_message(mto=other.boundjid.bare, mbody=str(one.said), mtype="chat")
                while one.waiting_queue.qsize():
                    await asyncio.sleep(0)
                # What its queue still had when the connection was lost, slixmpp
                # neither counts nor sends: it was not said.
                one.said += management.seq != counted
            # slixmpp reads now.
            await asyncio.sleep(0)

    async def run(self):
        for person in self.pair:
            person.go()
        await self.until("two sessions", lambda: all(one.is_up for one in self.pair))
        speakers = [asyncio.create_task(self.speak(*self.pair)), asyncio.create_task(self.speak(*self.pair[::-1]))]
        await self.until("a conversation", lambda: all(one.has(ROUNDS) for one in self.pair))
        print("kill", flush=True)
        await self.until("both to come back", lambda: all(one.resumed or one.began > 1 for one in self.pair))
        goals = [len(one.heard) + ROUNDS for one in self.pair]
        await self.until("more words", lambda: all(one.has(goal) for one, goal in zip(self.pair, goals)))
        self.is_over = True
        self.changed.set()
        await asyncio.gather(*speakers)
        await self.until("the last words", lambda: all(
            hearer.has(speaker.said) for hearer, speaker in (self.pair, self.pair[::-1])))

    async def is_acknowledged(self, one):
        """Whether the server says that it has all of what one said."""
        management = one.plugin["xep_0198"]
        one.add_event_handler("stanza_acked", lambda _: self.changed.set())
        management.request_ack()
        await self.until("acknowledgements", lambda: not management.unacked_queue)

    async def leave(self):
        for person in self.pair:
            person.is_leaving = True
            await person.disconnect(wait=5)


async def run():
    complaints = Complaints()
    logging.getLogger("slixmpp.plugins.xep_0198").addHandler(complaints)
    passed = failed = 0

    def check(words, is_so, seen):
        nonlocal passed, failed
        passed, failed = passed + bool(is_so), failed + (not is_so)
        print(f"ok: {words}" if is_so else f"FAILED: {words}: {seen}")

    talk = Talk()
    try:
        await talk.run()
        for one, other in (talk.pair, talk.pair[::-1]):
            user = one.boundjid.user
            counts = (one.began, one.resumed)
            check(f"{user} resumed and began no other session", counts == (1, 1), counts)
            wanted = [str(number) for number in range(other.said)]
            check(f"{user} heard {other.said} messages once and in order", one.heard == wanted, one.heard)
            await talk.is_acknowledged(one)
        check("slixmpp found the numbers consistent", not complaints.all, complaints.all)
    except AssertionError as error:
        check("two people talk while their edge dies", False, error)
    await talk.leave()
    print(f"{passed} passed, {failed} failed")
    return failed == 0


if __name__ == "__main__":
    # slixmpp leaves a task behind for each connection that it lost.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    sys.exit(0 if asyncio.run(run()) else 1)
