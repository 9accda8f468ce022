// Parameters of a board profile: what the one who starts a world knows and a profile can't, such as paths.

/**
 * Puts `params` in the place of every `${name}` in the texts below `value` (8 levels deep at most). Undefined where one
 * is missing; `onMissing` is told where, as a JSON pointer.
 */
export function fillParams(
  value: unknown,
  params: Readonly<Record<string, string>>,
  onMissing: (path: string, name: string) => void,
  path = '',
  depth = 0,
): unknown {
  if (typeof value === 'string') {
    let missing = false
    const filled = value.replace(/\$\{([A-Za-z][A-Za-z0-9]*)\}/g, (_, name: string) => {
      if (Object.hasOwn(params, name)) return params[name]!
      missing = true
      onMissing(path, name)
      return ''
    })
    return missing ? undefined : filled
  }
  if (typeof value !== 'object' || value === null || depth > 8) return value
  const entries = Object.entries(value).map(
    ([key, each]) => [key, fillParams(each, params, onMissing, `${path}/${key}`, depth + 1)] as const,
  )
  if (entries.some(([, each]) => each === undefined)) return undefined
  return Array.isArray(value) ? entries.map(([, each]) => each) : Object.fromEntries(entries)
}
