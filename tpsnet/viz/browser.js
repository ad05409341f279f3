// The page side of RetrievalBrowser (browser.py): asks for tiles and rankings, draws what comes back.

function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

// A tile is a button, so that Tab, Enter and screen readers work without further ado.
function tile(url, label, lines, className) {
  const picture = element("img", { src: url, alt: label, draggable: false });
  const text = lines.map((line) => element("span", { textContent: line }));
  const button = element("button", { type: "button", className: `tps-tile ${className}`, title: label }, picture, ...text);
  button.setAttribute("aria-label", label);
  return button;
}

// Arrow keys walk a grid; only one of its tiles is in the Tab order.
function walk(grid) {
  const tiles = [...grid.querySelectorAll("button")];
  tiles.forEach((button, i) => (button.tabIndex = i === 0 ? 0 : -1));
  grid.onkeydown = (event) => {
    const here = tiles.indexOf(document.activeElement);
    if (here < 0) return;
    const columns = tiles.filter((button) => button.offsetTop === tiles[0].offsetTop).length;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    const next = event.key === "Home" ? 0 : event.key === "End" ? tiles.length - 1 : here + step;
    if (!(next >= 0 && next < tiles.length)) return;
    event.preventDefault();
    event.stopPropagation();
    tiles[here].tabIndex = -1;
    tiles[next].tabIndex = 0;
    tiles[next].focus();
  };
}

function render({ model, el }) {
  const state = { model: model.get("models")[0], order: model.get("orders")[0], page: 0, query: null };
  let urls = { queries: [], ranking: [] };

  const choice = (name, options) => {
    const select = element("select", {}, ...options.map((value) => element("option", { value, textContent: value })));
    select.setAttribute("aria-label", name);
    return select;
  };
  const models = choice("model", model.get("models"));
  const orders = choice("order of the queries", model.get("orders"));
  const back = element("button", { type: "button", textContent: "◀", title: "previous page" });
  const forth = element("button", { type: "button", textContent: "▶", title: "next page" });
  const where = element("span", { className: "tps-where" });
  const queries = element("div", { className: "tps-grid tps-queries" });
  const title = element("div", { className: "tps-title" });
  const results = element("div", { className: "tps-grid tps-results" });
  const status = element("div", { className: "tps-status" });
  status.setAttribute("role", "status"); // read aloud when it changes
  queries.setAttribute("role", "group");
  queries.setAttribute("aria-label", "queries");
  results.setAttribute("role", "group");
  results.setAttribute("aria-label", "ranking");
  const bar = element("div", { className: "tps-bar" }, element("b", { textContent: model.get("heading") }),
    element("label", {}, "model ", models), element("label", {}, "queries ", orders), back, where, forth);
  const root = element("div", { className: "tps-browser" }, bar,
    element("div", { className: "tps-panes" }, queries, element("div", { className: "tps-right" }, title, results)), status);
  el.append(root);

  const fresh = (kind, buffers) => {
    urls[kind].forEach((url) => URL.revokeObjectURL(url));
    urls[kind] = buffers.map((buffer) => URL.createObjectURL(new Blob([buffer], { type: "image/webp" })));
    return urls[kind];
  };
  const ask = (message) => model.send({ model: state.model, ...message });
  const askQueries = () => ask({ kind: "queries", order: state.order, page: state.page });
  const select = (query) => {
    state.query = query;
    [...queries.children].forEach((child) => child.setAttribute("aria-pressed", String(Number(child.dataset.query) === query)));
    ask({ kind: "select", query });
  };

  const drawQueries = (answer, buffers) => {
    const pictures = fresh("queries", buffers);
    state.page = answer.page;
    queries.replaceChildren(...answer.rows.map((row, i) => {
      const verdict = row.rejected ? "no match" : `${row.precision} %`;
      const label = `query ${row.query}: ${row.class}, ${row.rejected ? verdict : `${verdict} of its ranking right`}`;
      const button = tile(pictures[i], label, [row.class, verdict], "tps-query");
      button.dataset.query = row.query;
      button.onclick = () => select(row.query);
      return button;
    }));
    walk(queries);
    const size = answer.rows.length;
    const first = answer.page + 1 < answer.pages ? answer.page * size + 1 : answer.total - size + 1;
    where.textContent = `${first}–${first + size - 1} of ${answer.total}`;
    back.disabled = answer.page === 0;
    forth.disabled = answer.page + 1 === answer.pages;
    const shown = answer.rows.some((row) => row.query === state.query);
    select(shown ? state.query : answer.rows[0].query);
  };

  const drawRanking = (answer, buffers) => {
    if (answer.query !== state.query) return; // a later click has overtaken this answer
    const [own, ...pictures] = fresh("ranking", buffers);
    const hits = answer.rows.filter((row) => row.right).length;
    const found = `${hits} of ${answer.rows.length} right, ${answer.relevant} in the gallery`;
    const note = answer.rejected ? `no match, says the model (else ${found})` : found;
    results.classList.toggle("tps-rejected", answer.rejected);
    title.replaceChildren(element("img", { src: own, alt: `query: ${answer.class}` }),
      element("div", {}, element("b", { textContent: answer.class }), element("div", { textContent: note }),
        element("div", { className: "tps-path", textContent: answer.path, title: answer.path })));
    results.replaceChildren(...answer.rows.map((row, i) => {
      const mark = row.right ? "✓" : "✗";
      const label = `rank ${i + 1}: ${row.class}, ${row.right ? "right" : "wrong"}, similarity ${row.score.toFixed(3)}`;
      const button = tile(pictures[i], label, [`${mark} ${row.score.toFixed(2)}`, row.class], row.right ? "tps-yes" : "tps-no");
      button.dataset.item = row.item;
      return button;
    }));
    walk(results);
    status.textContent = `${state.model}: ${answer.class}, ${note}`;
  };

  const receive = (answer, buffers = []) => {
    if (answer.kind === "queries") drawQueries(answer, buffers);
    else if (answer.kind === "ranking") drawRanking(answer, buffers);
    else if (answer.kind === "error") status.textContent = answer.text;
  };
  model.on("msg:custom", receive);
  models.onchange = () => ((state.model = models.value), askQueries());
  orders.onchange = () => ((state.order = orders.value), (state.page = 0), (state.query = null), askQueries());
  back.onclick = () => (state.page--, askQueries());
  forth.onclick = () => (state.page++, askQueries());
  askQueries();

  return () => {
    model.off("msg:custom", receive);
    Object.values(urls).flat().forEach((url) => URL.revokeObjectURL(url));
  };
}

export default { render };
