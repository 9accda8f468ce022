// The one typed error of the house: a literal code, a message, safe details, and the cause.

/** Details that may be shown and logged: tags, offsets, paths, codes; never PAN, PIN, track or key bytes. */
export type SafeDetails = Readonly<Record<string, string | number | boolean>>

/**
 * A fault: something that should not have happened, as opposed to an outcome (declined, card removed).
 * Callers decide on `code` alone, never on the message. Details must be safe to log.
 */
export class PosternError<Code extends string = string> extends Error {
  override readonly name = 'PosternError'
  readonly code: Code
  readonly details: SafeDetails

  constructor(code: Code, message: string, details: SafeDetails = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.details = details
  }
}

/** True if `error` is a PosternError with that code (or with any code where none is named). */
export function isPosternError<Code extends string>(
  error: unknown,
  code?: Code,
): error is PosternError<Code> {
  return error instanceof PosternError && (code === undefined || error.code === code)
}

/** Makes the compiler prove that a tagged union was switched exhaustively. */
export function unreachable(value: never): never {
  throw new PosternError('UNREACHABLE', `unexpected variant ${JSON.stringify(value)}`)
}
