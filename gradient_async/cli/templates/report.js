
"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const get = (id) => document.getElementById(id);
  const { now, fields, rows } = read("data");
  const labels = read("labels"), signs = read("signs"), findings = read("findings");
  const droplets = rows.map((row) => Object.fromEntries(fields.map((field, i) => [field, row[i]])));
  const WIDE = matchMedia("(min-width: 1200px)");
  const DARK = matchMedia("(prefers-color-scheme: dark)");
  const HEAD = 44, DAY = 1440;
  const state = { key: "finding", down: true, page: 0, shown: droplets };

  for (const droplet of droplets) {
    droplet.title = droplet.name ?? String(droplet.id);
    droplet.text = [droplet.id, droplet.name, droplet.backupName, labels[droplet.finding], droplet.plan, droplet.reason]
      .join("\n").toLowerCase();
  }

  /* Times are minutes before now; whoever counts from 1970 takes milliseconds. */
  const at = (before) => (now - before) * 60000;
  const stamp = (before) => new Date(at(before)).toISOString().slice(0, 16).replace("T", " ");
  const number = new Intl.NumberFormat("en", { maximumSignificantDigits: 3, roundingPriority: "morePrecision", maximumFractionDigits: 0 });
  const collator = new Intl.Collator("en", { numeric: true });
  const date = new Intl.DateTimeFormat("en", { month: "short", day: "numeric", timeZone: "UTC" });

  function duration(minutes) {
    const parts = [[Math.floor(minutes / DAY), "d"], [Math.floor(minutes / 60) % 24, "h"], [minutes % 60, "min"]];
    while (parts.length > 1 && !parts[0][0]) parts.shift();
    return parts.slice(0, 2).filter(([n], i) => n || !i).map((part) => part.join(" ")).join(" ");
  }

  /* Choosing and ordering */

  function chosen() {
    const wanted = new Set([...document.querySelectorAll("[name=finding]:checked")].map((box) => findings.indexOf(box.dataset.finding)));
    const words = get("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const plan = get("plan").value;
    return droplets.filter((droplet) => wanted.has(droplet.finding)
      && (plan === "*" || (droplet.plan ?? "") === plan)
      && words.every((word) => droplet.text.includes(word)));
  }

  function compare(one, other) {
    const [a, b] = [one[state.key], other[state.key]];
    if (a === null || b === null) return (a === null) - (b === null);
    /* A window is stored as minutes before now: the later, the smaller. */
    const order = typeof a === "string" ? collator.compare(a, b) : state.key === "windowStart" ? b - a : a - b;
    return state.down ? -order : order;
  }

  const worstFirst = (one, other) => other.finding - one.finding || (other.age ?? 0) - (one.age ?? 0) || one.id - other.id;

  /* The table. Text only ever becomes text. */

  function element(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function cell(tag, className, main, minor, title) {
    const made = element(tag, className);
    const first = element("div");
    first.append(main);
    made.append(first, element("div", "minor", minor ?? ""));
    if (title) made.title = title;
    return made;
  }

  function badge(finding) {
    const made = element("span", `badge ${findings[finding]}`);
    const sign = element("span", "", signs[finding]);
    sign.setAttribute("aria-hidden", "true");
    made.append(sign, ` ${labels[finding]}`);
    return made;
  }

  function windowCell({ windowStart, windowEnd }) {
    if (windowStart === null) return cell("td", "right", "–");
    const end = windowEnd === null ? "" : `–${stamp(windowEnd).slice(11)}`;
    return cell("td", "right", date.format(at(windowStart)), stamp(windowStart).slice(11) + end);
  }

  function tableRow(droplet) {
    const row = element("tr");
    const { age, retention, promised } = droplet;
    const minor = droplet.name === null ? droplet.backupName : String(droplet.id);
    const name = cell("th", "", droplet.title, minor, [droplet.title, minor].filter(Boolean).join("\n"));
    name.scope = "row";
    row.append(
      name,
      cell("td", "wrap", badge(droplet.finding), droplet.reason, droplet.reason),
      cell("td", "", droplet.plan ?? "–", retention === null ? "" : `kept ${retention} d`, droplet.plan),
      cell("td", "right", age === null ? "–" : duration(age), age === null ? "" : stamp(age).slice(0, 10)),
      cell("td", "right", number.format(droplet.count), promised === null ? "" : `at least ${promised}`),
      cell("td", "right", number.format(droplet.gigabytes)),
      windowCell(droplet),
    );
    return row;
  }

  /* The picture: each row against its policy. */

  function covered(droplet) {
    /* Where the newest backup was recent enough, as [from, to] in minutes before now. */
    const spans = [];
    for (const made of droplet.times) {
      const last = spans.at(-1);
      if (last && made >= last[1]) last[1] = Math.min(last[1], made - droplet.allowed);
      else spans.push([made, made - droplet.allowed]);
    }
    return spans;
  }

  function gaps(spans) {
    return spans.map(([, end], i) => [end, Math.max(0, spans[i + 1]?.[0] ?? 0)]).filter(([from, to]) => from > to);
  }

  function bars(name, spans, style) {
    return {
      type: "bar", orientation: "h", name, hoverinfo: "skip", ...style,
      base: spans.map(([, from]) => at(from)),
      x: spans.map(([, from, to]) => (from - to) * 60000),
      y: spans.map(([row]) => row),
    };
  }

  const notes = { never: "no backup", disabled: "disabled", error: "not known" };

  function marks(shown) {
    const found = { lanes: [], covered: [], gaps: [], windows: [], backups: [], notes: [] };
    shown.forEach((droplet, row) => {
      const enabled = findings[droplet.finding] !== "disabled";
      if (enabled && droplet.retention) found.lanes.push([row, droplet.retention * DAY, 0]);
      if (enabled && droplet.allowed !== null) {
        const spans = covered(droplet);
        found.covered.push(...spans.map((span) => [row, ...span]));
        found.gaps.push(...gaps(spans).map((span) => [row, ...span]));
      }
      if (droplet.windowStart !== null && droplet.windowEnd !== null) found.windows.push([row, droplet.windowStart, droplet.windowEnd]);
      found.backups.push(...droplet.times.map((made) => [row, made, enabled]));
      if (!droplet.times.length || !enabled) found.notes.push([row, notes[findings[droplet.finding]]]);
    });
    return found;
  }

  function traces(found, color) {
    const hover = { font: { color: color("--card") }, bgcolor: color("--ink"), bordercolor: color("--ink") };
    return [
      bars("retention", found.lanes, { width: .62, marker: { color: color("--lane") } }),
      bars("covered", found.covered, { width: .62, marker: { color: color("--covered") } }),
      bars("gap", found.gaps, {
        width: .62, hoverinfo: "text", hoverlabel: hover,
        hovertext: found.gaps.map(([, from, to]) => `gap of ${duration(from - to)}`),
        marker: { color: color("--gap"), pattern: { shape: "/", size: 7, solidity: .25, fgcolor: color("--card"), fillmode: "overlay", bgcolor: color("--gap") } },
      }),
      bars("window", found.windows, {
        width: .5, marker: { color: "rgba(0,0,0,0)", line: { color: color("--window"), width: 1.5 } },
      }),
      {
        type: "scatter", mode: "markers", name: "backup", hoverlabel: hover,
        x: found.backups.map(([, made]) => at(made)), y: found.backups.map(([row]) => row),
        hovertemplate: "%{x|%a %Y-%m-%d %H:%M} UTC<extra></extra>",
        marker: {
          size: 7, color: color("--ink"), opacity: .9, line: { width: 0 },
          symbol: found.backups.map(([, , enabled]) => (enabled ? "circle" : "circle-open")),
        },
      },
      {
        type: "scatter", mode: "text", name: "note", hoverinfo: "skip", cliponaxis: true,
        x: found.notes.map(() => at(0)), y: found.notes.map(([row]) => row),
        text: found.notes.map(([, text]) => `${text}\u2002`), textposition: "middle left",
        textfont: { color: color("--soft"), size: 12 },
      },
    ];
  }

  function days(shown) {
    const asked = Number(get("range").value);
    if (asked) return asked;
    return Math.max(7, ...shown.map((droplet) => Math.ceil((droplet.times[0] ?? 0) / DAY) + 1));
  }

  /* What plotly draws may have tags in it: a name has none. */
  const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");

  function layout(shown, color) {
    const span = days(shown) * DAY, wide = WIDE.matches, pitch = wide ? 60 : 32;
    const labelled = { tickmode: "array", tickvals: shown.map((_, i) => i), ticktext: shown.map((droplet) => escaped(droplet.title)), showgrid: false };
    const ruled = { tickmode: "array", tickvals: shown.map((_, i) => i + .5), showticklabels: false, showgrid: true, gridcolor: color("--line") };
    return {
      height: HEAD + pitch * Math.max(1, shown.length), barmode: "overlay", showlegend: false, dragmode: "zoom", hovermode: "closest", hoverdistance: 8,
      margin: { t: HEAD, b: 0, l: wide ? 0 : 90, r: 0 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: color("--soft") },
      xaxis: { type: "date", side: "top", range: [at(span), at(-span / 4)], gridcolor: color("--line"), zeroline: false, ticks: "", ticklabelstandoff: 5, nticks: 8 },
      yaxis: { range: [Math.max(1, shown.length) - .5, -.5], fixedrange: true, zeroline: false, ticks: "", ...(wide ? ruled : labelled) },
      shapes: [{ type: "line", x0: at(0), x1: at(0), yref: "paper", y0: 0, y1: 1, line: { color: color("--accent"), width: 2 } }],
    };
  }

  function draw(shown) {
    if (!window.Plotly) return;
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    Plotly.react(get("picture"), traces(marks(shown), color), layout(shown, color), { displayModeBar: false, responsive: true, doubleClick: "reset" });
  }

  /* All of it */

  const visible = () => {
    const size = Number(get("size").value);
    return state.shown.slice(state.page * size, (state.page + 1) * size);
  };

  function show() {
    const total = state.shown.length, size = Number(get("size").value), pages = Math.max(1, Math.ceil(total / size));
    state.page = Math.min(Math.max(0, state.page), pages - 1);
    const part = visible(), first = state.page * size;
    get("rows").replaceChildren(...part.map(tableRow));
    get("status").textContent = total
      ? `Showing ${number.format(first + 1)} to ${number.format(first + part.length)} of ${number.format(total)} Droplets${total < droplets.length ? `, chosen from ${number.format(droplets.length)}` : ""}.`
      : "No Droplet matches.";
    get("page").textContent = `Page ${number.format(state.page + 1)} of ${number.format(pages)}`;
    get("previous").disabled = state.page === 0;
    get("next").disabled = state.page === pages - 1;
    for (const head of document.querySelectorAll("th[data-key]")) {
      if (head.dataset.key === state.key) head.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
    draw(part);
  }

  function choose() {
    state.shown = chosen().sort((one, other) => compare(one, other) || worstFirst(one, other));
    state.page = 0;
    show();
  }

  function defaultRange() {
    /* Wide enough for the retention of nine Droplets in ten. */
    const retentions = droplets.map((droplet) => droplet.retention ?? 0).sort((a, b) => a - b);
    const usual = retentions[Math.floor(retentions.length * .9)] ?? 0;
    return String([7, 14, 30, 90].find((range) => range >= usual) ?? 90);
  }

  function begin() {
    get("range").value = defaultRange();
    choose();
  }

  function listen() {
    const form = get("controls");
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", (event) => (event.target.id === "range" ? draw(visible()) : choose()));
    get("clear").addEventListener("click", () => { form.reset(); begin(); });
    for (const head of document.querySelectorAll("th[data-key]")) {
      head.firstElementChild.addEventListener("click", () => {
        const again = state.key === head.dataset.key;
        Object.assign(state, { key: head.dataset.key, down: again ? !state.down : head.dataset.key === "finding" || head.dataset.key === "age" });
        choose();
      });
    }
    get("previous").addEventListener("click", () => { state.page -= 1; show(); });
    get("next").addEventListener("click", () => { state.page += 1; show(); });
    get("size").addEventListener("change", choose);
    for (const query of [WIDE, DARK]) query.addEventListener("change", () => draw(visible()));
  }

  async function loadLibrary() {
    const packed = atob(get("library").textContent), bytes = new Uint8Array(packed.length);
    for (let i = 0; i < packed.length; i += 1) bytes[i] = packed.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = element("script", "", await new Response(stream).text());
    document.head.append(script);
  }

  listen();
  begin();
  get("notice").remove();
  loadLibrary().then(() => draw(visible())).catch(() => {
    get("picture").replaceChildren(element("p", "notice", "This browser cannot draw the time lines. The table says the same in words."));
  }).finally(() => { document.body.dataset.ready = "true"; });
})();
