import type { IncomingHttpHeaders } from 'node:http'
import type { Dispatcher, DecoratorHandler } from 'undici'
import type { WireError } from '../errors.ts'
import type { Refusal, RemoteLogin } from '../proxy-config.ts'
import { refusedError } from './call-errors.ts'
import { missingScopes } from './challenge.ts'
import { mergeHeaders } from './merge-headers.ts'

/** Why a request to a server failed whose login is ours: the server did not let it in, so it did not run. */
export class LoginRefused extends Error {
  readonly refusal: Refusal
  /** What the server answered, 401 or 403. */
  readonly status: number

  constructor(refusal: Refusal, status: number) {
    super(refusal.message)
    this.refusal = refusal
    this.status = status
  }

  /** What a client of the server of this name is told. */
  tell(name: string): WireError {
    return refusedError(name, this.refusal, this.status === 403 ? 'scope-missing' : 'server-absent')
  }
}

/**
 * Logs every request in. One that the server refuses (401) is sent once more with a new token: a refusal comes before
 * any work. What is refused for good fails with {@link LoginRefused}; the server's demand reaches nobody.
 *
 * @param Decorator undici's, which is loaded late; it makes one of the two kinds of handlers there are
 */
export function logIn(login: RemoteLogin, Decorator: typeof DecoratorHandler): Dispatcher.DispatcherComposeInterceptor {
  return (dispatch) => (options, handler) => {
    if (!login.isOurs()) return dispatch(options, handler)
    new LoginExchange({ login, dispatch, options }, new Decorator(handler)).begin()
    return true
  }
}

interface ExchangeParts {
  readonly login: RemoteLogin
  readonly dispatch: Dispatcher['dispatch']
  readonly options: Dispatcher.DispatchOptions
}

/** One request, sent once or twice. For whoever asked it is one, with one controller. */
class LoginExchange implements Dispatcher.DispatchHandler, Dispatcher.DispatchController {
  readonly #parts: ExchangeParts
  readonly #handler: Dispatcher.DispatchHandler
  #target: Dispatcher.DispatchController | undefined
  /** What was sent; undefined before the first token. */
  #sent: string | undefined
  #isSecond = false
  /** The answer of the moment is not for whoever asked. */
  #isDropped = false
  #reason: Error | undefined
  #isOver = false

  constructor(parts: ExchangeParts, handler: Dispatcher.DispatchHandler) {
    this.#parts = parts
    this.#handler = handler
  }

  get aborted(): boolean {
    return this.#reason !== undefined
  }

  get reason(): Error | null {
    return this.#reason ?? null
  }

  get paused(): boolean {
    return this.#target?.paused ?? false
  }

  get rawHeaders(): NonNullable<Dispatcher.DispatchController['rawHeaders']> {
    return this.#target?.rawHeaders ?? []
  }

  /** Sends it, as soon as there is something to log in with. */
  begin(): void {
    const authorization = this.#parts.login.authorization()
    if (authorization === undefined) this.#goOn()
    else this.#send(authorization)
  }

  pause(): void {
    this.#target?.pause()
  }

  resume(): void {
    this.#target?.resume()
  }

  abort(reason: Error): void {
    this.#reason ??= reason
    // Between the two there is no request that could end with the reason.
    if (this.#isDropped) this.#fail(this.#reason)
    else this.#target?.abort(reason)
  }

  onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
    if (this.#isOver || this.#reason !== undefined) return controller.abort(this.#reason ?? unwanted)
    this.#target = controller
    this.#handler.onRequestStart?.(this, context)
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    message?: string,
  ): void {
    if (status < 200 || this.#isOver) return
    const scopes = status === 403 ? missingScopes(headers['www-authenticate']) : undefined
    if (status !== 401 && scopes === undefined) return this.#handler.onResponseStart?.(this, status, headers, message)
    this.#isDropped = true
    // Its text says nothing more, and might never end.
    controller.abort(unwanted)
    if (scopes === undefined) this.#goOn()
    else this.#fail(new LoginRefused(this.#parts.login.lacks(scopes), 403))
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#isDropped) this.#handler.onResponseData?.(this, chunk)
  }

  onResponseEnd(_controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    if (!this.#isDropped) this.#handler.onResponseEnd?.(this, trailers)
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (!this.#isDropped) this.#fail(error)
  }

  #send(authorization: string): void {
    const { dispatch, options } = this.#parts
    this.#sent = authorization
    this.#isDropped = false
    dispatch({ ...options, headers: mergeHeaders(options.headers, { authorization }) }, this)
  }

  #goOn(): void {
    this.#renew().catch((error: unknown) => this.#fail(error instanceof Error ? error : new Error(String(error))))
  }

  async #renew(): Promise<void> {
    const { login, options } = this.#parts
    const refused = this.#sent
    if (refused !== undefined && this.#isSecond) return this.#fail(new LoginRefused(login.giveUp(refused), 401))
    const refusal = await login.renew(refused)
    if (this.#isOver) return
    const authorization = login.authorization()
    if (refusal !== undefined || authorization === undefined) return this.#fail(new LoginRefused(refusal ?? again, 401))
    this.#isSecond = refused !== undefined
    // A stream that has begun is gone.
    if (this.#isSecond && !isRepeatable(options.body)) return this.#fail(new LoginRefused(again, 401))
    this.#send(authorization)
  }

  #fail(error: Error): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#handler.onResponseError?.(this, error)
  }
}

function isRepeatable(body: Dispatcher.DispatchOptions['body']): boolean {
  return body === undefined || body === null || typeof body === 'string' || body instanceof Uint8Array
}

const unwanted = new Error('the answer is not wanted')
const again: Refusal = {
  message: 'the login at the server was renewed during the call',
  todo: 'send the call again',
  retryAfterS: 1,
}
