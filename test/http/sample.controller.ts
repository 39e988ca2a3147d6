import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query, Req, Res } from '@nestjs/common';
import { Type } from 'class-transformer';
import { IsInt, IsString, ValidateNested } from 'class-validator';
import { FastifyReply, FastifyRequest } from 'fastify';
import {
  type AskedCaller,
  CallerPerson,
  Caller,
  MaxLength,
  OptionalCaller,
  PageQueryDto,
  Policy,
} from '../../src/http';
import { DomainError, Person, Principal } from '../../src/kernel';
import { currentRequestId } from '../../src/observability';

class InnerDto {
  @IsString()
  name!: string;
}

export class ThingDto {
  @IsString()
  @MaxLength(20)
  name!: string;

  @IsInt()
  count!: number;

  @ValidateNested()
  @Type(() => InnerDto)
  inner!: InnerDto;
}

/** Routes of every kind that the fixture has rules for. */
@Controller()
export class SampleController {
  created = 0;
  release: () => void = () => undefined;
  readonly waiting: (() => void)[] = [];

  @Get('open')
  @Policy({ access: 'public' })
  open(): object {
    return { request_id: currentRequestId() };
  }

  @Get('always')
  @Policy({ access: 'public', always: true })
  always(): object {
    return {};
  }

  @Get('mine')
  @Policy({ scope: 'files:read' })
  mine(@Caller() caller: Principal): object {
    return { user: caller.ownerId };
  }

  @Get('account')
  @Policy({ scope: 'account' })
  account(@CallerPerson() caller: Person): object {
    return { session: caller.sessionId };
  }

  @Get('maybe')
  @Policy({ access: 'optional' })
  maybe(@OptionalCaller() caller: AskedCaller): object {
    return { user: caller()?.ownerId ?? null };
  }

  @Post('admin')
  @HttpCode(200)
  @Policy({ scope: 'administration' })
  admin(): object {
    return {};
  }

  @Post('dangerous')
  @HttpCode(200)
  @Policy({ scope: 'files:write', stepUp: true })
  dangerous(): object {
    return {};
  }

  @Post('costly')
  @HttpCode(200)
  @Policy({ scope: 'files:write', costly: 'read-through' })
  async costly(): Promise<object> {
    await new Promise<void>((resolve) => this.waiting.push(resolve));
    return {};
  }

  @Get('limited')
  @Policy({ access: 'public', rateLimit: 'login' })
  limited(): object {
    return {};
  }

  @Post('things')
  @HttpCode(200)
  @Policy({ access: 'public' })
  things(@Body() body: ThingDto): object {
    return { name: body.name, request_id: currentRequestId() };
  }

  @Get('things')
  @Policy({ access: 'public' })
  list(@Query() query: PageQueryDto): object {
    return { limit: query.limit ?? null };
  }

  @Patch('things/:id')
  @Policy({ access: 'public' })
  change(@Param('id') id: string): object {
    return { id };
  }

  @Delete('things/:id')
  @HttpCode(204)
  @Policy({ access: 'public' })
  remove(): void {
    return undefined;
  }

  @Post('small')
  @HttpCode(200)
  @Policy({ access: 'public', body: 64 })
  small(@Body() body: ThingDto): object {
    return { name: body.name };
  }

  @Post('stream')
  @HttpCode(200)
  @Policy({ scope: 'files:write', body: 'stream' })
  async stream(@Req() request: FastifyRequest): Promise<object> {
    let size = 0;
    for await (const chunk of request.raw) size += (chunk as Buffer).length;
    return { size };
  }

  @Get('fails/:code')
  @Policy({ access: 'public' })
  fails(@Param('code') code: string): object {
    if (code === 'unforeseen') throw new Error('E11000 secret driver text');
    throw new DomainError(code as 'internal', { detail: 'Said on purpose.' });
  }

  @Get('late')
  @Policy({ access: 'public' })
  late(@Res() reply: FastifyReply): void {
    reply.raw.writeHead(200, { 'content-length': '10' });
    reply.raw.write('half');
    throw new Error('in the middle');
  }

  @Post('create')
  @HttpCode(201)
  @Policy({ scope: 'files:write', idempotent: 'replay' })
  async create(@Body() body: ThingDto, @Res({ passthrough: true }) reply: FastifyReply): Promise<object> {
    if (body.name === 'wait') await new Promise<void>((resolve) => (this.release = resolve));
    if (body.name === 'refuse') throw new DomainError('conflict');
    this.created += 1;
    void reply.header('location', `/things/${this.created}`);
    return { number: this.created };
  }

  @Post('create-secret')
  @HttpCode(201)
  @Policy({ scope: 'files:write', idempotent: 'secret' })
  createSecret(): object {
    this.created += 1;
    return { secret: `s${this.created}` };
  }

  @Get('slow')
  @Policy({ access: 'public' })
  async slow(): Promise<object> {
    await new Promise<void>((resolve) => (this.release = resolve));
    return { done: true };
  }
}
