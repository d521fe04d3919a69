// A flag's variants as rows of a name and a value, written into the form's JSON field.
"use strict";

document.addEventListener("alpine:init", () => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

  window.Alpine.data("variants", () => ({
    ...window.countersignJsonRows,
    usual: read("variants-usual"),
    words: read("variants-words"),
    type: "boolean",
    rows: [],

    init() {
      const field = this.$root.querySelector("textarea[name=variants]");
      this.type = this.$root.dataset.type;
      const chosen = field.form.elements.type;
      if (chosen) {
        this.type = chosen.value;
        chosen.addEventListener("change", () => this.turnInto(chosen.value));
      }
      this.follow(field, "rows", () => JSON.stringify(this.usual[this.type]));
    },

    fits: (found) => found !== null && typeof found === "object" && !Array.isArray(found),

    draw(found) {
      this.rows = this.rowsOf(found);
    },

    // Also what is wrong: a name that stands twice, a value of another type. The server refuses it by name.
    text() {
      const members = this.rows.map(({ name, text }) => {
        const value = this.parsed(text);
        return `${JSON.stringify(name)}: ${JSON.stringify(value === undefined ? text : value)}`;
      });
      return `{\n  ${members.join(",\n  ")}\n}`;
    },

    rowsOf: (variants) =>
      Object.entries(variants).map(([name, value]) => {
        const text = typeof value === "string" ? value : JSON.stringify(value);
        return { name, text, isLong: text.includes("\n") };
      }),

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
        float: Number.isFinite(value),
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
