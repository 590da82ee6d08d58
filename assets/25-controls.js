// What a training can be told: its own newest word on that, what it was asked and has not answered, what it refused.
landscope.controls = (() => {
  const { run } = landscope;
  const GRACE_MS = 3000; // within which a training that obeyed says how it stands now
  const empty = () => ({
    run: null,
    read: 0,
    known: null, // the newest "controls", and its number
    knownAt: 0,
    acts: [],
    branches: [],
    jobs: new Map(), // the newest word of each
    answers: new Map(),
  });
  const state = empty();
  const tickets = new Set(); // { kind, params, run, seq once it is known, answered: the number of the answer, at }
  let readOnly = false,
    lost = false;

  const live = () => Boolean(run.data.head) && ["running", "paused"].includes(run.data.head.status);
  const paused = () => run.data.head?.status === "paused";

  const TAKERS = {
    controls: (event) => Object.assign(state, { known: event.data, knownAt: event.seq }),
    intervention: (event) => {
      state.acts.push(event);
      answer(event);
    },
    // A word that does not say how far it is leaves standing what the one before said.
    job: (event) => {
      const before = state.jobs.get(event.data.job)?.data;
      const [done, left] = ["done", "seconds_left"].map((key) => event.data[key] ?? before?.[key] ?? null);
      state.jobs.set(event.data.job, { ...event, data: { ...event.data, done, seconds_left: left } });
    },
    branch: (event) => state.branches.push(event),
    command: (event) => answer(event),
    refused: (event) => answer(event),
  };
  const answer = (event) => {
    const seq = event.data?.seq;
    if (seq !== undefined && seq !== null && !state.answers.has(seq)) state.answers.set(seq, event);
  };
  const take = () => {
    const { events, id } = run.data;
    if (state.run !== id || events.length < state.read) Object.assign(state, empty(), { run: id });
    for (; state.read < events.length; state.read += 1) TAKERS[events[state.read].kind]?.(events[state.read]);
    settle();
  };
  // A ticket is shown until the training has obeyed and said how it stands since, or has refused.
  const settle = () => {
    [...tickets].forEach((ticket) => {
      if (ticket.run !== run.data.id || (!live() && ticket.seq !== null)) {
        tickets.delete(ticket);
        return;
      }
      const event = ticket.seq === null ? undefined : state.answers.get(ticket.seq);
      if (!event) return;
      if (event.kind === "refused") {
        tickets.delete(ticket);
        landscope.emit("refused", event.text);
      } else if (ticket.kind !== "set" || state.knownAt > event.seq || performance.now() > ticket.until)
        tickets.delete(ticket);
      else ticket.until ??= performance.now() + GRACE_MS;
    });
  };

  // What stands against everything, whatever the run.
  const standing = () => {
    if (readOnly) return "This page may only look: the server was started read-only.";
    return lost ? "The server does not answer." : "";
  };
  // Why something cannot be told now, in words; "" where it can.
  const reasonAgainst = (thing) => {
    if (!run.data.head) return "The run is not known yet.";
    if (standing()) return standing();
    if (!live()) return "The training has ended: there is nothing left to steer.";
    if (!state.known) return ["pause", "stop"].includes(thing) ? "" : "This training has not said what can be changed.";
    return ownReason(thing);
  };
  // What the training itself says against it, beside what stands against all of them.
  const ownReason = (thing) => state.known?.reasons?.[thing] || "";
  const send = async (kind, params = {}) => {
    const ticket = { kind, params, run: run.data.id, seq: null };
    tickets.add(ticket);
    landscope.emit("controls");
    try {
      ticket.seq = (await landscope.api.send(run.data.id, kind, params)).seq;
      settle();
    } catch (error) {
      tickets.delete(ticket);
      landscope.emit("refused", error.message);
    }
    landscope.emit("controls");
    return ticket;
  };
  const asked = (kind, matches = () => true) =>
    [...tickets].findLast((ticket) => ticket.kind === kind && matches(ticket.params));
  const sameKnob = (knob) => (params) => params.name === knob.name && (params.group ?? null) === (knob.group ?? null);
  // What a knob is to show: what it was just set to, until the training's own word.
  const valueOf = (knob) => asked("set", sameKnob(knob))?.params.value ?? knob.value;
  // The kept step that is nearest below the shown one; null where there is none.
  const checkpointBelow = (step) => {
    const kept = [...(state.known?.checkpoints || [])].sort((a, b) => a - b);
    const index = landscope.lastAtOrBelow(kept, step);
    return index < 0 ? null : kept[index];
  };

  landscope.on("data", (changed) => {
    if (changed.has("events") || changed.has("loaded")) take();
    else settle();
  });
  landscope.on("head", () => {
    if (!tickets.size) return;
    settle();
    landscope.emit("controls");
  });
  landscope.on("connection", (error) => {
    lost = error !== null && error.status !== 404;
  });
  landscope.on("run", take);
  const mount = (only) => {
    readOnly = only;
  };
  return {
    mount,
    state,
    live,
    paused,
    standing,
    reasonAgainst,
    ownReason,
    send,
    asked,
    sameKnob,
    valueOf,
    checkpointBelow,
  };
})();
