// The page side of HoverMap (hover_map.py): points on a 2-D canvas, a card for the hovered one.

const PICK = 14; // px: how near the pointer must be
const DWELL = 125; // ms: how long it must stay, so that the card does not flicker
const WIDTH = 680, HEIGHT = 500, EDGE = 16;
const BAR = "display:flex;flex-wrap:wrap;gap:14px;align-items:center;margin-bottom:6px";
const CARD = "position:absolute;display:none;pointer-events:none;background:#fff;border:1px solid #999;border-radius:6px;" +
  "padding:5px;text-align:center;font-size:12px;width:106px;box-shadow:0 1px 6px #0003";

function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function choice(name, options, change) {
  const select = element("select", { onchange: () => change(select.value) },
    ...options.map((value) => element("option", { value, textContent: value })));
  return element("label", {}, `${name} `, select);
}

// Coordinates into the canvas, shape kept, y upwards.
function fit(flat) {
  let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let i = 0; i < flat.length; i += 2) {
    x0 = Math.min(x0, flat[i]); x1 = Math.max(x1, flat[i]);
    y0 = Math.min(y0, flat[i + 1]); y1 = Math.max(y1, flat[i + 1]);
  }
  const scale = Math.min((WIDTH - 2 * EDGE) / (x1 - x0 || 1), (HEIGHT - 2 * EDGE) / (y1 - y0 || 1));
  const place = new Float32Array(flat.length);
  for (let i = 0; i < flat.length; i += 2) {
    place[i] = WIDTH / 2 + (flat[i] - (x0 + x1) / 2) * scale;
    place[i + 1] = HEIGHT / 2 - (flat[i + 1] - (y0 + y1) / 2) * scale;
  }
  return place;
}

