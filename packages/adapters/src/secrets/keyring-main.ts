import { text } from 'node:stream/consumers'
import { messageOf } from '@thv/core'
import type { KeyringAnswer, KeyringOrder } from './keyring-order.ts'
import { secretLimits } from './secret-limits.ts'

type Keyring = typeof import('@napi-rs/keyring')
type Entry = InstanceType<Keyring['Entry']>

/**
 * The process that speaks to the keyring of the desktop (`thv __keyring`): native code that may hang in a service of
 * somebody else, so that it is ended from outside. Reads an order from stdin, and resolves to the exit code.
 */
export async function keyringMain(): Promise<number> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only os-keyring.ts writes here
  const order = JSON.parse(await text(process.stdin)) as KeyringOrder
  const answer = JSON.stringify(await answerOf(order))
  await new Promise<void>((resolve) => {
    process.stdout.write(answer, () => resolve())
  })
  return 0
}

async function answerOf(order: KeyringOrder): Promise<KeyringAnswer> {
  try {
    // Native, and not on every platform: without it there is no keyring.
    const keyring = await import('@napi-rs/keyring')
    const own = entryOf(keyring, 'toolhive')
    if (order.do === 'read') return readEntry(own)
    if (order.do === 'forget') return { done: own.deleteCredential() }
    return { done: keepIn(entryOf(keyring, 'toolhive-test'), 'trial', true) && keepIn(own, order.password, false) }
  } catch (error) {
    return { problem: messageOf(error).slice(0, secretLimits.problemLength) }
  }
}

/** The names are those under which ToolHive finds it, too. */
function entryOf({ Entry }: Keyring, service: string): Entry {
  // Windows knows one name for all; Linux has a second store, whose keys ToolHive does not know.
  if (process.platform === 'win32') return Entry.withTarget(`${service}:toolhive`, service, 'toolhive')
  return new Entry(service, 'toolhive', { linux: { store: 'secret-service' } })
}

function readEntry(entry: Entry): KeyringAnswer {
  const secret = entry.getSecret()
  return secret === null ? {} : { password: decode(Buffer.from(secret).toString('utf8')) }
}

function keepIn(entry: Entry, password: string, isTrial: boolean): boolean {
  entry.setSecret(Buffer.from(password, 'utf8'))
  const isKept = readEntry(entry).password === password
  if (isTrial) entry.deleteCredential()
  return isKept
}

/** On macOS ToolHive's library writes what it keeps in base64, with a mark in front. */
function decode(kept: string): string {
  const mark = 'go-keyring-base64:'
  return kept.startsWith(mark) ? Buffer.from(kept.slice(mark.length), 'base64').toString('utf8') : kept
}
