// Search or go to: a dialog with what `find/` answers, as a combobox. Without scripts its button is a link there.
"use strict";

(() => {
  const WAIT = 120;
  let timer = 0;
  // The newest question; an answer to an older one is dropped.
  let asked = 0;
  let active = null;
  // Enter was pressed before the answer came: then it is for the first of what that says.
  let goes = false;
  let opener = null;

  const box = () => document.getElementById("cs-palette");
  const field = () => box().querySelector("[role=combobox]");
  const list = () => document.getElementById("cs-palette-list");
  const options = () => [...list().querySelectorAll("[role=option]")];
  const say = (text) => { box().querySelector("[role=status]").textContent = text; };

  function choose(option) {
    if (active) active.setAttribute("aria-selected", "false");
    active = option || null;
    if (active) {
      active.setAttribute("aria-selected", "true");
      active.scrollIntoView({ block: "nearest" });
      field().setAttribute("aria-activedescendant", active.id);
    } else {
      field().removeAttribute("aria-activedescendant");
    }
  }

  function fill(html) {
    const fresh = document.createElement("template");
    fresh.innerHTML = html;
    // On the page these are lists of links; in the dialog they are the options of the field.
    for (const each of fresh.content.querySelectorAll("ul, li")) each.setAttribute("role", "none");
    fresh.content.querySelectorAll("[data-group]").forEach((group, index) => {
      const title = group.querySelector("h2");
      title.id = `cs-palette-group-${index}`;
      group.setAttribute("role", "group");
      group.setAttribute("aria-labelledby", title.id);
    });
    fresh.content.querySelectorAll("[data-option]").forEach((option, index) => {
      option.id = `cs-palette-option-${index}`;
      option.tabIndex = -1;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
    });
    const isEmpty = !fresh.content.querySelector("[role=option]");
    // What says that there is nothing is no option, and does not belong into the list of them.
    box().querySelector("[data-nothing]").replaceChildren(...(isEmpty ? fresh.content.childNodes : []));
    list().replaceChildren(fresh.content);
    list().parentElement.scrollTop = 0;
    const found = options();
    field().setAttribute("aria-expanded", String(found.length > 0));
    choose(found[0]);
    say(found.length ? `${found.length} ${box().dataset.many}` : box().dataset.none);
    if (goes && active) go(active, {});
    goes = false;
  }

  async function ask() {
    const mine = ++asked;
    const address = `${box().dataset.find}?q=${encodeURIComponent(field().value)}`;
    let answer;
    try {
      answer = await fetch(address, { headers: { "X-Requested-With": "countersign" } });
    } catch {
      goes = false;
      if (mine === asked) say(box().dataset.failed);
      return;
    }
    // The session ended meanwhile: the page there says so, and comes back.
    if (answer.redirected || !answer.ok) {
      if (mine === asked) window.location.assign(address);
      return;
    }
    const html = await answer.text();
    if (mine === asked && box().open) fill(html);
  }

  function open() {
    if (!box() || box().open || document.querySelector("dialog[open]")) return;
    opener = document.activeElement;
    field().value = "";
    box().showModal();
    field().focus();
    ask();
  }

  function go(option, event) {
    if (option.dataset.fill) {
      field().value = option.dataset.fill;
      field().focus();
      ask();
      return;
    }
    if (event.metaKey || event.ctrlKey) window.open(option.href, "_blank", "noopener");
    else window.location.assign(option.href);
    box().close();
  }

  function move(event) {
    const found = options();
    const at = found.indexOf(active);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + 8, PageUp: at - 8 }[event.key];
    if (to === undefined || !found.length) return false;
    const step = event.key.startsWith("Arrow");
    choose(found[step ? (to + found.length) % found.length : Math.max(0, Math.min(to, found.length - 1))]);
    return true;
  }

  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
      if (!box()) return;
      event.preventDefault();
      if (box().open) box().close();
      else open();
      return;
    }
    if (!box()?.open || event.isComposing) return;
    if (move(event)) {
      event.preventDefault();
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (active) go(active, event);
      else goes = true;
    }
  });

  document.addEventListener("input", (event) => {
    if (!box() || event.target !== field()) return;
    // What is chosen belongs to what was typed before: Enter waits for the answer.
    choose(null);
    goes = false;
    asked += 1;
    clearTimeout(timer);
    timer = setTimeout(ask, WAIT);
  });

  document.addEventListener("click", (event) => {
    if (!box()) return;
    const plain = !(event.metaKey || event.ctrlKey || event.shiftKey) && event.button === 0;
    if (event.target.closest("[data-palette]") && plain) {
      event.preventDefault();
      open();
      return;
    }
    if (event.target === box()) box().close();
    const option = event.target.closest("#cs-palette [role=option]");
    if (option?.dataset.fill && plain) {
      event.preventDefault();
      go(option, event);
    }
  });

  document.addEventListener("DOMContentLoaded", () => {
    if (!box()) return;
    const isMac = /Mac|iPhone|iPad/.test(navigator.platform);
    for (const key of document.querySelectorAll("[data-palette] kbd")) {
      if (isMac) key.textContent = "⌘ K";
    }
    document.querySelector("[data-palette]")?.setAttribute("aria-keyshortcuts", isMac ? "Meta+K" : "Control+K");
    box().addEventListener("close", () => {
      clearTimeout(timer);
      asked += 1;
      goes = false;
      list().replaceChildren();
      box().querySelector("[data-nothing]").replaceChildren();
      choose(null);
      field().setAttribute("aria-expanded", "false");
      if (opener?.isConnected) opener.focus();
    });
  });
})();
