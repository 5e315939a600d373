"""Drives a Starling with slixmpp, as a person with an everyday client would.

Where the server is comes from the environment, see `crates/xtask/src/node.rs`.
Each check prints a line; the last line is "N passed, N failed". Nothing here
looks at what only a protocol test can see: those are the scenario tests.
"""

import asyncio
import logging
import os
import ssl
import sys
import traceback

from slixmpp import ClientXMPP
from slixmpp.exceptions import IqError
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

HOST = os.environ["XMPP_HOST"]
PORTS = {
    "starttls": int(os.environ["XMPP_STARTTLS_PORT"]),
    "tls": int(os.environ["XMPP_TLS_PORT"]),
}
PASSWORD = os.environ["XMPP_PASSWORD"]

# How long anything may take before it has failed.
DEADLINE_SECONDS = 120


class Failed(Exception):
    """A check found something wrong."""


class Box:
    """Stanzas that came, until someone takes them."""

    def __init__(self):
        self.stanzas = []
        self.changed = asyncio.Event()

    def put(self, stanza):
        self.stanzas.append(stanza)
        self.changed.set()

    async def take(self, words, wanted):
        """The first stanza that is wanted."""
        async def look():
            while True:
                for stanza in self.stanzas:
                    if wanted(stanza):
                        self.stanzas.remove(stanza)
                        return stanza
                self.changed.clear()
                await self.changed.wait()
        try:
            return await asyncio.wait_for(look(), DEADLINE_SECONDS)
        except asyncio.TimeoutError:
            came = "\n".join(str(stanza) for stanza in self.stanzas)
            raise Failed(f"awaited {words}, came:\n{came}") from None


class Person(ClientXMPP):
    """One client of one user."""

    def __init__(self, user, resource, mechanism=None):
        jid = f"{user}@{HOST}/{resource}"
        super().__init__(jid, PASSWORD, sasl_mech=mechanism)
        self.ssl_context.check_hostname = False
        self.ssl_context.verify_mode = ssl.CERT_NONE
        self.auto_authorize = None
        self.auto_subscribe = False
        self.messages, self.presences = Box(), Box()
        for name, box in (("message", self.messages), ("presence", self.presences)):
            match = MatchXPath("{jabber:client}" + name)
            self.register_handler(Callback(f"every {name}", match, box.put))
        for plugin in ("xep_0030", "xep_0054", "xep_0092", "xep_0191", "xep_0199", "xep_0202", "xep_0203"):
            self.register_plugin(plugin)

    async def login(self, way):
        """Connects and authenticates; `way` is "starttls" or "tls"."""
        self.enable_direct_tls = way == "tls"
        self.enable_starttls = way == "starttls"
        self.enable_plaintext = False
        done = asyncio.get_running_loop().create_future()

        def succeed(_):
            if not done.done():
                done.set_result(None)

        def fail(why):
            if not done.done():
                done.set_exception(Failed(f"no session: {why}"))

        self.add_event_handler("session_start", succeed)
        # slixmpp would go on with its next mechanism.
        self.add_event_handler("failed_auth", lambda _: fail("authentication failed"))
        for event in ("failed_all_auth", "connection_failed", "stream_error", "disconnected"):
            self.add_event_handler(event, fail)
        self.connect("127.0.0.1", PORTS[way])
        await asyncio.wait_for(done, DEADLINE_SECONDS)

    async def go_online(self, way="tls"):
        await self.login(way)
        await self.get_roster()
        self.send_presence()
        await self.settle()

    async def settle(self):
        """Comes back once the server has handled everything sent before."""
        await self.plugin["xep_0199"].send_ping(HOST, timeout=DEADLINE_SECONDS)

    async def leave(self):
        await self.disconnect(wait=DEADLINE_SECONDS)


def need(condition, words):
    if not condition:
        raise Failed(words)


async def logs_in(way, mechanism):
    person = Person("nurse", "keys", mechanism)
    await person.login(way)
    need(person.boundjid.full == f"nurse@{HOST}/keys", f"bound as {person.boundjid}")
    await person.leave()


async def log_in_over_starttls():
    """STARTTLS and SCRAM-SHA-256 give a session"""
    await logs_in("starttls", "SCRAM-SHA-256")


async def log_in_over_direct_tls():
    """direct TLS and SCRAM-SHA-1 give a session"""
    await logs_in("tls", "SCRAM-SHA-1")


async def log_in_with_the_clients_choice():
    """the mechanism slixmpp prefers gives a session"""
    await logs_in("tls", None)


async def log_in_with_plain():
    """PLAIN under TLS gives a session"""
    await logs_in("starttls", "PLAIN")


