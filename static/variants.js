// A flag's variants as rows of a name and a value, written into the form's JSON field.
"use strict";

document.addEventListener("alpine:init", () => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

  window.Alpine.data("variants", () => ({
    usual: read("variants-usual"),
    words: read("variants-words"),
    type: "boolean",
    rows: [],
    broken: false,
    // What the field holds, so that reading it does not write it.
    shown: "",

    init() {
      const field = this.$root.querySelector("textarea[name=variants]");
      const type = field.form.elements.type;
      this.type = type?.value ?? this.$root.dataset.type;
      this.read(field.value || JSON.stringify(this.usual[this.type]));
      field.addEventListener("input", (event) => event.isTrusted && this.read(field.value));
      type?.addEventListener("change", () => this.turnInto(type.value));
      this.$watch("rows", () => this.write(field));
    },

    read(text) {
      let found = null;
      try {
        found = JSON.parse(text);
      } catch {
        // The server says where it is wrong.
      }
      this.broken = !found || typeof found !== "object" || Array.isArray(found);
      this.shown = JSON.stringify(found);
      this.rows = this.broken ? [] : this.rowsOf(found);
    },

    rowsOf: (variants) =>
      Object.entries(variants).map(([name, value]) => ({
        name,
        text: typeof value === "string" ? value : JSON.stringify(value),
      })),

    // The value that was typed; undefined where it is none of the type.
    parsed(text) {
      if (this.type === "string") return text;
      let value;
      try {
        value = JSON.parse(text);
      } catch {
        return undefined;
      }
      const isOfType = {
        boolean: typeof value === "boolean",
        integer: Number.isSafeInteger(value),
        float: typeof value === "number",
        object: value !== null && typeof value === "object" && !Array.isArray(value),
      };
      return isOfType[this.type] ? value : undefined;
    },

    // What is wrong with a row, or nothing.
    wrong(row) {
      if (!row.name) return this.words.unnamed;
      if (this.rows.filter((each) => each.name === row.name).length > 1) return this.words.twice;
      return this.parsed(row.text) === undefined ? this.words[this.type] : "";
    },

    write(field) {
      if (this.broken) return;
      if (this.rows.some((row) => this.wrong(row))) return; // the rows say so, and keep the form from being sent
      const found = Object.fromEntries(this.rows.map((row) => [row.name, this.parsed(row.text)]));
      if (JSON.stringify(found) === this.shown) return;
      this.shown = JSON.stringify(found);
      field.value = JSON.stringify(found, null, 2);
      field.dispatchEvent(new Event("input", { bubbles: true }));
    },

    // Another type brings its usual variants along, unless somebody wrote their own.
    turnInto(type) {
      const own = Object.fromEntries(this.rows.map((row) => [row.name, this.parsed(row.text)]));
      const isUsual = same(own, this.usual[this.type]);
      this.type = type;
      if (isUsual) this.rows = this.rowsOf(this.usual[type]);
    },

    add() {
      const text = { boolean: "true", string: "", integer: "0", float: "0", object: "{}" }[this.type];
      this.rows.push({ name: "", text });
      this.$nextTick(() => [...this.$root.querySelectorAll("[data-name]")].at(-1)?.focus());
    },

    remove(index) {
      this.rows.splice(index, 1);
      this.$nextTick(() => this.$root.querySelector("[data-add]").focus());
    },
  }));
});
