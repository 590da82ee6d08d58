// "Is my plot right?": what was verified of a slice, behind one button; what failed and what to mind, in sight.
landscope.checks = (() => {
  const { element, find, setText } = landscope;
  const OUTCOMES = { pass: "passed", fail: "failed", note: "note" };
  const WIDTH = 420; // pixels, of the open list
  let button = null,
    list = null,
    drawn = "";

  const mount = () => {
    list = element("div", {
      id: "checks",
      className: "checks",
      popover: "auto",
      role: "group",
      "aria-label": "Checks of this picture",
    });
    button = element("button", { type: "button", className: "button quiet check-button", popovertarget: "checks" });
    button.hidden = true;
    find("[data-checks]").append(button, list);
    list.addEventListener("beforetoggle", () => {
      const box = button.getBoundingClientRect();
      list.style.top = `${box.bottom + 4}px`;
      list.style.left = `${Math.max(Math.min(box.left, window.innerWidth - WIDTH - 8), 8)}px`;
      list.style.width = `${WIDTH}px`;
    });
  };

  // Of one slice, or of several, whose planes are named then.
  const show = (slices) => {
    if (!button) return;
    const checks = slices.flatMap(({ plane, checks: own }) =>
      (own || []).map(([name, ...rest]) => [slices.length > 1 ? `${plane}: ${name}` : name, ...rest]),
    );
    const judged = checks.filter(([, outcome]) => outcome !== "note");
    button.hidden = !checks.length;
    if (!checks.length && list.matches(":popover-open")) list.hidePopover();
    const failed = judged.filter(([, outcome]) => outcome !== "pass").length;
    button.classList.toggle("failed", failed > 0);
    const words = judged.length ? `checks ${judged.length - failed}/${judged.length}` : "notes";
    setText(button, words);
    button.title = failed ? `${failed} of ${judged.length} checks failed` : "What was verified of this picture";
    button.setAttribute("aria-label", `Self-check: ${words}`);
    const key = JSON.stringify(checks);
    if (key === drawn) return;
    drawn = key;
    list.replaceChildren(
      element("h3", { text: "Is this picture right?" }),
      element(
        "ul",
        {},
        checks.map(([name, outcome, text]) =>
          element("li", { className: `check check-${outcome in OUTCOMES ? outcome : "fail"}` }, [
            element("span", { className: "outcome", text: OUTCOMES[outcome] || String(outcome) }),
            element("span", { className: "check-name", text: name }),
            element("span", { className: "check-text", text }),
          ]),
        ),
      ),
    );
  };
  const failures = (measurement) =>
    (measurement?.checks || [])
      .filter(([, outcome]) => outcome !== "pass" && outcome !== "note")
      .map(([name, , text]) => `check failed: ${name}: ${text}`)
      .join(" · ");
  // What one must know to read the picture at all, in a few words on it; the rest is in the list.
  const caution = (slice) =>
    slice?.plane === "random" && (slice.checks || []).some(([name]) => name === "batch norm")
      ? "batch norm: on a random plane, flat or sharp may be a matter of scale alone"
      : "";
  return { mount, show, failures, caution };
})();
