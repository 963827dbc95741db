import type { ServerResponse } from 'node:http'
import type { WireErrorName } from './errors.ts'

/** Notes why a request is refused as a whole, for whoever counts. */
export function noteRefusal(res: ServerResponse, name: WireErrorName): void {
  refusals.set(res, name)
}

/** Why a request was refused as a whole; undefined when it was not. */
export function refusalOf(res: ServerResponse): WireErrorName | undefined {
  return refusals.get(res)
}

const refusals = new WeakMap<ServerResponse, WireErrorName>()
