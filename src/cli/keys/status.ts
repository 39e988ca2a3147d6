import { NestFastifyApplication } from '@nestjs/platform-fastify';
import { isoTime } from '../../kernel';
import { KeyOverview, type Rotation, RotationService } from '../../keys/rotation';
import { withService } from '../app';

const SHOWN = 20;

/** `rotations`: the last ones, newest first. */
export function rotations(): Promise<string> {
  return withService(async (app) => {
    const { items } = await newest(app);
    return items.length === 0 ? 'The master key was never rotated.\n' : items.map((each) => `${line(each)}\n`).join('');
  });
}

/** `status`: the master key, and the rotation that is under way. */
export function status(): Promise<string> {
  return withService(async (app) => {
    const { home, current, versions } = await app.get(KeyOverview, { strict: false }).masterKeyNow();
    const listed = versions.map(({ version, createdAt, inUse }) => {
      const made = createdAt === 0 ? '' : `, made ${isoTime(createdAt)}`;
      return `  version ${version}${made}, ${inUse ? 'in use' : 'not in use: it may be retired'}\n`;
    });
    const running = await underWay(app);
    const rotation = running === undefined ? 'No rotation is under way.' : `Rotation ${line(running)}`;
    return `The master key is in ${home}; version ${current} is current.\n${listed.join('')}${rotation}\n`;
  });
}

/** The rotation that runs or is paused. */
export async function underWay(app: NestFastifyApplication): Promise<Rotation | undefined> {
  return (await newest(app)).items.find(({ state }) => state === 'running' || state === 'paused');
}

const newest = (app: NestFastifyApplication) => app.get(RotationService, { strict: false }).list({ limit: SHOWN });

const line = ({ id, startedAt, state, targetVersion, done, total, failed, fault }: Rotation): string =>
  [
    id,
    isoTime(startedAt),
    fault === undefined ? state : `${state} (${fault})`,
    targetVersion === undefined ? 'no version yet' : `to version ${targetVersion}`,
    `${done} of ${total}`,
    `${failed} failed`,
  ].join('  ');
