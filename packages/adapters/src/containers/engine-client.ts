import type { Readable, Duplex } from 'node:stream'
import { containerLimits } from './container-limits.ts'
import { engineUnreachable, isRefusal } from './engine-error.ts'
import { createEngineHttp, type EngineHttp, type EngineRequest } from './engine-http.ts'
import { negotiateVersion } from './engine-version.ts'
import { readInspection, type InspectedContainer } from './container-state.ts'
import { isRecord, recordIn, textIn, textsIn, textsOf, type JsonObject } from './read-json.ts'

/** Labels that a listing must all match; an empty value matches any. */
export type LabelFilter = Readonly<Record<string, string>>

/** A container in a listing. */
export interface ListedContainer {
  id: string
  name: string
  /** `created`, `running`, `exited`, … as the engine says. */
  state: string
  labels: Record<string, string>
}

/** An image on this machine. */
export interface InspectedImage {
  id: string
  labels: Record<string, string>
}

/** What a container uses at this moment. */
export interface ContainerStats {
  memoryBytes: number
  /** Nanoseconds of processor time since its start. */
  cpuNs: number
  processes: number
}

/**
 * The part of the Docker Engine API that thv needs, on a Docker or Podman socket. Every
 * method rejects with `engine-unreachable` when the engine does not answer, with
 * `EngineRefusal` when it says no, and with the signal's reason when that aborts.
 */
export class EngineClient {
  readonly #http: EngineHttp
  #version: string | undefined

  /** Opens nothing. */
  constructor(socketPath: string) {
    this.#http = createEngineHttp(socketPath)
  }

  get socketPath(): string {
    return this.#http.socketPath
  }

  /** Resolves when an engine answers that speaks a version of ours. */
  async ping(signal: AbortSignal): Promise<void> {
    const request = { what: 'answer a ping', method: 'GET', path: '/_ping', timeoutMs: containerLimits.pingMs } as const
    const { headers, body } = await this.#http.stream(request, signal)
    body.resume()
    this.#version = negotiateVersion(this.socketPath, headers['api-version'])
  }

  /** Creates a container and resolves to its id. */
  async createContainer(name: string, body: JsonObject, signal: AbortSignal): Promise<string> {
    const timeoutMs = containerLimits.createMs
    const path = `/containers/create?${query({ name })}`
    const created = await this.#json({ what: 'create the container', method: 'POST', path, timeoutMs }, signal, body)
    const id = textIn(created, 'Id')
    if (id === undefined) throw engineUnreachable(this.socketPath, new Error('it gave the container no id'))
    return id
  }

  async startContainer(id: string, signal: AbortSignal): Promise<void> {
    await this.#send({ what: 'start the container', method: 'POST', path: `/containers/${id}/start` }, signal)
  }

