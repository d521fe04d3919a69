// The list of flags where scripts run: results as one types, many ticked at once, and single keys.
// Without it the same form is sent with a button, and boxes are ticked one by one.
"use strict";

(() => {
  const HEADERS = { "X-Requested-With": "countersign" };
  const PARTS = ["facets", "chips", "results"];
  const KEYS_OFF = "countersign-keys-off";
  const root = document.querySelector("[data-flags]");
  const form = root.querySelector("form[data-live]");
  let asking = 0;
  let timer = 0;
  let lastTicked = null;

  const part = (within, name) => within.querySelector(`[data-part="${name}"]`);
  const rows = () => [...root.querySelectorAll("[data-row]")];
  const boxes = () => [...root.querySelectorAll("input[name=flag]")];

  function query() {
    const asked = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value) asked.append(name, value);
    return asked.toString();
  }

  async function refresh() {
    const mine = ++asking;
    const address = `${window.location.pathname}?${query()}`;
    part(root, "results").setAttribute("aria-busy", "true");
    let answer;
    try {
      answer = await fetch(address, { headers: HEADERS, cache: "no-store" });
    } catch {
      // Offline: what was found before stays, and the button still sends the form.
      part(root, "results").removeAttribute("aria-busy");
      return;
    }
    if (mine !== asking) return;
    if (!answer.ok || answer.redirected) {
      window.location.assign(address);
      return;
    }
    const fresh = document.createElement("template");
    fresh.innerHTML = await answer.text();
    if (mine !== asking) return;
    const open = [...root.querySelectorAll("details[data-facet][open]")].map((each) => each.dataset.facet);
    const focused = document.activeElement?.id;
    for (const name of PARTS) {
      const found = part(fresh.content, name);
      if (found) part(root, name).replaceChildren(...found.childNodes);
    }
    part(root, "results").removeAttribute("aria-busy");
    for (const each of root.querySelectorAll("details[data-facet]")) each.open = open.includes(each.dataset.facet);
    if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus();
    window.history.replaceState(null, "", address);
    prepare();
  }

  function ticked() {
    const chosen = boxes().filter((box) => box.checked).length;
    const words = root.querySelector("[data-selected]");
    if (!words) return;
    words.textContent = words.dataset.words.replace("{n}", chosen).replace("{all}", boxes().length);
    const all = root.querySelector("[data-select-page]");
    all.checked = chosen > 0 && chosen === boxes().length;
    all.indeterminate = chosen > 0 && chosen < boxes().length;
    root.querySelector("[data-bulk]").classList.toggle("cs-idle", chosen === 0);
    for (const row of rows()) row.classList.toggle("cs-ticked", Boolean(row.querySelector("input[name=flag]")?.checked));
  }

  function prepare() {
    const all = root.querySelector("[data-select-page]");
    if (all) all.hidden = false;
    const what = root.querySelector("select[name=what]");
    if (what) root.querySelector("[data-tag]").hidden = what.value !== "tag";
    lastTicked = null;
    ticked();
  }

  form.addEventListener("input", (event) => {
    clearTimeout(timer);
    timer = setTimeout(refresh, event.target.type === "search" ? 200 : 0);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    refresh();
  });

  root.addEventListener("change", (event) => {
    const field = event.target;
    if (field.matches("[data-select-page]")) for (const box of boxes()) box.checked = field.checked;
    if (field.matches("select[name=what]")) root.querySelector("[data-tag]").hidden = field.value !== "tag";
    if (field.matches("input[name=flag], [data-select-page]")) ticked();
  });
  // Shift ticks everything between two boxes.
  root.addEventListener("click", (event) => {
    const box = event.target;
    if (!box.matches("input[name=flag]")) return;
    const all = boxes();
    if (event.shiftKey && lastTicked && all.includes(lastTicked)) {
      const [from, to] = [all.indexOf(lastTicked), all.indexOf(box)].sort((one, other) => one - other);
      for (const each of all.slice(from, to + 1)) each.checked = box.checked;
      ticked();
    }
    lastTicked = box;
  });

  // One popover at a time, and none when one looks elsewhere.
  document.addEventListener("click", (event) => {
    for (const each of document.querySelectorAll(".cs-popover[open]")) {
      if (!each.contains(event.target) && document.contains(event.target)) each.open = false;
    }
  });

  const help = document.getElementById("cs-keys");
  const helper = root.querySelector("[data-keys-help]");
  const answers = document.getElementById("cs-keys-on");
  helper.hidden = false;
  helper.addEventListener("click", () => help.showModal());
  answers.checked = !localStorage.getItem(KEYS_OFF);
  answers.addEventListener("change", () => {
    if (answers.checked) localStorage.removeItem(KEYS_OFF);
    else localStorage.setItem(KEYS_OFF, "1");
  });

  function move(by) {
    const all = rows();
    const here = all.findIndex((row) => row.contains(document.activeElement));
    const next = all[Math.min(Math.max(here + by, 0), all.length - 1)];
    next?.querySelector(".cs-flag-name > a")?.focus();
    next?.scrollIntoView({ block: "nearest" });
  }

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      const open = event.target.closest?.(".cs-popover[open]");
      if (open) {
        open.open = false;
        open.querySelector("summary").focus();
      }
      return;
    }
    const isTyping = event.target.closest?.("input:not([type=checkbox]), textarea, select, dialog, [contenteditable]");
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || !answers.checked) return;
    const row = event.target.closest?.("[data-row]");
    if (event.key === "/") document.getElementById("flag-search").focus();
    else if (event.key === "?") help.showModal();
    else if (event.key === "j" || (row && event.key === "ArrowDown")) move(1);
    else if (event.key === "k" || (row && event.key === "ArrowUp")) move(-1);
    else if (event.key === "x" && row) row.querySelector("input[name=flag]")?.click();
    else return;
    event.preventDefault();
  });

  prepare();
})();
