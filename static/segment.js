// A segment's rules as rows, written into the form's JSON field.
"use strict";

document.addEventListener("alpine:init", () => {
  // The rules as they were last read or written, so that reading them does not write them.
  let shown = "";
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const areRows = (found) =>
    Array.isArray(found) &&
    found.every((rule) => Array.isArray(rule) && rule.every((each) => each && typeof each === "object"));

  window.Alpine.data("segment", () => ({
    ...window.countersignConstraints,
    known: read("rules-known"),
    words: read("rules-words"),
    rules: [],
    broken: false,

    init() {
      const field = document.getElementById("id_rules");
      this.read(field.value);
      field.addEventListener("input", (event) => event.isTrusted && this.read(field.value));
      this.$watch("rules", () => this.write(field));
      this.attend(field.form);
    },

    read(text) {
      let found = [];
      try {
        found = JSON.parse(text || "[]");
      } catch {
        found = null; // the server says where it is wrong
      }
      this.broken = !areRows(found);
      if (this.broken) return;
      shown = JSON.stringify(found);
      this.rules = found;
    },

    write(field) {
      const whole = JSON.stringify(this.rules);
      if (whole === shown) return; // what was typed as JSON stays as it was typed
      shown = whole;
      const tidy = JSON.parse(whole);
      for (const constraint of tidy.flat()) this.tidy(constraint);
      field.value = tidy.length ? JSON.stringify(tidy, null, 2) : "";
      field.dispatchEvent(new Event("input", { bubbles: true }));
    },

    addRule() {
      this.rules = [...this.rules, [this.emptyConstraint()]];
      this.focus(`#rule-${this.rules.length - 1} [data-attribute]`);
    },

    removeRule(index) {
      this.rules.splice(index, 1);
      this.focus(this.rules.length ? `#rule-${Math.min(index, this.rules.length - 1)} button` : "#add-rule");
    },

    addConstraint(index) {
      this.rules[index].push(this.emptyConstraint());
      this.focus(`#rule-${index} li:last-child [data-attribute]`);
    },
  }));
});
