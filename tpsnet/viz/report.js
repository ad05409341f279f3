// Maps of a report: points on a canvas, a picture beside the one under the pointer.
for (const map of document.querySelectorAll(".map")) {
  const [canvas, card] = [map.querySelector("canvas"), map.querySelector(".card")];
  const data = JSON.parse(map.querySelector("script").textContent);
  const ratio = window.devicePixelRatio || 1, side = Math.min(640, map.clientWidth), edge = 10;
  Object.assign(canvas, { width: side * ratio, height: side * ratio });
  Object.assign(canvas.style, { width: `${side}px`, height: `${side}px` });
  const spot = (i) => data.points[i].map((v) => edge + v * (side - 2 * edge)), pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.globalAlpha = 0.75;
  for (let step = 0; step < data.points.length; step++) {
    const i = (step * 7919) % data.points.length, [x, y] = spot(i);
    pen.fillStyle = data.colours[i];
    pen.beginPath();
    pen.arc(x, y, 3, 0, 7);
    pen.fill();
  }
  canvas.onmousemove = (event) => {
    let [best, least] = [-1, 14 * 14];
    for (let i = 0; i < data.points.length; i++) {
      const [x, y] = spot(i), square = (x - event.offsetX) ** 2 + (y - event.offsetY) ** 2;
      if (square < least) [best, least] = [i, square];
    }
    card.hidden = best < 0;
    if (best < 0) return;
    const image = document.createElement("img"), [x, y] = spot(best);
    image.src = `data:image/webp;base64,${data.images[best]}`;
    image.alt = "";
    card.replaceChildren(image, document.createTextNode(data.names[best]));
    card.style.left = `${x < side / 2 ? x + 14 : x - 14 - card.offsetWidth}px`;
    card.style.top = `${Math.max(0, Math.min(side - card.offsetHeight, y - card.offsetHeight / 2))}px`;
  };
  canvas.onmouseleave = () => (card.hidden = true);
}
