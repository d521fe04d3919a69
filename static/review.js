// The review page where scripts run: single keys, comments on a line without loading the page again, and word
// of what somebody else does meanwhile. Without it lines and answers are links, and keys are the browser's own.
"use strict";

(() => {
  const KEYS_OFF = "countersign-keys-off";
  const TYPED = "countersign-typed";
  const EVERY = 10_000;
  const form = document.getElementById("say")?.form;
  const live = document.querySelector("[data-live-state]");

  // What the comment is on.
  const on = form?.querySelector("[data-on]");
  function about({ subject = "", pointer = "", parent = "" }, words = "") {
    form.elements.subject.value = subject;
    form.elements.pointer.value = pointer;
    form.elements.parent.value = parent;
    on.hidden = !words;
    on.querySelector("[data-on-words]").textContent = words;
    form.elements.comment.focus();
    form.scrollIntoView({ block: "center" });
  }

  document.addEventListener("click", (event) => {
    if (!form || event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    const line = event.target.closest("[data-line]");
    const answer = event.target.closest("[data-answer]");
    if (line) {
      const text = line.closest(".cs-line").querySelector("code").textContent.trim();
      about(line.dataset, on.dataset.lineWords.replace("{line}", () => text));
    } else if (answer) {
      about({ parent: answer.dataset.answer }, on.dataset.answerWords.replace("{who}", () => answer.dataset.who));
    } else if (event.target.closest("[data-on-nothing]")) about({});
    else return;
    event.preventDefault();
  });

  // A link to a thread opens the folds that it is in.
  function reveal() {
    const target = /^#thread-\d+$/.test(window.location.hash) && document.querySelector(window.location.hash);
    if (!target) return;
    for (let fold = target; fold; fold = fold.parentElement?.closest("details")) fold.open = true;
    target.scrollIntoView({ block: "center" });
  }
  window.addEventListener("hashchange", reveal);
  for (const thread of document.querySelectorAll(".cs-diff .cs-thread[open]")) {
    thread.parentElement.closest("details").open = true;
  }
  reveal();

  // Keys.
  const help = document.getElementById("cs-keys");
  const helper = document.querySelector("[data-keys-help]");
  const answers = document.getElementById("cs-keys-on");
  helper.hidden = false;
  helper.addEventListener("click", () => help.showModal());
  answers.checked = !localStorage.getItem(KEYS_OFF);
  answers.addEventListener("change", () => {
    if (answers.checked) localStorage.removeItem(KEYS_OFF);
    else localStorage.setItem(KEYS_OFF, "1");
  });

  function move(by) {
    const lines = [...document.querySelectorAll("[data-line]")];
    if (!lines.length) return;
    const here = lines.indexOf(document.activeElement);
    const next = lines[here < 0 ? 0 : Math.min(Math.max(here + by, 0), lines.length - 1)];
    for (let fold = next.closest("details"); fold; fold = fold.parentElement?.closest("details")) fold.open = true;
    next.focus();
    next.scrollIntoView({ block: "center" });
  }

  const verb = (name) => document.querySelector(`button[name=verb][value=${name}]`);
  const KEYS = {
    a: () => verb("approve")?.focus(),
    r: () => {
      const fold = document.querySelector("[data-reject]")?.closest("details");
      if (!fold) return;
      fold.open = true;
      verb("reject").focus();
    },
    c: () => {
      if (document.activeElement?.matches("[data-line]")) document.activeElement.click();
      else form?.elements.comment.focus();
    },
    j: () => move(1),
    k: () => move(-1),
    n: () => document.querySelector("a[rel=next]")?.click(),
    "?": () => help.showModal(),
  };
  document.addEventListener("keydown", (event) => {
    const field = event.target.closest?.("input:not([type=checkbox]), textarea, select, dialog, [contenteditable]");
    if (event.key === "Escape" && field?.matches("textarea")) field.blur();
    if (field || event.ctrlKey || event.metaKey || event.altKey || !answers.checked || !KEYS[event.key]) return;
    event.preventDefault();
    KEYS[event.key]();
  });

  // What somebody else does meanwhile. What was typed comes along when the page is loaded again.
  const FIELDS = ["subject", "pointer", "parent", "comment"];
  function keepTyped() {
    const texts = { path: window.location.pathname, verdict: document.getElementById("verdict")?.value || "" };
    for (const name of FIELDS) texts[name] = form?.elements[name].value || "";
    texts.words = on?.hidden === false ? on.querySelector("[data-on-words]").textContent : "";
    if (texts.comment || texts.verdict) sessionStorage.setItem(TYPED, JSON.stringify(texts));
  }
  function bringTypedBack() {
    const texts = JSON.parse(sessionStorage.getItem(TYPED) || "null");
    sessionStorage.removeItem(TYPED);
    if (texts?.path !== window.location.pathname) return;
    const verdict = document.getElementById("verdict");
    if (texts.verdict && verdict) verdict.value = texts.verdict;
    // The form for a verdict may be gone; then what was typed there waits as a comment.
    const comment = [texts.comment, verdict ? "" : texts.verdict].filter(Boolean).join("\n\n");
    if (!form || !comment) return;
    for (const name of FIELDS) form.elements[name].value = texts[name];
    form.elements.comment.value = comment;
    on.hidden = !texts.words;
    on.querySelector("[data-on-words]").textContent = texts.words;
  }
  bringTypedBack();
  live.querySelector("[data-reload]").addEventListener("click", (event) => {
    event.preventDefault();
    keepTyped();
    window.location.assign(event.currentTarget.href);
  });

  let known = live.dataset.liveState;
  async function ask() {
    if (document.visibilityState !== "visible") return;
    let answer;
    try {
      answer = await fetch(live.dataset.address, { headers: { "If-None-Match": `"${known}"` }, cache: "no-store" });
    } catch {
      return; // Offline: the next time will tell.
    }
    if (answer.status !== 200 || answer.redirected) return;
    const { state, said } = await answer.json();
    if (state === known) return;
    known = state;
    live.querySelector("[data-said]").textContent = said;
    live.firstElementChild.hidden = false;
  }
  setInterval(ask, EVERY);
  document.addEventListener("visibilitychange", ask);
})();
