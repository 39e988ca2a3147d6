import { Controller, Get } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { ApiProblems, Policy } from '../http';
import { Health } from './health';
import { AliveDto, ReadyDto } from './health.dto';

@ApiTags('Operation')
@Controller()
export class HealthController {
  constructor(private readonly health: Health) {}

  /** Whether the process runs. Asks nothing else: a dead database is no reason to restart it. */
  @Get('livez')
  @Policy({ access: 'public', always: true })
  getLiveness(): AliveDto {
    return { status: 'alive' };
  }

  /** Whether requests can be served. Where not, `down` names the parts that do not answer. */
  @Get('readyz')
  @Policy({ access: 'public', always: true })
  @ApiProblems('store_unavailable', 'kms_unavailable', 'audit_unavailable', 'shutting_down')
  async getReadiness(): Promise<ReadyDto> {
    return { status: 'ready', up: [...(await this.health.check())] };
  }
}
