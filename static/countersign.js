// What a page gains where scripts run: forms in a dialog, a live preview, one click that counts once.
// Everything works without it: a switch is a link to a page with the same form.
"use strict";

(() => {
  const HEADERS = { "X-Requested-With": "countersign" };
  let opener = null;
  let previewing = 0;

  const dialog = () => document.getElementById("cs-dialog");

  function fill(html) {
    const body = dialog().querySelector(".cs-dialog-body");
    body.innerHTML = html;
    const title = body.querySelector("#dialog-title");
    if (title) dialog().setAttribute("aria-label", title.textContent);
    offerZone(body);
    dialog().scrollTop = 0;
    const first = body.querySelector("[role=alert], [aria-invalid=true], input:checked, textarea, button");
    if (first) {
      if (first.matches("[role=alert]")) first.tabIndex = -1;
      first.focus();
    }
  }

  // Whether the server can be reached. The browser's word alone does not count: to it a machine without a network is
  // offline, also when it serves itself.
  const AGAIN = 3_000;
  const banner = () => document.querySelector("[data-unreachable]");
  let isUnreachable = false;
  let asking = 0;

  async function reach() {
    clearTimeout(asking);
    try {
      await fetch(banner().dataset.unreachable, { cache: "no-store" });
      isUnreachable = false;
      for (const note of document.querySelectorAll("[data-warned=unreachable]")) note.remove();
    } catch {
      isUnreachable = true;
      asking = setTimeout(reach, AGAIN);
    }
    banner().hidden = !isUnreachable;
    return !isUnreachable;
  }

  async function open(link) {
    link.setAttribute("aria-busy", "true");
    try {
      await fetchInto(link);
    } catch {
      if (await reach()) window.location.assign(link.href);
    } finally {
      link.removeAttribute("aria-busy");
    }
  }

  async function fetchInto(link) {
    const answer = await fetch(link.href, { headers: HEADERS });
    const type = answer.headers.get("Content-Type") || "";
    // A sign-in page, a refusal, a page of its own: go there, where it says so.
    if (answer.redirected || !type.startsWith("text/html") || (!answer.ok && answer.status !== 409)) {
      window.location.assign(link.href);
      return;
    }
    const html = await answer.text();
    // First: opening moves the focus, and what is filled in wants it.
    if (!dialog().open) dialog().showModal();
    fill(html);
  }

  async function send(form, submitter) {
    const data = new FormData(form, submitter);
    let answer;
    try {
      answer = await fetch(form.action, { method: "POST", body: data, headers: HEADERS });
    } catch {
      release(form);
      warn(form, "The server did not answer. Nothing is known to have changed; try again.");
      reach();
      return;
    }
    const place = answer.headers.get("X-Location");
    if (place) {
      if (answer.headers.has("X-Keep-Draft")) keepDraft(form);
      window.location.assign(place);
      if (new URL(place, window.location).href === window.location.href) window.location.reload();
      return;
    }
    if (answer.redirected || answer.status === 403) keepDraft(form);
    if (answer.redirected || ![200, 409, 422].includes(answer.status)) {
      window.location.assign(form.action);
      return;
    }
    fill(await answer.text());
  }

  function warn(form, text, about = "") {
    form.querySelector(":scope > [data-warned]")?.remove();
    const note = document.createElement("p");
    note.className = "cs-error";
    note.setAttribute("role", "alert");
    note.dataset.warned = about;
    note.textContent = text;
    form.prepend(note);
  }

  async function preview(form) {
    const mine = ++previewing;
    const data = new FormData(form);
    data.set("preview", "1");
    let answer;
    try {
      answer = await fetch(form.action, { method: "POST", body: data, headers: HEADERS });
    } catch {
      reach();
      return;
    }
    if (!answer.ok || answer.redirected || mine !== previewing) return;
    const old = form.querySelector("[data-effect]");
    const fresh = document.createElement("template");
    fresh.innerHTML = await answer.text();
    const effect = fresh.content.querySelector("[data-effect]");
    // The same again is not put in: it would be read out again at every pause of whoever types.
    if (old && effect && mine === previewing && old.innerHTML !== effect.innerHTML) {
      const focused = old.contains(document.activeElement) ? document.activeElement.tagName : "";
      // The live region stays; what it says changes.
      old.replaceChildren(...effect.childNodes);
      if (focused === "BUTTON") old.querySelector("button").focus();
    }
  }

  function hold(form, pressed) {
    form.dataset.sent = "1";
    pressed?.setAttribute("aria-busy", "true");
    for (const button of form.querySelectorAll("button[type=submit]")) button.disabled = true;
    // What is downloaded leaves the page as it is.
    if (form.dataset.once === "download") setTimeout(() => release(form), AGAIN);
  }

  function release(form) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("button[type=submit]")) {
      button.disabled = false;
      button.removeAttribute("aria-busy");
    }
  }

  // A time is meant in the zone of whoever types it; UTC stays where scripts do not run.
  function offerZone(root) {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    for (const field of root.querySelectorAll("input[name=zone]")) {
      if (zone && field.value === "UTC") field.value = zone;
    }
  }

  // What was typed outlives a session that ended meanwhile: kept until the next page that is not the
  // sign-in, and put back there if that page has the same form.
  const DRAFT = "countersign-draft";
  // Proofs are the new page's own: approving is of what that page shows.
  const OWN = ["csrfmiddlewaretoken", "digest"];
  const isSecret = (form, name) => OWN.includes(name) || form.elements.namedItem(name)?.type === "password";
  const fieldsOf = (form) => [...new Set([...form.elements].map((field) => field.name))].sort().join();

  function keepDraft(form) {
    const entries = [...new FormData(form)].filter(
      ([name, value]) => !isSecret(form, name) && typeof value === "string",
    );
    const draft = { path: new URL(form.action).pathname, fields: fieldsOf(form), entries };
    try {
      sessionStorage.setItem(DRAFT, JSON.stringify(draft));
    } catch {
      // Storage may be full or forbidden; then nothing is kept.
    }
  }

  // The sign-in says that nothing is lost, where it came in the way of a form.
  function tellKept() {
    const note = document.querySelector("[data-kept]");
    const next = new URLSearchParams(window.location.search).get("next");
    if (!note || !next) return;
    try {
      const path = JSON.parse(sessionStorage.getItem(DRAFT))?.path;
      note.hidden = path !== new URL(next, window.location).pathname;
    } catch {
      // Nothing is kept where storage is forbidden, and nothing is said.
    }
  }

  function bringDraftBack() {
    if (document.querySelector("[data-keep-draft], #login-form")) return;
    let draft = null;
    try {
      draft = JSON.parse(sessionStorage.getItem(DRAFT));
      sessionStorage.removeItem(DRAFT);
    } catch {
      return;
    }
    // Another page, or the answer to the form that was sent: that one knows better.
    const arrived = document.referrer && new URL(document.referrer);
    const wasHeld = arrived && arrived.pathname !== draft?.path;
    if (!draft || draft.path !== window.location.pathname || !wasHeld) return;
    const form = [...document.querySelectorAll("form[data-once]")].find((each) => fieldsOf(each) === draft.fields);
    if (!form) return;
    for (const [name, value] of draft.entries) {
      for (const field of [form.elements.namedItem(name)].flatMap((found) =>
        found instanceof RadioNodeList ? [...found] : found ? [found] : [],
      )) {
        if (field.type === "radio") field.checked = field.value === value;
        else if (field.type === "checkbox") field.checked = true;
        else field.value = value;
        // Rows that are drawn from a field are drawn anew.
        field.dispatchEvent(new Event("change", { bubbles: true }));
        const fold = field.closest("details");
        if (fold && field.type !== "radio" && field.value !== field.defaultValue) fold.open = true;
      }
    }
    warn(form, "What you typed before is back. Look at it, then send it.");
    if (form.matches("[data-preview]")) preview(form);
  }

  document.addEventListener("click", (event) => {
    const closer = event.target.closest("[data-close]");
    if (closer && dialog() && dialog().open && dialog().contains(closer)) {
      event.preventDefault();
      dialog().close();
      return;
    }
    const copier = event.target.closest("[data-copy]");
    if (copier) {
      const field = document.getElementById(copier.dataset.copy);
      field.select();
      if (navigator.clipboard) navigator.clipboard.writeText(field.value);
      copier.textContent = "Copied";
      return;
    }
    const link = event.target.closest("a[data-dialog]");
    if (!link || !dialog() || event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    if (link.ariaBusy) return;
    if (!dialog().contains(link)) opener = link;
    open(link);
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (isUnreachable && form.method === "post") {
      event.preventDefault();
      warn(form, banner().dataset.nothingSent, "unreachable");
      reach();
      return;
    }
    if (!form.matches("form[data-once]")) return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    if (form.matches("[data-dialog-form]") && form.closest("dialog")) {
      event.preventDefault();
      const submitter = event.submitter;
      const sending = send(form, submitter);
      hold(form, submitter);
      sending.catch(() => release(form));
      return;
    }
    keepDraft(form);
    // After the browser has read the form: a disabled button would not be sent.
    setTimeout(() => hold(form, event.submitter), 0);
  });

  let timer = 0;
  document.addEventListener("input", (event) => {
    const form = event.target.closest("form[data-preview]");
    if (!form || event.target.name === "ticket") return;
    clearTimeout(timer);
    timer = setTimeout(() => preview(form), 250);
  });

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
  });

  // A link that is a switch answers to the space bar, as switches do.
  document.addEventListener("keydown", (event) => {
    if (event.key === " " && event.target.matches("a[role=switch]")) {
      event.preventDefault();
      event.target.click();
    }
  });

  document.addEventListener("DOMContentLoaded", () => {
    offerZone(document);
    tellKept();
    bringDraftBack();
    if (banner()) {
      for (const word of ["offline", "online"]) window.addEventListener(word, reach);
      if (!navigator.onLine) reach();
    }
    // Unfold's shell has no main landmark, and no block around what is one.
    document.getElementById("content")?.setAttribute("role", "main");
    const box = dialog();
    if (!box) return;
    box.addEventListener("close", () => {
      box.querySelector(".cs-dialog-body").replaceChildren();
      if (opener) opener.focus();
      opener = null;
    });
    box.addEventListener("click", (event) => {
      if (event.target === box) box.close();
    });
  });

  // What was asked for a moment ago is taken at once; not again when the page is shown again.
  window.addEventListener("load", () => {
    if (location.hash !== "#take") return;
    history.replaceState(null, "", location.pathname);
    document.querySelector("[data-take]")?.click();
  });

  // The back button may show a page as it was left: with its buttons held.
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) release(form);
  });

  // An open switcher closes when one looks elsewhere.
  document.addEventListener("click", (event) => {
    for (const open of document.querySelectorAll(".cs-switcher[open], .cs-account[open]")) {
      if (!open.contains(event.target)) open.open = false;
    }
  });
})();
