// The rule builder: rows, sliders and lists over one document, which is written into the form's JSON field.
// What the rows do not show stays in the document as it is.
"use strict";

const TOTAL = 100000; // what a split's weights add up to, so that 0.001 % can be said
const TEXT = ["in", "contains", "starts_with", "ends_with"];
const SEMVER = ["semver_eq", "semver_gt", "semver_gte", "semver_lt", "semver_lte", "semver_caret", "semver_tilde"];
const OF_TYPE = {
  string: TEXT,
  number: ["gt", "gte", "lt", "lte", "in"],
  boolean: ["in"],
  version: SEMVER,
  time: ["before", "after"],
  address: ["ip_in"],
  array: ["includes"],
};
const OPERATORS = [...TEXT, "gt", "gte", "lt", "lte", ...SEMVER, "before", "after", "ip_in", "includes", "exists"];
const NUMERIC = ["gt", "gte", "lt", "lte"];

document.addEventListener("alpine:init", () => {
  // The document as it was last read or written, so that reading it does not write it.
  let shown = "";
  const read = (id) => JSON.parse(document.getElementById(id).textContent);

  window.Alpine.data("rules", () => ({
    known: read("rules-known"),
    words: read("rules-words"),
    doc: { default: {} },
    problem: null,
    broken: false,
    dragged: null,
    opened: "",
    said: "",

    init() {
      const field = this.field();
      this.opened = field.value;
      this.read(field.value);
      field.addEventListener("input", (event) => event.isTrusted && this.read(field.value));
      // Brought back after a session that ended.
      field.addEventListener("change", (event) => event.isTrusted || this.read(field.value));
      this.$watch("doc", () => this.write());
      const effect = field.form.querySelector("[data-effect]");
      new MutationObserver(() => this.listen(effect)).observe(effect, { childList: true });
      this.listen(effect);
      let sent = false;
      field.form.addEventListener("submit", () => (sent = true));
      window.addEventListener("beforeunload", (event) => {
        if (!sent && field.value !== this.opened) event.preventDefault();
      });
    },

    field: () => document.getElementById("id_document"),

    // JSON to rows. What is no object cannot be shown as rows: they wait until it is one again.
    read(text) {
      let found = null;
      try {
        found = JSON.parse(text);
      } catch {
        // The server says where it is wrong.
      }
      this.broken = !found || typeof found !== "object" || Array.isArray(found) || typeof found.default !== "object";
      if (this.broken) return;
      shown = JSON.stringify(found);
      this.doc = found;
    },

    // Rows to JSON, without the members that writers leave out.
    write() {
      const whole = JSON.stringify(this.doc);
      if (whole === shown) return; // what was typed as JSON stays as it was typed
      shown = whole;
      const tidy = JSON.parse(whole);
      for (const rule of tidy.rules || []) {
        for (const constraint of rule.constraints || []) {
          for (const name of ["negate", "missing"]) if (!constraint[name]) delete constraint[name];
        }
      }
      for (const name of ["rules", "targets", "regions", "prerequisites"]) {
        if (tidy[name] && !Object.keys(tidy[name]).length) delete tidy[name];
      }
      if (tidy.off === null) delete tidy.off;
      const text = JSON.stringify(tidy, null, 2);
      if (text === this.field().value) return;
      this.field().value = text;
      this.field().dispatchEvent(new Event("input", { bubbles: true }));
    },

    listen(effect) {
      const found = effect.querySelector("[data-problem]");
      this.problem = found && {
        member: found.dataset.problem,
        reason: found.querySelector("[data-reason]").textContent,
      };
    },

    // What is wrong at a member or below it, but not in the rows that show their own.
    at(path, ...except) {
      const member = this.problem?.member ?? "";
      const below = (start) => member === start || member.startsWith(`${start}.`) || member.startsWith(`${start}[`);
      return below(path) && !except.some((part) => below(path + part)) ? this.problem.reason : "";
    },

    get rules() {
      return this.doc.rules || [];
    },

    addRule() {
      const taken = new Set(this.rules.map((rule) => rule.id));
      let number = this.rules.length + 1;
      while (taken.has(`rule-${number}`)) number += 1;
      const constraint = { attribute: "", operator: "in", values: [] };
      const rule = { id: `rule-${number}`, constraints: [constraint], serve: { variant: this.known.variants[0] } };
      this.doc.rules = [...this.rules, rule];
      this.focus(`#rule-${this.rules.length - 1} [data-attribute]`);
    },

    removeRule(index) {
      this.doc.rules.splice(index, 1);
      this.focus(this.rules.length ? `#rule-${Math.min(index, this.rules.length - 1)} [data-id]` : "#add-rule");
    },

    move(from, to, button) {
      if (to < 0 || to >= this.rules.length || from === to || from === null) return;
      const [rule] = this.doc.rules.splice(from, 1);
      this.doc.rules.splice(to, 0, rule);
      this.said = this.words.moved.replace("%s", rule.id).replace("%n", to + 1);
      if (button) this.focus(`#rule-${to} [data-move=${button}]:not(:disabled), #rule-${to} [data-id]`);
    },

    drop(to) {
      this.move(this.dragged, to);
      this.dragged = null;
    },

    focus(selector) {
      this.$nextTick(() => document.querySelector(selector)?.focus());
    },

    addConstraint(rule, index) {
      rule.constraints = [...(rule.constraints || []), { attribute: "", operator: "in", values: [] }];
      this.focus(`#rule-${index} li:last-child [data-attribute]`);
    },

    addSegment(rule) {
      const values = this.known.segments.slice(0, 1);
      rule.constraints = [...(rule.constraints || []), { attribute: "", operator: "in_segment", values }];
    },

    operators(constraint) {
      const type = this.known.attributes[constraint.attribute]?.type;
      const offered = type ? [...OF_TYPE[type], "exists"] : OPERATORS;
      return offered.includes(constraint.operator) ? offered : [...offered, constraint.operator];
    },

    // A known attribute brings its usual operator along, as long as no value was given.
    attributed(constraint) {
      const type = this.known.attributes[constraint.attribute]?.type;
      if (type && !constraint.values?.length && !OF_TYPE[type].includes(constraint.operator)) {
        constraint.operator = OF_TYPE[type][0];
      }
    },

    operated(constraint) {
      if (constraint.operator === "exists") delete constraint.values;
      else this.setValues(constraint, this.lines(constraint));
    },

    lines(constraint) {
      return (constraint.values || []).map(String).join("\n");
    },

    setValues(constraint, text) {
      const type = this.known.attributes[constraint.attribute]?.type;
      const isNumber = NUMERIC.includes(constraint.operator) || (constraint.operator === "in" && type === "number");
      const given = text.split("\n").map((line) => line.replace(/\r$/, "")).filter((line) => line !== "");
      constraint.values = [...new Set(given)].map((line) => {
        if (isNumber && line.trim() !== "" && Number.isFinite(Number(line))) return Number(line);
        if (type === "boolean" && ["true", "false"].includes(line)) return line === "true";
        return line;
      });
    },

    suggested(constraint) {
      const given = new Set(constraint.values || []);
      const values = this.known.attributes[constraint.attribute]?.values || [];
      return values.filter((value) => !given.has(value)).slice(0, 12);
    },

    isSplit: (serve) => Boolean(serve?.split),

    // A split that was there keeps its seed: nobody is dealt anew by looking at it.
    serveAs(owner, member, kind) {
      if (kind === "variant") {
        const first = owner[member]?.split?.weights.find(([name]) => name !== null);
        owner[member] = { variant: first ? first[0] : this.known.variants[0] };
        return;
      }
      const variant = owner[member]?.variant ?? this.known.variants[0];
      const other = this.known.variants.find((name) => name !== variant) ?? variant;
      const weights = [[variant, TOTAL / 2], [other, TOTAL / 2]];
      const split = { by: "targetingKey", seed: this.known.flag, hash: this.known.hash, weights };
      owner[member] = { split };
    },

    total: (split) => split.weights.reduce((sum, [, weight]) => sum + weight, 0),

    percent(split, index) {
      const total = this.total(split);
      return total ? Math.round((split.weights[index][1] * 100000) / total) / 1000 : 0;
    },

    // One slice changes, the others give way from the last to the first: they always add up.
    weigh(split, index, percent) {
      let total = this.total(split);
      if (total !== TOTAL && (total === 0 || TOTAL % total === 0)) {
        for (const slice of split.weights) slice[1] *= total ? TOTAL / total : 1;
        total = TOTAL;
      }
      const share = Math.min(100, Math.max(0, Number(percent) || 0));
      const wanted = split.weights.length > 1 ? Math.round((share * total) / 100) : total;
      const sum = split.weights.reduce((rest, [, weight], other) => (other === index ? rest : rest + weight), 0);
      let excess = wanted + sum - total;
      split.weights[index][1] = wanted;
      for (let other = split.weights.length - 1; other >= 0 && excess !== 0; other -= 1) {
        if (other === index) continue;
        const weight = Math.max(0, split.weights[other][1] - excess);
        excess -= split.weights[other][1] - weight;
        split.weights[other][1] = weight;
      }
    },

    addSlice(split) {
      const used = split.weights.map(([name]) => name);
      split.weights.push([this.known.variants.find((name) => !used.includes(name)) ?? this.known.variants[0], 0]);
    },

    removeSlice(split, index) {
      const [[, weight]] = split.weights.splice(index, 1);
      split.weights[split.weights.length - 1][1] += weight;
    },

    targetsOf(variant) {
      return (this.doc.targets?.[variant] || []).join("\n");
    },

    setTargets(variant, text) {
      const given = text.split("\n").map((line) => line.trim()).filter(Boolean);
      const keys = [...new Set(given)];
      const twice = given.length - keys.length;
      this.said = twice ? this.words.twice.replace("%n", twice) : "";
      const targets = { ...this.doc.targets };
      if (keys.length) targets[variant] = keys;
      else delete targets[variant];
      this.doc.targets = targets;
    },

    countOf(variant) {
      return this.words.keys.replace("%n", (this.doc.targets?.[variant] || []).length);
    },

    regionIsOn(name) {
      return this.doc.regions?.[name] !== false;
    },

    setRegion(name, isOn) {
      const regions = { ...this.doc.regions };
      if (isOn) delete regions[name];
      else regions[name] = false;
      this.doc.regions = regions;
    },
  }));
});
