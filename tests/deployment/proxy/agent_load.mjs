// examples/node/agent.mjs under load: PORT, directory of certificates, tokens. Prints what was answered and signed.
import { readFileSync } from "node:fs";
import { SessionBindingAgent, send } from "../../../examples/node/agent.mjs";

const LOOPS = 20;
const [port, pki, ...tokens] = process.argv.slice(2);
const url = `https://127.0.0.1:${port}/mirror`;
const file = (name) => readFileSync(`${pki}/${name}`);
const options = { cert: file("client.pem"), key: file("client.key"), ca: file("ca.pem"), servername: "service.demo", timeout: 60000 };

class Recorded extends SessionBindingAgent {
  signed = [];
  proofs = [];

  sign(claims) {
    this.signed.push([claims.ath, claims.ekm]);
    this.proofs.push(super.sign(claims));
    return this.proofs.at(-1);
  }
}

// Repeats what a cut connection lost, as an application does.
async function ask(agent, token, body) {
  const headers = { authorization: `Bearer ${token}` };
  for (let left = 10; ; left--) {
    try {
      const answer = await send(agent, url, { method: body ? "POST" : "GET", headers, body });
      const same = answer.body.toString() === (body ?? "");
      return answer.status === 200 && !same ? "another's answer" : answer.status;
    } catch (error) {
      if (!left) throw error;
    }
  }
}

async function load(agent) {
  const statuses = [];
  const loop = async (first) => {
    for (let number = first; number < first + LOOPS; number++) {
      statuses.push(await ask(agent, tokens[number % tokens.length], number % 2 ? `body ${number}` : undefined));
    }
  };
  await Promise.all(Array.from({ length: LOOPS }, (_, number) => loop(number)));
  return { statuses, signed: agent.signed };
}

// The clock is an hour behind for the first proof alone.
async function refreshed(agent) {
  const clock = Date.now;
  Date.now = () => ((Date.now = clock), clock() - 3600000);
  const statuses = [await ask(agent, tokens[0]), await ask(agent, tokens[0], "body")];
  return { statuses, signed: agent.signed };
}

async function stolen(proof) {
  const agent = new Recorded(options);
  agent.sign = () => proof;
  const status = await ask(agent, tokens[0]);
  agent.destroy();
  return status;
}

// Node composes these headers before the connection is known.
async function composed(agent) {
  const headers = { authorization: `Bearer ${tokens[0]}`, expect: "100-continue" };
  return send(agent, url, { headers }).then(({ status }) => status, (error) => error.message);
}

const agents = [new Recorded({ ...options, maxSockets: LOOPS }), new Recorded({ ...options, maxSockets: 1 })];
const told = { load: await load(agents[0]), refreshed: await refreshed(agents[1]) };
told.stolen = await stolen(agents[1].proofs.at(-1));
told.composed = await composed(agents[1]);
console.log(JSON.stringify(told));
agents.forEach((agent) => agent.destroy());
