// The whole page. Everything that comes from a span becomes text, never markup: the policy forbids any other way.
const main = document.getElementById("main");

/** An element: properties, then children; texts stay texts. */
function make(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "style") for (const [of, is] of Object.entries(value)) made.style.setProperty(of, is);
    else if (key.startsWith("aria-") || key === "role") made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

function draw(name, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

async function ask(path) {
  const answer = await fetch(path);
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.errors?.[0]?.msg ?? `status ${answer.status}`);
  return said;
}

/** Microseconds as people read them. */
function spell(us) {
  if (us < 1000) return `${us} µs`;
  if (us < 1e6) return `${(us / 1000).toFixed(us < 1e4 ? 2 : 1)} ms`;
  return `${(us / 1e6).toFixed(2)} s`;
}

function when(us) {
  const at = new Date(us / 1000);
  return Number.isNaN(at.getTime()) ? "?" : `${at.toLocaleDateString()} ${at.toLocaleTimeString()}`;
}

/** A hue that is always the same for a name; a sidecar's is near its service's. */
function hue(name) {
  const of = name.replace(/-envoy$/, "");
  const fixed = { gateway: 215, orders: 30, partners: 145, notifications: 285 };
  let code = 7;
  for (const letter of of) code = (code * 31 + letter.codePointAt(0)) % 360;
  return String((fixed[of] ?? code) + (of === name ? 0 : 22));
}

function pill(name, number) {
  return make("span", { className: "pill", style: { "--hue": hue(name) } }, number === undefined ? name : `${name} ${number}`);
}

// ---- search

async function search() {
  const asked = new URLSearchParams(location.search);
  const services = (await ask("/api/services")).data;
  const service = make("select", { name: "service" }, make("option", { value: "" }, "any"));
  for (const each of services) service.append(make("option", { value: each, selected: each === asked.get("service") }, each));
  const operation = make("select", { name: "operation" });
  const fill = async () => {
    const path = `/api/services/${encodeURIComponent(service.value)}/operations`;
    const names = service.value ? (await ask(path)).data : [];
    operation.replaceChildren(make("option", { value: "" }, "any"));
    for (const each of names) operation.append(make("option", { value: each, selected: each === asked.get("operation") }, each));
  };
  await fill();
  service.addEventListener("change", fill);
  const text = make("input", { name: "q", value: asked.get("q") ?? "", size: 30, placeholder: "an order's id, a status, a name", spellcheck: false });
  const least = make("input", { name: "minDuration", value: asked.get("minDuration") ?? "", size: 8, placeholder: "50ms" });
  const limit = make("select", { name: "limit" });
  for (const each of ["20", "50", "200"]) limit.append(make("option", { value: each, selected: each === (asked.get("limit") ?? "20") }, each));
  const failed = make("input", { type: "checkbox", name: "failed", value: "1", checked: asked.has("failed") });
  const form = make("form", { className: "search" },
    make("label", {}, "Service", service), make("label", {}, "Operation", operation), make("label", {}, "Any value contains", text),
    make("label", {}, "At least", least), make("label", {}, "How many", limit),
    make("label", { className: "check" }, failed, "with errors"), make("button", { className: "main" }, "Find"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const wanted = new URLSearchParams();
    for (const [key, value] of new FormData(form)) if (value) wanted.set(key, value);
    location.assign(`/search?${wanted}`);
  });
  if (asked.has("failed")) { asked.delete("failed"); asked.set("tag", "error:true"); }
  main.replaceChildren(form);
  const said = await ask(`/api/summaries?${asked}`);
  main.append(make("p", { className: "hint" }, `${said.data.length} traces of ${said.total} that are kept, newest first`));
  const longest = Math.max(1, ...said.data.map((each) => each.duration));
  for (const each of said.data) main.append(listed(each, longest));
}

function listed(each, longest) {
  return make("a", { className: "trace", href: `/trace/${each.traceID}` },
    make("div", { className: "top" },
      make("b", {}, `${each.service}: ${each.operation}`),
      make("span", {}, spell(each.duration)),
      make("span", { className: "hint" }, `${each.spans} spans`),
      each.errors ? make("span", { className: "bad" }, `${each.errors} failed`) : null,
      each.orphans ? make("span", { className: "bad" }, `${each.orphans} without parent`) : null,
      make("span", { className: "when" }, when(each.startTime))),
    make("div", { className: "meter" }, make("i", { style: { width: `${(100 * each.duration) / longest}%` } })),
    make("div", { className: "pills" }, ...Object.entries(each.services).map(([name, number]) => pill(name, number))));
}

// ---- one trace

const tag = (span, key) => span.tags.find((each) => each.key === key)?.value;