function render({ model, el }) {
  const ratio = window.devicePixelRatio || 1;
  const canvas = element("canvas", { width: WIDTH * ratio, height: HEIGHT * ratio, tabIndex: 0 });
  canvas.style.cssText = `width:${WIDTH}px;height:${HEIGHT}px;border:1px solid #d9d9d9;border-radius:4px;cursor:crosshair`;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", "map of images: arrow keys move to the next point, Enter shows its neighbours");
  const picture = element("img", { alt: "" });
  picture.style.cssText = "width:96px;height:96px;object-fit:contain";
  const caption = element("div");
  const card = element("div", { className: "tps-card" }, picture, caption);
  card.style.cssText = CARD;
  const stage = element("div", {}, canvas, card);
  stage.style.cssText = `position:relative;width:${WIDTH}px`;
  const status = element("div", { textContent: "hover a point for its image, click it for its true neighbours" });
  status.style.cssText = "min-height:1.3em;color:#666";
  status.setAttribute("role", "status");
  const bar = element("div");
  bar.style.cssText = BAR;
  const root = element("div", { className: "tps-map" }, bar, stage, status);
  root.style.cssText = "font:13px/1.35 Helvetica Neue,Arial,sans-serif;color:#222;background:#fff;padding:8px";
  el.append(root);

  let data = null, now = null, colours = "domain", map = null; // `now`: where the points stand on the screen
  let hovered = -1, linked = [], timer = 0;
  const cards = new Map(); // index → what its card shows

  const draw = () => {
    if (!now) return;
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, WIDTH, HEIGHT);
    pen.globalAlpha = 0.75;
    const n = data.domain.length;
    for (let step = 0; step < n; step++) {
      const i = (step * 7919) % n; // a prime's strides: in mixed order, so that no domain hides the other
      pen.fillStyle = colours === "domain" ? data.head.domains[data.domain[i]].colour : data.head.classes[data.label[i]];
      const [x, y] = [now[2 * i], now[2 * i + 1]];
      pen.beginPath(); // by shape too: the first domain round, the others square
      if (data.domain[i] === 0) pen.arc(x, y, 3.2, 0, 7);
      else pen.rect(x - 2.8, y - 2.8, 5.6, 5.6);
      pen.fill();
    }
    pen.globalAlpha = 1;
    pen.lineWidth = 1;
    pen.strokeStyle = "#555";
    for (const i of linked) {
      pen.beginPath();
      pen.moveTo(now[2 * linked.centre], now[2 * linked.centre + 1]);
      pen.lineTo(now[2 * i], now[2 * i + 1]);
      pen.stroke();
      ring(pen, i, 6, "#555", 1.5);
    }
    if (hovered >= 0) ring(pen, hovered, 8, "#000", 2.5);
  };
  const ring = (pen, i, radius, colour, width) => {
    pen.beginPath();
    pen.arc(now[2 * i], now[2 * i + 1], radius, 0, 7);
    pen.lineWidth = width;
    pen.strokeStyle = colour;
    pen.stroke();
  };
  const show = (name) => {
    const goal = data.places[name], from = now || goal, begin = performance.now();
    map = name;
    linked = [];
    hide();
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches || from === goal;
    const step = (time) => {
      const share = still ? 1 : Math.min(1, Math.max(0, (time - begin) / 700));
      const eased = share * share * (3 - 2 * share);
      now = share === 1 ? goal : from.map((value, i) => value + (goal[i] - value) * eased);
      draw();
      if (share < 1 && map === name) requestAnimationFrame(step);
    };
    step(begin);
  };
  const hide = () => {
    clearTimeout(timer);
    hovered = -1;
    card.style.display = "none";
  };
  const hover = (index) => {
    if (index === hovered) return;
    hide();
    hovered = index;
    draw();
    if (index >= 0) timer = setTimeout(() => (cards.has(index) ? open(index) : model.send({ kind: "hover", index })), DWELL);
  };
  const open = (index) => {
    if (index !== hovered) return;
    const { url, text } = cards.get(index), [x, y] = [now[2 * index], now[2 * index + 1]];
    picture.src = url;
    picture.alt = caption.textContent = text;
    if (linked.centre !== index) status.textContent = text;
    card.style.display = "block"; // beside the point, never over it
    card.style.left = `${x < WIDTH / 2 ? x + PICK : x - PICK - card.offsetWidth}px`;
    card.style.top = `${Math.max(0, Math.min(HEIGHT - card.offsetHeight, y - card.offsetHeight / 2))}px`;
  };
  const nearest = (x, y, within, suits = () => true) => {
    let [best, least] = [-1, within * within];
    for (let i = 0; i < data.domain.length; i++) {
      const [dx, dy] = [now[2 * i] - x, now[2 * i + 1] - y], square = dx * dx + dy * dy;
      if (square <= least && suits(dx, dy, i)) [best, least] = [i, square];
    }
    return best;
  };
  const link = (index) => index >= 0 && model.send({ kind: "neighbours", map, index });
  canvas.onmousemove = (event) => data && hover(nearest(event.offsetX, event.offsetY, PICK));
  canvas.onmouseleave = () => (hide(), draw());
  canvas.onclick = (event) => data && link(nearest(event.offsetX, event.offsetY, PICK));
  canvas.onkeydown = (event) => {
    const way = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
    if (!data || !(way || event.key === "Enter")) return;
    event.preventDefault();
    event.stopPropagation();
    if (!way) return link(hovered);
    const [x, y] = hovered < 0 ? [WIDTH / 2, HEIGHT / 2] : [now[2 * hovered], now[2 * hovered + 1]];
    const ahead = (dx, dy, i) => { // within 45° of the arrow
      const along = dx * way[0] + dy * way[1], aside = Math.abs(dx * way[1]) + Math.abs(dy * way[0]);
      return i !== hovered && along > 0 && aside <= along;
    };
    const next = nearest(x, y, WIDTH, ahead);
    if (next >= 0) hover(next);
  };

  const receive = (answer, buffers = []) => {
    if (answer.kind === "points") {
      const raw = buffers.map((b) => (b.buffer ? b.buffer.slice(b.byteOffset, b.byteOffset + b.byteLength) : b));
      const places = Object.fromEntries(answer.maps.map((name, i) => [name, fit(new Float32Array(raw[2 + i]))]));
      data = { head: answer, domain: new Uint8Array(raw[0]), label: new Uint16Array(raw[1]), places };
      const legend = answer.domains.map(({ name, colour }, i) => {
        const key = element("span", { textContent: `${i ? "■" : "●"} ${name}` });
        key.style.color = colour;
        return key;
      });
      bar.replaceChildren(choice("system", answer.maps, show),
        choice("colour by", ["domain", "class"], (value) => ((colours = value), draw())), ...legend);
      show(answer.maps[0]);
    } else if (answer.kind === "hover") {
      const url = URL.createObjectURL(new Blob([buffers[0]], { type: "image/webp" }));
      cards.set(answer.index, { url, text: `${answer.class} (${answer.domain})` });
      open(answer.index);
    } else if (answer.kind === "neighbours") {
      linked = Object.assign(answer.found, { centre: answer.index });
      const same = linked.filter((i) => data.label[i] === data.label[answer.index]).length;
      const across = linked.filter((i) => data.domain[i] !== data.domain[answer.index]).length;
      status.textContent = `its ${linked.length} nearest in the original space: ${same} of its class, ${across} of the other domain`;
      draw();
    } else if (answer.kind === "error") status.textContent = answer.text;
  };
  model.on("msg:custom", receive);
  model.send({ kind: "points" });
  return () => {
    model.off("msg:custom", receive);
    clearTimeout(timer);
    cards.forEach(({ url }) => URL.revokeObjectURL(url));
  };
}

export default { render };
