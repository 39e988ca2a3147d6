import { signUp } from '../support/accounts';
import { type Answer, Client, expectProblem, expectStatus } from '../support/client';
import { waitFor } from '../support/processes';
import { describeOnProfiles, type ProfileContext } from '../support/profiles';

interface RotationDto {
  readonly id: string;
  readonly state: string;
  readonly target_version: number | null;
  readonly total: number;
  readonly done: number;
  readonly failed: number;
}

describeOnProfiles('The rotation of the master key', (context) => rotation(context));

function rotation(context: ProfileContext): void {
  const people: { client: Client; id: string; value: string }[] = [];

  beforeAll(async () => {
    for (let n = 0; n < 5; n += 1) {
      const { client } = await signUp(context.client);
      const value = `value of person ${n}`;
      const made = expectStatus(await client.post('/sensitive-data', { data_type: 'note', value }), 200);
      people.push({ client, id: made.id as string, value });
    }
  });

  const rotate = (client: Client = context.admin): Promise<Answer> => client.post('/rotate-master-key');
  const rotationOf = (answer: Answer): RotationDto => expectStatus(answer, 200).rotation as RotationDto;

  async function expectAllReadable(): Promise<void> {
    for (const { client, id, value } of people) {
      expect(expectStatus(await client.get(`/sensitive-data/${id}`), 200).value).toBe(value);
    }
  }

  it('answers with its message and the rotation, and all stays readable', async () => {
    const answer = expectStatus(await rotate(), 200);
    expect(answer).toEqual({
      message: 'Master key rotated successfully',
      rotation: {
        id: expect.any(String),
        state: 'done',
        target_version: 2,
        total: 6,
        done: 6,
        failed: 0,
      },
    });
    await expectAllReadable();
  });

  it('counts up with each rotation, and is listed newest first', async () => {
    const one = rotationOf(await rotate());
    const two = rotationOf(await rotate());
    expect(two.target_version).toBe(one.target_version! + 1);
    expect(expectStatus(await context.admin.get(`/rotations/${two.id}`), 200)).toEqual(two);
    const list = expectStatus(await context.admin.get('/rotations?limit=2'), 200);
    expect(list).toEqual({ items: [two, one], next_cursor: expect.any(String) });
    const rest = expectStatus(await context.admin.get(`/rotations?limit=2&cursor=${list.next_cursor as string}`), 200);
    expect((rest.items as RotationDto[])[0]!.target_version).toBe(one.target_version! - 1);
    await expectAllReadable();
  });

  it('is for administrators', async () => {
    const { client } = people[0]!;
    expectProblem(await rotate(client), 403, 'permission_denied');
    expectProblem(await client.get('/rotations'), 403, 'permission_denied');
    expectProblem(await client.get('/rotations/x'), 403, 'permission_denied');
    expectProblem(await rotate(context.client.as(undefined)), 401, 'unauthenticated');
  });

  it('of an unknown id is not found', async () => {
    expectProblem(await context.admin.get('/rotations/no-such-rotation'), 404, 'not_found');
  });

  it('happens one at a time where several are asked for at once, and the others are told which', async () => {
    const before = rotationOf(await rotate());
    const answers = await Promise.all(Array.from({ length: 6 }, () => rotate()));
    const made = answers.filter((answer) => answer.status === 200).map(rotationOf);
    expect(made.length).toBeGreaterThan(0);
    for (const answer of answers.filter((one) => one.status !== 200)) {
      expectProblem(answer, 409, 'rotation_running');
      expect(made.map(({ id }) => id)).toContain(answer.json.rotation_id);
    }
    const after = rotationOf(await rotate());
    expect(after.target_version).toBe(before.target_version! + made.length + 1);
    await expectAllReadable();
  });

  it('does not stand in the way of readers and writers', async () => {
    let stop = false;
    const faults: string[] = [];
    const busy = people.map(async ({ client, id, value }) => {
      while (!stop) {
        const read = await client.get(`/sensitive-data/${id}`);
        if (read.status !== 200 || read.json.value !== value) faults.push(read.text);
        const written = await client.post('/sensitive-data', { data_type: 'busy', value: 'x' });
        if (written.status !== 200) faults.push(written.text);
      }
    });
    for (let n = 0; n < 3; n += 1) rotationOf(await rotate());
    stop = true;
    await Promise.all(busy);
    expect(faults).toEqual([]);
  });

  it.each(['rotation.key-rotated', 'rotation.row-advanced', 'rotation.user-keys-rewrapped', 'rotation.before-done'])(
    'goes on after the process that ran it died at %s, and loses nothing',
    async (point) => {
      const [dying] = context.services;
      const former = rotationOf(await rotate()).target_version!;
      await dying!.arm(point);
      await expect(rotate(new Client(dying!.url, context.admin.token))).rejects.toThrow();
      await dying!.ended();
      await dying!.restart();
      await expectAllReadable();
      const finished = await waitFor('the rotation to be finished', async () => {
        const list = expectStatus(await context.admin.get('/rotations?limit=1'), 200) as { items: RotationDto[] };
        return list.items[0]?.state === 'done' ? list.items[0] : undefined;
      });
      expect(finished).toMatchObject({ target_version: former + 1, failed: 0, done: finished.total });
      await expectAllReadable();
    },
  );

  it('with the key home away is refused, and taken again once it is back', async () => {
    if (context.parts === undefined) return;
    await context.parts.bao.seal();
    expectProblem(await rotate(), 503, 'kms_unavailable');
    await context.parts.bao.unseal();
    const answer = await waitFor('the key home to be back', async () => {
      const tried = await rotate();
      return tried.status === 200 ? tried : undefined;
    });
    expect(rotationOf(answer)).toMatchObject({ state: 'done', failed: 0 });
    await expectAllReadable();
  });
}
