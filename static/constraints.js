// Rows of constraints, and what the server says of a document as one types: of the rule builder and of segments.
"use strict";

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

// Of a component that has `known` and `words`.
window.countersignConstraints = {
  problem: null,

  // Listens to what the preview says of the document, and asks before what was edited is left behind.
  attend(form) {
    const fields = [...form.querySelectorAll("textarea:not([name=context])")];
    const opened = fields.map((field) => field.value);
    const effect = form.querySelector("[data-effect]");
    new MutationObserver(() => this.listen(effect)).observe(effect, { childList: true });
    this.listen(effect);
    let sent = false;
    form.addEventListener("submit", () => (sent = true));
    window.addEventListener("beforeunload", (event) => {
      if (!sent && fields.some((field, index) => field.value !== opened[index])) event.preventDefault();
    });
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

  focus(selector) {
    this.$nextTick(() => document.querySelector(selector)?.focus());
  },

  emptyConstraint: () => ({ attribute: "", operator: "in", values: [] }),

  // Without the members that writers leave out.
  tidy(constraint) {
    for (const name of ["negate", "missing"]) if (!constraint[name]) delete constraint[name];
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
};
