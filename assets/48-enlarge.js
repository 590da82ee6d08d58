// One panel over all the others, and back.
landscope.enlarge = (() => {
  const { element, find } = landscope;
  const shown = () => find(".panel.enlarged");

  const toggle = (section) => {
    const before = shown();
    before?.classList.remove("enlarged");
    if (section !== before) section?.classList.add("enlarged");
    document.querySelectorAll("[data-action=enlarge]").forEach((button) => {
      const open = button.closest(".panel") === shown();
      button.classList.toggle("on", open);
      button.setAttribute("aria-pressed", String(open));
    });
  };
  const close = () => {
    if (shown()) toggle(null);
  };
  const button = (name) => {
    const picture = element("span", { className: "icon icon-enlarge", "aria-hidden": "true" });
    const made = element("button", { type: "button", className: "button quiet", title: "Enlarge" }, [picture]);
    made.dataset.action = "enlarge";
    made.setAttribute("aria-label", `Enlarge: ${name}`);
    made.setAttribute("aria-pressed", "false");
    return made;
  };
  ["run", "route"].forEach((event) => landscope.on(event, close));
  return { toggle, close, button };
})();
