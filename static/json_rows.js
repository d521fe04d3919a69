// Rows that are drawn from a form's JSON field and written back into it: of rules, of segments and of variants.
"use strict";

// Of a component that says which values `fits(found)` its rows, how to `draw(found)` them, and which `text()` they
// make. What is typed as JSON stays as it was typed until a row changes.
window.countersignJsonRows = {
  broken: false,
  shown: "",

  // `member`: what of the component changes when a row does. `empty`: what an empty field stands for.
  follow(field, member, empty = () => "") {
    const take = () => {
      let found = null;
      try {
        found = JSON.parse(field.value.trim() || empty());
      } catch {
        // The server says where it is wrong.
      }
      this.broken = !this.fits(found);
      if (this.broken) return;
      this.draw(found);
      this.shown = this.text();
    };
    take();
    if (!field.form) return; // whoever may only look
    field.addEventListener("input", (event) => event.isTrusted && take());
    // Brought back after a session that ended.
    field.addEventListener("change", (event) => event.isTrusted || take());
    this.$watch(member, () => {
      const text = this.broken ? this.shown : this.text();
      if (text === this.shown) return;
      this.shown = field.value = text;
      field.dispatchEvent(new Event("input", { bubbles: true }));
    });
    this.guard(field.form);
  },

  // Asks before what was edited is left behind, or what was sent and refused.
  guard(form) {
    const typed = () =>
      JSON.stringify([...new FormData(form)].filter(([name]) => !["csrfmiddlewaretoken", "context", "zone"].includes(name)));
    const opened = form.hasAttribute("data-refused") ? "" : typed();
    let sent = false;
    // On the window, after whoever may stop it: what was not sent is still unsaved.
    window.addEventListener("submit", (event) => {
      if (event.target === form) sent = !event.defaultPrevented;
    });
    window.addEventListener("pageshow", () => (sent = false));
    window.addEventListener("beforeunload", (event) => {
      if (!sent && typed() !== opened) event.preventDefault();
    });
  },

  focus(selector) {
    this.$nextTick(() => document.querySelector(selector)?.focus());
  },
};
