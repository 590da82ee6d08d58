// The loop that keeps the page up to date: ask for the head, and for what is new if it moved. It sleeps while hidden.
landscope.live = (() => {
  const LIVE_MS = 500,
    FRESH_MS = 150, // after news of a measurement, with the request about 200: another may follow as soon
    REST_MS = 4000,
    RETRY_MS = [500, 1000, 2000, 4000];
  let turnNumber = 0,
    failures = 0,
    heardAt = 0,
    fresh = false; // whether the last news held a measurement

  const sleep = (ms) =>
    new Promise((wake) => {
      setTimeout(wake, ms);
    });
  const visible = () =>
    new Promise((wake) => {
      if (!document.hidden) {
        wake();
        return;
      }
      const listener = () => {
        if (!document.hidden) {
          document.removeEventListener("visibilitychange", listener);
          wake();
        }
      };
      document.addEventListener("visibilitychange", listener);
    });

  // What is new since `seq` of the run `id`, or since the beginning where `asked` has become another.
  const news = async (asked, id, seq) => {
    const head = await landscope.api.head(asked);
    const increments = [];
    let from = head.id === id ? seq : 0,
      more = head.seq > from;
    while (more) {
      const increment = await landscope.api.since(head.id, from);
      increments.push(increment);
      ({ seq: from, more } = increment);
    }
    return { head, increments };
  };
  // The first answer is asked for while Dash still makes the page; a failure is met when the page asks again.
  let early = landscope.view.state.run === null ? null : { asked: landscope.view.state.run };
  if (early) early.answer = news(early.asked, null, 0).catch(() => null);

  const update = async (mine) => {
    const { data } = landscope.run,
      asked = landscope.view.state.run;
    const ready = early?.asked === asked && (await early.answer);
    early = null;
    const { head, increments } = ready || (await news(asked, data.id, data.seq));
    if (mine !== turnNumber) return;
    if (head.id !== data.id) {
      landscope.run.reset(head.id);
      landscope.emit("run", head.id);
    } // "latest" has become another
    const changed = new Set(data.loaded ? [] : ["loaded"]);
    increments.forEach((increment) => landscope.run.take(increment).forEach((name) => changed.add(name)));
    data.head = head;
    data.loaded = true;
    heardAt = performance.now();
    failures = 0;
    landscope.emit("head", head);
    landscope.emit("connection", null);
    if (changed.size) landscope.emit("data", changed);
    fresh = increments.some(({ frames }) => Object.keys(frames).length > 0);
  };

  const follow = async (id) => {
    turnNumber += 1;
    const mine = turnNumber;
    landscope.run.reset(null);
    failures = 0;
    landscope.emit("run", id);
    while (mine === turnNumber && id !== null) {
      await visible();
      if (mine !== turnNumber) return;
      let pause = REST_MS;
      try {
        await update(mine);
        const { head } = landscope.run.data;
        if (landscope.jobs.active() || (head && ["running", "paused"].includes(head.status)))
          pause = fresh ? FRESH_MS : LIVE_MS;
      } catch (error) {
        if (mine !== turnNumber) return;
        pause = RETRY_MS[Math.min(failures, RETRY_MS.length - 1)];
        failures += 1;
        landscope.emit("connection", error);
      }
      await sleep(pause);
    }
  };
  const sinceHeard = () => (performance.now() - heardAt) / 1000;
  return { follow, sinceHeard };
})();
