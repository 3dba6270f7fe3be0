"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const names = data.class_names;
const cards = data.cards;
const PER_PAGE = 24;
const KEY = "mentormix_tf.audit." + data.split_sha256;
const $ = (id) => document.getElementById(id);

let shown = cards.map((_, i) => i);
let page = 0;
let current = 0; // position on the page
let decisions = new Map(); // id -> [decision, class name]
let undoable = [];

function say(text) { $("message").textContent = text; }

// --- Decisions, kept in the browser.

function restore() {
  try {
    decisions = new Map(JSON.parse(localStorage.getItem(KEY) || "[]"));
  } catch (error) {
    say("This browser keeps no decisions for this page: save them before you close it.");
  }
}

function keep() {
  try {
    localStorage.setItem(KEY, JSON.stringify([...decisions]));
  } catch (error) {
    say("This browser keeps no decisions for this page: save them before you close it.");
  }
  $("count").textContent = `${decisions.size.toLocaleString("en")} of ${cards.length.toLocaleString("en")} decided`;
  $("undo").disabled = !undoable.length;
  $("save").disabled = $("clear").disabled = !decisions.size;
}

function decide(card, decision, label) {
  undoable.push([card.id, decisions.get(card.id)]);
  decisions.set(card.id, [decision, label]);
  keep();
}

function relabel(card, label) {
  decide(card, label === names[card.given] ? "keep" : "relabel", label);
}

function undo() {
  if (!undoable.length) return;
  const [id, before] = undoable.pop();
  if (before) decisions.set(id, before); else decisions.delete(id);
  keep();
  const place = shown.findIndex((i) => cards[i].id === id);
  if (place >= 0) { page = Math.floor(place / PER_PAGE); current = place % PER_PAGE; }
  draw();
}

// --- corrections.csv. A spreadsheet would run a cell that begins as a formula does.

