/** noreceivedheaders: what is removed from whose mail, and that nothing else is touched. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import t from 'tap'
import { keptOriginalPath } from '../../courier-compat/kept-original.ts'
import { doFilter, initFilter, settings } from '../../filters/noreceivedheaders.ts'
import { makeContext, makeSetup } from '../helpers/filter-context.ts'
import { makePair } from '../helpers/pair.ts'

const first =
  'Received: from client.example.com ([203.0.113.9])\n  (AUTH: PLAIN bob)\n  by mx.example.org with ESMTPA\n'
const second = 'Received:  from a ;\n\tb\n'
const third = 'received: x\n'
const rest = 'X-Received: stays\nSubject :  odd   \n  fold\nFrom bob Sat\nX-Raw: \xff\n\nReceived: in the body\nno end'
const content = Buffer.from(`${first}${second}${third}${rest}`, 'latin1')

t.test('noreceivedheaders', async (t) => {
  const dir = t.testdir()
  const rows: {
    name: string
    authUser?: string
    redact?: string
    given?: Buffer
    want: string
  }[] = [
    {
      name: 'T96: of an authenticated sender, the newest Received alone goes',
      authUser: 'bob',
      want: `${second}${third}${rest}\n`,
    },
    {
      name: 'T96: as in pythonfilter, all three go, in any letter case, and X-Received stays',
      authUser: 'bob',
      redact: 'all',
      want: `${rest}\n`,
    },
    { name: 'an empty name is a log-in too', authUser: '', want: `${second}${third}${rest}\n` },
    {
      name: 'T97: nobody logged in, so nothing is touched, not even a missing last line end',
      want: content.toString('latin1'),
    },
    { name: 'T97: nor with all', redact: 'all', want: content.toString('latin1') },
    {
      name: 'a message without the field',
      authUser: 'bob',
      given: Buffer.from(rest, 'latin1'),
      want: rest,
    },
    {
      name: 'Received-SPF, which stands before it, stays',
      authUser: 'bob',
      given: Buffer.from('Received-SPF: none\nReceived: a\nReceived: b\n\n'),
      want: 'Received-SPF: none\nReceived: b\n\n',
    },
    { name: 'a message that is nothing else', authUser: 'bob', given: Buffer.from('Received: a\n'), want: '' },
  ]
  for (const { name, authUser, redact = settings.redact.default, given = content, want } of rows) {
    await initFilter(makeSetup('noreceivedheaders', { redact }))
    const { bodyPath, controlPaths } = makePair(dir, { authUser: authUser ?? null, content: given })
    const before = statSync(bodyPath)
    const { context } = makeContext(controlPaths)
    t.equal(await doFilter(bodyPath, controlPaths, context), '', `${name}: passes`)
    t.equal(readFileSync(bodyPath, 'latin1'), want, name)
    const isSame = want === given.toString('latin1')
    t.equal(
      statSync(bodyPath).mtimeMs === before.mtimeMs && statSync(bodyPath).ino === before.ino,
      isSame,
      `${name}: the file`,
    )
    t.equal(existsSync(keptOriginalPath(bodyPath)), !isSame, `${name}: the original is kept if it had to be`)
  }
})
