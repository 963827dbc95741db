import { lstat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { systemCodeOf, ThvError, type EncryptedSecretStore, type SecretChange } from '@thv/core'
import { writeAtomically } from './atomic-write.ts'
import { withFileLock } from './file-lock.ts'
import type { Liveness } from './lock-files.ts'
import { readStateFile } from './read-state-file.ts'
import { fewestSealedBytes, openSecrets, sealSecrets, type SecretContent } from './secret-cipher.ts'
import {
  findPassword,
  forgetPassword,
  keepPassword,
  newPassword,
  passwordDenied,
  type PasswordSources,
} from './secret-password.ts'
import { stateError } from './state-error.ts'
import { stateLimits } from './state-limits.ts'
import { sweepTemporaries } from './temporary-file.ts'

/** What {@link createFileSecretStore} needs. */
export interface FileSecretStoreOptions extends PasswordSources {
  /** `data` of `resolveDirectories`. */
  dataDirectory: string
  processes: Liveness
}

/**
 * Secrets in `<dataDirectory>/secrets_encrypted`, ToolHive's file (spec/local 9.2). Opens nothing until used. A password is
 * made only for a file that is not there or empty; what cannot be read is never written over.
 */
export function createFileSecretStore(options: FileSecretStoreOptions): EncryptedSecretStore {
  const store = new Store(options)
  return {
    get: async (name, signal) => (await store.read(signal)).get(name),
    list: async (signal) => [...(await store.read(signal)).keys()].sort(),
    update: async (change, signal) => await store.update(change, signal),
    revision: async () => await store.revision(),
    unlock: async (password, signal) => await store.unlock(password, signal),
    isNew: async () => await store.isNew(),
    forgetPassword: async (signal) => await forgetPassword(options, signal),
  }
}

const noContent: SecretContent = { secrets: new Map(), others: {} }

class Store {
  readonly #options: FileSecretStoreOptions
  readonly #path: string
  /** The last one that opened the file. */
  #password: string | undefined

  constructor(options: FileSecretStoreOptions) {
    this.#options = options
    this.#path = join(options.dataDirectory, 'secrets_encrypted')
  }

  async read(signal: AbortSignal): Promise<SecretContent['secrets']> {
    const sealed = await this.#load()
    return sealed === undefined ? noContent.secrets : (await this.#open(sealed, signal)).content.secrets
  }

  async update(change: (secrets: ReadonlyMap<string, string>) => SecretChange, signal: AbortSignal): Promise<void> {
    // Whoever is asked for the password thinks longer than others wait for the lock.
    await this.read(signal)
    await this.#locked(signal, async () => {
      const sealed = await this.#load()
      const opened = sealed === undefined ? undefined : await this.#open(sealed, signal)
      const content = opened?.content ?? noContent
      const secrets = new Map(content.secrets)
      for (const [name, value] of change(content.secrets)) {
        if (value === null) secrets.delete(name)
        else secrets.set(name, value)
      }
      if (isSame(secrets, content.secrets)) return
      await this.#save({ ...content, secrets }, opened?.password ?? (await newPassword(this.#options, signal)))
    })
  }

  async unlock(password: string, signal: AbortSignal): Promise<void> {
    if (password === '') throw passwordDenied('an empty one opens nothing')
    await this.#locked(signal, async () => {
      const sealed = await this.#load()
      if (sealed !== undefined && this.#try(sealed, password) === undefined) throw passwordDenied('it is another one')
      if (this.#options.givenPassword !== password) await keepPassword(this.#options, password, signal)
      if (sealed === undefined) await this.#save(noContent, password)
    })
  }

  async isNew(): Promise<boolean> {
    return (await this.#load()) === undefined
  }

  async revision(): Promise<string> {
    try {
      const { dev, ino, size, mtimeNs, ctimeNs } = await lstat(this.#path, { bigint: true })
      return [dev, ino, size, mtimeNs, ctimeNs].join(':')
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return 'absent'
      throw stateError(error, this.#path, 'read')
    }
  }

  async #locked(signal: AbortSignal, action: () => Promise<void>): Promise<void> {
    const { processes } = this.#options
    await withFileLock(`${this.#path}.thv-lock`, { timeoutMs: stateLimits.secretLockMs, signal, processes }, action)
  }

  /** The sealed bytes; undefined for a file that is not there or empty. */
  async #load(): Promise<Buffer | undefined> {
    const found = await readStateFile(this.#path, stateLimits.secretFileBytes, 'private')
    if (found.kind === 'absent') return undefined
    if (found.kind === 'refused') throw corrupt(this.#path, found.reason)
    if (found.bytes.length === 0) return undefined
    if (found.bytes.length < fewestSealedBytes) throw corrupt(this.#path, 'it is cut off')
    return found.bytes
  }

  async #open(sealed: Buffer, signal: AbortSignal): Promise<{ content: SecretContent; password: string }> {
    const known = this.#password
    const content = known === undefined ? undefined : this.#try(sealed, known)
    if (known !== undefined && content !== undefined) return { content, password: known }
    const opens = (candidate: string): boolean => this.#try(sealed, candidate) !== undefined
    const password = await findPassword(this.#options, opens, signal)
    return { content: this.#try(sealed, password) ?? noContent, password }
  }

  #try(sealed: Buffer, password: string): SecretContent | undefined {
    const content = openSecrets(sealed, password)
    if (content === 'denied') return undefined
    if (content === 'foreign') throw corrupt(this.#path, 'a password opens it, and what is in it are no secrets')
    this.#password = password
    return content
  }

  async #save(content: SecretContent, password: string): Promise<void> {
    const sealed = sealSecrets(content, password)
    if (sealed.length > stateLimits.secretFileBytes) {
      throw new ThvError(
        'invalid-argument',
        `all secrets together have more than ${stateLimits.secretFileBytes} bytes`,
        {
          hint: 'delete some; what is large is better kept in a file',
        },
      )
    }
    await sweepTemporaries(dirname(this.#path))
    await writeAtomically(this.#path, sealed)
    this.#password = password
  }
}

function isSame(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): boolean {
  return one.size === other.size && [...one].every(([name, value]) => other.get(name) === value)
}

function corrupt(path: string, why: string): ThvError {
  return new ThvError('secrets-corrupt', `the secrets file '${path}' cannot be used: ${why}`, {
    hint: 'put a copy of yours in its place (mode 600), or move it away to begin anew; nothing was changed',
  })
}