/** Spans in the order of a tree, each with its depth. What has lost its parent stands at the top. */
function tree(spans) {
  const known = new Map(spans.map((span) => [span.spanID, span]));
  const below = new Map();
  const tops = [];
  for (const span of spans) {
    const parent = span.references.find((each) => each.refType === "CHILD_OF")?.spanID;
    if (known.has(parent) && parent !== span.spanID) below.set(parent, [...(below.get(parent) ?? []), span]);
    else tops.push(span);
  }
  const rows = [];
  const seen = new Set();
  const walk = (span, depth) => {
    if (seen.has(span)) return;
    seen.add(span);
    rows.push([span, depth]);
    for (const child of below.get(span.spanID) ?? []) walk(child, depth + 1);
  };
  for (const top of tops) walk(top, 0);
  for (const span of spans) walk(span, 0);
  return rows;
}

async function trace(id) {
  const found = (await ask(`/api/traces/${encodeURIComponent(id)}`)).data[0];
  const spans = found.spans;
  const service = (span) => found.processes[span.processID].serviceName;
  const start = Math.min(...spans.map((span) => span.startTime));
  const total = Math.max(1, ...spans.map((span) => span.startTime + span.duration - start));
  const rows = tree(spans);
  const counts = {};
  for (const span of spans) counts[service(span)] = (counts[service(span)] ?? 0) + 1;
  const lost = spans.filter((span) => span.warnings).length;
  const failed = spans.filter((span) => tag(span, "error") === true).length;
  const root = rows[0][0];
  document.title = `${root.operationName} – Traces`;
  const fact = (what, is, className = "") => make("span", { className }, `${what} `, make("b", {}, String(is)));
  const table = make("div", { className: "waterfall" });
  table.append(make("div", { className: "row axis" }, make("div", { className: "name" }, "Service and operation"),
    make("div", { className: "time" }, ...[0, 25, 50, 75].map((part) => make("span", { style: { left: `${part}%` } }, spell(Math.round((total * part) / 100)))))));
  for (const [span, depth] of rows) table.append(...row(span, depth, service(span), start, total, found.processes[span.processID]));
  main.replaceChildren(
    make("h1", {}, make("span", { className: "service" }, service(root)), `: ${root.operationName}`),
    make("div", { className: "facts" }, fact("took", spell(total)), fact("at", when(start)), fact("spans", spans.length),
      fact("services", Object.keys(counts).length), failed ? fact("failed", failed, "bad") : null,
      lost ? fact("without parent", lost, "bad") : null,
      make("span", { className: "mono" }, found.traceID), make("a", { href: `/api/traces/${found.traceID}` }, "JSON")),
    make("div", { className: "pills" }, ...Object.keys(counts).sort().map((name) => pill(name, counts[name]))),
    table);
}

function row(span, depth, service, start, total, process) {
  const left = (100 * (span.startTime - start)) / total;
  const width = (100 * span.duration) / total;
  const bad = tag(span, "error") === true;
  const lost = Boolean(span.warnings);
  const word = left + width < 88 ? { left: `${left + width}%` } : left > 12 ? { right: `${100 - left}%` } : { right: "0" };
  const made = make("button", { className: bad ? "row failed" : "row", type: "button", "aria-expanded": "false", style: { "--hue": hue(service) } },
    make("span", { className: "name", style: { "padding-left": `${0.5 + Math.min(depth, 24) * 0.8}rem` } },
      make("span", { className: "what", title: `${service}: ${span.operationName}` },
        bad ? make("span", { className: "bad" }, "!") : null,
        lost ? make("span", { className: "bad" }, "without parent") : null,
        `${service} `, make("small", {}, span.operationName.replace(/^.*\/(?=.)/, "")))),
    make("span", { className: "time" }, make("i", { style: { left: `${left}%`, width: `${width}%` } }), make("span", { style: word }, spell(span.duration))));
  const detail = make("div", { className: "detail", hidden: true });
  made.addEventListener("click", () => {
    detail.hidden = !detail.hidden;
    made.setAttribute("aria-expanded", String(!detail.hidden));
    if (!detail.childElementCount) tell(detail, span, start, process);
  });
  return [made, detail];
}

function tell(detail, span, start, process) {
  const links = span.references.filter((each) => each.refType !== "CHILD_OF");
  detail.append(make("div", {}, span.operationName), make("div", { className: "hint" }, `begins ${spell(span.startTime - start)} into the trace, takes ${spell(span.duration)}, span `,
    make("span", { className: "mono" }, span.spanID)), values(span.tags));
  if (process.tags.length) detail.append(make("h3", {}, "Process"), values(process.tags));
  for (const log of span.logs) detail.append(make("h3", {}, `Event after ${spell(log.timestamp - span.startTime)}`), values(log.fields));
  for (const link of links) detail.append(make("h3", {}, "Links to"), make("a", { className: "mono", href: `/trace/${encodeURIComponent(link.traceID)}` }, `${link.traceID} ${link.spanID}`));
}

function values(tags) {
  return make("table", {}, ...[...tags].sort((a, b) => a.key.localeCompare(b.key)).map((each) =>
    make("tr", {}, make("th", {}, each.key), make("td", { className: "mono" }, String(each.value)))));
}

// ---- service map

