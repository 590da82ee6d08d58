// One panel over all the others, and back.
landscope.enlarge = (() => {
  const { find } = landscope;
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
    const made = landscope.quietButton("enlarge", "enlarge", `Enlarge: ${name}`);
    made.setAttribute("aria-pressed", "false");
    return made;
  };
  ["run", "route"].forEach((event) => landscope.on(event, close));
  return { toggle, close, button };
})();
