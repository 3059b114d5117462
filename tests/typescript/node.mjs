// Runs the journey in Node. The environment contains the client's folder and the base URLs of the API and the sandbox.
import { journey } from "./journey.mjs";

const { CLIENT, BASE_URL, SANDBOX, EMAIL, PASSWORD } = process.env;
const client = await import(`${CLIENT}/index.js`);

async function pay({ order, payment }) {
  const { total_amount: amount, currency, id: order_id, bank_id } = order;
  const body = JSON.stringify({ order_id, amount, currency, callback_url: payment.callback_url, outcome: "pay" });
  const response = await fetch(`${SANDBOX}/checkout/${bank_id}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  if (!response.ok) throw new Error(await response.text());
}

console.log(JSON.stringify(await journey(client, { baseUrl: BASE_URL, email: EMAIL, password: PASSWORD, pay })));