function cell(text) {
  const isFormula = /^'*[=+\-@\t\r＝＋－＠]/.test(text) && (text.trim() === "" || isNaN(Number(text)));
  const guarded = isFormula ? "'" + text : text;
  return /[",\r\n]/.test(guarded) ? '"' + guarded.replaceAll('"', '""') + '"' : guarded;
}

function save() {
  const rows = [...decisions].map(([id, [decision, label]]) => [id, decision, label].map(cell).join(","));
  const text = [`# split_sha256=${data.split_sha256}`, "id,decision,label", ...rows, ""].join("\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = "corrections.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  say("");
}

function parse(text) {
  const rows = [[""]];
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i], row = rows[rows.length - 1];
    if (quoted && c === '"' && text[i + 1] === '"') { row[row.length - 1] += '"'; i++; }
    else if (c === '"') quoted = !quoted;
    else if (!quoted && c === ",") row.push("");
    else if (!quoted && c === "\n") rows.push([""]);
    else if (quoted || c !== "\r") row[row.length - 1] += c;
  }
  return rows.map((row) => row.map((text) => (/^'+[=+\-@\t\r＝＋－＠]/.test(text) ? text.slice(1) : text)));
}

function load(text) {
  const rows = parse(text.replace(/^\uFEFF/, ""));
  if (!rows[0][0].includes(data.split_sha256)) return say("These are corrections of other labels: load those that were saved from this page.");
  const known = new Set(cards.map((card) => card.id));
  let count = 0;
  for (const [id, decision, label] of rows.slice(2)) {
    if (!known.has(id) || !["keep", "relabel", "drop"].includes(decision)) continue;
    if (decision === "relabel" && !names.includes(label)) continue;
    undoable.push([id, decisions.get(id)]);
    decisions.set(id, [decision, label || ""]);
    count++;
  }
  keep();
  draw();
  say(`${count} decisions were loaded.`);
}

// --- The gallery.

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function button(text, title, action) {
  const made = element("button", "", text);
  made.type = "button";
  made.title = title;
  made.addEventListener("click", action);
  return made;
}

function picture(index, alt) {
  const made = element("img");
  made.src = data.images[index];
  made.alt = alt;
  made.addEventListener("load", () => { if (made.naturalWidth < 64) made.classList.add("small"); });
  return made;
}

function named(text) {
  const made = element("bdi", "", text);
  made.dir = "auto";
  return made;
}

function drawCard(card, place) {
  const made = element("article", "card");
  made.tabIndex = -1;
  made.addEventListener("click", () => point(place, false));
  made.addEventListener("focusin", () => point(place, false)); // keys decide the card that Tab reached
  const frame = element("div", "picture");
  if (card.image === null) frame.append(element("span", "", "no image: " + card.id));
  else frame.append(picture(card.image, `${card.id}, labeled ${names[card.given]}`));
  const labels = element("div", "labels");
  labels.append(named(names[card.given]), element("span", "arrow", " → "), named(names[card.suggested]));
  const facts = element("div", "facts");
  facts.append(`quality ${card.quality.toFixed(3)} `);
  if (card.is_issue) facts.append(element("b", "", "flagged "));
  facts.append(element("br"), named(card.file || card.id));
  made.append(frame, labels, facts);
  for (const [like, label] of [[card.like_given, card.given], [card.like_suggested, card.suggested]]) {
    if (!like.length || (like === card.like_suggested && card.given === card.suggested)) continue;
    const near = element("div", "near");
    near.append(named(names[label]), ": ", ...like.map((index) => picture(index, "similar " + names[label])));
    made.append(near);
  }
  if (card.why.length) {
    const why = element("details"), table = element("table");
    why.append(element("summary", "", "Why"), table);
    for (const [i, value] of card.why.entries()) {
      if (value === null) continue;
      const row = element("tr");
      row.append(element("td", "", data.why[i]), element("td", "", value.toPrecision(3)));
      table.append(row);
    }
    made.append(why);
  }
  const actions = element("div", "actions");
  const act = (change) => () => { point(place, false); change(); draw(); };
  const [decision, label] = decisions.get(card.id) || [];
  const accept = button(`y ${names[card.suggested]}`, "Accept the suggestion", act(() => relabel(card, names[card.suggested])));
  const keepIt = button(`n ${names[card.given]}`, "Keep the label", act(() => decide(card, "keep", names[card.given])));
  const drop = button("d drop", "Drop the example", act(() => decide(card, "drop", "")));
  const choose = element("select");
  choose.setAttribute("aria-label", "Relabel to");
  choose.append(new Option("another class …", ""));
  const fill = () => { if (choose.options.length === 1) names.forEach((name, i) => choose.append(new Option(i < 9 ? `${i + 1} ${name}` : name, i))); };
  choose.addEventListener("pointerdown", fill);
  choose.addEventListener("focus", fill);
  choose.addEventListener("change", act(() => { if (choose.value !== "") relabel(card, names[choose.value]); }));
  if (decision) {
    made.classList.add("decided");
    const isAccepted = decision === "relabel" && label === names[card.suggested];
    if (decision === "keep") keepIt.classList.add("chosen");
    else if (decision === "drop") drop.classList.add("chosen");
    else if (isAccepted) accept.classList.add("chosen");
    else { choose.options[0].textContent = label; choose.classList.add("chosen"); }
  }
  if (card.given !== card.suggested) actions.append(accept);
  actions.append(keepIt, drop, choose);
  made.append(actions);
  return made;
}

function onPage() { return shown.slice(page * PER_PAGE, (page + 1) * PER_PAGE); }

function draw() {
  const pages = Math.max(1, Math.ceil(shown.length / PER_PAGE));
  page = Math.min(Math.max(page, 0), pages - 1);
  const here = onPage();
  current = Math.min(current, Math.max(here.length - 1, 0));
  const hadFocus = $("cards").contains(document.activeElement);
  $("cards").replaceChildren(...here.map((i, place) => drawCard(cards[i], place)));
  if (!here.length) {
    const why = cards.length ? "No label matches these filters." : "No label is suspicious.";
    $("cards").append(element("p", "empty", why));
  }
  $("page").textContent = `page ${page + 1} of ${pages} · ${shown.length.toLocaleString("en")} labels`;
  $("previous").disabled = page === 0;
  $("next").disabled = page === pages - 1;
  point(current, false);
  if (hadFocus) focusCurrent();
}

// Cards are made anew at each change: without this, Tab would start from the top of the page.
function focusCurrent() {
  const card = $("cards").querySelector(".current");
  if (card) card.focus({ preventScroll: true });
}

function point(place, scrolls) {
  const all = $("cards").querySelectorAll(".card");
  current = Math.min(Math.max(place, 0), all.length - 1);
  all.forEach((card, i) => card.classList.toggle("current", i === current));
  if (scrolls && all[current]) all[current].scrollIntoView({ block: "nearest" });
}

function turn(by) {
  page += by;
  current = 0;
  draw();
}

function step(by) {
  const last = onPage().length - 1;
  if (current + by > last && (page + 1) * PER_PAGE < shown.length) return turn(1);
  if (current + by < 0 && page > 0) { turn(-1); return point(PER_PAGE - 1, true); }
  point(current + by, true);
}

function filter() {
  const given = $("given").value, suggested = $("suggested").value;
  const most = $("quality").value === "" ? 1 : Number($("quality").value);
  const text = $("search").value.trim().toLowerCase();
  shown = cards.map((_, i) => i).filter((i) => {
    const card = cards[i];
    return (given === "" || card.given === Number(given))
      && (suggested === "" || card.suggested === Number(suggested))
      && card.quality <= most
      && (!$("flagged").checked || card.is_issue)
      && (!$("undecided").checked || !decisions.has(card.id))
      && (!text || card.id.toLowerCase().includes(text) || card.file.toLowerCase().includes(text));
  });
  page = current = 0;
  draw();
}

// --- The confusions.

function choosePair(given, suggested) {
  $("given").value = given;
  $("suggested").value = suggested;
  filter();
}

function drawConfusions() {
  const pairs = data.confusions; // [given, suggested, count], the most frequent first
  if (!pairs.length) return $("confusions").append(element("p", "note", "No classes are confused."));
  if (names.length > 30) {
    for (const [given, suggested, count] of pairs.slice(0, 100)) {
      const made = button("", "Show these labels", () => choosePair(given, suggested));
      const text = element("span");
      made.className = "pair";
      text.append(named(names[given]), " → ", named(names[suggested]));
      made.append(text, element("span", "", String(count)));
      $("confusions").append(made);
    }
    return;
  }
  const counts = new Map(pairs.map(([given, suggested, count]) => [given * names.length + suggested, count]));
  const most = pairs[0][2], table = element("table"), head = element("thead"), body = element("tbody"), top = element("tr");
  top.append(element("th"), ...names.map((name) => { const th = element("th"); th.title = name; th.append(named(name)); return th; }));
  head.append(top);
  for (let i = 0; i < names.length; i++) {
    const row = element("tr"), th = element("th");
    th.title = names[i];
    th.append(named(names[i]));
    row.append(th);
    for (let j = 0; j < names.length; j++) {
      const td = element("td"), count = counts.get(i * names.length + j);
      if (count) {
        const made = button(String(count), `${names[i]} → ${names[j]}: ${count}`, () => choosePair(i, j));
        made.style.background = `color-mix(in srgb, var(--flag) ${Math.round(8 + 62 * count / most)}%, transparent)`;
        td.append(made);
      }
      row.append(td);
    }
    body.append(row);
  }
  table.append(head, body);
  $("confusions").append(table);
}

// --- Start.

for (const id of ["given", "suggested"]) {
  $(id).append(new Option("any class", ""), ...names.map((name, i) => new Option(name, i)));
  $(id).addEventListener("change", filter);
}
for (const id of ["quality", "search"]) $(id).addEventListener("input", filter);
for (const id of ["flagged", "undecided"]) $(id).addEventListener("change", filter);
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("everything").addEventListener("click", () => { $("filters").reset(); filter(); });
$("previous").addEventListener("click", () => turn(-1));
$("next").addEventListener("click", () => turn(1));
$("save").addEventListener("click", save);
$("undo").addEventListener("click", undo);
$("load").addEventListener("change", async (event) => {
  const [file] = event.target.files;
  if (file) load(await file.text());
  event.target.value = "";
});
$("clear").addEventListener("click", () => {
  if (!confirm(`Forget all ${decisions.size} decisions?`)) return;
  decisions.clear();
  undoable = [];
  keep();
  draw();
});
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.matches("select, input:not([type=checkbox]):not([type=file])");
  if (event.altKey || isTyping) return;
  const isUndo = event.key === "u" || (event.key === "z" && (event.ctrlKey || event.metaKey));
  if ((event.ctrlKey || event.metaKey) && !isUndo) return;
  const card = cards[onPage()[current]];
  // A key that is held down must not decide one card after the other.
  const decided = (change) => { if (card && !event.repeat) { change(); draw(); step(1); if ($("cards").contains(document.activeElement)) focusCurrent(); } };
  if (isUndo) undo();
  else if (event.key === "ArrowLeft") { if (page > 0) turn(-1); }
  else if (event.key === "ArrowRight") { if ((page + 1) * PER_PAGE < shown.length) turn(1); }
  else if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
  else if (event.key === "y") decided(() => relabel(card, names[card.suggested]));
  else if (event.key === "n") decided(() => decide(card, "keep", names[card.given]));
  else if (event.key === "d") decided(() => decide(card, "drop", ""));
  else if (/^[1-9]$/.test(event.key) && Number(event.key) <= names.length) decided(() => relabel(card, names[Number(event.key) - 1]));
  else return;
  event.preventDefault();
});
restore();
drawConfusions();
keep();
draw();
