// PyHessian's opinion of the sharpness, asked of a running training from the explanation of it.
landscope.crosscheck = (() => {
  const { run, find, setText } = landscope;
  const LOOK_MS = 300;
  let asked = null; // { run, events }: how many answers there were when it was asked
  let refused = "";

  const answers = () => run.data.events.filter(({ kind }) => kind === "cross-check");
  const running = () => ["running", "paused"].includes(run.data.head?.status);
  const words = () => {
    const known = answers(),
      last = known.at(-1);
    if (asked && asked.run === run.data.id && known.length === asked.events)
      return running() ? "Asked; the training answers after its next step." : "The training ended before it answered.";
    if (refused) return refused;
    if (last) return `Step ${landscope.format.whole(last.step)}: ${last.text}`;
    return running() ? "" : "Only a running training can be asked; in Python, backend=\"pyhessian\" does the same.";
  };
  // The drawer is filled by Dash whenever it likes.
  const show = () => {
    const place = find("[data-crosscheck]");
    if (!place) return;
    setText(place, words());
    find('[data-action="cross-check"]').disabled = !running() || words().startsWith("Asked");
  };
  const ask = async () => {
    asked = { run: run.data.id, events: answers().length };
    refused = "";
    show();
    try {
      await landscope.api.send(run.data.id, "cross-check");
    } catch (error) {
      asked = null;
      refused = `It was not asked: ${error.message}`;
    }
    show();
  };
  setInterval(show, LOOK_MS);
  return { ask };
})();
