"use strict";
// Shows the position that was chosen: by a click on a move or the graph, a button, an arrow key, or the address (#12).
const plies = JSON.parse(document.getElementById("plies").textContent);
const find = (selector) => document.querySelector(selector);
const svg = (name, attributes) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const key in attributes) element.setAttribute(key, attributes[key]);
  return element;
};
const names = { p: "pawn", n: "knight", b: "bishop", r: "rook", q: "queen", k: "king" };
const corner = (square) => [15 + 45 * (square.charCodeAt(0) - 97), 15 + 45 * (8 - square[1])];
let now = 0;

function show(ply) {
  now = Math.max(0, Math.min(plies.length - 1, ply));
  const { board, from_to, best, wdl, told } = plies[now];
  const pieces = find("#pieces");
  pieces.replaceChildren();
  board.split("/").forEach((row, rank) => {
    let file = 0;
    for (const letter of row) {
      if (letter >= "1" && letter <= "8") { file += +letter; continue; }
      const color = letter < "a" ? "white" : "black";
      pieces.append(svg("use", { href: `#${color}-${names[letter.toLowerCase()]}`, transform: `translate(${15 + 45 * file++}, ${15 + 45 * rank})` }));
    }
  });
  if (best) {
    const [[x1, y1], [x2, y2]] = [corner(best.slice(0, 2)), corner(best.slice(2, 4))];
    pieces.append(svg("line", { x1: x1 + 22.5, y1: y1 + 22.5, x2: x2 + 22.5, y2: y2 + 22.5, stroke: "#15781b", "stroke-opacity": .6,
      "stroke-width": 7, "marker-end": "url(#head)" }));
  }
  document.querySelectorAll(".board .on").forEach((square) => square.classList.remove("on"));
  if (from_to) for (const square of [from_to.slice(0, 2), from_to.slice(2, 4)]) find(`.square.${square}`).classList.add("on");
  ["win", "draw", "loss"].forEach((name, i) => {
    const part = find(`.bar .${name}`);
    part.style.flexGrow = wdl[i];
    part.textContent = wdl[i] > .08 ? `${Math.round(100 * wdl[i])} %` : "";
  });
  find(".told").replaceChildren(...told.map((text) => Object.assign(document.createElement("p"), { textContent: text })));
  const x = plies.length > 1 ? now / (plies.length - 1) * 100 : 50;
  find("#now").setAttribute("x1", x);
  find("#now").setAttribute("x2", x);
  document.querySelectorAll(".moves [aria-current]").forEach((move) => move.removeAttribute("aria-current"));
  const move = find(`.moves a[href="#${now}"]`), list = find(".moves");
  if (move) {
    move.setAttribute("aria-current", "true");
    if (list.scrollHeight > list.clientHeight) list.scrollTop = move.offsetTop - list.offsetTop - list.clientHeight / 2;
  }
  document.body.dataset.ply = now;
}

function go(ply) {
  show(ply);
  history.replaceState(null, "", `#${now}`);
}

const ways = { first: () => 0, back: () => now - 1, on: () => now + 1, last: () => plies.length - 1 };
const keys = { ArrowLeft: "back", ArrowRight: "on", Home: "first", End: "last" };
document.addEventListener("keydown", (event) => {
  const way = ways[keys[event.key]];
  if (!way || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  go(way());
});
document.querySelectorAll(".steps button").forEach((button) => button.addEventListener("click", () => go(ways[button.dataset.way]())));
find(".moves").addEventListener("click", (event) => {
  const move = event.target.closest("a");
  if (!move) return;
  event.preventDefault();
  go(+move.hash.slice(1));
});
find(".graph").addEventListener("click", (event) => {
  const box = find(".graph svg").getBoundingClientRect();
  go(Math.round((event.clientX - box.left) / box.width * (plies.length - 1)));
});
window.addEventListener("hashchange", () => show(+location.hash.slice(1) || 0));
show(+location.hash.slice(1) || 0);
