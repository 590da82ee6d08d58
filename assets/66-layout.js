// Which panels are shown and in which order: a list that opens from the header, kept in the address.
landscope.layout = (() => {
  const { view, find, element } = landscope;
  let all = [], // names in their usual order
    list = null;

  const section = (name) => find(`#panel-${name}`);
  const titleOf = (name) => find(`#title-${name}`).textContent;
  const shown = () => {
    const chosen = view.state.panels ? view.state.panels.split(",").filter((name) => all.includes(name)) : [];
    return chosen.length ? [...new Set(chosen)] : all;
  };
  const choose = (names) => {
    if (names.length) view.set({ panels: names.join() === all.join() ? "" : names.join() });
  };
  const apply = () => {
    const names = shown();
    all.forEach((name) => {
      section(name).hidden = !names.includes(name);
      section(name).style.order = String(names.indexOf(name));
    });
    find(".panels").classList.toggle("arranged", names !== all);
    if (list) fill();
  };
  const move = (name, by) => {
    const names = [...shown()],
      from = names.indexOf(name),
      to = from + by;
    if (from < 0 || to < 0 || to >= names.length) return;
    names.splice(to, 0, ...names.splice(from, 1));
    choose(names);
    list.querySelector(`[data-moved="${name}"][data-by="${by}"]`)?.focus();
  };
  const row = (name, names) => {
    const box = element("input", { type: "checkbox", id: `shown-${name}` });
    box.checked = names.includes(name);
    box.disabled = box.checked && names.length === 1;
    box.addEventListener("change", () => {
      choose(box.checked ? [...names, name] : names.filter((other) => other !== name));
      list.querySelector(`#shown-${name}`)?.focus();
    });
    const mover = (by, words, sign) => {
      const button = element("button", { type: "button", className: "button quiet", text: sign, title: words });
      button.setAttribute("aria-label", `${words}: ${titleOf(name)}`);
      Object.assign(button.dataset, { moved: name, by: String(by) });
      button.disabled = !box.checked;
      button.addEventListener("click", () => move(name, by));
      return button;
    };
    return element("li", { className: "arrangement" }, [
      box,
      element("label", { for: `shown-${name}`, text: titleOf(name) }),
      mover(-1, "Earlier", "↑"),
      mover(1, "Later", "↓"),
    ]);
  };
  const fill = () => {
    const names = shown();
    const rest = all.filter((name) => !names.includes(name));
    list.replaceChildren(
      element("h3", { text: "Panels" }),
      element(
        "ul",
        {},
        [...names, ...rest].map((name) => row(name, names)),
      ),
    );
  };
  const open = (button) => {
    fill();
    const { left, bottom } = button.getBoundingClientRect();
    Object.assign(list.style, { left: `${Math.min(left, window.innerWidth - 268)}px`, top: `${bottom + 4}px`, width: "260px" });
    list.togglePopover();
  };
  const mount = (definitions) => {
    all = definitions.map(({ name }) => name);
    list = element("div", { id: "arrange", className: "checks", popover: "auto", role: "dialog", "aria-label": "Panels" });
    document.body.append(list);
    document.body.classList.toggle("embedded", view.state.embed === "1");
    apply();
  };
  landscope.on("view", (changed) => {
    if (changed.has("panels")) apply();
  });
  landscope.on("route", apply);
  return { mount, open };
})();
