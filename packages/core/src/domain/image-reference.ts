import { ThvError } from '../errors.ts'
import { sanitizeWorkloadName } from './workload-name.ts'

/** An image as the user names it. */
export interface ImageReference {
  /** With the registry, if one is named: `ghcr.io/owner/server`. */
  repository: string
  /** Undefined when none is named. */
  tag: string | undefined
  /** `sha256:…`; undefined when none is named. */
  digest: string | undefined
}

/** What the names of images begin with that thv has built; no registry has them. */
export const builtImagePrefix = 'toolhivelocal/'

const component = '[a-z0-9]+(?:(?:[.]|_{1,2}|-+)[a-z0-9]+)*'
const host = '(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?'
const pattern = new RegExp(
  `^((?:${host}/)?${component}(?:/${component})*)(?::([\\w][\\w.-]{0,127}))?(?:@(sha256:[a-f0-9]{64}))?$`,
)

/** Parses `[registry/]repository[:tag][@digest]`. Throws `invalid-argument`. */
export function parseImageReference(text: string): ImageReference {
  const match = text.length > 512 ? null : pattern.exec(text)
  if (match === null) {
    throw new ThvError('invalid-argument', `'${text.slice(0, 200)}' is not the name of an image`, {
      hint: 'write [registry/]repository[:tag], in lower case',
    })
  }
  return { repository: match[1] ?? '', tag: match[2], digest: match[3] }
}

/** The registry of an image as Docker's config names it; Docker Hub when none is named. */
export function registryOf({ repository }: ImageReference): string {
  const first = repository.split('/')[0] ?? ''
  const isHost = repository.includes('/') && (/[.:]/.test(first) || first === 'localhost')
  return isHost && first !== 'docker.io' ? first : 'https://index.docker.io/v1/'
}

/** Whether a pull must ask the registry although the image is there: spec/local 3.2. */
export function isMovingReference({ tag, digest }: ImageReference): boolean {
  return digest === undefined && (tag === undefined || tag === 'latest')
}

/** The workload name chosen when `--name` is absent: spec/local 2.5. */
export function imageWorkloadName(reference: ImageReference): string {
  const parts = reference.repository.split('/').slice(-2)
  return sanitizeWorkloadName(parts.join('-').replace(/[^a-zA-Z0-9]/g, '-'))
}
