import { listenHost, messageOf, ThvError, urlHost, type Deployment, type RunConfig } from '@thv/core'
import type { Attachment, Proxy } from '@thv/proxy'
import { describeExit } from './describe-exit.ts'
import { runnerLimits } from './limits.ts'
import type { Supervision } from './supervision.ts'

/** The handshake, at most `limits.attachTimeoutMs`; a server that dies meanwhile ends the wait at once. */
export async function attachServer(supervision: Supervision, deployment: Deployment): Promise<Attachment> {
  const died = new AbortController()
  const watch = abortOnExit(deployment, died)
  const signal = AbortSignal.any([supervision.signal, died.signal])
  let attachment: Attachment
  try {
    attachment = await supervision.proxy.attach(backendOf(supervision.config, deployment), signal)
  } catch (error) {
    // Output is drained before `exited` resolves, so give the real reason a moment to arrive.
    await Promise.race([watch, supervision.deps.clock.sleep(runnerLimits.exitReasonMs, supervision.signal)])
    if (died.signal.aborted) throw new ThvError('server-exited', messageOf(died.signal.reason), { cause: error })
    throw error
  }
  // Whoever answered, a server that has exited did not; one turn lets its end be heard.
  await supervision.deps.clock.sleep(0, supervision.signal)
  if (died.signal.aborted) throw new ThvError('server-exited', messageOf(died.signal.reason))
  return attachment
}

async function abortOnExit(deployment: Deployment, died: AbortController): Promise<void> {
  const exit = await deployment.exited
  died.abort(new ThvError('server-exited', describeExit(exit)))
}

function backendOf(config: RunConfig, deployment: Deployment): Parameters<Proxy['attach']>[0] {
  if (config.transport === 'stdio') {
    if (deployment.stdio === undefined) throw new ThvError('internal', 'the runtime gave no pipe to a stdio server')
    return { kind: 'stdio', ...deployment.stdio }
  }
  const target = { host: listenHost(config.target_host ?? ''), port: config.target_port ?? 0 }
  const { host, port } = deployment.address ?? target
  return { kind: 'http', origin: `http://${urlHost(host)}:${port}`, transport: config.transport }
}
