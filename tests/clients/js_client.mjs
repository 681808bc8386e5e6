// LinkedIn's own JavaScript package, unchanged: one call of every kind.
//
// usage: node js_client.mjs BASE_URL TOKEN ANSWERS_FILE
//
// BASE_URL is the gateway's or a sandbox's, TOKEN a key or a LinkedIn token: the story is the same for
// both. Prints one line per check; writes what each call was answered, in order, for compare.py.

import { writeFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { RestliClient } from 'linkedin-api-client';

const VERSION = '202609';
const AUTHOR = 'urn:li:person:javascript';
// LinkedIn's package sends queries of more than 4,000 characters as the body of a POST.
const MANY_IDS = [512345001, ...Array.from({ length: 500 }, (_, at) => 700000000 + at)];
const LONG_NOTE = 'n'.repeat(4100);

const [baseUrl, accessToken, answersFile] = process.argv.slice(2);
const client = new RestliClient();
client.axiosInstance.interceptors.request.use((request) => {
  request.url = request.url.replace('https://api.linkedin.com', baseUrl);
  return request;
});
// The package draws its multipart boundary from here; the same one makes two runs comparable.
Math.random = () => 0.7251968;

const answers = [];
let failed = 0;

async function call(name, method, request) {
  let answer;
  try {
    answer = await client[method]({ accessToken, ...request });
  } catch (error) {
    if (!error.response) throw error;
    answer = error.response;
  }
  answers.push({
    call: `javascript ${name}`,
    status: answer.status,
    headers: pairs(answer.request.res.rawHeaders),
    body: typeof answer.data === 'string' ? answer.data : JSON.stringify(answer.data),
  });
  return answer;
}

function pairs(flat) {
  const paired = [];
  for (let at = 0; at < flat.length; at += 2) paired.push([flat[at].toLowerCase(), flat[at + 1]]);
  return paired;
}

function check(name, found, wanted) {
  if (isDeepStrictEqual(found, wanted)) {
    console.log(`ok     javascript ${name}`);
    return;
  }
  failed += 1;
  console.log(`FAILED javascript ${name}: ${JSON.stringify(found)} is not ${JSON.stringify(wanted)}`);
}

const versionString = VERSION;
const accounts = { resourcePath: '/adAccounts', versionString };
const account = { resourcePath: '/adAccounts/{id}', versionString };

const me = await call('profile', 'get', { resourcePath: '/me' });
check('profile', [me.status, me.data.localizedLastName], [200, 'Lovelace']);

const userinfo = await call('userinfo', 'get', { resourcePath: '/userinfo' });
check('userinfo', [userinfo.status, userinfo.data.name], [200, 'Ada Lovelace']);

const found = await call('finder', 'finder', {
  ...accounts,
  finderName: 'search',
  queryParams: { search: { status: { values: ['ACTIVE', 'DRAFT'] }, name: 'A (b):c,d é' }, count: 2 },
});
check('finder', found.data.elements.map(({ id }) => id), [512345001, 512345002]);

const tunnelled = await call('tunnelled finder', 'finder', {
  ...accounts,
  finderName: 'search',
  queryParams: { search: { note: LONG_NOTE }, count: 1 },
});
check('tunnelled finder', tunnelled.data.elements.map(({ id }) => id), [512345001]);
check('tunnelled finder went as POST', tunnelled.request.method, 'POST');

const batch = await call('batch get', 'batchGet', { ...accounts, ids: [512345001, 512345002, 5] });
check('batch get', [Object.keys(batch.data.results), Object.keys(batch.data.errors)], [['512345001', '512345002'], ['5']]);

const many = await call('tunnelled batch get', 'batchGet', { ...accounts, ids: MANY_IDS });
check('tunnelled batch get', [Object.keys(many.data.results).length, Object.keys(many.data.errors).length], [1, 500]);
check('tunnelled batch get went as POST', many.request.method, 'POST');

const every = await call('get all', 'getAll', { ...accounts, queryParams: { fields: 'id,name' } });
check('get all', every.data.elements.length, 2);

const made = await call('create', 'create', { ...accounts, entity: { name: 'Difference Engines' } });
check('create', [made.status, /^\d+$/.test(made.createdEntityId)], [201, true]);
let pathKeys = { id: made.createdEntityId };

const put = await call('update', 'update', { ...account, pathKeys, entity: { name: 'Engines, second series' } });
check('update', put.status, 204);

const longPut = await call('tunnelled update', 'update', {
  ...account,
  pathKeys,
  entity: { name: 'Engines, third series' },
  queryParams: { note: LONG_NOTE },
});
check('tunnelled update', longPut.status, 204);
check('tunnelled update went as POST', longPut.request.method, 'POST');

const patched = await call('partial update', 'partialUpdate', { ...account, pathKeys, patchSetObject: { currency: 'GBP' } });
check('partial update', patched.status, 204);

const read = await call('get of the updated', 'get', { ...account, pathKeys });
check('get of the updated', [read.data.name, read.data.currency], ['Engines, third series', 'GBP']);

const gone = await call('delete', 'delete', { ...account, pathKeys });
check('delete', gone.status, 204);

const missing = await call('get of the deleted', 'get', { ...account, pathKeys });
check('get of the deleted', missing.status, 404);

const second = await call('second create', 'create', { ...accounts, entity: { name: 'Short-lived' } });
check('second create', second.status, 201);
pathKeys = { id: second.createdEntityId };
const longGone = await call('tunnelled delete', 'delete', { ...account, pathKeys, queryParams: { note: LONG_NOTE } });
check('tunnelled delete', longGone.status, 204);
check('tunnelled delete went as POST', longGone.request.method, 'POST');

const { createdEntityId: third } = await call('third create', 'create', { ...accounts, entity: { name: 'Third' } });
const removed = await call('batch delete', 'batchDelete', { ...accounts, ids: [third, 6] });
check('batch delete', removed.data.results, { 6: { status: 404 }, [third]: { status: 204 } });

const post = { author: AUTHOR, commentary: 'The engine weaves algebraic patterns. é ✓', visibility: 'PUBLIC' };
const posted = await call('post', 'create', { resourcePath: '/posts', entity: post, versionString });
check('post', [posted.status, posted.createdEntityId.slice(0, 13)], [201, 'urn:li:share:']);

const same = await call('duplicate post', 'create', { resourcePath: '/posts', entity: post, versionString });
check('duplicate post', same.status, 422);

const urn = { pathKeys: { urn: posted.createdEntityId }, versionString };
const readPost = await call('get by urn', 'get', { resourcePath: '/posts/{urn}', ...urn });
check('get by urn', readPost.data.commentary, post.commentary);

const gonePost = await call('delete by urn', 'delete', { resourcePath: '/posts/{urn}', ...urn });
check('delete by urn', gonePost.status, 204);

const started = await call('action', 'action', {
  resourcePath: '/images',
  actionName: 'initializeUpload',
  data: { initializeUploadRequest: { owner: AUTHOR } },
  versionString,
});
check('action', [started.status, started.data.value.image.slice(0, 13)], [200, 'urn:li:image:']);

const old = await call('inactive version', 'get', { ...account, pathKeys: { id: 1 }, versionString: '202401' });
check('inactive version', old.status, 426);

writeFileSync(answersFile, JSON.stringify(answers, null, 1));
process.exit(failed ? 1 : 0);