async def refuse_a_wrong_password():
    """a wrong password is refused"""
    person = Person("nurse", "keys")
    person.password = "I know not what"
    try:
        await person.login("tls")
    except Failed:
        return
    finally:
        person.abort()
    raise Failed("a wrong password was accepted")


async def keep_a_roster():
    """a roster item is kept, pushed and removed"""
    tybalt = Person("tybalt", "sword")
    await tybalt.go_online()
    contact = f"petruchio@{HOST}"
    await tybalt.update_roster(contact, name="Petruchio", groups=["Capulets"])
    await tybalt.settle()
    again = Person("tybalt", "dagger")
    await again.go_online("starttls")
    need(contact in again.client_roster.keys(), "the item is not in the roster of the other client")
    item = again.client_roster[contact]
    need((item["name"], item["groups"]) == ("Petruchio", ["Capulets"]), f"kept as {item}")
    await tybalt.del_roster_item(contact)
    await again.settle()
    need(not again.client_roster.has_jid(contact) or again.client_roster[contact]["subscription"] == "none",
         "the item was not removed by a push")
    await tybalt.leave()
    await again.leave()


async def subscribe_and_see_presence():
    """two users subscribe and see each other come and go"""
    romeo, juliet = Person("romeo", "orchard"), Person("juliet", "balcony")
    await romeo.go_online("starttls")
    await juliet.go_online("tls")
    for asker, asked in ((romeo, juliet), (juliet, romeo)):
        asker.send_presence_subscription(pto=asked.boundjid.bare, ptype="subscribe")
        await asked.presences.take("a request", lambda stanza: stanza["type"] == "subscribe")
        asked.send_presence_subscription(pto=asker.boundjid.bare, ptype="subscribed")
        await asker.presences.take("an approval", lambda stanza: stanza["type"] == "subscribed")
    romeo.send_presence(pshow="away", pstatus="in the orchard")
    seen = await juliet.presences.take("Romeo away", lambda stanza: stanza["type"] == "away")
    need(seen["from"].full == romeo.boundjid.full, f"from {seen['from']}")
    need(seen["status"] == "in the orchard", f"status {seen['status']}")
    await romeo.get_roster()
    need(romeo.client_roster[juliet.boundjid.bare]["subscription"] == "both", "not subscribed both ways")
    await romeo.leave()
    await juliet.presences.take("Romeo gone", lambda stanza: stanza["type"] == "unavailable")
    await juliet.leave()


async def chat():
    """a chat message arrives as it was sent, and back"""
    romeo, juliet = Person("romeo", "orchard"), Person("juliet", "balcony")
    await romeo.go_online()
    await juliet.go_online("starttls")
    body = "Wherefore <art> thou & \"Romeo\"? \N{BLACK HEART SUIT} \N{ROSE}"
    juliet.send_message(mto=romeo.boundjid.bare, mbody=body, mtype="chat")
    got = await romeo.messages.take("her question", lambda stanza: stanza["body"] == body)
    need(got["from"].full == juliet.boundjid.full, f"from {got['from']}")
    need(got["type"] == "chat", f"type {got['type']}")
    romeo.send_message(mto=got["from"], mbody="Neither, fair saint", mtype="chat")
    await juliet.messages.take("his answer", lambda stanza: stanza["body"] == "Neither, fair saint")
    await romeo.leave()
    await juliet.leave()


async def offline():
    """messages to someone who is away wait, in order, with their time"""
    romeo = Person("romeo", "orchard")
    await romeo.go_online()
    for number in range(3):
        romeo.send_message(mto=f"mercutio@{HOST}", mbody=f"letter {number}", mtype="chat")
    await romeo.settle()
    mercutio = Person("mercutio", "street")
    await mercutio.go_online("starttls")
    for number in range(3):
        got = await mercutio.messages.take("a letter", lambda stanza: stanza["body"].startswith("letter"))
        need(got["body"] == f"letter {number}", f"letter {number} came as {got['body']}")
        need(got["delay"]["stamp"] is not None, "no delay stamp")
    await mercutio.leave()
    again = Person("mercutio", "street")
    await again.go_online()
    need(not again.messages.stanzas, f"came twice: {again.messages.stanzas}")
    await again.leave()
    await romeo.leave()


