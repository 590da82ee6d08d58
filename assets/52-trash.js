// What was thrown away, below the list of runs: each comes back at a press, and is gone for good at two.
landscope.trash = (() => {
  const { find, element, setText, runRows } = landscope;

  const line = (run, { restore, erase }) => {
    const name = run.name || run.id;
    const back = element("button", { type: "button", className: "button", "aria-label": `Restore ${name}` }, [
      element("span", { className: "button-text", text: "Restore" }),
    ]);
    back.addEventListener("click", () => restore(run));
    const words = run.error || [run.id, runRows.when(run.created)].filter(Boolean).join(" · ");
    return element("li", {}, [
      element("b", { text: name }),
      element("span", { className: "words", text: words }),
      back,
      runRows.askingButton("trash", `Delete ${name} for good`, "delete for good?", () => erase(run)),
    ]);
  };
  const show = (runs, acts) => {
    const list = find("#trash-list"),
      key = runs.map(({ id }) => id).join("/");
    find("#runs-trash").hidden = runs.length === 0;
    setText(find("#trash-summary"), `Trash (${runs.length})`);
    if (list.dataset.key === key) return;
    list.dataset.key = key;
    list.replaceChildren(...runs.map((run) => line(run, acts)));
  };
  return { show };
})();
