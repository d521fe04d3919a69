// The rule builder: rows, sliders and lists over one document, which is written into the form's JSON field.
// What the rows do not show stays in the document as it is.
"use strict";

const TOTAL = 100000; // what a split's weights add up to, so that 0.001 % can be said

document.addEventListener("alpine:init", () => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);

  window.Alpine.data("rules", () => ({
    ...window.countersignConstraints,
    known: read("rules-known"),
    words: read("rules-words"),
    doc: { default: {} },
    dragged: null,
    said: "",
    // Variants of the project's flags, as far as they were asked for; and the keys that are offered.
    flags: {},
    offered: [],

    init() {
      const field = document.getElementById("id_document");
      this.follow(field, "doc");
      if (field.form) this.attend(field.form);
    },

    fits(found) {
      const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
      const { rules = [], prerequisites = [], targets = {} } = found ?? {};
      const isServed = (serve) => isObject(serve) && (!serve.split || Array.isArray(serve.split.weights));
      return (
        isObject(found) &&
        isServed(found.default) &&
        Array.isArray(rules) &&
        rules.every((rule) => isObject(rule) && isServed(rule.serve ?? {}) && window.areConstraints(rule.constraints ?? [])) &&
        isObject(targets) &&
        Object.values(targets).every(Array.isArray) &&
        Array.isArray(prerequisites) &&
        prerequisites.every((each) => isObject(each) && Array.isArray(each.variants))
      );
    },

    draw(found) {
      this.doc = found;
      for (const { flag } of this.needs) if (!this.flags[flag]) this.look(flag);
    },

    // Without the members that writers leave out.
    text() {
      const tidy = JSON.parse(JSON.stringify(this.doc));
      for (const rule of tidy.rules || []) {
        for (const constraint of rule.constraints || []) this.tidy(constraint);
      }
      for (const name of ["rules", "targets", "regions", "prerequisites"]) {
        if (tidy[name] && !Object.keys(tidy[name]).length) delete tidy[name];
      }
      if (tidy.off === null) delete tidy.off;
      return JSON.stringify(tidy, null, 2);
    },

    get needs() {
      return this.doc.prerequisites || [];
    },

    // Flags of the project whose key holds the text, and their variants.
    async look(text) {
      const answer = await fetch(`${this.known.names}?q=${encodeURIComponent(text)}`).catch(() => null);
      if (!answer?.ok || answer.redirected) return; // then a key can be typed all the same
      const { flags } = await answer.json();
      this.flags = { ...this.flags, ...flags };
      this.offered = Object.keys(flags).filter((key) => key !== this.known.flag);
    },

    // Those that are ticked stand here also where their flag has them no more.
    variantsOf(needed) {
      return [...new Set([...(this.flags[needed.flag] || []), ...needed.variants])];
    },

    async need(needed, key) {
      if (key.trim() === needed.flag) return;
      Object.assign(needed, { flag: key.trim(), variants: [] });
      if (!this.flags[needed.flag]) await this.look(needed.flag);
    },

    addNeed() {
      this.doc.prerequisites = [...this.needs, { flag: "", variants: [] }];
      this.look("");
      this.focus(`#needs-${this.needs.length - 1} input`);
    },

    removeNeed(index) {
      this.doc.prerequisites.splice(index, 1);
      this.focus(this.needs.length ? `#needs-${Math.min(index, this.needs.length - 1)} input` : "#add-need");
    },

    get rules() {
      return this.doc.rules || [];
    },

    addRule() {
      const taken = new Set(this.rules.map((rule) => rule.id));
      let number = this.rules.length + 1;
      while (taken.has(`rule-${number}`)) number += 1;
      const constraints = [this.emptyConstraint()];
      const rule = { id: `rule-${number}`, constraints, serve: { variant: this.known.variants[0] } };
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

    addConstraint(rule, index) {
      rule.constraints = [...(rule.constraints || []), this.emptyConstraint()];
      this.focus(`#rule-${index} li:last-child [data-attribute]`);
    },

    addSegment(rule) {
      const values = this.known.segments.slice(0, 1);
      rule.constraints = [...(rule.constraints || []), { attribute: "", operator: "in_segment", values }];
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