async def block():
    """a blocked contact is kept out and can be let in again"""
    romeo, tybalt = Person("romeo", "orchard"), Person("tybalt", "sword")
    await romeo.go_online()
    await tybalt.go_online()
    await romeo.plugin["xep_0191"].block(tybalt.boundjid.bare)
    blocked = await romeo.plugin["xep_0191"].get_blocked_jids()
    need(blocked == {tybalt.boundjid.bare}, f"blocked: {blocked}")
    tybalt.send_message(mto=romeo.boundjid.bare, mbody="Turn and draw", mtype="chat")
    await tybalt.messages.take("a refusal", lambda stanza: stanza["type"] == "error")
    await romeo.settle()
    need(not romeo.messages.stanzas, "a blocked message came through")
    await romeo.plugin["xep_0191"].unblock(tybalt.boundjid.bare)
    tybalt.send_message(mto=romeo.boundjid.bare, mbody="Boy, this", mtype="chat")
    await romeo.messages.take("an unblocked message", lambda stanza: stanza["body"] == "Boy, this")
    await romeo.leave()
    await tybalt.leave()


async def vcard():
    """a vCard is kept, for its owner and for others"""
    juliet, romeo = Person("juliet", "balcony"), Person("romeo", "orchard")
    await juliet.go_online()
    await romeo.go_online()
    card = juliet.plugin["xep_0054"].make_vcard()
    card["FN"] = "Juliet Capulet"
    card["NICKNAME"] = "Jule"
    await juliet.plugin["xep_0054"].publish_vcard(card)
    for asker in (juliet, romeo):
        got = await asker.plugin["xep_0054"].get_vcard(juliet.boundjid.bare, cached=False)
        need(got["vcard_temp"]["FN"] == "Juliet Capulet", f"kept as {got}")
    await juliet.leave()
    await romeo.leave()


async def publish_a_nickname():
    """a nickname that a contact publishes arrives, at once and when one comes later"""
    romeo, juliet = Person("romeo", "orchard"), Person("juliet", "balcony")
    late = Person("romeo", "street")
    arrived = {}
    for person in (romeo, juliet, late):
        person.register_plugin("xep_0172")
        arrived[person] = Box()
        person.add_event_handler("user_nick_publish", arrived[person].put)

    def is_hers(stanza):
        nick = stanza["pubsub_event"]["items"]["item"]["nick"]["nick"]
        return nick == "Jule" and stanza["from"].full == juliet.boundjid.bare

    await romeo.go_online()
    await juliet.go_online("starttls")
    await juliet.plugin["xep_0172"].publish_nick("Jule")
    await arrived[romeo].take("her nickname", is_hers)
    await late.go_online()
    await arrived[late].take("her nickname, later", is_hers)
    for person in (romeo, juliet, late):
        await person.leave()


async def discover():
    """the server says what it is, its version and its time"""
    nurse = Person("nurse", "keys")
    await nurse.go_online()
    info = await nurse.plugin["xep_0030"].get_info(HOST, timeout=DEADLINE_SECONDS)
    kinds = {(identity[0], identity[1]) for identity in info["disco_info"]["identities"]}
    need(("server", "im") in kinds, f"identities {kinds}")
    for feature in ("urn:xmpp:ping", "urn:xmpp:blocking", "vcard-temp"):
        need(feature in info["disco_info"]["features"], f"no feature {feature}")
    version = await nurse.plugin["xep_0092"].get_version(HOST)
    need(version["software_version"]["name"] == "Starling", f"version {version}")
    time = await nurse.plugin["xep_0202"].get_entity_time(HOST)
    # slixmpp 1.17 cannot parse a time that ends with Z, as XEP-0082 has it.
    utc = time["entity_time"].xml.find("{urn:xmpp:time}utc").text
    need(utc.endswith("Z"), f"time {utc}")
    try:
        await nurse.plugin["xep_0092"].get_version(f"no-such-user@{HOST}")
    except IqError as error:
        need(error.condition == "service-unavailable", f"error {error.condition}")
    else:
        raise Failed("an unknown user has a version")
    await nurse.leave()


CHECKS = [
    log_in_over_starttls,
    log_in_over_direct_tls,
    log_in_with_the_clients_choice,
    log_in_with_plain,
    refuse_a_wrong_password,
    keep_a_roster,
    subscribe_and_see_presence,
    chat,
    offline,
    block,
    vcard,
    publish_a_nickname,
    discover,
]


async def run():
    passed = failed = 0
    for check in CHECKS:
        try:
            # A check has several steps, each with its own deadline.
            await asyncio.wait_for(check(), DEADLINE_SECONDS * 4)
            passed += 1
            print(f"ok: {check.__doc__}")
        except Exception as error:
            failed += 1
            print(f"FAILED: {check.__doc__}")
            traceback.print_exception(type(error), error, error.__traceback__, file=sys.stdout)
    print(f"{passed} passed, {failed} failed")
    return failed == 0


if __name__ == "__main__":
    # slixmpp leaves a task behind for each client it drops.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    sys.exit(0 if asyncio.run(run()) else 1)
