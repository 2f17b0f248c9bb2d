// Filters, sorts, copies and opens what stands on the page. It makes no markup: texts are set as texts.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const say = (text) => {
    // A text that is the same again is read out again only if it goes away first.
    byId("said").textContent = "";
    setTimeout(() => { byId("said").textContent = text; }, 50);
  };
  const count = (n, of, what) => (n === of ? `${of} ${what}` : `${n} of ${of} ${what}`);
  const words = (text) => text.toLowerCase().split(/\s+/).filter(Boolean);
  const soon = (run) => {
    let waiting = 0;
    return () => { clearTimeout(waiting); waiting = setTimeout(run, 120); };
  };

  // Findings: filter and sort.
  const list = byId("list");
  const controls = byId("controls");
  if (list) {
    const rows = data.findings.map((finding, place) => {
      const element = byId(finding.id);
      const said = `${element.textContent} ${finding.fingerprint}`.toLowerCase();
      return { ...finding, place, element, said, details: element.firstElementChild };
    });
    const compare = new Intl.Collator("en", { numeric: true }).compare;
    const orders = {
      severity: (a, b) => b.rank - a.rank || a.place - b.place,
      check: (a, b) => compare(a.check, b.check) || a.place - b.place,
      subject: (a, b) => compare(a.subject, b.subject) || compare(a.mailbox, b.mailbox) || a.place - b.place,
    };
    let order = "severity";
    const show = () => {
      const wanted = words(byId("text").value);
      const check = byId("check").value;
      const severities = new Set([...controls.querySelectorAll("[name=severity]:checked")].map((box) => box.value));
      let shown = 0;
      for (const row of rows) {
        const fits = severities.has(row.severity) && (!check || row.check === check) && wanted.every((word) => row.said.includes(word));
        row.element.hidden = !fits;
        shown += fits;
      }
      if (byId("sort").value !== order) {
        order = byId("sort").value;
        list.append(...[...rows].sort(orders[order]).map((row) => row.element));
      }
      byId("nothing").hidden = shown > 0;
      byId("found").textContent = `Showing ${count(shown, rows.length, "findings")}`;
    };
    const opener = byId("open");
    const open = (all) => {
      for (const row of rows) row.details.open = all;
      opener.textContent = all ? "Close all" : "Open all";
    };
    controls.addEventListener("input", soon(show));
    controls.addEventListener("submit", (event) => event.preventDefault());
    controls.addEventListener("reset", () => setTimeout(show));
    opener.addEventListener("click", () => open(opener.textContent === "Open all"));
    controls.hidden = false;
    controls.reset();
    show();
  }

  // Applications: find one by any text of its view.
  const finder = byId("finder");
  const views = [...byId("views").children].map((element) => ({ element, said: element.textContent.toLowerCase() }));
  const find = () => {
    const wanted = words(byId("which").value);
    let shown = 0;
    for (const view of views) {
      const fits = wanted.every((word) => view.said.includes(word));
      view.element.hidden = !fits;
      shown += fits;
    }
    byId("matching").textContent = wanted.length ? `Showing ${count(shown, views.length, "applications")}` : "";
  };
  finder.addEventListener("input", soon(find));
  finder.addEventListener("submit", (event) => event.preventDefault());
  finder.hidden = views.length < 2;
  byId("which").value = "";

  // Copy a command. Where the browser's clipboard is not to be had, an older way.
  const select = (element) => {
    const range = document.createRange();
    range.selectNodeContents(element);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  };
  const copy = async (button) => {
    const code = byId(button.dataset.copy);
    let done = true;
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      select(code);
      done = document.execCommand("copy");
      if (done) getSelection().removeAllRanges();
    }
    button.textContent = done ? "Copied" : "Selected";
    say(done ? "Copied" : "Selected: copy it with the keyboard");
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  };
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  }

  // The matrix: what a cell says in words. By keyboard the same stands in the application's view.
  for (const grid of document.querySelectorAll(".grid")) {
    const reading = grid.querySelector(".reading");
    const idle = "Point at a cell to read its routes here; an application's name leads to all of them.";
    reading.textContent = idle;
    reading.hidden = false;
    let last = null;
    const read = (event) => {
      const cell = event.target.closest("td[data-r]");
      if (!cell || cell === last) return;
      if (last) last.className = last.className.replace(" on", "");
      last = cell;
      cell.className += " on";
      const head = cell.parentElement.firstElementChild.textContent;
      const column = cell.colSpan > 1 ? null : grid.querySelectorAll("thead th")[cell.cellIndex];
      const where = column && column.title ? ` on ${column.title}` : "";
      const routes = cell.dataset.r.split(" ").map((n) => data.readings[n]);
      reading.textContent = `${head}${where}: ${routes.join(" · ")}`;
    };
    grid.addEventListener("pointerover", read);
    grid.addEventListener("click", read);
  }

  // What a link leads to is opened, and shown even where a filter hides it.
  const reveal = () => {
    let target = null;
    try {
      target = byId(decodeURIComponent(location.hash.slice(1)));
    } catch {
      return;
    }
    if (!target) return;
    const details = target.tagName === "DETAILS" ? target : target.querySelector(":scope > details");
    if (!details) return;
    if (target.hidden) (target.closest("#views") ? finder : controls).reset();
    target.hidden = false;
    details.open = true;
    details.firstElementChild.focus({ preventScroll: true });
    target.scrollIntoView({ block: "start" });
  };
  finder.addEventListener("reset", () => setTimeout(find));
  addEventListener("hashchange", reveal);
  document.addEventListener("click", (event) => {
    // The same link again changes no hash.
    const link = event.target.closest("a[href^='#']");
    if (link && link.getAttribute("href") === location.hash) setTimeout(reveal);
  });
  reveal();

  // Paper takes everything: what is closed is opened, and closed again.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const details of closed) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of closed) details.open = false;
  });
})();
