// User interface of the trace viewer. Data of spans is inserted as text only; the content security policy blocks markup.
const main = document.getElementById("main");

/** Create an element with properties and children; strings become text nodes. */
function createElement(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "style") for (const [property, setting] of Object.entries(value)) element.style.setProperty(property, setting);
    else if (key.startsWith("aria-") || key === "role") element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

function createSvgElement(name, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

async function fetchJson(path) {
  const response = await fetch(path);
  const body = await response.json();
  if (!response.ok) throw new Error(body.errors?.[0]?.msg ?? `status ${response.status}`);
  return body;
}

/** Format a duration in microseconds. */
function formatDuration(us) {
  if (us < 1000) return `${us} µs`;
  if (us < 1e6) return `${(us / 1000).toFixed(us < 1e4 ? 2 : 1)} ms`;
  return `${(us / 1e6).toFixed(2)} s`;
}

function formatTime(us) {
  const date = new Date(us / 1000);
  return Number.isNaN(date.getTime()) ? "?" : `${date.toLocaleDateString()} ${date.toLocaleTimeString()}`;
}

/** Return the hue of a service, which depends only on its name; a sidecar's hue is close to its service's. */
function serviceHue(name) {
  const service = name.replace(/-envoy$/, "");
  const fixed = { gateway: 215, orders: 30, partners: 145, notifications: 285 };
  let hash = 7;
  for (const character of service) hash = (hash * 31 + character.codePointAt(0)) % 360;
  return String((fixed[service] ?? hash) + (service === name ? 0 : 22));
}

function createPill(name, number) {
  return createElement("span", { className: "pill", style: { "--hue": serviceHue(name) } }, number === undefined ? name : `${name} ${number}`);
}

// ---- search

async function showSearch() {
  const query = new URLSearchParams(location.search);
  const services = (await fetchJson("/api/services")).data;
  const service = createElement("select", { name: "service" }, createElement("option", { value: "" }, "any"));
  for (const each of services) service.append(createElement("option", { value: each, selected: each === query.get("service") }, each));
  const operation = createElement("select", { name: "operation" });
  const loadOperations = async () => {
    const path = `/api/services/${encodeURIComponent(service.value)}/operations`;
    const names = service.value ? (await fetchJson(path)).data : [];
    operation.replaceChildren(createElement("option", { value: "" }, "any"));
    for (const each of names) operation.append(createElement("option", { value: each, selected: each === query.get("operation") }, each));
  };
  await loadOperations();
  service.addEventListener("change", loadOperations);
  const text = createElement("input", { name: "q", value: query.get("q") ?? "", size: 30, placeholder: "order id, status or name", spellcheck: false });
  const minDuration = createElement("input", { name: "minDuration", value: query.get("minDuration") ?? "", size: 8, placeholder: "50ms" });
  const limit = createElement("select", { name: "limit" });
  for (const each of ["20", "50", "200"]) limit.append(createElement("option", { value: each, selected: each === (query.get("limit") ?? "20") }, each));
  const failed = createElement("input", { type: "checkbox", name: "failed", value: "1", checked: query.has("failed") });
  const form = createElement("form", { className: "search" },
    createElement("label", {}, "Service", service), createElement("label", {}, "Operation", operation), createElement("label", {}, "Any value contains", text),
    createElement("label", {}, "Minimum duration", minDuration), createElement("label", {}, "Limit", limit),
    createElement("label", { className: "check" }, failed, "with errors"), createElement("button", { className: "main" }, "Find"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const parameters = new URLSearchParams();
    for (const [key, value] of new FormData(form)) if (value) parameters.set(key, value);
    location.assign(`/search?${parameters}`);
  });
  if (query.has("failed")) { query.delete("failed"); query.set("tag", "error:true"); }
  main.replaceChildren(form);
  const { data: summaries, total } = await fetchJson(`/api/summaries?${query}`);
  main.append(createElement("p", { className: "hint" }, `${summaries.length} of ${total} stored traces, newest first`));
  const longest = Math.max(1, ...summaries.map((summary) => summary.duration));
  for (const summary of summaries) main.append(createTraceItem(summary, longest));
}

function createTraceItem(summary, longest) {
  return createElement("a", { className: "trace", href: `/trace/${summary.traceID}` },
    createElement("div", { className: "top" },
      createElement("b", {}, `${summary.service}: ${summary.operation}`),
      createElement("span", {}, formatDuration(summary.duration)),
      createElement("span", { className: "hint" }, `${summary.spans} spans`),
      summary.errors ? createElement("span", { className: "bad" }, `${summary.errors} failed`) : null,
      summary.orphans ? createElement("span", { className: "bad" }, `${summary.orphans} without parent`) : null,
      createElement("span", { className: "timestamp" }, formatTime(summary.startTime))),
    createElement("div", { className: "meter" }, createElement("i", { style: { width: `${(100 * summary.duration) / longest}%` } })),
    createElement("div", { className: "pills" }, ...Object.entries(summary.services).map(([name, number]) => createPill(name, number))));
}

// ---- trace

const tagValue = (span, key) => span.tags.find((each) => each.key === key)?.value;

/** Return pairs of span and depth in depth-first order. Spans without a known parent are roots. */
function flattenSpanTree(spans) {
  const ids = new Set(spans.map((span) => span.spanID));
  const childrenByParent = new Map();
  const roots = [];
  for (const span of spans) {
    const parent = span.references.find((each) => each.refType === "CHILD_OF")?.spanID;
    if (ids.has(parent) && parent !== span.spanID) childrenByParent.set(parent, [...(childrenByParent.get(parent) ?? []), span]);
    else roots.push(span);
  }
  const rows = [];
  const visited = new Set();
  const visit = (span, depth) => {
    if (visited.has(span)) return;
    visited.add(span);
    rows.push([span, depth]);
    for (const child of childrenByParent.get(span.spanID) ?? []) visit(child, depth + 1);
  };
  for (const root of roots) visit(root, 0);
  for (const span of spans) visit(span, 0); // spans of a cycle have no root
  return rows;
}

async function showTrace(id) {
  const trace = (await fetchJson(`/api/traces/${encodeURIComponent(id)}`)).data[0];
  const spans = trace.spans;
  const service = (span) => trace.processes[span.processID].serviceName;
  const start = Math.min(...spans.map((span) => span.startTime));
  const total = Math.max(1, ...spans.map((span) => span.startTime + span.duration - start));
  const rows = flattenSpanTree(spans);
  const counts = {};
  for (const span of spans) counts[service(span)] = (counts[service(span)] ?? 0) + 1;
  const orphans = spans.filter((span) => span.warnings).length;
  const failed = spans.filter((span) => tagValue(span, "error") === true).length;
  const root = rows[0][0];
  document.title = `${root.operationName} – Traces`;
  const fact = (label, value, className = "") => createElement("span", { className }, `${label} `, createElement("b", {}, String(value)));
  const table = createElement("div", { className: "waterfall" });
  table.append(createElement("div", { className: "row axis" }, createElement("div", { className: "name" }, "Service and operation"),
    createElement("div", { className: "time" }, ...[0, 25, 50, 75].map((percent) => createElement("span", { style: { left: `${percent}%` } }, formatDuration(Math.round((total * percent) / 100)))))));
  for (const [span, depth] of rows) table.append(...createSpanRows(span, depth, service(span), start, total, trace.processes[span.processID]));
  main.replaceChildren(
    createElement("h1", {}, createElement("span", { className: "service" }, service(root)), `: ${root.operationName}`),
    createElement("div", { className: "facts" }, fact("duration", formatDuration(total)), fact("start", formatTime(start)), fact("spans", spans.length),
      fact("services", Object.keys(counts).length), failed ? fact("failed", failed, "bad") : null,
      orphans ? fact("without parent", orphans, "bad") : null,
      createElement("span", { className: "mono" }, trace.traceID), createElement("a", { href: `/api/traces/${trace.traceID}` }, "JSON")),
    createElement("div", { className: "pills" }, ...Object.keys(counts).sort().map((name) => createPill(name, counts[name]))),
    table);
}

function createSpanRows(span, depth, service, start, total, process) {
  const left = (100 * (span.startTime - start)) / total;
  const width = (100 * span.duration) / total;
  const isFailed = tagValue(span, "error") === true;
  const isOrphan = Boolean(span.warnings);
  const labelPosition = left + width < 88 ? { left: `${left + width}%` } : left > 12 ? { right: `${100 - left}%` } : { right: "0" };
  const row = createElement("button", { className: isFailed ? "row failed" : "row", type: "button", "aria-expanded": "false", style: { "--hue": serviceHue(service) } },
    createElement("span", { className: "name", style: { "padding-left": `${0.5 + Math.min(depth, 24) * 0.8}rem` } },
      createElement("span", { className: "label", title: `${service}: ${span.operationName}` },
        isFailed ? createElement("span", { className: "bad" }, "!") : null,
        isOrphan ? createElement("span", { className: "bad" }, "without parent") : null,
        `${service} `, createElement("small", {}, span.operationName.replace(/^.*\/(?=.)/, "")))),
    createElement("span", { className: "time" }, createElement("i", { style: { left: `${left}%`, width: `${width}%` } }), createElement("span", { style: labelPosition }, formatDuration(span.duration))));
  const detail = createElement("div", { className: "detail", hidden: true });
  row.addEventListener("click", () => {
    detail.hidden = !detail.hidden;
    row.setAttribute("aria-expanded", String(!detail.hidden));
    if (!detail.childElementCount) fillDetails(detail, span, start, process);
  });
  return [row, detail];
}

function fillDetails(detail, span, start, process) {
  const links = span.references.filter((each) => each.refType !== "CHILD_OF");
  detail.append(createElement("div", {}, span.operationName), createElement("div", { className: "hint" }, `start +${formatDuration(span.startTime - start)}, duration ${formatDuration(span.duration)}, span id `,
    createElement("span", { className: "mono" }, span.spanID)), createTagTable(span.tags));
  if (process.tags.length) detail.append(createElement("h3", {}, "Process"), createTagTable(process.tags));
  for (const log of span.logs) detail.append(createElement("h3", {}, `Event after ${formatDuration(log.timestamp - span.startTime)}`), createTagTable(log.fields));
  for (const link of links) detail.append(createElement("h3", {}, "Links to"), createElement("a", { className: "mono", href: `/trace/${encodeURIComponent(link.traceID)}` }, `${link.traceID} ${link.spanID}`));
}

function createTagTable(tags) {
  return createElement("table", {}, ...[...tags].sort((a, b) => a.key.localeCompare(b.key)).map((each) =>
    createElement("tr", {}, createElement("th", {}, each.key), createElement("td", { className: "mono" }, String(each.value)))));
}

// ---- service map

async function showServiceMap() {
  const calls = (await fetchJson("/api/dependencies")).data;
  const names = [...new Set(calls.flatMap((call) => [call.parent, call.child]))].sort();
  const heading = createElement("h1", {}, "Service map");
  if (!names.length) {
    main.replaceChildren(heading, createElement("p", { className: "hint" }, "No stored trace contains more than one service."));
    return;
  }
  // A service's column is its distance from the entry points: services without callers, and the service with the largest
  // surplus of outgoing over incoming calls.
  const column = new Map();
  const surplus = (name) => calls.reduce((sum, call) => sum + call.callCount * ((call.parent === name) - (call.child === name)), 0);
  const called = new Set(calls.map((call) => call.child));
  const busiest = names.reduce((a, b) => (surplus(b) > surplus(a) ? b : a));
  let next = names.filter((name) => name === busiest || !called.has(name));
  for (let depth = 0; next.length; depth++) {
    for (const name of next) column.set(name, depth);
    next = [...new Set(calls.filter((call) => next.includes(call.parent) && !column.has(call.child)).map((call) => call.child))];
    if (!next.length) next = names.filter((name) => !column.has(name)).slice(0, 1);
  }
  const columns = [];
  for (const name of names) (columns[column.get(name)] ??= []).push(name);
  const [columnWidth, rowHeight, boxWidth, boxHeight] = [230, 96, 150, 36];
  const tallest = Math.max(...columns.map((each) => each.length));
  const positions = new Map();
  columns.forEach((each, x) => each.forEach((name, y) => positions.set(name, [30 + x * columnWidth, 60 + (y + (tallest - each.length) / 2) * rowHeight])));
  const size = [60 + (columns.length - 1) * columnWidth + boxWidth, 120 + (tallest - 1) * rowHeight + boxHeight];
  const svg = createSvgElement("svg", { class: "map", viewBox: `0 0 ${size[0]} ${size[1]}`, role: "img", "aria-label": "calls between services" },
    createSvgElement("defs", {}, createSvgElement("marker", { id: "tip", viewBox: "0 0 8 8", refX: "7", refY: "4", markerWidth: "8", markerHeight: "8", orient: "auto", markerUnits: "userSpaceOnUse" }, createSvgElement("path", { d: "M0 0 8 4 0 8z" }))));
  const maxCalls = Math.max(...calls.map((call) => call.callCount));
  const labels = [];
  for (const call of calls) {
    const [[ax, ay], [bx, by]] = [positions.get(call.parent), positions.get(call.child)];
    const isForward = bx > ax;
    const isUp = by < ay;
    const offset = ax === bx ? (isUp ? 20 : -20) : 0; // separates calls in both directions within a column
    const [x1, x2] = isForward ? [ax + boxWidth, bx] : [ax + boxWidth / 2 + offset, bx + boxWidth / 2 + offset];
    const [y1, y2] = isForward ? [ay + boxHeight / 2, by + boxHeight / 2] : [isUp ? ay : ay + boxHeight, isUp || by === ay ? by + boxHeight : by];
    const controls = isForward ? [(x1 + x2) / 2, y1, (x1 + x2) / 2, y2] : by === ay ? [x1, y1 + 50, x2, y2 + 50] : [x1, y1 + (isUp ? -45 : 45), x2, y2 + (isUp ? 45 : -45)];
    const line = createSvgElement("path", { d: `M${x1} ${y1} C${controls.join(" ")} ${x2} ${y2}`, "stroke-width": String(1 + (3 * call.callCount) / maxCalls), "marker-end": "url(#tip)" });
    line.append(createSvgElement("title", {}, `${call.parent} → ${call.child}: ${call.callCount}`));
    svg.append(line);
    // The label is past the middle of the curve (t = 0.65), where fewer lines of other calls cross.
    const pointOnCurve = (a, b, c, d) => String(0.043 * a + 0.239 * b + 0.443 * c + 0.275 * d);
    const position = { x: pointOnCurve(x1, controls[0], controls[2], x2), y: pointOnCurve(y1, controls[1], controls[3], y2) };
    labels.push(createSvgElement("text", { class: "count", ...position }, String(call.callCount)));
  }
  svg.append(...labels);
  for (const [name, [x, y]] of positions) {
    const box = createSvgElement("rect", { x: String(x), y: String(y), width: String(boxWidth), height: String(boxHeight), rx: "6" });
    box.style.stroke = `hsl(${serviceHue(name)} 60% 50%)`;
    const label = name.length > 20 ? `${name.slice(0, 19)}…` : name;
    svg.append(box, createSvgElement("text", { x: String(x + boxWidth / 2), y: String(y + boxHeight / 2) }, label));
  }
  main.replaceChildren(heading, createElement("p", { className: "hint" }, "Number of calls between services in the stored traces."), svg);
}

// ---- routing

document.getElementById("jump").addEventListener("submit", (event) => {
  event.preventDefault();
  const id = new FormData(event.target).get("id").trim();
  if (id) location.assign(`/trace/${encodeURIComponent(id)}`);
});
for (const link of document.querySelectorAll("nav a")) if (link.pathname === location.pathname) link.setAttribute("aria-current", "page");

const traceMatch = location.pathname.match(/^\/trace\/(.+)$/);
const rendered = traceMatch ? showTrace(decodeURIComponent(traceMatch[1])) : location.pathname === "/dependencies" ? showServiceMap() : showSearch();
rendered.catch((error) => main.append(createElement("p", { className: "bad" }, error.message)));
