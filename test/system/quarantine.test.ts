/** The quarantine behind a real Courier: kept, told, released by mail and by command, each once. */
import { chmodSync, chownSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { plainBody } from '../helpers/quarantine-stage.ts'
import { until } from '../helpers/until.ts'
import { awaitEmptyQueue, courier, courierObstacle, setFiltered } from './courier-server.ts'
import type { Delivered } from './maildir.ts'
import { sendMessage, type SmtpReply, type Transaction } from './smtp-client.ts'
import { openCourierStage } from './stage.ts'

const alice = (extension: string): string => `${courier.user}-${extension}@${courier.domain}`

/** A line as long as Courier's `sendmail` takes it, 8-bit letters, a dot, and no line end at the end. */
const body = `caf\u00e9\n\n.\n..a\nFrom here\n${'long '.repeat(900)}\nthe end\n`

const obstacle = courierObstacle()
if (obstacle === null) await suite()
else t.plan(0, obstacle)

async function suite(): Promise<void> {
  t.setTimeout(300_000)
  const stage = await openCourierStage()
  const { nodefilter, maildir } = stage
  const aliasFile = join(courier.sysconfdir, 'aliasdir/.courier-quarantine-local-default')
  t.teardown(async () => {
    rmSync(aliasFile, { force: true })
    await stage.close()
  })
  const dir = join(nodefilter.top, 'kept')
  rmSync(dir, { recursive: true, force: true })
  mkdirSync(dir, { mode: 0o700 })
  const { uid, gid } = statSync(courier.spool)
  chownSync(dir, uid, gid)
  const dist = join(nodefilter.top, 'app/node_modules/nodefilter/dist')
  const library = pathToFileURL(join(dist, 'courier-compat/quarantine.js')).href
  writeFileSync(
    join(nodefilter.filterDirectory, 'keeping.mjs'),
    `import { readFileSync } from 'node:fs'
import { openQuarantine } from '${library}'
let quarantine
export async function initFilter({ log }) {
  quarantine = await openQuarantine({ log })
}
export async function doFilter(bodyPath, controlPaths, { signal }) {
  if (!readFileSync(bodyPath, 'latin1').includes('\\nX-Harmful: yes\\n')) return ''
  const { reply } = await quarantine.keep({ bodyPath, controlPaths, reason: 'it says so', signal })
  return reply
}
`,
  )
  writeFileSync(join(nodefilter.configDirectory, 'modules.conf'), `[quarantine]\nsiteid = 'local'\ndir = '${dir}'\n`)
  const command = `${nodefilter.nodePath} ${join(dist, 'host/main.js')} quarantine release --mail -c ${nodefilter.configDirectory}`
  writeFileSync(aliasFile, `| ${command}\n`)
  chownSync(aliasFile, 0, gid)
  chmodSync(aliasFile, 0o640)
  await stage.serve({ list: ['keeping'] })

  const post = (token: string, more: Partial<Transaction> = {}): Promise<SmtpReply> =>
    sendMessage({
      ...{ port: courier.port, localAddress: '127.0.0.2', from: `${token}@example.com`, to: [alice(token)] },
      message: `From: <${token}@example.com>\nDate: Sat, 21 Nov 2026 12:00:00 +0000\nMessage-ID: <${token}@example.com>\nSubject: ${token}\nX-Harmful: yes\n\n${body}`,
      mailParameters: 'BODY=8BITMIME',
      ...more,
    })
  const ask = (to: string, more: Partial<Transaction> = {}): Promise<SmtpReply> =>
    sendMessage({
      ...{ port: courier.port, localAddress: '127.0.0.2', from: alice('asks'), to: [to] },
      message: `From: <${alice('asks')}>\nTo: <${to}>\nSubject: please\n\n`,
      ...more,
    })
  const noticesOf = (token: string): Delivered[] =>
    maildir.with('quarantine').filter(({ text }) => plainBody(text).includes(`Subject:    ${token}\n`))
  const noticeOf = async (token: string): Promise<{ notice: Delivered; address: string; id: string }> => {
    const [notice] = await until(
      `a notice of ${token}`,
      () => noticesOf(token).length > 0 && noticesOf(token),
      30_000,
      50,
    )
    if (notice === undefined) throw new Error('there is none')
    const text = plainBody(notice.text)
    return {
      notice,
      address: /quarantine-local-\S+@\S+/.exec(text)?.[0] ?? '',
      id: /Id: +(\S+)/.exec(text)?.[1] ?? '',
    }
  }
  const run = (...args: string[]) =>
    nodefilter.run(['quarantine', args[0] ?? '', '-c', nodefilter.configDirectory, ...args.slice(1)])
  const check = (t: Test, token: string, message: Delivered | undefined): void => {
    const { text = '', returnPath, deliveredTo } = message ?? {}
    t.match(returnPath, `${token}@example.com`, 'its sender of then')
    t.equal(deliveredTo, alice(token))
    t.equal(text.slice(text.indexOf('\n\n') + 2), body)
    t.match(text, /^X-Nodefilter-Quarantine: release /m)
  }

  await t.test('released by mail, once', async (t) => {
    t.match(await post('bymail'), { code: 250 })
    const { notice, address } = await noticeOf('bymail')
    t.match(notice.returnPath, /^(?:<>)?$/, 'a notice has the null sender')
    t.equal(notice.deliveredTo, alice('bymail'))
    t.match(notice.text, /^From: "Mail Quarantine System" <postmaster@vm\.test\.example>$/m)
    await awaitEmptyQueue()
    t.strictSame(maildir.with('bymail'), [], 'the message itself does not come')

    t.match(await ask(address.replace(/\.[a-z2-7]+@/, '.aaaaaaaaaaaaaaaa@')), { code: 250 })
    t.match(await ask(address, { from: '' }), { code: 250 })
    await awaitEmptyQueue()
    t.strictSame(maildir.with('bymail'), [], 'not for a guess, and not for nobody')
    t.match(await ask(address), { code: 250 })
    const [message] = await maildir.await('bymail')
    check(t, 'bymail', message)
    t.match(await ask(address), { code: 250 })
    await awaitEmptyQueue()
    t.equal(maildir.with('bymail').length, 1, 'it arrives once')
    t.equal(maildir.with('please').length, 0)
    t.equal(maildir.with('Delivery').length, 0, 'nobody is answered')
  })

  await t.test('released by command, by root', async (t) => {
    t.match(await post('bycommand', { to: [alice('bycommand'), alice('other')] }), { code: 250 })
    const { id } = await noticeOf('bycommand')
    const listed = await run('list')
    t.match(listed, { status: 0 })
    t.match(listed.output, new RegExp(`^${id} .* held `, 'm'))
    t.match(await run('release', id, alice('bycommand')), { status: 0, output: `${alice('bycommand')}: released\n` })
    const [message] = await maildir.await('bycommand')
    check(t, 'bycommand', message)
    t.match(await run('release', id, '--all'), { status: 0, output: /was released before.*\n.*other@.*: released\n/ })
    t.equal((await maildir.await('bycommand', 2)).length, 2)
    t.match(await run('list'), { output: new RegExp(`^${id} .* released `, 'm') })
    t.equal(statSync(join(dir, 'history.jsonl')).uid, uid, 'what root did is for the mail server to go on with')
  })

  await t.test('where local mail is filtered as well', async (t) => {
    setFiltered('esmtp local')
    t.match(await post('filtered'), { code: 250 })
    const { address } = await noticeOf('filtered')
    t.match(await ask(address), { code: 250 })
    const [message] = await maildir.await('filtered')
    check(t, 'filtered', message)
    await awaitEmptyQueue()
    t.equal(noticesOf('filtered').length, 1, 'it is not quarantined again')
    setFiltered('esmtp')
  })

  await t.test('a folder that cannot be used', async (t) => {
    chmodSync(dir, 0o777)
    t.match(await post('unsafe'), { code: 451 }, 'is no acceptance')
    chmodSync(dir, 0o700)
    t.match(await post('unsafe'), { code: 250 })
    t.match(await run('purge', '--older-than', '0'), { status: 0, output: /^4 messages, 0 files removed$/m })
    t.match(await run('list'), { status: 0, output: 'The quarantine is empty.\n' })
  })
}
