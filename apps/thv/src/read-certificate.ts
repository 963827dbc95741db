import { X509Certificate } from 'node:crypto'
import { messageOf, ThvError } from '@thv/core'
import type { UserFiles } from './user-files.ts'

/**
 * Reads one or more certificates in PEM that the image of a package is to trust. Throws
 * `invalid-argument`, also for a private key beside them: everybody who has the image could read it.
 */
export async function readCertificate(files: UserFiles, file: string, signal: AbortSignal): Promise<string> {
  const text = await files.readText(file, { signal }).catch((error: unknown) => {
    throw notCertificate(file, messageOf(error), error)
  })
  if (text.includes('PRIVATE KEY-----')) throw notCertificate(file, 'it holds a private key', undefined)
  const found = text.match(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs) ?? []
  if (found.length === 0) throw notCertificate(file, 'it holds no certificate in PEM', undefined)
  try {
    for (const pem of found) assertReadable(pem)
  } catch (error) {
    throw notCertificate(file, 'a certificate in it cannot be read', error)
  }
  return text
}

function assertReadable(pem: string): X509Certificate {
  return new X509Certificate(pem)
}

function notCertificate(file: string, why: string, cause: unknown): ThvError {
  return new ThvError('invalid-argument', `'${file}' cannot be used as a certificate: ${why}`, {
    hint: 'give a file with one or more certificates in PEM, and nothing else',
    cause,
  })
}