  /** The raw connection to the container's input and output, in frames. */
  async attach(id: string, signal: AbortSignal): Promise<Duplex> {
    const path = `/containers/${id}/attach?${query({ stream: '1', stdin: '1', stdout: '1', stderr: '1' })}`
    return await this.#http.upgrade(
      await this.#versioned({ what: 'attach to the container', method: 'POST', path }, signal),
      signal,
    )
  }

  /** What the container writes, in frames, from a time in seconds on and until it ends. */
  async followLogs(id: string, since: number, signal: AbortSignal): Promise<Readable> {
    const options = { follow: '1', stdout: '1', stderr: '1', since: String(since) }
    const path = `/containers/${id}/logs?${query(options)}`
    return await this.#stream({ what: 'read the log of the container', method: 'GET', path }, signal)
  }

  /**
   * Waits for a container: for its `next-exit`, which is for one that is yet to be
   * started, or until it is `not-running`. Resolves once the engine waits too, to what
   * then resolves to the exit code.
   */
  async waitForContainer(
    id: string,
    condition: 'next-exit' | 'not-running',
    signal: AbortSignal,
  ): Promise<{ exitCode: Promise<number> }> {
    const path = `/containers/${id}/wait?${query({ condition })}`
    const body = await this.#stream({ what: 'wait for the container', method: 'POST', path }, signal)
    return { exitCode: this.#exitCode(body, signal) }
  }

  /** Asks the container to end, and kills it after `graceSeconds`. Resolves when it has ended. */
  async stopContainer(id: string, graceSeconds: number, signal: AbortSignal): Promise<void> {
    const path = `/containers/${id}/stop?${query({ t: String(graceSeconds) })}`
    const timeoutMs = graceSeconds * 1000 + containerLimits.removeMs
    await this.#tolerate(404, { what: 'stop the container', method: 'POST', path, timeoutMs }, signal)
  }

  /** Kills and removes a container with its anonymous volumes. One that is gone is fine; see `removeContainer`. */
  async deleteContainer(id: string, signal: AbortSignal): Promise<void> {
    const path = `/containers/${id}?${query({ force: '1', v: '1' })}`
    await this.#tolerate(404, { what: 'remove the container', method: 'DELETE', path }, signal)
  }

  async inspectContainer(id: string, signal: AbortSignal): Promise<InspectedContainer> {
    const request = { what: 'look at the container', method: 'GET', path: `/containers/${id}/json` } as const
    const found = await this.#json(request, signal)
    return readInspection(found, id)
  }

  /** All containers with these labels, running or not. */
  async listContainers(labels: LabelFilter, signal: AbortSignal): Promise<ListedContainer[]> {
    const path = `/containers/json?${query({ all: '1', filters: filtersOf(labels) })}`
    const found = await this.#json({ what: 'list containers', method: 'GET', path }, signal)
    return (Array.isArray(found) ? found : []).flatMap((one) => {
      const id = textIn(one, 'Id')
      if (id === undefined) return []
      const name = textsIn(one, 'Names')[0] ?? ''
      const state = textIn(one, 'State') ?? ''
      return [{ id, name: name.replace(/^\//, ''), state, labels: textsOf(recordIn(one, 'Labels')) }]
    })
  }

  async containerStats(id: string, signal: AbortSignal): Promise<ContainerStats> {
    const path = `/containers/${id}/stats?${query({ stream: '0', 'one-shot': '1' })}`
    const found = await this.#json({ what: 'measure the container', method: 'GET', path }, signal)
    return {
      memoryBytes: Number(recordIn(found, 'memory_stats')['usage'] ?? 0),
      cpuNs: Number(recordIn(recordIn(found, 'cpu_stats'), 'cpu_usage')['total_usage'] ?? 0),
      processes: Number(recordIn(found, 'pids_stats')['current'] ?? 0),
    }
  }

  /** The image on this machine; undefined when it is not there. */
  async findImage(reference: string, signal: AbortSignal): Promise<InspectedImage | undefined> {
    const path = `/images/${reference}/json`
    try {
      const found = await this.#json({ what: 'look at the image', method: 'GET', path }, signal)
      return { id: textIn(found, 'Id') ?? '', labels: textsOf(recordIn(recordIn(found, 'Config'), 'Labels')) }
    } catch (error) {
      if (isRefusal(error, 404)) return undefined
      throw error
    }
  }

  /** Names of the images with these labels, the newest first. */
  async listImages(labels: LabelFilter, signal: AbortSignal): Promise<{ name: string; createdMs: number }[]> {
    const path = `/images/json?${query({ filters: filtersOf(labels) })}`
    const found = await this.#json({ what: 'list images', method: 'GET', path }, signal)
    const images = (Array.isArray(found) ? found : []).flatMap((one) => {
      const createdMs = Number(isRecord(one) ? one['Created'] : 0) * 1000
      return textsIn(one, 'RepoTags').map((name) => ({ name, createdMs }))
    })
    return images.sort((left, right) => right.createdMs - left.createdMs)
  }

  /** Ids of the images that have no name and are no part of another one. */
  async listUnnamedImages(signal: AbortSignal): Promise<string[]> {
    const path = `/images/json?${query({ filters: JSON.stringify({ dangling: ['true'] }) })}`
    const found = await this.#json({ what: 'list images', method: 'GET', path }, signal)
    return (Array.isArray(found) ? found : []).flatMap((one) => textIn(one, 'Id') ?? [])
  }

  /** With the nameless ones that it alone is made of. One that is gone or in use is fine. */
  async removeImage(id: string, signal: AbortSignal): Promise<void> {
    const request = { what: 'remove the image', method: 'DELETE', path: `/images/${id}` } as const
    try {
      await this.#tolerate(404, request, signal)
    } catch (error) {
      if (!isRefusal(error, 409)) throw error
    }
  }

  /** Pulls an image; the stream tells how, also that it failed. */
  async pullImage(name: string, tagOrDigest: string, auth: string, signal: AbortSignal): Promise<Readable> {
    const path = `/images/create?${query({ fromImage: name, tag: tagOrDigest })}`
    const headers = { 'X-Registry-Auth': auth }
    const timeoutMs = containerLimits.pullMs
    return await this.#stream({ what: 'pull the image', method: 'POST', path, headers, timeoutMs }, signal)
  }

  /** Builds an image from a tar archive; the stream tells how, also that it failed. */
  async buildImage(
    options: Readonly<Record<string, string>>,
    archive: Readable,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Readable> {
    const request: EngineRequest = {
      what: 'build the image',
      method: 'POST',
      path: `/build?${query(options)}`,
      headers: { 'Content-Type': 'application/x-tar', ...headers },
      body: archive,
      timeoutMs: containerLimits.buildMs,
    }
    return await this.#stream(request, signal)
  }

  /** Creates a network and resolves to its id; an internal one has no way out. */
  async createNetwork(
    options: { name: string; labels: Record<string, string>; internal: boolean },
    signal: AbortSignal,
  ): Promise<string> {
    const body = { Name: options.name, Labels: options.labels, Internal: options.internal, CheckDuplicate: true }
    const request = { what: 'create the network', method: 'POST', path: '/networks/create' } as const
    return textIn(await this.#json(request, signal, body), 'Id') ?? options.name
  }

  /** Ids of the networks with these labels. */
  async listNetworks(labels: LabelFilter, signal: AbortSignal): Promise<string[]> {
    const path = `/networks?${query({ filters: filtersOf(labels) })}`
    const found = await this.#json({ what: 'list networks', method: 'GET', path }, signal)
    return (Array.isArray(found) ? found : []).flatMap((one) => textIn(one, 'Id') ?? [])
  }

  /** One that is gone is fine. */
  async removeNetwork(id: string, signal: AbortSignal): Promise<void> {
    await this.#tolerate(404, { what: 'remove the network', method: 'DELETE', path: `/networks/${id}` }, signal)
  }

  async #exitCode(body: Readable, signal: AbortSignal): Promise<number> {
    try {
      const chunks: Buffer[] = []
      // A code and a message: a few bytes.
      for await (const chunk of body) if (Buffer.isBuffer(chunk) && chunks.length < 64) chunks.push(chunk)
      const said: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'))
      const code = isRecord(said) ? said['StatusCode'] : undefined
      if (typeof code !== 'number') throw new Error('it gave no exit code')
      return code
    } catch (error) {
      if (signal.aborted) throw error
      throw engineUnreachable(this.socketPath, error)
    }
  }

  async #json(request: EngineRequest, signal: AbortSignal, body?: JsonObject): Promise<unknown> {
    const bytes = await this.#send(body === undefined ? request : withBody(request, body), signal)
    try {
      const parsed: unknown = JSON.parse(bytes.toString('utf8'))
      return parsed
    } catch (error) {
      throw engineUnreachable(this.socketPath, error)
    }
  }

  async #send(request: EngineRequest, signal: AbortSignal): Promise<Buffer> {
    return await this.#http.send(await this.#versioned(request, signal), signal)
  }

  async #stream(request: EngineRequest, signal: AbortSignal): Promise<Readable> {
    return (await this.#http.stream(await this.#versioned(request, signal), signal)).body
  }

  async #tolerate(status: number, request: EngineRequest, signal: AbortSignal): Promise<void> {
    try {
      await this.#send(request, signal)
    } catch (error) {
      if (!isRefusal(error, status)) throw error
    }
  }

  async #versioned(request: EngineRequest, signal: AbortSignal): Promise<EngineRequest> {
    if (this.#version === undefined) await this.ping(signal)
    return { ...request, path: `/v${this.#version ?? ''}${request.path}` }
  }
}

function query(parameters: Readonly<Record<string, string>>): string {
  return new URLSearchParams(parameters).toString()
}

function filtersOf(labels: LabelFilter): string {
  return JSON.stringify({
    label: Object.entries(labels).map(([key, value]) => (value === '' ? key : `${key}=${value}`)),
  })
}

function withBody(request: EngineRequest, body: JsonObject): EngineRequest {
  const headers = { ...request.headers, 'Content-Type': 'application/json' }
  return { ...request, headers, body: Buffer.from(JSON.stringify(body)) }
}
