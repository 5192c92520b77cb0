"use strict";
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const key = "dfgctl-theme";
  const kept = {
    get() { try { return localStorage.getItem(key); } catch { return null; } },
    set(value) { try { localStorage.setItem(key, value); } catch { /* a page may keep nothing */ } },
  };

  const toggle = document.getElementById("theme");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const show = () => {
    toggle.textContent = dark() ? "Light" : "Dark";
    toggle.setAttribute("aria-label", `Switch to ${dark() ? "light" : "dark"} colours`);
    toggle.setAttribute("aria-pressed", String(dark()));
  };
  if (["light", "dark"].includes(kept.get())) root.dataset.theme = kept.get();
  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    kept.set(root.dataset.theme);
    show();
  });
  system.addEventListener("change", show);
  show();

  const words = new Intl.Collator("en", { numeric: true });
  // An interval is sorted by its lower end: as a text, -2 would come before -4.
  const lower = (text) => /^\[([-+]?[\d.]+),/.exec(text)?.[1];
  const order = (row, i) => {
    const number = Number(row.cells[i].dataset.order ?? lower(row.cells[i].textContent) ?? NaN);
    return Number.isNaN(number) ? null : number;
  };

  for (const table of document.querySelectorAll("figure.table table")) {
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    const first = [...body.rows];
    if (first.length < 2) continue;
    heads.forEach((head, i) => {
      const numeric = first.some((row) => order(row, i) !== null);
      const compare = (a, b) => words.compare(a.cells[i].textContent, b.cells[i].textContent);
      // Rows without a number stay last, whichever way the others go.
      const sorted = (sign) => numeric
        ? [
          ...first.filter((row) => order(row, i) !== null)
            .sort((a, b) => sign * (order(a, i) - order(b, i))),
          ...first.filter((row) => order(row, i) === null),
        ]
        : [...first].sort((a, b) => sign * compare(a, b));
      const ways = numeric ? ["descending", "ascending"] : ["ascending", "descending"];
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const next = ways[ways.indexOf(head.getAttribute("aria-sort")) + 1];
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        if (next) head.setAttribute("aria-sort", next);
        body.append(...(next ? sorted(next === "ascending" ? 1 : -1) : first));
      });
    });
  }

  // What is folded away on a screen is printed, too.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((details) => { details.open = true; });
  });
  addEventListener("afterprint", () => folded.forEach((details) => { details.open = false; }));
})();
