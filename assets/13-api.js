// The server's HTTP interface. Every call rejects with a Failure that has a status, 0 for no answer.
landscope.api = (() => {
  const ROOT = "/api/v1";
  const PATIENCE_MS = 10000;
  const LONG_MS = 70000; // for what waits until torch is imported
  const FILE_MS = 600000;
  const MOST_RECORDS = 200000; // in one answer
  const PATIENT = { patience: LONG_MS };
  class Failure extends Error {
    constructor(message, status) {
      super(message);
      this.status = status;
    }
  }
  const ask = async (path, { patience = PATIENCE_MS, ...options } = {}) => {
    let response;
    try {
      response = await fetch(ROOT + path, {
        signal: AbortSignal.timeout(patience),
        credentials: "same-origin",
        ...options,
      });
    } catch (error) {
      throw new Failure(`no answer from the server: ${error.message}`, 0);
    }
    if (!response.ok) {
      const body = await response.json().catch(() => ({}));
      throw new Failure(String(body.error || response.statusText || response.status), response.status);
    }
    return response;
  };
  const json = async (path, options) => (await ask(path, options)).json();
  const post = (path, body, options = {}) =>
    json(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      ...options,
    });
  const run = (id) => `/runs/${encodeURIComponent(id)}`;
  return {
    runs: () => json("/runs"),
    details: () => json("/runs/details"),
    annotate: (id, said) => post(`${run(id)}/annotation`, said),
    discard: (id) => post(`${run(id)}/discard`, {}),
    restore: (id) => post(`${run(id)}/restore`, {}),
    trash: () => json("/runs/trash"),
    erase: (id) => post(`${run(id)}/erase`, {}),
    head: (id) => json(`${run(id)}/head`),
    whatIf: (id, knots, step) => json(`${run(id)}/what-if?knots=${knots}&step=${step}`),
    manifest: (id) => json(`${run(id)}/manifest`),
    since: (id, seq) => json(`${run(id)}/since/${seq}?limit=${MOST_RECORDS}`),
    frame: async (id, seq) => {
      const response = await ask(`${run(id)}/frames/${seq}.bin`);
      if (response.status === 204) throw new Failure(`frame ${seq} is no longer kept`, 404);
      return response.arrayBuffer();
    },
    // What is to be kept, as a blob; a report takes as long as it has pictures.
    file: async (id, name) => (await ask(`${run(id)}/${name}`, { patience: FILE_MS })).blob(),
    figure: (id, seq, theme) => json(`${run(id)}/frames/${seq}/figure?theme=${theme}`),
    recipeSettings: () => json("/recipes"),
    recipePicture: (name, theme) => json(`/recipes/${encodeURIComponent(name)}/picture?theme=${theme}`),
    startRecipe: (name, settings) => post(`/recipes/${encodeURIComponent(name)}`, { settings }, PATIENT),
    compare: (query) => json(`/compare?${query}`),
    compared: (what, query) => json(`/compare/${what}?${query}`),
    lab: () => json("/lab"),
    cost: (what, parameters) =>
      json(`/lab/${encodeURIComponent(what)}/cost?parameters=${encodeURIComponent(JSON.stringify(parameters))}`),
    send: (id, kind, params = {}) => post(`${run(id)}/commands`, { kind, params }),
  };
})();
