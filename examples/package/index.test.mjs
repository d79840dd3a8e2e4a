/** Run it with: nodefilter test */
import assert from 'node:assert/strict'
import test from 'node:test'
import { openFilter } from 'nodefilter/testing'
import * as filter from './index.mjs'

test('a domain is new once', async () => {
  const opened = await openFilter(filter, { settings: { except: ['example.org'] } })
  const rows = [
    { sender: 'a@example.com', want: 'example.com' },
    { sender: 'b@Example.com', want: undefined },
    { sender: 'c@example.net', want: 'example.net' },
    { sender: 'd@example.org', want: undefined },
    { sender: '', want: undefined },
  ]
  for (const { sender, want } of rows) {
    const { verdict, notes } = await opened.run('Subject: x\n\ntext\n', { sender })
    assert.equal(verdict.kind, 'pass')
    assert.equal(notes.get('firstContact'), want, sender)
  }
  await opened.close()
})
