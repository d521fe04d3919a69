// A segment's rules as rows.
"use strict";

document.addEventListener("alpine:init", () => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);

  window.Alpine.data("segment", () => ({
    ...window.countersignConstraints,
    known: read("rules-known"),
    words: read("rules-words"),
    rules: [],

    init() {
      const field = document.getElementById("id_rules");
      this.follow(field, "rules", () => "[]");
      this.attend(field.form);
    },

    fits: (found) => Array.isArray(found) && found.every(window.areConstraints),

    draw(found) {
      this.rules = found;
    },

    text() {
      const tidy = JSON.parse(JSON.stringify(this.rules));
      for (const constraint of tidy.flat()) this.tidy(constraint);
      return tidy.length ? JSON.stringify(tidy, null, 2) : "";
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
