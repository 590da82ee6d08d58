// What the drawer is asked to explain: a panel in its present view, with what it takes to have the same from Python.
landscope.about = (() => {
  const { view, run, find, panels, setText } = landscope;
  let asked = null,
    times = 0; // asked by the buttons of exhibits

  const question = (subject) => {
    const entry = panels.all.get(subject);
    const options = entry?.shown ? entry.drawer?.options?.(entry.shown.found) : null;
    asked = {
      subject,
      view: entry?.view.name ?? null,
      run: run.data.id,
      step: view.state.step === null ? null : (landscope.exhibits.stepOf(subject) ?? view.state.step),
      frame: entry?.frameName() ?? null,
      like: (entry?.shown && entry.drawer?.like?.(entry.shown.found)) ?? null,
      beside: entry?.drawer?.beside?.() ?? [],
      options: options ?? {},
      selection: (entry?.shown && entry.drawer?.selection?.(entry.shown.found)) ?? null,
    };
    return asked;
  };
  // Panels of the layout are asked about through Dash, exhibits' by this.
  const ask = (button) => {
    times += 1; // what is asked again is answered again
    window.dash_clientside.set_props("asked", { data: { ...question(button.dataset.subject), times } });
  };
  // Where the clipboard is out of reach, as it is over plain HTTP, the code is selected for the user to copy.
  const copy = async (button) => {
    const code = button.closest(".code").querySelector("pre"),
      words = button.querySelector(".button-text");
    try {
      await navigator.clipboard.writeText(code.textContent);
      setText(words, "Copied");
    } catch {
      getSelection().selectAllChildren(code);
      setText(words, "Selected");
    }
    setTimeout(() => setText(words, "Copy"), 2000);
  };
  // While the drawer is open it keeps to the view that is shown, and to what is selected in it.
  landscope.on("view", (changed) => {
    if (asked && [asked.subject, "chosen", "colour", "plane", "asked"].some((key) => changed.has(key)) && find(".about-drawer [role=dialog]"))
      window.dash_clientside.set_props("asked", { data: question(asked.subject) });
  });
  return { question, ask, copy };
})();
