// Two people talk with @xmpp/client while the edge that both are connected to
// dies. Their clients come back by another edge and resume (XEP-0198), inline
// with SASL2.
//
// Where the edges are comes from the environment; whoever runs this kills the
// first of them when a line says "kill", see
// crates/server/tests/cluster/resuming.rs. Each check prints a line; the last
// line is "N passed, N failed".

import { client, xml } from "@xmpp/client";

// The nodes under test have made their certificates themselves.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
// xmpp.js tells of a connection that was lost on promises that nobody holds.
process.on("unhandledRejection", () => {});

const host = process.env.XMPP_HOST;
const password = process.env.XMPP_PASSWORD;
const services = process.env.XMPP_TLS_PORTS.split(" ").map((port) => `xmpps://127.0.0.1:${port}`);

// How long anything may take before it has failed.
const deadlineMilliseconds = 120_000;

// Messages that each has of the other before the edge dies, and gets after both
// are back.
const rounds = 100;

// Messages of one that the other does not have yet.
const windowMessages = 20;

let looks = [];
const changed = () => looks.forEach((look) => look());

// Comes back once something is so.
function until(words, isSo) {
  return new Promise((resolve, reject) => {
    const forget = () => {
      looks = looks.filter((other) => other !== look);
      clearTimeout(timer);
    };
    const timer = setTimeout(() => {
      forget();
      reject(new Error(`awaited ${words}: ${pair.map((one) => one.state())}`));
    }, deadlineMilliseconds);
    const look = () => {
      if (!isSo()) return;
      forget();
      resolve();
    };
    looks.push(look);
    look();
  });
}

class Person {
  constructor(user) {
    this.bare = `${user}@${host}`;
    this.user = user;
    this.began = this.resumed = this.said = 0;
    this.isUp = false;
    this.heard = [];
    this.odd = [];
    const service = services[0];
    this.xmpp = client({ service, domain: host, username: user, password, timeout: deadlineMilliseconds });
    countFirst(this.xmpp);
    this.xmpp.on("error", () => {});
    this.xmpp.on("disconnect", () => {
      this.isUp = false;
      // Where it reconnects to, by itself.
      this.xmpp.options.service = services[1];
    });
    this.xmpp.on("online", () => {
      this.began += 1;
      // xmpp.js 0.14 is online a moment before it counts, but the server counts
      // whatever is sent from then on.
      setImmediate(() => this.xmpp.send(xml("presence")).then(() => this.up()));
    });
    this.xmpp.streamManagement.on("resumed", () => {
      this.resumed += 1;
      this.up();
    });
    this.xmpp.streamManagement.on("ack", changed);
    this.xmpp.on("stanza", (stanza) => {
      if (stanza.is("message")) this.hear(stanza);
      changed();
    });
  }

  up() {
    this.isUp = true;
    changed();
  }

  // One after the other; what is not is kept to be told.
  hear(stanza) {
    if (stanza.getChildText("body") !== String(this.heard.length - this.odd.length)) {
      this.odd.push(`after ${this.heard.at(-1)}: ${stanza}`);
    }
    this.heard.push(stanza.getChildText("body"));
  }

  state() {
    return `${this.user} ${this.isUp} ${this.began} ${this.resumed} ${this.said} ${this.heard.length}`;
  }

  // Says the next number; whatever becomes of the connection, xmpp.js has it.
  async say(to) {
    const stanza = xml("message", { to, type: "chat" }, xml("body", {}, String(this.said)));
    this.said += 1;
    await this.xmpp.send(stanza).catch(() => {});
  }
}

// xmpp.js 0.14 counts a stanza when its write was reported, and forgets to
// expect its acknowledgement if that is quicker. Here it counts what it writes.
function countFirst(xmpp) {
  const count = (element) => {
    element.parent = xmpp.root;
    xmpp.emit("send", element);
    return element.toString();
  };
  xmpp.send = async (element) => xmpp.write(count(element));
  xmpp.sendMany = async (elements) => xmpp.write(elements.map(count).join(""));
}

const [romeo, juliet] = [new Person("romeo"), new Person("juliet")];
const pair = [romeo, juliet];
const both = (isSo) => () => pair.every(isSo);
let isOver = false;

// Says one number after the other, without waiting for each.
async function speak(one, other) {
  const maySpeak = () => isOver || (one.isUp && one.said < other.heard.length + windowMessages);
  while (!isOver) {
    await until("a word", maySpeak);
    if (one.isUp && !isOver) await one.say(other.bare);
    // Whatever became of it, the rest of the program has its turn.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function talk() {
  // A start that misses the stream it opened is online all the same.
  pair.forEach((one) => one.xmpp.start().catch(() => {}));
  await until("two sessions", both((one) => one.isUp));
  const speakers = [speak(romeo, juliet), speak(juliet, romeo)];
  await until("a conversation", both((one) => one.heard.length >= rounds));
  console.log("kill");
  await until("both to come back", both((one) => one.resumed > 0 || one.began > 1));
  const goals = pair.map((one) => one.heard.length + rounds);
  await until("more words", () => pair.every((one, index) => one.heard.length >= goals[index]));
  isOver = true;
  changed();
  await Promise.all(speakers);
  const hasAll = (one, other) => one.heard.length >= other.said;
  await until("the last words", () => hasAll(romeo, juliet) && hasAll(juliet, romeo));
  await until("acknowledgements", both((one) => one.xmpp.streamManagement.outbound_q.length === 0));
}

let passed = 0;
let failed = 0;
function check(words, isSo, seen) {
  if (isSo) passed += 1;
  else failed += 1;
  console.log(isSo ? `ok: ${words}` : `FAILED: ${words}: ${seen}`);
}

try {
  await talk();
  for (const [one, other] of [[romeo, juliet], [juliet, romeo]]) {
    check(`${one.user} resumed and began no other session`, one.began === 1 && one.resumed === 1, one.state());
    const isWhole = one.heard.length === other.said && one.odd.length === 0;
    check(`${one.user} heard ${other.said} messages once and in order`, isWhole, one.odd.slice(0, 10).join("\n"));
  }
} catch (error) {
  check("two people talk while their edge dies", false, error.stack);
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
