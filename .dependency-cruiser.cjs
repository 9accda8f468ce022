// The arrows of the design. Whatever is not listed here is allowed to be imported by scripts and tests only.
const from = (path, pathNot) => ({ path, ...(pathNot ? { pathNot } : {}) })
const rule = (name, comment, fromPart, to) => ({ name, comment, severity: 'error', from: fromPart, to })

const inHouse = '^(hal|runtime|apps|scripts|test)/'
/** `room` may import these places of the house, and itself; anything else of the house is a violation. */
const only = (name, room, allowed, comment, except) =>
  rule(name, comment, from(room, except), { path: inHouse, pathNot: [room, ...allowed] })

module.exports = {
  forbidden: [
    rule('no-cycles', 'arrows go down', {}, { circular: true }),
    rule('no-unresolved', 'an import that leads nowhere', {}, { couldNotResolve: true }),
    only('apps-see-the-api', '^apps/', ['^runtime/api/'], 'an app sees runtime/api and nothing else'),
    rule('apps-do-not-meet', 'an app never imports another', from('^apps/([^/]+)/'), {
      path: '^apps/',
      pathNot: '^apps/$1/',
    }),
    only('api-is-a-leaf', '^runtime/api/', [], 'what apps see stands alone'),
    only(
      'bridge',
      '^runtime/bridge/',
      ['^runtime/api/', '^hal/base/'],
      'the contract between the worlds knows neither of them',
    ),
    only(
      'open',
      '^runtime/open/',
      ['^runtime/(api|bridge)/', '^hal/(base/|[^/]+\\.ts$)'],
      'the open world: bridge, api, hal interfaces',
      '^runtime/open/boot\\.ts$',
    ),
    only(
      'open-boot',
      '^runtime/open/boot\\.ts$',
      ['^runtime/(open|api|bridge)/', '^hal/'],
      'the open boot file alone names drivers',
    ),
    only(
      'secure',
      '^runtime/secure/',
      ['^runtime/(api|bridge)/', '^hal/(base/|[^/]+\\.ts$)'],
      'the secure world: bridge, hal interfaces, the words of the api',
      '^runtime/secure/boot\\.ts$',
    ),
    only(
      'secure-boot',
      '^runtime/secure/boot\\.ts$',
      ['^runtime/(secure|api|bridge)/', '^hal/'],
      'the secure boot file alone names drivers',
    ),
    only('hal-interfaces', '^hal/[^/]+\\.ts$', ['^hal/base/'], 'interfaces are leaves'),
    only('hal-base', '^hal/base/', [], 'primitives stand alone'),
    only('drivers', '^hal/drivers/', ['^hal/(base/|[^/]+\\.ts$)'], 'a driver sees interfaces and primitives'),
    only(
      'simulated',
      '^hal/simulated/',
      ['^hal/(base/|[^/]+\\.ts$)'],
      'a simulated device sees interfaces and primitives',
    ),
    rule(
      'driver-libraries',
      "a driver's library is imported inside hal/drivers only",
      from('^(hal|runtime|apps)/', '^hal/drivers/'),
      { path: 'node_modules/(@pokusew/pcsclite|serialport|@serialport|onoff|i2c-bus|smartcard)/' },
    ),
    rule('no-network-in-the-secure-world', 'bytes leave over the bridge only', from('^runtime/secure/'), {
      path: '^(node:)?(http|https|http2|dgram|dns)$',
    }),
    rule('no-development-parts', 'the product never imports development code', from('^(hal|runtime|apps)/'), {
      dependencyTypes: ['npm-dev'],
    }),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|node_modules)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.mjs', '.json', '.d.ts'],
    },
  },
}
