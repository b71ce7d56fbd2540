// Node's own fetch through the proxy: PORT, how many at once, tokens. Prints how many answers had which status.
const [port, count, ...tokens] = process.argv.slice(2);
const one = async (number) => {
  const headers = { authorization: `Bearer ${tokens[number % tokens.length]}` };
  const body = number % 2 ? undefined : JSON.stringify({ number });
  const answer = await fetch(`http://127.0.0.1:${port}/orders?n=${number}`, { method: body ? "POST" : "GET", headers, body });
  const seen = await answer.json();
  return seen.authorization === headers.authorization ? answer.status : "another's answer";
};
const statuses = await Promise.all(Array.from({ length: Number(count) }, (_, number) => one(number)));
console.log(JSON.stringify(Object.fromEntries([...new Set(statuses)].map((s) => [s, statuses.filter((o) => o === s).length]))));
