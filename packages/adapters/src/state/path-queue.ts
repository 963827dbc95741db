// One per process on purpose: two stores over one directory must queue behind each other too.
const tails = new Map<string, Promise<void>>()

/**
 * Waits for the turn of this caller among those of this process that want `path`.
 * Resolves to the function that lets the next one in, or to undefined after
 * `timeoutMs`; rejects with the signal's reason.
 */
export async function enterQueue(
  path: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<(() => void) | undefined> {
  signal.throwIfAborted()
  const { promise: mine, resolve: leave } = withResolver()
  const before = tails.get(path)
  const tail = before === undefined ? mine : before.then(() => mine)
  tails.set(path, tail)
  void forget(path, tail)
  if (before === undefined) return leave
  try {
    if (await settlesWithin(before, timeoutMs, signal)) return leave
  } catch (error) {
    leave()
    throw error
  }
  leave()
  return undefined
}

async function forget(path: string, tail: Promise<void>): Promise<void> {
  await tail
  if (tails.get(path) === tail) tails.delete(path)
}

function settlesWithin(turn: Promise<void>, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  return new Promise<boolean>((resolve, reject) => {
    const abort = (): void => finish(() => reject(signal.reason))
    const timer = setTimeout(() => finish(() => resolve(false)), timeoutMs)
    const finish = (settle: () => void): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
      settle()
    }
    signal.addEventListener('abort', abort, { once: true })
    void turn.then(() => finish(() => resolve(true)))
  })
}

function withResolver(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined
  const promise = new Promise<void>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
