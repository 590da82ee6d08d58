// The column beside the panels: which of its tabs is open is in the address.
landscope.dock = (() => {
  const { view, find } = landscope;
  const CLOSED = "none";
  let names = [];

  const open = (name) => view.set({ dock: name });
  const toggle = (name) => open(view.state.dock === name ? CLOSED : name);
  const close = () => open(CLOSED);
  const isOpen = (name) => view.state.dock === name;

  const show = () => {
    const chosen = view.state.dock;
    find("#dock").hidden = chosen === CLOSED;
    document.body.classList.toggle("docked", chosen !== CLOSED && view.state.run !== null);
    names.forEach((name) => {
      find(`#dock-${name}`).hidden = name !== chosen;
      find(`#tab-${name}`).setAttribute("aria-selected", String(name === chosen));
      const button = find(`[data-action="${name}"]`);
      button.classList.toggle("on", name === chosen);
      button.setAttribute("aria-expanded", String(name === chosen));
    });
  };
  // Another tab by the arrow keys, as in every list of tabs.
  const walk = (event) => {
    const at = names.indexOf(event.target.dataset?.dock);
    if (at < 0 || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    const next = names[(at + (event.key === "ArrowRight" ? 1 : names.length - 1)) % names.length];
    event.stopPropagation();
    open(next);
    find(`#tab-${next}`).focus();
  };
  const mount = (tabs) => {
    names = tabs;
    find("#dock").addEventListener("keydown", walk);
    find("#dock").addEventListener("click", (event) => {
      const tab = event.target.closest?.("[data-dock]");
      if (tab) open(tab.dataset.dock);
    });
    landscope.on("view", (changed) => {
      if (changed.has("dock")) show();
    });
    landscope.on("route", show);
    show();
  };
  return { mount, open, toggle, close, isOpen };
})();
