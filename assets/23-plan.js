// What a run has measured or means to measure: what it has not is not offered to be chosen.
landscope.plan = (() => {
  const { run } = landscope;
  let planned = { run: null, probes: [], manifest: null }; // as the run's manifest names its probes

  const live = () => Boolean(run.data.head) && ["running", "paused"].includes(run.data.head.status);
  // Whether a measurement of one of these names is there, was tried, or is to come.
  const expects = (names) => {
    const { frames, events, id } = run.data;
    const has = (name) => (frames.get(name)?.step.length || 0) > 0;
    const off = (name) => events.some(({ kind, data }) => kind === "probe-off" && data?.probe === name);
    const coming = (name) => live() && planned.run === id && planned.probes.includes(name);
    return names.some((name) => has(name) || off(name) || coming(name));
  };
  const ask = async (id) => {
    if (id === null || planned.run === id) return;
    planned = { run: id, probes: [], manifest: null };
    try {
      const manifest = await landscope.api.manifest(id);
      if (planned.run !== id) return;
      planned.manifest = manifest;
      if (Array.isArray(manifest.panels?.probes)) planned.probes = manifest.panels.probes;
    } catch (error) {
      console.warn(`the manifest of ${id} could not be read: ${error.message}`);
    }
    landscope.emit("plan", id);
  };
  ["data", "view"].forEach((event) => landscope.on(event, () => ask(run.data.id)));
  return { expects, manifest: () => (planned.run === run.data.id ? planned.manifest : null) };
})();