async function dependencies() {
  const calls = (await ask("/api/dependencies")).data;
  const names = [...new Set(calls.flatMap((call) => [call.parent, call.child]))].sort();
  const heading = make("h1", {}, "Service map");
  if (!names.length) {
    main.replaceChildren(heading, make("p", { className: "hint" }, "No trace with more than one service is kept."));
    return;
  }
  // Columns by how far a service is from a door: whoever nobody calls, and who calls most beyond what it is called.
  const column = new Map();
  const outward = (name) => calls.reduce((sum, call) => sum + call.callCount * ((call.parent === name) - (call.child === name)), 0);
  const called = new Set(calls.map((call) => call.child));
  const busiest = names.reduce((a, b) => (outward(b) > outward(a) ? b : a));
  let next = names.filter((name) => name === busiest || !called.has(name));
  for (let depth = 0; next.length; depth++) {
    for (const name of next) column.set(name, depth);
    next = [...new Set(calls.filter((call) => next.includes(call.parent) && !column.has(call.child)).map((call) => call.child))];
    if (!next.length) next = names.filter((name) => !column.has(name)).slice(0, 1);
  }
  const columns = [];
  for (const name of names) (columns[column.get(name)] ??= []).push(name);
  const [width, height, wide, high] = [230, 96, 150, 36];
  const tallest = Math.max(...columns.map((each) => each.length));
  const place = new Map();
  columns.forEach((each, x) => each.forEach((name, y) => place.set(name, [30 + x * width, 60 + (y + (tallest - each.length) / 2) * height])));
  const size = [60 + (columns.length - 1) * width + wide, 120 + (tallest - 1) * height + high];
  const svg = draw("svg", { class: "map", viewBox: `0 0 ${size[0]} ${size[1]}`, role: "img", "aria-label": "which service calls which" },
    draw("defs", {}, draw("marker", { id: "tip", viewBox: "0 0 8 8", refX: "7", refY: "4", markerWidth: "8", markerHeight: "8", orient: "auto", markerUnits: "userSpaceOnUse" }, draw("path", { d: "M0 0 8 4 0 8z" }))));
  const most = Math.max(...calls.map((call) => call.callCount));
  const labels = [];
  for (const call of calls) {
    const [[ax, ay], [bx, by]] = [place.get(call.parent), place.get(call.child)];
    const onward = bx > ax;
    const up = by < ay;
    const beside = ax === bx ? (up ? 20 : -20) : 0; // there and back within a column
    const [x1, x2] = onward ? [ax + wide, bx] : [ax + wide / 2 + beside, bx + wide / 2 + beside];
    const [y1, y2] = onward ? [ay + high / 2, by + high / 2] : [up ? ay : ay + high, up || by === ay ? by + high : by];
    const bend = onward ? [(x1 + x2) / 2, y1, (x1 + x2) / 2, y2] : by === ay ? [x1, y1 + 50, x2, y2 + 50] : [x1, y1 + (up ? -45 : 45), x2, y2 + (up ? 45 : -45)];
    const line = draw("path", { d: `M${x1} ${y1} C${bend.join(" ")} ${x2} ${y2}`, "stroke-width": String(1 + (3 * call.callCount) / most), "marker-end": "url(#tip)" });
    line.append(draw("title", {}, `${call.parent} → ${call.child}: ${call.callCount}`));
    svg.append(line);
    // The number stands past the middle: what crosses there mostly comes from elsewhere.
    const at = (a, b, c, d) => String(0.043 * a + 0.239 * b + 0.443 * c + 0.275 * d);
    const spot = { x: at(x1, bend[0], bend[2], x2), y: at(y1, bend[1], bend[3], y2) };
    labels.push(draw("text", { class: "count", ...spot }, String(call.callCount)));
  }
  svg.append(...labels);
  for (const [name, [x, y]] of place) {
    const box = draw("rect", { x: String(x), y: String(y), width: String(wide), height: String(high), rx: "6" });
    box.style.stroke = `hsl(${hue(name)} 60% 50%)`;
    const shown = name.length > 20 ? `${name.slice(0, 19)}…` : name;
    svg.append(box, draw("text", { x: String(x + wide / 2), y: String(y + high / 2) }, shown));
  }
  main.replaceChildren(heading, make("p", { className: "hint" }, "Which service called which, and how often, in the traces that are kept."), svg);
}

// ---- which page

document.getElementById("jump").addEventListener("submit", (event) => {
  event.preventDefault();
  const id = new FormData(event.target).get("id").trim();
  if (id) location.assign(`/trace/${encodeURIComponent(id)}`);
});
for (const link of document.querySelectorAll("nav a")) if (link.pathname === location.pathname) link.setAttribute("aria-current", "page");

const named = location.pathname.match(/^\/trace\/(.+)$/);
const shown = named ? trace(decodeURIComponent(named[1])) : location.pathname === "/dependencies" ? dependencies() : search();
shown.catch((error) => main.append(make("p", { className: "bad" }, error.message)));
