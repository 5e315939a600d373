// Drives a Starling with @xmpp/client, which prefers SASL2, Bind 2 and FAST.
//
// Where the server is comes from the environment, see crates/xtask/src/node.rs.
// Each check prints a line; the last line is "N passed, N failed". What only a
// protocol test can see is left to the scenario tests.

import { client, xml } from "@xmpp/client";

// The node under test has made its certificate itself.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
// xmpp.js tells of a refused log-in on promises that nobody holds, too.
process.on("unhandledRejection", () => {});

const host = process.env.XMPP_HOST;
const password = process.env.XMPP_PASSWORD;
const services = {
  starttls: `xmpp://127.0.0.1:${process.env.XMPP_STARTTLS_PORT}`,
  tls: `xmpps://127.0.0.1:${process.env.XMPP_TLS_PORT}`,
};

// How long anything may take before it has failed.
const deadlineMilliseconds = 120_000;

function need(condition, words) {
  if (!condition) throw new Error(words);
}

function deadline(promise, words) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`awaited ${words}`)), deadlineMilliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

class Person {
  constructor(user, service, options = {}) {
    this.bare = `${user}@${host}`;
    this.xmpp = client({
      service: services[service],
      domain: host,
      username: user,
      password,
      timeout: deadlineMilliseconds,
      ...options,
    });
    this.stanzas = [];
    this.waiting = [];
    this.xmpp.on("error", () => {});
    this.xmpp.on("stanza", (stanza) => {
      this.stanzas.push(stanza);
      this.waiting.forEach((look) => look());
    });
  }

  async start() {
    // xmpp.js 0.14 misses a stream that opens before its write is reported done,
    // and then waits in start() although it is online.
    const online = new Promise((resolve, reject) => {
      this.xmpp.once("online", resolve);
      this.xmpp.once("error", reject);
    });
    const started = Promise.race([online, this.xmpp.start()]);
    const address = await deadline(started, `a session of ${this.bare}`);
    this.full = address.toString();
    return this;
  }

  async goOnline() {
    await this.start();
    await this.xmpp.iqCaller.get(xml("query", "jabber:iq:roster"));
    await this.xmpp.send(xml("presence"));
    await this.settle();
    return this;
  }

  // Comes back once the server has handled everything sent before.
  settle() {
    return this.xmpp.iqCaller.request(
      xml("iq", { type: "get", to: host }, xml("ping", "urn:xmpp:ping")),
      deadlineMilliseconds,
    );
  }

  // The first stanza that is wanted.
  take(words, wanted) {
    const found = new Promise((resolve) => {
      const look = () => {
        const index = this.stanzas.findIndex(wanted);
        if (index < 0) return;
        this.waiting = this.waiting.filter((other) => other !== look);
        resolve(this.stanzas.splice(index, 1)[0]);
      };
      this.waiting.push(look);
      look();
    });
    return deadline(found, `${words}, came ${this.stanzas.join("\n")}`);
  }

  stop() {
    // The same holds for a stream that closes fast.
    const closed = new Promise((resolve) => this.xmpp.once("disconnect", resolve));
    const stopped = this.xmpp.stop().catch(() => closed);
    return deadline(Promise.race([closed, stopped]), "the end of the stream");
  }
}

