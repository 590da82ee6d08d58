// The controls of a live training: what the trainer says can be changed, and what was.
landscope.steering = (() => {
  const { run, view, controls, find, setText, element, format } = landscope;
  const CONFIRM_MS = 4000;
  let optimizer = null,
    checkpoints = null,
    stopping = null,
    listed = "",
    following = null; // the ticket of a rewind: its branch is followed

  // A control that cannot be used says why, and can still be reached to hear it.
  const permit = (action, reason, name) =>
    document.querySelectorAll(`[data-action="${action}"]`).forEach((button) => {
      button.setAttribute("aria-disabled", String(Boolean(reason)));
      button.title = reason || name;
      button.dataset.reason = reason;
      if (!button.querySelector(".button-text")) button.setAttribute("aria-label", name);
    });
  const words = (name) => find(`#dock [data-words="${name}"]`);
  const allowed = (action) => {
    const reason = find(`[data-action="${action}"]`).dataset.reason;
    if (reason) refuse(reason);
    return !reason;
  };

  const buttons = () => {
    const paused = controls.paused(),
      pause = find('[data-action="pause"]');
    find("#training").hidden = !controls.live();
    pause.classList.toggle("paused", paused);
    setText(pause.querySelector(".button-text"), paused ? "Resume" : "Pause");
    pause.setAttribute("aria-label", paused ? "Resume training" : "Pause training");
    const says = landscope.steeringWords;
    const busy = controls.asked("pause") || controls.asked("resume");
    const waiting = busy ? "Asked; the training obeys between two steps." : "";
    permit("pause", controls.reasonAgainst("pause") || waiting, paused ? "Lets the training go on." : says.pause.words);
    permit("step", controls.reasonAgainst("step"), `Single step (.): ${says.step.words}`);
    const end = stopping === null ? `Stop training: ${says.stop.words}` : "Stop for good? Once more does it.";
    permit("stop", controls.reasonAgainst("stop"), end);
    find('[data-action="stop"]').classList.toggle("armed", stopping !== null);
  };
  const cursor = () => (view.following() ? Infinity : run.shownStep());
  const checkpoint = () => {
    const kept = controls.state.known?.checkpoints || [];
    const none = kept.length ? "" : "Nothing was kept yet: take a snapshot first.";
    const rewind = controls.reasonAgainst("rewind") || none;
    permit("snapshot", controls.reasonAgainst("snapshot"), "Keep a snapshot");
    permit("rewind", rewind, "Rewind to the chosen step");
    setText(words("snapshot"), controls.ownReason("snapshot") || landscope.steeringWords.snapshot.words);
    const lacking = controls.ownReason("rewind") || (controls.live() ? none : "");
    setText(words("rewind"), lacking || landscope.steeringWords.rewind.words);
    const below = controls.checkpointBelow(cursor());
    const here = rewind || (below === null ? "Nothing was kept at or before the shown step." : "");
    find("#branch-slot").hidden = !controls.live();
    permit("branch", here, `Branch from here: goes on from the kept step ${format.whole(below ?? 0)} as a new run`);
    checkpoints.disabled = Boolean(rewind);
    const key = kept.join();
    if (checkpoints.dataset.key === key) return;
    const chosen = checkpoints.value;
    checkpoints.dataset.key = key;
    checkpoints.replaceChildren(
      ...[...kept].reverse().map((step) => element("option", { value: String(step), text: format.whole(step) })),
    );
    if (kept.map(String).includes(chosen)) checkpoints.value = chosen;
  };
  const optimisers = () => {
    const { known } = controls.state;
    const names = known?.optimizers || [],
      reason = controls.reasonAgainst("optimizer");
    optimizer.row.hidden = !known || (!names.length && !reason);
    const all = known?.optimizer && !names.includes(known.optimizer) ? [known.optimizer, ...names] : names;
    if (optimizer.select.dataset.key !== all.join()) {
      optimizer.select.dataset.key = all.join();
      optimizer.select.replaceChildren(...all.map((name) => element("option", { value: name, text: name })));
    }
    const asked = controls.asked("optimizer");
    optimizer.row.classList.toggle("pending", Boolean(asked));
    optimizer.select.disabled = Boolean(reason);
    optimizer.select.value = asked?.params.name ?? known?.optimizer ?? "";
    setText(optimizer.note, controls.ownReason("optimizer") || landscope.steeringWords.optimizer.words);
  };
  const acts = () => {
    const { acts: done } = controls.state,
      key = `${run.data.id} ${done.length}`;
    words("acts").hidden = done.length > 0;
    if (key === listed) return;
    const list = find("[data-acts]"),
      atEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 4;
    listed = key;
    list.replaceChildren(
      ...done.map((event) => {
        const jump = element("button", { type: "button", className: "act", title: "Show this step" }, [
          element("span", { className: "when", text: `step ${format.whole(event.step)}` }),
          element("span", { text: event.text }),
        ]);
        jump.addEventListener("click", () => landscope.timebar.choose(event.step));
        return element("li", {}, [jump]);
      }),
    );
    if (atEnd) list.scrollTop = list.scrollHeight;
  };
  const sentence = () => {
    const reason = controls.reasonAgainst("knobs");
    if (reason) return reason;
    const at = format.whole(run.data.head.step);
    return controls.paused() ? `Waiting at step ${at}.` : "What is changed here holds from the next step on.";
  };
  const show = () => {
    if (!optimizer || view.state.run === null) return;
    buttons();
    checkpoint();
    if (!landscope.dock.isOpen("control")) return;
    setText(words("training"), sentence());
    landscope.knobs.show(find("[data-knobs] .turned"));
    optimisers();
    acts();
  };

  let hiding = null;
  const refuse = (text) => {
    const place = find("#refusal");
    clearTimeout(hiding);
    setText(place, text);
    place.hidden = false;
    hiding = setTimeout(() => {
      place.hidden = true;
    }, 8000);
  };
  const act = (action, kind, params) => {
    if (allowed(action)) return controls.send(kind, params);
    return null;
  };
  const pause = () => act("pause", controls.paused() ? "resume" : "pause");
  const step = () => {
    if (controls.live()) act("step", "step");
  };
  const stop = () => {
    if (!allowed("stop")) return;
    if (stopping !== null) {
      disarm();
      controls.send("stop");
      return;
    }
    stopping = setTimeout(disarm, CONFIRM_MS);
    refuse("Stop this training for good? Press stop once more within four seconds.");
    show();
  };
  const disarm = () => {
    clearTimeout(stopping);
    stopping = null;
    show();
  };
  // Who asks for a branch wants to see it.
  const branchFrom = async (action, from) => {
    if (!allowed(action)) return;
    const ticket = await controls.send("rewind", { step: from });
    following = ticket.seq === null || ticket.run !== run.data.id ? null : { run: ticket.run, seq: ticket.seq };
    follow();
  };
  const follow = () => {
    if (!following || following.run !== run.data.id) return;
    const branch = controls.state.branches.find(({ data }) => data?.seq === following.seq);
    if (!branch) return;
    following = null;
    view.go(view.addressOf(branch.data.run));
  };
  const rewind = () => branchFrom("rewind", Number(checkpoints.value));
  const branch = () => branchFrom("branch", controls.checkpointBelow(cursor()));

  const mount = (steering) => {
    landscope.steeringWords = steering;
    landscope.knobs.mount(steering);
    checkpoints = element("select", { className: "select", "aria-label": "Kept step to go back to" });
    find("[data-checkpoints]").append(checkpoints);
    const select = element("select", { className: "select", id: "optimizer", "aria-describedby": "optimizer-words" });
    const note = element("p", { className: "words", id: "optimizer-words" });
    const row = element("div", { className: "knob" }, [
      element("label", { for: "optimizer", text: steering.optimizer.label }),
      select,
      note,
    ]);
    optimizer = { row, select, note };
    select.addEventListener("change", () => controls.send("optimizer", { name: select.value }));
    find("[data-knobs]").append(element("div", { className: "turned" }), row);
    show();
  };
  ["data", "head", "controls", "connection", "run", "route"].forEach((event) => landscope.on(event, show));
  landscope.on("data", follow);
  landscope.on("run", (id) => {
    if (following && id !== following.run) following = null; // gone elsewhere, or "latest" has become the branch
  });
  landscope.on("view", (changed) => {
    if (changed.has("step") || changed.has("dock")) show();
  });
  landscope.on("refused", (text) => refuse(`Not done: ${text}`));
  return { mount, permit, pause, step, stop, rewind, branch, refuse, snapshot: () => act("snapshot", "snapshot") };
})();
