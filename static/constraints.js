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

// Whether rows can show them: what they say is the server's to judge, their form is not.
window.areConstraints = (found) =>
  Array.isArray(found) &&
  found.every(
    (each) =>
      each !== null &&
      typeof each === "object" &&
      !Array.isArray(each) &&
      (Array.isArray(each.values) || (each.values === undefined && each.operator !== "in_segment")),
  );

// Of a component that has `known` and `words`.
window.countersignConstraints = {
  ...window.countersignJsonRows,
  problem: null,

  // What the preview says of the document, as one types.
  attend(form) {
    const effect = form.querySelector("[data-effect]");
    new MutationObserver(() => this.listen(effect)).observe(effect, { childList: true });
    this.listen(effect);
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

  emptyConstraint: () => ({ attribute: "", operator: "in", values: [] }),

  // Without the members that writers leave out.
  tidy(constraint) {
    for (const name of ["negate", "missing"]) if (!constraint[name]) delete constraint[name];
  },

  removeConstraint(constraints, index, rule) {
    constraints.splice(index, 1);
    this.focus(`#rule-${rule} [data-add]`);
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
