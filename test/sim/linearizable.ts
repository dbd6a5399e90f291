// Whether a history of calls is linearizable: whether each could have happened at one moment between its call and its
// return, one after the other, as the model has it. Wing and Gong, "Testing and Verifying Concurrent Objects" (1993),
// with the memory of states seen that Lowe added (2017). Keys are independent of each other, and looked at one by one
// (locality: Herlihy and Wing 1990, section 3.3).

export interface Operation<Input, Output> {
  readonly key: string;
  readonly input: Input;
  readonly calledAt: number;
  /** Undefined: nobody knows. It may have happened at any time since, or never. */
  readonly returned: { readonly at: number; readonly output: Output } | undefined;
}

export interface Model<State, Input, Output> {
  readonly initial: (key: string) => State;
  /** The states that this call may leave, having answered `output`; none: it cannot have. Undefined: any answer. */
  readonly step: (state: State, input: Input, output: Output | undefined) => readonly State[];
  /** The same text for the same state. */
  readonly nameOf: (state: State) => string;
}

/** The calls of the first key whose history has no such order; undefined: all have one. */
export function findUnordered<State, Input, Output>(
  history: readonly Operation<Input, Output>[],
  model: Model<State, Input, Output>,
): readonly Operation<Input, Output>[] | undefined {
  const keys = new Map<string, Operation<Input, Output>[]>();
  for (const operation of history) {
    const others = keys.get(operation.key);
    if (others === undefined) keys.set(operation.key, [operation]);
    else others.push(operation);
  }
  for (const [key, operations] of keys) {
    if (!hasOrder(operations, model, model.initial(key))) return operations;
  }
  return undefined;
}

function hasOrder<State, Input, Output>(
  history: readonly Operation<Input, Output>[],
  model: Model<State, Input, Output>,
  initial: State,
): boolean {
  // Those that returned must find a place; the others may.
  const operations = [...history].sort((a, b) => a.calledAt - b.calledAt);
  const must = operations.filter(({ returned }) => returned !== undefined).length;
  const done = new Uint8Array(operations.length);
  const seen = new Set<string>();
  const search = (state: State, left: number): boolean => {
    if (left === 0) return true;
    const name = `${done.join("")} ${model.nameOf(state)}`;
    if (seen.has(name)) return false;
    seen.add(name);
    // Who was called after another has returned cannot come before it.
    let firstReturn = Number.POSITIVE_INFINITY;
    for (const [i, { returned }] of operations.entries()) {
      if (done[i] === 0 && returned !== undefined && returned.at < firstReturn)
        firstReturn = returned.at;
    }
    for (const [i, { input, calledAt, returned }] of operations.entries()) {
      if (calledAt > firstReturn) break;
      if (done[i] === 1) continue;
      done[i] = 1;
      for (const next of model.step(state, input, returned?.output)) {
        // Nobody has to find a place for what need not have happened, and changes nothing.
        if (returned === undefined && model.nameOf(next) === model.nameOf(state)) continue;
        if (search(next, returned === undefined ? left : left - 1)) return true;
      }
      done[i] = 0;
    }
    return false;
  };
  return search(initial, must);
}

/** Of an unordered history of one key: the first call, in order of returning, whose answer cannot be. */
export function firstWrong<State, Input, Output>(
  operations: readonly Operation<Input, Output>[],
  model: Model<State, Input, Output>,
): Operation<Input, Output> | undefined {
  const ends = operations.flatMap(({ returned }) => (returned === undefined ? [] : [returned.at]));
  ends.sort((a, b) => a - b);
  // What the calls that ended by then make of it; the others may have happened.
  const isWrongAt = (endAt: number) =>
    findUnordered(
      operations.map((call) =>
        call.returned !== undefined && call.returned.at > endAt
          ? { ...call, returned: undefined }
          : call,
      ),
      model,
    ) !== undefined;
  let right = 0;
  let wrong = ends.length - 1;
  while (right < wrong) {
    const middle = (right + wrong) >> 1;
    if (isWrongAt(ends[middle] ?? 0)) wrong = middle;
    else right = middle + 1;
  }
  return operations.find(({ returned }) => returned?.at === ends[wrong]);
}

/** For a failure: one line a call, in order of calling. */
export function told<Input, Output>(operations: readonly Operation<Input, Output>[]): string {
  return [...operations]
    .sort((a, b) => a.calledAt - b.calledAt)
    .map(({ key, input, calledAt, returned }) => {
      const end =
        returned === undefined ? "no answer" : `${returned.at} ${JSON.stringify(returned.output)}`;
      return `${key} ${calledAt} ${JSON.stringify(input)} … ${end}`;
    })
    .join("\n");
}