const checks = {
  async "STARTTLS gives a session"() {
    const nurse = await new Person("nurse", "starttls").start();
    need(nurse.full.startsWith(`nurse@${host}/`), `bound as ${nurse.full}`);
    await nurse.stop();
  },

  async "direct TLS gives a session"() {
    const nurse = await new Person("nurse", "tls").start();
    need(nurse.full.startsWith(`nurse@${host}/`), `bound as ${nurse.full}`);
    await nurse.stop();
  },

  async "a wrong password is refused"() {
    const nurse = new Person("nurse", "tls", { password: "I know not what" });
    nurse.xmpp.reconnect.stop();
    const refused = await nurse.start().then(() => null, (error) => error);
    need(refused, "a wrong password was accepted");
    need(refused.condition === "not-authorized", `refused with ${refused}`);
    await nurse.stop();
  },

  async "a token of FAST logs in again"() {
    let token = null;
    const userAgent = xml("user-agent", { id: "d4565fa7-4d72-4749-b3d3-740edbf87770" });
    const first = new Person("nurse", "tls", { userAgent });
    first.xmpp.fast.saveToken = async (saved) => {
      token = saved;
    };
    await first.start();
    need(token, "no token came");
    await first.stop();
    // XEP-0484: the password of the second client is wrong and not used.
    const second = new Person("nurse", "tls", { userAgent, password: "I know not what" });
    second.xmpp.fast.fetchToken = async () => token;
    await second.start();
    need(second.full.startsWith(`nurse@${host}/`), `bound as ${second.full}`);
    await second.stop();
  },

  async "a roster item is kept"() {
    const benvolio = await new Person("benvolio", "tls").goOnline();
    const item = xml("item", { jid: `abraham@${host}`, name: "Abraham" }, xml("group", {}, "Servants"));
    await benvolio.xmpp.iqCaller.set(xml("query", "jabber:iq:roster", item));
    await benvolio.stop();
    const again = await new Person("benvolio", "starttls").start();
    const roster = await again.xmpp.iqCaller.get(xml("query", "jabber:iq:roster"));
    const kept = roster.getChildByAttr("jid", `abraham@${host}`);
    need(kept?.attrs.name === "Abraham", `kept as ${roster}`);
    need(kept.getChildText("group") === "Servants", `kept as ${roster}`);
    await again.stop();
  },

  async "a chat message arrives as it was sent, and back"() {
    const romeo = await new Person("romeo", "starttls").goOnline();
    const juliet = await new Person("juliet", "tls").goOnline();
    const body = "O <gentle> Romeo & \"true\" \u{1F339} \u2665";
    await juliet.xmpp.send(xml("message", { to: romeo.bare, type: "chat" }, xml("body", {}, body)));
    const got = await romeo.take("her words", (stanza) => stanza.getChildText("body") === body);
    need(got.attrs.from === juliet.full, `from ${got.attrs.from}`);
    await romeo.xmpp.send(xml("message", { to: got.attrs.from, type: "chat" }, xml("body", {}, "I am")));
    await juliet.take("his words", (stanza) => stanza.getChildText("body") === "I am");
    await romeo.stop();
    await juliet.stop();
  },

  async "presence reaches whom it is directed to"() {
    const mercutio = await new Person("mercutio", "tls").goOnline();
    const benvolio = await new Person("benvolio", "starttls").goOnline();
    await mercutio.xmpp.send(xml("presence", { to: benvolio.full }, xml("status", {}, "a grave man")));
    const isHis = (stanza) => stanza.is("presence") && stanza.attrs.from === mercutio.full;
    const came = await benvolio.take("his presence", isHis);
    need(came.getChildText("status") === "a grave man", `came as ${came}`);
    await mercutio.stop();
    await benvolio.take("him gone", (stanza) => isHis(stanza) && stanza.attrs.type === "unavailable");
    await benvolio.stop();
  },

  async "an unknown user is an error, and only that"() {
    const nurse = await new Person("nurse", "tls").goOnline();
    const query = xml("query", "jabber:iq:version");
    const refused = await nurse.xmpp.iqCaller.get(query, `no-such-user@${host}`).then(() => null, (error) => error);
    need(refused?.condition === "service-unavailable", `answered ${refused}`);
    await nurse.settle();
    await nurse.stop();
  },
};

let passed = 0;
let failed = 0;
for (const [words, check] of Object.entries(checks)) {
  try {
    await check();
    passed += 1;
    console.log(`ok: ${words}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED: ${words}\n${error.stack}`);
  }
}
console.log(`${passed} passed, ${failed} failed`);
// Clients of failed checks may still be connected.
process.exit(failed === 0 ? 0 : 1);
